"""How a scenario, or the whole observation, ended: what stopped it, and what is kept of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runstone.errors import TargetError
from runstone.scenario.pulse import Dead, Pulse
from runstone.scenario.requests import Blocked
from runstone.wire.documents import Missing
from runstone.wire.recording import Recording
from runstone.wire.trace import Trace


@asynccontextmanager
async def until_dead(pulse: Pulse | None) -> AsyncIterator[None]:
    """End the block by Dead as soon as the target is."""
    if pulse is None:
        yield
        return
    async with asyncio.TaskGroup() as group:

        async def watch() -> None:
            raise Dead(await asyncio.shield(pulse.dead))

        watching = group.create_task(watch())
        yield
        watching.cancel()


def unanswered(trace: Trace) -> bool:
    """Whether some request of the scenario got no answer at all."""
    return any(each.code is None and not each.closed_by_client for each in trace.exchanges)


def blocked_by(error: BaseException, *kinds: type[Exception]) -> str | None:
    """Why the scenario could not go on, be it said within a task group of its own; None for anything else.

    `kinds`: of exceptions that say so; by default those that the target is to blame for.
    """
    if isinstance(error, BaseExceptionGroup):
        reasons = [blocked_by(each, *kinds) for each in error.exceptions]
        return reasons[0] if None not in reasons else None
    return str(error) if isinstance(error, kinds or (Blocked, Missing)) else None


def loss(error: BaseException) -> str | None:
    """How the target was lost; None when it was something else that went wrong, or that too."""
    if isinstance(error, BaseExceptionGroup):
        losses = [loss(each) for each in error.exceptions]
        return losses[0] if None not in losses else None
    return str(error) if isinstance(error, TargetError) else None


def trace_of(recording: Recording, began: float, ended: float, *, busy: bool, cut_short: bool) -> Trace:
    """What was recorded of a scenario, from `began` to `ended`."""
    return Trace(
        scenario=recording.scenario,
        exchanges=tuple(sorted(recording.exchanges, key=lambda exchange: exchange.number)),
        blocked=dict(recording.blocked),
        inapplicable=dict(recording.inapplicable),
        notes=dict(recording.notes),
        started_at=round(began, 4),
        finished_at=round(ended, 4),
        busy=busy,
        cut_short=cut_short,
    )
