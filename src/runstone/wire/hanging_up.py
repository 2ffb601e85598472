"""When a client hangs up on an answer that would go on: it has heard all that its scenario is about.

No clock decides that alone. What the client waits for must have happened, and then nothing may come for a
while; where target or machine are busy, that while grows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from runstone.wire.answer import Answer
from runstone.wire.patience import Grows, Patience, grown, step
from runstone.wire.request import Request


@asynccontextmanager
async def hanging_up(
    request: Request, answer: Answer, clock: Callable[[], float], grows: Grows | None
) -> AsyncIterator[None]:
    """End the block when the client hangs up as its request says; it is `closed_by_client` then."""
    if request.close_when is None:
        yield
        return
    happened = request.close_when
    try:
        async with asyncio.timeout(None) as limit:

            async def watch() -> None:
                await happened.wait()
                answer.happened_at = clock()
                await _quiet(request.quiet_s, answer, clock, grows)
                limit.reschedule(asyncio.get_running_loop().time())

            watching = asyncio.create_task(watch())
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if not limit.expired():
            raise
        answer.closed_by_client = True


async def _quiet(seconds: float, answer: Answer, clock: Callable[[], float], grows: Grows | None) -> None:
    """Return when nothing has come for so long. Before the headers are there, nothing can come."""
    if not seconds:
        return
    since = asyncio.get_running_loop().time()
    began, granted, patience = clock(), seconds, Patience()
    while True:
        heard_after = answer.heard_after
        passed = 0.0 if heard_after is None else clock() - max(began, answer.sent_at + heard_after)
        if passed < granted:
            await asyncio.sleep(granted - passed)
        elif grows is not None and await grown(patience, since, grows):
            granted = passed + step(seconds)
        else:
            return
