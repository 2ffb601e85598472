"""A deadline that is over only when whoever is asked says so, not by the clock alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

Grows = Callable[[float], Awaitable[bool]]  # given when the wait began (loop time): whether to wait on

MOST: Final = 12  # times that one wait may grow; what a busy target did not do by then it does not do
_STEP: Final = 0.25  # of the time that was granted first
_LEAST_S: Final = 1.0


class Patience:
    """What became of one wait: how often it grew."""

    def __init__(self) -> None:
        self.grew = 0


@asynccontextmanager
async def patient(
    seconds: float, grows: Grows | None, elapsed: Callable[[], float] | None = None
) -> AsyncIterator[Patience]:
    """End the block by TimeoutError after `seconds`, or later while `grows` says that patience grows.

    `elapsed`: how much of the time since the beginning counts; by default all of it.
    """
    patience = Patience()
    loop = asyncio.get_running_loop()
    began = loop.time()
    counted = elapsed or (lambda: loop.time() - began)
    async with asyncio.timeout(None) as limit:
        watching: list[asyncio.Task[None]] = []

        async def watch() -> None:
            granted = seconds
            while True:
                if (left := granted - counted()) > 0:
                    await asyncio.sleep(left)
                elif grows is not None and await grown(patience, began, grows):
                    granted = counted() + step(seconds)
                else:
                    return limit.reschedule(loop.time())

        # Few waits reach their end: a task for each from the start would cost more than the requests.
        due = loop.call_later(seconds, lambda: watching.append(loop.create_task(watch())))
        try:
            yield patience
        finally:
            due.cancel()
            for task in watching:
                task.cancel()


async def grown(patience: Patience, began: float, grows: Grows) -> bool:
    """Whether this wait, whose time is over, goes on for one step more."""
    if patience.grew >= MOST or not await grows(began):
        return False
    patience.grew += 1
    return True


def step(seconds: float) -> float:
    """How much longer a wait of so many seconds goes on when it grows."""
    return max(_LEAST_S, _STEP * seconds)
