"""How one reference runtime is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Profile = Literal["langgraph", "wait-state"]

EVERY_GRAPH = "*"


@dataclass(frozen=True)
class Settings:
    """What a reference runtime serves, and how.

    graphs: each langgraph.json that names graphs.
    db: the folder of the SQLite files; None for a temporary one that goes with the server.
    profile: what wait and join answer: the bare values (`langgraph`) or a thread state (`wait-state`).
    auth_secret: with one, each request but /ok and /info needs a bearer JWT signed with it (HS256). Its `sub`
        names the owner of what is made; with `scope` "read" it may only read.
    run_time_limits: seconds by graph id; the key `*` holds for every graph that has none of its own.
    """

    graphs: tuple[Path, ...]
    db: Path | None = None
    profile: Profile = "langgraph"
    auth_secret: str | None = None
    run_time_limits: Mapping[str, float] = field(default_factory=dict)

    def time_limit(self, graph_id: str) -> float | None:
        """Seconds that a run of this graph may take, or None."""
        return self.run_time_limits.get(graph_id, self.run_time_limits.get(EVERY_GRAPH))
