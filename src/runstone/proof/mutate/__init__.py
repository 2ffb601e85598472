"""Mutated evidence: change recorded traces by machine, judge each change offline, count what is noticed."""
