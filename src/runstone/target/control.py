"""Stopping, killing and starting a server from within a scenario.

A recipe's server can be had twice, so such a scenario gets a second one of its own and disturbs nobody. The
user's server is one and is controlled by the commands of runstone.toml: such a scenario has it alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import httpx

from runstone.errors import TargetError
from runstone.target import recipes
from runstone.target.commands import ServerCommands
from runstone.target.readiness import ANSWER_S, NotReady, await_answer
from runstone.wire.network import Network


class ControlFailed(TargetError):  # noqa: N818 - named as what it reports
    """A command that controls the target failed or hung, or the target did not come up again."""


class NotUpAgain(Exception):  # noqa: N818 - a finding about the target, not an error
    """A server of a scenario's own did not start with what an earlier one of it had stored."""


class ControlledServer(Protocol):
    """A server that its holder may stop and start. `url` stays the same all the while."""

    url: str

    async def restart(self) -> None:
        """Stop it in good order and start it again. Raises NotUpAgain and TargetError."""

    async def kill(self) -> None:
        """End it in the midst of its work. Raises TargetError."""

    async def start(self) -> None:
        """Start it after a kill. Raises NotUpAgain and TargetError."""


class Control(Protocol):
    """How scenarios get a controlled server.

    `shared`: it is the target itself, so that nobody else may use it meanwhile. `patience_s`: what starting
    and stopping may take in one scenario, beyond its deadline.
    """

    shared: bool
    patience_s: float

    def server(self) -> AbstractAsyncContextManager[ControlledServer]:
        """A server that is up, and that is left as it was found. Raises TargetError."""


class RecipeControl:
    """A second server of the same recipe for each scenario that asks for one."""

    shared = False

    def __init__(self, recipe: recipes.Recipe, *, options: Sequence[str] = (), path_prefix: str = "") -> None:
        self.patience_s = 3 * recipe.ready.timeout_s
        self._recipe = recipe
        self._options = tuple(options)
        self._prefix = path_prefix

    @asynccontextmanager
    async def server(self) -> AsyncIterator[ControlledServer]:
        """Start one on a free port, in a folder of its own; it is gone when the block is left."""
        with recipes.server(self._recipe, options=self._options) as server:
            try:
                await asyncio.to_thread(server.start)
                yield _Private(server, server.url + self._prefix)
            finally:
                await asyncio.to_thread(server.discard)


class _Private:
    def __init__(self, server: recipes.Server, url: str) -> None:
        self.url = url
        self._server = server

    async def restart(self) -> None:
        await asyncio.to_thread(self._server.stop)
        await self.start()

    async def kill(self) -> None:
        await asyncio.to_thread(self._server.kill)

    async def start(self) -> None:
        try:
            await asyncio.to_thread(self._server.start)
        except recipes.StartFailed as error:
            raise NotUpAgain(f"the server did not come up again: {error}") from None


class CommandControl:
    """The target itself, by the user's commands, which run in `folder`."""

    shared = True

    def __init__(
        self, commands: ServerCommands, url: str, folder: Path, network: Network | None = None
    ) -> None:
        self.patience_s = 6 * commands.timeout_s
        self._commands = commands
        self._url = url
        self._network = network or Network()
        self._folder = folder

    @asynccontextmanager
    async def server(self) -> AsyncIterator[ControlledServer]:
        """The target; it is started again when the block is left while it is down."""
        commanded = _Commanded(self._commands, self._url, self._folder, self._network)
        try:
            yield commanded
        finally:
            if commanded.down:
                await commanded.start()


class _Commanded:
    def __init__(self, commands: ServerCommands, url: str, folder: Path, network: Network) -> None:
        self.url = url
        self.down = False
        self._commands = commands
        self._folder = folder
        self._network = network

    async def restart(self) -> None:
        await self._run("restart", self._commands.restart)
        await self._await_up("restart")

    async def kill(self) -> None:
        await self._run("kill", self._commands.kill)
        self.down = True

    async def start(self) -> None:
        self.down = False  # tried once: a start that fails is not tried again on the way out
        await self._run("start", self._commands.start)
        await self._await_up("start")

    async def _run(self, name: str, command: tuple[str, ...]) -> None:
        """Raises ControlFailed when the command cannot be run, hangs, or ends with another code than 0."""
        if not command:
            raise ControlFailed(f"the server has no {name} command; give one under [server] in runstone.toml")
        # Into a file: a server that the command leaves behind would keep a pipe open.
        with tempfile.TemporaryFile() as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    cwd=self._folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=asyncio.subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise ControlFailed(
                    f"the {name} command cannot be run: {command[0]}: {error.strerror}"
                ) from None
            try:
                async with asyncio.timeout(self._commands.timeout_s):
                    code = await process.wait()
            except TimeoutError:
                await _end(process)
                raise ControlFailed(
                    f"the {name} command {_shown(command)} did not end within {self._commands.timeout_s:g} s"
                    f"{_last_words(output)}"
                ) from None
            except asyncio.CancelledError:
                await _end(process)
                raise
            if code != 0:
                raise ControlFailed(
                    f"the {name} command {_shown(command)} ended with code {code}{_last_words(output)}"
                )

    async def _await_up(self, name: str) -> None:
        """Until the server answers anything at all below 500. Raises ControlFailed after the time limit."""
        given_up = threading.Event()

        def watch() -> None:
            if given_up.is_set():
                raise ControlFailed(f"the waiting for {self.url} was given up")

        trusted, proxy = self._network.trust(self.url), self._network.proxy_for(self.url)

        def await_up() -> None:
            with httpx.Client(trust_env=False, timeout=ANSWER_S, verify=trusted, proxy=proxy) as client:
                seconds = self._commands.timeout_s
                await_answer(client, self.url + "/ok", seconds=seconds, unfit=_no_life_sign, watch=watch)

        try:
            await asyncio.to_thread(await_up)
        except NotReady as seen:
            raise ControlFailed(
                f"{self.url} was not up {self._commands.timeout_s:g} s after the {name} command: {seen}"
            ) from None
        finally:
            given_up.set()


def _no_life_sign(status: int) -> str | None:
    return None if status < 500 else f"GET /ok answers {status}"


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the command and what it started."""
    with suppress(ProcessLookupError, PermissionError):  # it has just ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _shown(command: tuple[str, ...]) -> str:
    return repr(command[0])  # its arguments may hold secrets


def _last_words(output: Any) -> str:
    output.seek(0)
    said = [line.strip() for line in output.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return f"; it last said: {said[-1][:200]}" if said else "; it said nothing"
