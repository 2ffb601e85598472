"""The events of a batch, numbered from 1, for those who listen now and those who come back later.

No listener has a queue of its own: each knows the number that it has seen last, so that a slow one takes no
memory, and who comes back misses and repeats nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

KEPT_BYTES: Final = 64 * 1024 * 1024  # of events, over all batches: some 200 batches of 200 scenarios


class Forgotten(Exception):  # noqa: N818 - named as what it reports
    """The events that were asked for are no longer kept. `first`: the number of the first that is."""

    def __init__(self, first: int) -> None:
        super().__init__(f"the events before {first} are no longer kept")
        self.first = first


class Memory:
    """What all logs together may keep. The oldest log forgets first, and of its events the oldest."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._left = limit
        self._logs: list[Log] = []

    def new_log(self) -> Log:
        """A log that shares this memory."""
        made = Log(self)
        self._logs.append(made)
        return made

    def drop(self, log: Log) -> None:
        """Forget all events of a log."""
        while log.first <= log.last:
            self._left += log.forget_one()
        self._logs.remove(log)

    def take(self, size: int) -> None:
        """Make room for an event of so many bytes that was just added."""
        self._left -= size
        while self._left < 0:
            oldest = next(each for each in self._logs if each.first <= each.last)
            self._left += oldest.forget_one()


class Log:
    """The events of one batch, each as it is told. Made by `Memory.new_log`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._events: dict[int, bytes] = {}
        self._news = asyncio.Event()
        self.first = 1
        self.last = 0
        self.closed = False

    def add(self, event: bytes) -> None:
        """Add an event, and wake those who wait for it."""
        self.last += 1
        self._events[self.last] = event
        self._memory.take(len(event))
        self._wake()

    def close(self) -> None:
        """Nothing will be added any more; who listens is told the rest, and then ends."""
        self.closed = True
        self._wake()

    def forget_one(self) -> int:
        """Forget the oldest event that is kept; its size."""
        gone = self._events.pop(self.first)
        self.first += 1
        return len(gone)

    def insist_on(self, after: int) -> None:
        """Raises Forgotten where something after this number is no longer kept."""
        if after + 1 < self.first:
            raise Forgotten(self.first)

    async def follow(self, after: int, silence_s: float) -> AsyncIterator[tuple[int, bytes] | None]:
        """The events after this number, until the log is closed; None after each `silence_s` without one.

        Raises Forgotten for a listener who is so slow that what comes next is gone.
        """
        while True:
            while after < self.last:
                self.insist_on(after)
                after += 1
                yield after, self._events[after]
            if self.closed:
                return
            try:
                async with asyncio.timeout(silence_s):
                    await self._news.wait()
            except TimeoutError:
                yield None

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
