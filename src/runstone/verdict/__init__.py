"""Verdicts: what a case, a requirement and a whole run result in, and what is accepted for a while."""
