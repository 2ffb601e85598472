"""The canaries of one session: small requests and short runs beside those of the scenarios.

They have a thread of their own, and nothing of them is kept: no judge and no monitor sees them.
"""

from __future__ import annotations

import json
from typing import Final

from runstone.scenario.fitness import Fitness
from runstone.scenario.requests import ask
from runstone.scenario.slots import Slots
from runstone.scenario.waiting import id_in
from runstone.target.target import Target
from runstone.wire.exchange import Exchange
from runstone.wire.recorder import Recorder
from runstone.wire.request import Request

_TURNS: Final = 10.0  # measured turns, and
_TURN_S: Final = 5.0  # so much more: then a run that should have executed at once did not
_FOR_EVER_S: Final = 3600.0  # whoever sends a canary has a deadline of his own


class Canaries:
    """Sends them. `run_s`: what one that is a run may take on a target that has room for it."""

    def __init__(self, recorder: Recorder, target: Target, slots: Slots, fitness: Fitness) -> None:
        self.run_s = _TURN_S + _TURNS * fitness.turn_s
        self._recorder = recorder
        self._target = target
        self._slots = slots
        self._path = fitness.answered_path
        self._thread: str | None = None
        self._sent = 0

    async def request(self) -> bool:
        """GET what the self-check saw answered; whether anything came back."""
        return (await self._send("GET", self._path)).code is not None

    async def run(self) -> bool:
        """A turn of `echo`, where a slot is free; whether it came back, True where none is."""
        async with self._slots.spare() as free:
            if not free:
                return True
            self._thread = self._thread or id_in(await self._send("POST", "/threads", {}), "thread_id")
            turn = {"assistant_id": self._target.assistant("echo"), "input": ask("canary")}
            return (await self._send("POST", f"/threads/{self._thread}/runs/wait", turn)).code is not None

    async def _send(self, method: str, path: str, body: object = None) -> Exchange:
        self._sent += 1
        request = Request(
            scenario="canary",
            part="",
            number=self._sent,
            label="canary",
            method=method,
            path=path,
            headers=() if body is None else (("content-type", "application/json"),),
            content=None if body is None else json.dumps(body).encode(),
            deadline=_FOR_EVER_S,
            canary=True,
        )
        return await self._recorder.send(request, [])
