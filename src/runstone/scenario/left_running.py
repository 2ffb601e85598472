"""What ends the runs that a scenario has left under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from runstone.scenario.api import Api
from runstone.scenario.capacity import WAVES
from runstone.scenario.runs import unfinished
from runstone.scenario.slots import MANY, Lease, Slots
from runstone.target.target import Target
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording


def ending(
    recording: Recording, recorder: Recorder, target: Target, slots: Slots
) -> Callable[[str], Awaitable[None]]:
    """What ends the runs that a part of a scenario has left under way: they would keep a worker busy.

    Where there are workers in abundance they are left to themselves.
    """

    async def end(part: str) -> None:
        own = [each for each in recording.exchanges if f"{each.part}.".startswith(f"{part}." if part else "")]
        apart = Api(recorder, target, Recording("after"), lease=Lease(Slots(MANY), 1, steady=False))
        for thread, run in unfinished(own) if slots.capacity < WAVES[-1] else ():
            await apart.cancel(thread, run, wait="0")
            await apart.poll_run(thread, run)

    return end
