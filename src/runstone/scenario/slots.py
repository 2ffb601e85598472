"""Slots for runs: no more runs are under way at once than the target executes at a time.

A run that queues behind another one of ours tells nothing of the target but how we asked. So what creates a
run takes slots first, in the order in which it asked: a part of a scenario for as long as the part goes on,
a scenario itself until its end. Nobody asks for slots while holding some, so nobody waits for ever.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final

MANY: Final = 10_000  # slots, where nobody counts them

# `langgraph dev` looks for runs once a second, and then executes all that wait: with one brief run of ours
# ahead its only worker executed two a second, with three four, and with eight more than twenty.
AHEAD: Final = 8


@dataclass(frozen=True, slots=True)
class _Waiting:
    count: int
    granted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Slots:
    """`capacity` slots, and some more for brief runs, so that a worker never waits for the next of ours.

    A run that sleeps, or that is a matter of moments, is `steady`: it needs a worker at once. Those never
    hold the last slot where there is more than one, and what would queue behind them is not begun.
    `travelling`: how many of those that hold slots are on their way to a far target or back, not at work.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.travelling = 0
        self._taken = 0
        self._steady = 0
        self._waiting: dict[bool, deque[_Waiting]] = {False: deque(), True: deque()}

    @property
    def free(self) -> bool:
        """Whether a run that is created now executes at once, as far as our own runs go."""
        return self._taken < self.capacity

    async def take(self, count: int, *, steady: bool) -> int:
        """Wait for so many slots, or for all that there can be; how many were taken."""
        count = max(1, min(count, self._most(steady)))
        waiting = _Waiting(count)
        self._waiting[steady].append(waiting)
        self._grant()
        try:
            await waiting.granted
        except asyncio.CancelledError:
            if waiting.granted.done() and not waiting.granted.cancelled():
                self.give_back(count, steady=steady)
            else:
                if waiting in self._waiting[steady]:
                    self._waiting[steady].remove(waiting)
                self._grant()
            raise
        return count

    def give_back(self, count: int, *, steady: bool) -> None:
        """Free slots that were taken."""
        self._taken -= count
        self._steady -= count if steady else 0
        self._grant()

    @asynccontextmanager
    async def spare(self) -> AsyncIterator[bool]:
        """A slot that nobody else wants at present, for the time of the block; False where there is none."""
        taken = self.free and not any(self._waiting.values())
        self._taken += taken
        try:
            yield taken
        finally:
            if taken:
                self.give_back(1, steady=False)

    def _most(self, steady: bool) -> int:
        return max(1, self.capacity - 1) if steady else self.capacity

    def _grant(self) -> None:
        for steady in (True, False):
            queue = self._waiting[steady]
            while queue and (queue[0].granted.cancelled() or self._fits(queue[0].count, steady)):
                waiting = queue.popleft()
                if waiting.granted.cancelled():  # whoever asked is about to be told so
                    continue
                self._taken += waiting.count
                self._steady += waiting.count if steady else 0
                waiting.granted.set_result(None)

    def _fits(self, count: int, steady: bool) -> bool:
        room = self.capacity + self.travelling - self._taken - count
        if steady:
            return room >= 0 and self._steady + count <= self._most(True)
        if self._waiting[True] and self._steady < self._most(True) and self.capacity > 1:
            return room > 0  # leaves the next slot to the steady one that waits
        ahead = AHEAD if count == 1 and self._steady < self.capacity else 0
        return room + ahead >= 0


class LeaseEnded(Exception):  # noqa: N818 - nobody is there any more to whom it would be an error
    """Slots were asked for by what a scenario has left behind."""


class Lease:
    """The slots of one scenario. Parts take their own, or share those that the scenario itself holds."""

    def __init__(
        self,
        slots: Slots,
        runs: int,
        *,
        steady: bool,
        end: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """`runs`: how many runs the scenario needs to execute at once; with one, each part has its own.

        `end` is told the part that gives back its slots, and ends what that has left running.
        """
        self._slots = slots
        self._runs = runs
        self._steady = steady
        self._end = end
        self._held: dict[str, tuple[int, bool]] = {}  # how many slots, and whether as a steady one
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._ended = False
        self._queueing = 0
        self._queued_s = 0.0  # without what is being waited now

    async def enter(self, part: str, *, sleeps: bool = False) -> None:
        """Hold slots before a run of this part is created; several at once are the whole scenario's.

        `sleeps`: this run keeps its worker for long, whatever the scenario says of its others. Raises
        LeaseEnded after `leave_all`: what a scenario that broke off had begun may still be going on.
        """
        steady = self._steady or sleeps
        part = "" if self._runs > 1 else part
        async with self._asking[part]:
            if "" in self._held or part in self._held or (self._held and not part):
                return
            if self._ended:
                raise LeaseEnded
            with self.queue():
                taken = await self._slots.take(self._runs, steady=steady)
            if self._ended:
                self._slots.give_back(taken, steady=steady)
                raise LeaseEnded
            self._held[part] = taken, steady

    @contextmanager
    def queue(self) -> Iterator[None]:
        """The scenario waits here for something of which its time is not a measure, such as a slot."""
        if not self._queueing:
            self._queued_s -= self._clock()
        self._queueing += 1
        try:
            yield
        finally:
            self._queueing -= 1
            if not self._queueing:
                self._queued_s += self._clock()

    def elapsed(self) -> float:
        """Seconds since the lease began during which nothing of the scenario waited in a queue."""
        queued_s = self._queued_s + (self._clock() if self._queueing else 0.0)
        return self._clock() - self._began - queued_s

    async def leave(self, part: str) -> None:
        """Give back what this part, or the scenario itself (''), holds."""
        if part not in self._held:
            return
        taken, steady = self._held[part]
        try:
            if self._end is not None:
                await self._end(part)
        finally:
            del self._held[part]
            self._slots.give_back(taken, steady=steady)

    async def leave_all(self) -> None:
        """Give back whatever is still taken, at the end of the scenario; nothing is taken after it."""
        self._ended = True
        for part in tuple(self._held):
            await self.leave(part)
