"""What a scenario does by the run API, driven against a server that answers what a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from runstone.scenario.api import Api
from runstone.target.target import Target
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording
from tests.servers import Heard, heard_by, reply

THREAD = "018f0000-0000-7000-8000-000000000001"
RUN = "018f0000-0000-7000-8000-0000000000aa"
IDS = {"thread_id": THREAD, "run_id": RUN, "status": "success"}
QUICK = Limits(poll_s=0.01, settle_s=0.3)
Drive = Callable[[Api], Awaitable[object]]
Answering = Callable[[Heard], bytes]


def answering(*bodies: Any) -> Answering:
    """Answer these bodies one after the other, the last one again and again."""
    left = list(bodies)

    def answer(_heard: Heard) -> bytes:
        body = left.pop(0) if len(left) > 1 else left[0]
        return reply("200 OK", "application/json", json.dumps(body).encode())

    return answer


def told(drive: Drive, answer: Answering | None = None) -> tuple[Recording, list[Heard]]:
    """What the scenario kept, and what the server heard."""
    recording = Recording("talk")

    async def session(url: str) -> None:
        async with Recorder(url, {}, QUICK) as recorder:
            await drive(Api(recorder, Target(name="t", url=url), recording))

    with heard_by(answer or answering(IDS)) as (url, heard):
        asyncio.run(session(url))
    return recording, heard
