"""One session: what was asked for, what was observed, and the evidence of it."""
