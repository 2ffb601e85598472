"""Official clients as witnesses: programs of fixtures/clients, run as processes behind the recording proxy.

What a client made of the target's answers becomes a note of the scenario, `outcome`; its traffic becomes
exchanges. Whether a client can run at all is a matter of the machine that observes, not of the target: where
it cannot, what needs it is not applicable, and the reason says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from typing import IO, Any, Final

from runstone.errors import RunstoneError
from runstone.locations import locate
from runstone.target import npm
from runstone.target.target import Target
from runstone.wire.exchange import excerpt
from runstone.wire.proxy import Proxy, proxying
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording
from runstone.wire.redaction import Redactor

_INSTALL_S: Final = 120.0
_START_S: Final = 30.0  # importing RemoteGraph takes 1 s, on a crowded machine ten times that
_LINE_BYTES: Final = 64 * 1024 * 1024  # of one outcome; bodies are capped long before
_MARGIN_S: Final = 5.0  # beyond the deadlines of its requests, for what a turn does between them
_SECRETIVE: Final = re.compile(
    r"(LANGGRAPH|LANGSMITH|LANGCHAIN)_.*|(HTTPS?|ALL|NO)_PROXY|NODE_OPTIONS|SSL_CERT_FILE", re.IGNORECASE
)


class ClientError(RunstoneError):
    """A client program cannot run, or does not keep to its protocol: never the target's fault."""


class NoSuchClient(ClientError):  # noqa: N818 - errors here are named as what they report
    """There is no client of that name."""


class ClientMissing(ClientError):  # noqa: N818
    """This machine cannot run the client."""


class ClientBroken(ClientError):  # noqa: N818
    """The client's program died, or wrote what is not an outcome."""


# which clients there are

_PYTHON: Final = {"python_sdk": "sdk", "remote_graph": "remote_graph"}
CLIENTS: Final = (*_PYTHON, "node_sdk")
CAPABILITIES: Final = (
    "python_sdk",
    "node_sdk",
)  # of this machine; RemoteGraph comes with the Python SDK's extra


def missing(capabilities: Iterable[str]) -> dict[str, str | None]:
    """Of these capabilities those that are this machine's, each with why it is absent; None: it is there.

    Installs the packages of a client that is wanted and lacks only them.
    """
    return {name: _obstacle(name) for name in sorted({*CAPABILITIES} & {*capabilities})}


def _obstacle(client: str) -> str | None:
    try:
        _command(client)
    except ClientMissing as reason:
        return str(reason)
    return None


def _command(client: str) -> list[str]:
    """What starts a client's program. Raises ClientMissing and NoSuchClient."""
    if client in _PYTHON:
        # Looked for without importing: that would cost a second, and the harness needs neither.
        absent = [name for name in ("langgraph_sdk", "langgraph.pregel") if not _importable(name)]
        if absent:
            raise ClientMissing(_not_here("Python", f"{absent[0]} is not installed; add runstone[clients]"))
        return [sys.executable, str(locate("fixtures/clients/python/client.py")), _PYTHON[client]]
    if client == "node_sdk":
        source = locate("fixtures/clients/javascript")
        try:
            node = npm.node(source)
            program = npm.installed("clients", "javascript", source, seconds=_INSTALL_S)
        except npm.NpmError as reason:
            raise ClientMissing(_not_here("JavaScript", str(reason))) from None
        return [node, str(program / "client.mjs")]
    raise NoSuchClient(f"there is no client {client!r}; there are {', '.join(CLIENTS)}")


def _not_here(client: str, reason: str) -> str:
    return f"this machine, not the target, lacks the official {client} client: {reason}"


