"""When a worker starts what: by a timetable that is fixed before anything is sent.

A target that answers slowly does not slow the timetable down; a start that finds no user free is late, and
its latency counts from when it should have been. So what a stalled target does to its users is seen.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from runstone.load.model import Kind, Plan


class Start(NamedTuple):
    """One start. `at`: when it should be, in seconds after the worker began."""

    number: int
    at: float
    kind: Kind


class Schedule:
    """One worker's share: of all workers' starts, every so many-th."""

    def __init__(self, plan: Plan, worker: int) -> None:
        """`worker`: from 0 on."""
        self._plan = plan
        self._worker = worker
        self._taken = 0
        self._ended_at: float | None = None
        self._kinds = [kind for kind, weight in plan.mix.items() if weight]
        self._weights = [weight for weight in plan.mix.values() if weight]
        self._random = random.Random(f"{plan.seed}-{worker}")  # noqa: S311 - no secret: the order of kinds

    def _at(self, number: int) -> float:
        return (number * self._plan.workers + self._worker) / self._plan.rate

    @property
    def ends_at(self) -> float:
        """When nothing more is started."""
        return self._plan.for_s if self._ended_at is None else self._ended_at

    def end(self, now: float) -> None:
        """Start nothing more from now on."""
        self._ended_at = min(now, self.ends_at)

    def due(self, now: float) -> int:
        """How many should have been started by now."""
        until = min(now, self.ends_at)
        first = self._worker / self._plan.rate
        return max(0, -int(-(until - first) * self._plan.rate // self._plan.workers)) if until > first else 0

    def take(self, now: float) -> Start | None:
        """The next start, which may be due later, or has been due; None where there is no further one."""
        at = self._at(self._taken)
        if at >= self.ends_at or now >= self.ends_at:
            return None
        self._taken += 1
        return Start(self._taken - 1, at, self._next_kind())

    def never_taken(self, now: float) -> list[Kind]:
        """The kinds of those that were due by now, and that nobody took."""
        return [self._next_kind() for _ in range(self.due(now) - self._taken)]

    def _next_kind(self) -> Kind:
        kind: Kind = self._random.choices(self._kinds, self._weights)[0]  # type: ignore[assignment]
        return kind
