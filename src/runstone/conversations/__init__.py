"""Acceptance scenarios: a team's own conversations with its agents, as data: played, recorded and judged."""
