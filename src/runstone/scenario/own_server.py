"""A server that a scenario has for itself: it may be stopped, killed and started again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import msgspec

from runstone.scenario.api import Api
from runstone.scenario.requests import Blocked
from runstone.target.control import ControlledServer, NotUpAgain
from runstone.wire.recorder import Recorder


@asynccontextmanager
async def own_server(api: Api) -> AsyncIterator[OwnServer]:
    """A server that this scenario may restart, kill and start; what it is asked is in the same trace.

    Where the target itself is the only one there is, only a scenario that is declared `alone` gets it. Raises
    Blocked where there is none.
    """
    async with api.control.server() as server, api._recorder.beside(server.url) as recorder:
        yield OwnServer(api, recorder, server)


class OwnServer(Api):
    """The operations on a server that the scenario has for itself, and what can be done to that server."""

    def __init__(self, scenario: Api, recorder: Recorder, server: ControlledServer) -> None:
        target = msgspec.structs.replace(scenario.target, url=server.url)
        super().__init__(recorder, target, scenario._recording, scenario._part, identity=scenario._identity)
        self._server = server

    async def restart(self) -> None:
        """Stop the server in good order and start it again. Raises Blocked when it does not come up."""
        await self._up_again(self._server.restart())
        self._note_restart()

    async def kill(self) -> None:
        """End the server at once, whatever it is doing."""
        await self._server.kill()

    async def start(self) -> None:
        """Start the server after a kill. Raises Blocked when it does not come up."""
        await self._up_again(self._server.start())
        self._note_restart()

    def _note_restart(self) -> None:
        self._recording.notes.setdefault("restarted_at", []).append(round(self.clock, 4))

    async def _up_again(self, starting: Awaitable[None]) -> None:
        try:
            await starting
        except NotUpAgain as reason:
            raise Blocked(str(reason)) from None
