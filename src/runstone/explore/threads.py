"""What is known of the threads and runs of a sequence, so that the next answer can be expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Ending = Literal["success", "paused", "error", "cancelled"]


@dataclass(slots=True)
class RunModel:
    """A run that was answered for: how it must have ended, and when it was known to be over."""

    ending: Ending
    over_at: float | None = None  # seconds after the session began; None while it may go on
    deleted: bool = False


@dataclass(slots=True)
class ThreadModel:
    """A thread: what it holds, as far as that is known."""

    thread_id: str
    graph: str = ""
    values: dict[str, Any] | None = field(default_factory=dict)  # None: not known until the next reading
    resting: str | None = "idle"  # its status while nothing runs; None: not known
    pending: bool = False  # it waits for an answer
    deleted: bool = False
    runs: dict[str, RunModel] = field(default_factory=dict)
    active: str | None = None  # the run that is under way
    checkpoints: dict[str, dict[str, Any]] = field(default_factory=dict)  # those seen, with their values

    @property
    def over_at(self) -> float | None:
        """When its last run was known to be over; None while one may go on."""
        ends = [run.over_at for run in self.runs.values()]
        return None if None in ends else max((end for end in ends if end is not None), default=0.0)
