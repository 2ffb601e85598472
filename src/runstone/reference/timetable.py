"""Making the runs of crons when they are due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from runstone.reference.crons import Cron
from runstone.reference.errors import Refused
from runstone.reference.planning import check, start
from runstone.reference.runtime import Caller, Runtime

# The clock may be set while nothing is due: look at it again at least this often.
_LOOK_AFTER_S = 30.0
_log = logging.getLogger(__name__)


@asynccontextmanager
async def keeping_time(runtime: Runtime) -> AsyncIterator[None]:
    """Make the runs of due crons for the time of the block."""
    ticking = asyncio.create_task(_tick(runtime))
    try:
        yield
    finally:
        ticking.cancel()
        await asyncio.wait({ticking})


async def _tick(runtime: Runtime) -> None:
    while True:
        runtime.crons.changed.clear()
        for owner, cron in runtime.crons.due():
            try:
                await make_run(Caller(runtime, owner), cron)
            except Exception:  # one cron must not keep the others from running
                _log.exception("cron %s", cron.cron_id)
                runtime.crons.claim(cron)
        try:
            async with asyncio.timeout(_seconds_to(runtime.crons.next_due())):
                await runtime.crons.changed.wait()
        except TimeoutError:
            continue


async def make_run(caller: Caller, cron: Cron) -> None:
    """Make one run of a cron that is due. One that is refused (its thread is busy, say) is left out."""
    crons = caller.runtime.crons
    try:
        checked = await check(caller, cron.body, cron.thread_id)
    except Refused as refused:
        _log.warning("cron %s: %s", cron.cron_id, refused)
        crons.claim(cron)
        return
    # Nothing awaits between the two: no change of the cron, and no other run of it, can come between them.
    if crons.claim(cron):
        try:
            start(caller, checked)
        except Refused as refused:
            _log.warning("cron %s: %s", cron.cron_id, refused)


def _seconds_to(due: datetime | None) -> float:
    if due is None:
        return _LOOK_AFTER_S
    return min(max((due - datetime.now(UTC)).total_seconds(), 0.0), _LOOK_AFTER_S)
