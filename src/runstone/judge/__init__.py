"""Judging: a requirement is a pure function of traces."""
