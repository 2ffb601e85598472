"""When a worker starts what: by a timetable that is fixed before anything is sent.

It is the same whoever works by it: two workers start together what one would start alone.

A target that answers slowly does not slow the timetable down; a start that finds no user free is late, and
its latency counts from when it should have been. So what a stalled target does to its users is seen.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Final, NamedTuple

from runstone.load.model import KINDS, Kind, Plan

_DRAWN: Final = 10_007  # kinds, then the order begins again; a prime, so that each worker has all of them


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
        drawn = random.Random(plan.seed)  # noqa: S311 - no secret: the order of kinds
        weights = [plan.mix.get(kind, 0) for kind in KINDS]
        self._kinds: list[Kind] = drawn.choices(KINDS, weights, k=_DRAWN)

    def _place(self, number: int) -> int:
        """Where the worker's own start stands among those of all."""
        return number * self._plan.workers + self._worker

    def _at(self, number: int) -> float:
        return self._place(number) / self._plan.rate

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
        return Start(self._taken - 1, at, self._kind(self._taken - 1))

    def never_taken(self, now: float) -> Counter[Kind]:
        """How many of each kind were due by now, and taken by nobody."""
        return Counter(self._kind(number) for number in range(self._taken, self.due(now)))

    def _kind(self, number: int) -> Kind:
        return self._kinds[self._place(number) % _DRAWN]
