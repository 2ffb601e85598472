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


@dataclass(frozen=True, slots=True)
class _Waiting:
    count: int
    granted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Slots:
    """`capacity` slots. Those who sleep in them never hold the last one, where there is more than one."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._taken = 0
        self._asleep = 0
        self._waiting: dict[bool, deque[_Waiting]] = {False: deque(), True: deque()}

    @property
    def free(self) -> bool:
        """Whether a run that is created now executes at once, as far as our own runs go."""
        return self._taken < self.capacity

    async def take(self, count: int, *, sleeps: bool) -> int:
        """Wait for so many slots, or for all that there can be; how many were taken."""
        count = max(1, min(count, self._most(sleeps)))
        waiting = _Waiting(count)
        self._waiting[sleeps].append(waiting)
        self._grant()
        try:
            await waiting.granted
        except asyncio.CancelledError:
            if waiting.granted.done() and not waiting.granted.cancelled():
                self.give_back(count, sleeps=sleeps)
            else:
                self._waiting[sleeps].remove(waiting)
                self._grant()
            raise
        return count

    def give_back(self, count: int, *, sleeps: bool) -> None:
        """Free slots that were taken."""
        self._taken -= count
        self._asleep -= count if sleeps else 0
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
                self.give_back(1, sleeps=False)

    def shrink(self) -> None:
        """One slot fewer from now on, as the target was seen to execute fewer runs than it did; one stays."""
        self.capacity = max(1, self.capacity - 1)

    def _most(self, sleeps: bool) -> int:
        return max(1, self.capacity - 1) if sleeps else self.capacity

    def _grant(self) -> None:
        for sleeps, queue in self._waiting.items():
            while queue and self._fits(queue[0].count, sleeps):
                waiting = queue.popleft()
                self._taken += waiting.count
                self._asleep += waiting.count if sleeps else 0
                waiting.granted.set_result(None)

    def _fits(self, count: int, sleeps: bool) -> bool:
        # After `shrink` a count may be more than there is; it then waits until it has the target to itself.
        fits = self._taken + count <= self.capacity or self._taken == 0
        return fits and (not sleeps or self._asleep + count <= self._most(True) or self._asleep == 0)


class Lease:
    """The slots of one scenario. Parts take their own, or share those that the scenario itself holds."""

    def __init__(
        self,
        slots: Slots,
        runs: int,
        *,
        sleeps: bool,
        end: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """`runs`: how many runs the scenario, or each of its parts, needs to execute at once.

        `end` is told the part that gives back its slots, and ends what that has left running.
        """
        self._slots = slots
        self._runs = runs
        self._sleeps = sleeps
        self._end = end
        self._held: dict[str, int] = {}
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._queueing = 0
        self._queued_s = 0.0  # without what is being waited now

    async def enter(self, part: str) -> None:
        """Hold slots before a run of this part is created."""
        outermost = part.partition(".")[0]
        async with self._asking[outermost]:
            if "" in self._held or outermost in self._held or (self._held and not outermost):
                return
            with self._queue():
                self._held[outermost] = await self._slots.take(self._runs, sleeps=self._sleeps)

    @contextmanager
    def _queue(self) -> Iterator[None]:
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
        """Seconds since the lease began during which nothing of the scenario waited for a slot."""
        queued_s = self._queued_s + (self._clock() if self._queueing else 0.0)
        return self._clock() - self._began - queued_s

    async def leave(self, part: str) -> None:
        """Give back what this part, or the scenario itself (''), holds."""
        held = self._held.get(part, 0)
        if not held:
            return
        try:
            if self._end is not None:
                await self._end(part)
        finally:
            del self._held[part]
            self._slots.give_back(held, sleeps=self._sleeps)

    async def leave_all(self) -> None:
        """Give back whatever is held still, at the end of the scenario."""
        for part in tuple(self._held):
            await self.leave(part)