def _importable(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


# a client at work


class Client:
    """A client's program that runs, for the turns of one scenario (see `serving_client`)."""

    def __init__(
        self,
        name: str,
        program: _Program,
        proxy: Proxy,
        target: Target,
        recorder: Recorder,
        recording: Recording,
    ) -> None:
        self._name = name
        self._program = program
        self._proxy = proxy
        self._target = target
        self._recorder = recorder
        self._recording = recording

    async def turn(
        self, part: str, do: str, *, patience: float = 0.0, cut_after_events: int | None = None, **given: Any
    ) -> None:
        """Let the client take one turn, as a part of the scenario; its outcome is the part's note `outcome`.

        `do` and `given` are described in fixtures/clients/README.md. `patience`: seconds that the turn takes
        whatever the target's speed. `cut_after_events`: see `Proxy.listen`. A turn that does not end is a
        blocked part. Raises ClientBroken.
        """
        url = await self._proxy.listen(part, patience=patience, cut_after_events=cut_after_events)
        if "assistant" in given:
            given["assistant"] = self._target.assistant(given["assistant"])
        limits = self._recorder.limits
        seconds = limits.request_s + limits.settle_s + patience + _MARGIN_S
        try:
            async with self._recorder.pace.within(seconds):
                outcome = await self._program.take({"turn": part, "do": do, "url": url, **given})
        except TimeoutError:
            self._recording.blocked[part] = (
                f"{self._name} did not end its turn {part!r} within {seconds:.0f} s"
            )
        else:
            self._recording.note({f"{part}.outcome": outcome})


@asynccontextmanager
async def serving_client(
    name: str, target: Target, recorder: Recorder, recording: Recording
) -> AsyncIterator[Client]:
    """A client's program, ready for turns. It is gone when the block is left, whichever way.

    Its name and version are the note `client`. Raises NoSuchClient, ClientMissing and ClientBroken.
    """
    command = _command(name)
    async with (
        proxying(recorder, recording) as proxy,
        _running(name, command, recorder.redactor) as program,
    ):
        greeting = await program.greeting()
        recording.note({"client": f"{greeting.get('client')} {greeting.get('version')}"})
        yield Client(name, program, proxy, target, recorder, recording)


class _Program:
    """The process of a client, which speaks JSON lines."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, errors: IO[bytes], redactor: Redactor
    ) -> None:
        self._name = name
        self._process = process
        self._errors = errors
        self._redactor = redactor
        self._awaited: dict[str | None, asyncio.Future[dict[str, Any]]] = {}
        self._broken: ClientBroken | None = None
        self._await(None)

    def _await(self, turn: str | None) -> asyncio.Future[dict[str, Any]]:
        expected = self._awaited[turn] = asyncio.get_running_loop().create_future()
        return expected

    async def greeting(self) -> dict[str, Any]:
        """The first line. Raises ClientBroken when none comes."""
        try:
            async with asyncio.timeout(_START_S):
                return await self._awaited[None]
        except TimeoutError:
            raise ClientBroken(f"the program of {self._name} said nothing within {_START_S:.0f} s") from None

    async def take(self, turn: Mapping[str, Any]) -> dict[str, Any]:
        """The outcome of a turn. Raises ClientBroken."""
        if self._broken is not None or self._process.stdin is None:
            raise self._broken or ClientBroken(f"the program of {self._name} takes no turns")
        expected = self._await(turn["turn"])
        self._process.stdin.write(json.dumps(turn).encode() + b"\n")
        return await expected

    async def listen(self) -> None:
        """Take the program's lines until it ends. Whoever still waits for one then gets ClientBroken."""
        try:
            while line := await self._next_line():
                self._take(line)
            code = await self._process.wait()
            raise ClientBroken(f"the program of {self._name} died with code {code}{self._last_words()}")
        except ClientBroken as reason:
            self._broken = reason
            for expected in self._awaited.values():
                if not expected.done():
                    expected.set_exception(reason)

    async def _next_line(self) -> str:
        if self._process.stdout is None:
            return ""
        try:
            line = await self._process.stdout.readline()
        except ValueError:
            raise ClientBroken(
                f"the program of {self._name} wrote more than {_LINE_BYTES} bytes at once"
            ) from None
        return self._redactor.text(line.decode("utf-8", "replace"))

    def _take(self, line: str) -> None:
        try:
            document = json.loads(line)
            expected = self._awaited[document.get("turn")]
        except (ValueError, AttributeError, KeyError):
            raise ClientBroken(
                f"the program of {self._name} wrote what is not an outcome: {excerpt(line)}"
            ) from None
        if not expected.done():
            expected.set_result(document)

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return f": {excerpt(lines[-1])}" if lines else ""


@asynccontextmanager
async def _running(name: str, command: list[str], redactor: Redactor) -> AsyncIterator[_Program]:
    """The program's process, listened to. It is gone afterwards. Raises ClientBroken when it cannot start."""
    with tempfile.TemporaryFile() as errors:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=_LINE_BYTES,
                env=_environment(),
            )
        except OSError as error:
            raise ClientBroken(
                f"cannot start the program of {name}: {error.strerror} ({command[0]})"
            ) from None
        program = _Program(name, process, errors, redactor)
        listening = asyncio.create_task(program.listen())
        try:
            yield program
        finally:
            listening.cancel()
            with suppress(ProcessLookupError):
                process.kill()  # it holds nothing that an orderly end would save
            await asyncio.wait({listening})
            await process.communicate()


def _environment() -> dict[str, str]:
    """Ours without what would change the client's requests: the user's own keys are not for targets."""
    kept = {name: value for name, value in os.environ.items() if not _SECRETIVE.fullmatch(name)}
    # It holds no authorities: the proxy speaks plain HTTP, and each of a dozen clients would read them all.
    nobody = str(locate("fixtures/clients"))
    return {**kept, "LANGSMITH_TRACING": "false", "PYTHONUTF8": "1", "SSL_CERT_DIR": nobody}
