"""A bad network between a client and a server: what passes is unchanged, but late, in pieces, or cut off.

    python tests/relay.py --to http://127.0.0.1:2024 --latency 0.3

prints the URL under which the server is now reached, and relays until Ctrl-C. It relays bytes and knows
nothing of HTTP, so that every server and every client can be tried through it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import trustme

from runstone.wire.accepting import LOOPBACK, accepting

_PIECE: Final = 4096
_IN_FLIGHT: Final = 256  # pieces of one direction of one connection: a megabyte
_IN_FLIGHT_SLOWLY: Final = 8  # where the bandwidth is shared: nobody reserves much of it ahead
_LATEST_CUT: Final = 2000  # bytes of answers after which a doomed connection is cut at the latest
_CUTS_AT_ONCE: Final = 0.25  # the share of the doomed ones that are cut before anything passes
_BUFFER: Final = 64 * 1024  # bytes that this machine takes of a connection beyond what is passed on
_READY_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How bad it is; the defaults change nothing. Times in seconds."""

    latency: float = 0.0  # of a round trip; opening a connection takes one
    jitter: float = 0.0  # up to so much more for each piece of a direction; the order is kept
    bandwidth: float = 0.0  # bits per second of a direction, shared by all connections; 0: no limit
    segment: int = 0  # the most bytes that arrive at a time; 0: no limit
    reset_every: int = 0  # of so many connections the last is reset
    reset_after: int = -1  # when so many bytes of its answers have passed, 0: at once; -1: at random
    idle: float = 0.0  # connections on which so long nothing passes are reset
    tls: str = ""  # a folder for ca.pem, client.pem and client.key, whose authority signed the certificate
    client_certificates: bool = False  # whether only who shows one of this authority gets through
    seed: int = 0


class Relay:
    """One relay (see `relaying`). `url`: where it is found; `connections`, `resets`: how many there were."""

    def __init__(self, to: str, conditions: Conditions) -> None:
        parts = urlsplit(to)
        self.url = ""
        self.connections = 0
        self.resets = 0
        self.conditions = conditions
        self._path = parts.path
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._random = random.Random(conditions.seed)  # noqa: S311 - it keeps no secret
        self._free_at = [0.0, 0.0]  # when each direction of the shared line has sent what it was given

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Relay]:
        """Relay for the time of the block."""
        given = self.conditions
        context = _certified(Path(given.tls), ask=given.client_certificates) if given.tls else None
        listener = socket.create_server((LOOPBACK, port))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self.url = f"{'https' if context else 'http'}://{LOOPBACK}:{listener.getsockname()[1]}{self._path}"
        async with accepting(self._carry, listener=listener, certified=context):
            yield self

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection until both sides have ended, one is gone, or it is to be reset."""
        self.connections += 1
        given, cut_after = self.conditions, self._cut_after()
        opened: list[asyncio.StreamWriter] = []
        try:
            if cut_after == 0:
                self._reset(writer)
                return
            up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
            opened.append(up_writer)
            way = _Way(self, asyncio.get_running_loop().time() + given.latency, cut_after)
            async with asyncio.TaskGroup() as group:
                both = [
                    group.create_task(way.carry(0, reader, up_writer)),
                    group.create_task(way.carry(1, up_reader, writer)),
                ]
                if given.idle:
                    group.create_task(way.watch(given.idle, both))
        except* _Cut:
            self._reset(writer)
        except* (OSError, asyncio.IncompleteReadError):
            pass  # one side is gone, as it may
        finally:
            for each in opened:
                each.close()

    def _cut_after(self) -> int | None:
        """After how many bytes of answers the connection that has just come is reset; None: never."""
        given = self.conditions
        if not given.reset_every or self.connections % given.reset_every:
            return None
        if given.reset_after >= 0:
            return given.reset_after
        at_once = self._random.random() < _CUTS_AT_ONCE
        return 0 if at_once else self._random.randrange(1, _LATEST_CUT)

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        self.resets += 1
        raw = writer.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    def due(self, direction: int, size: int, now: float) -> float:
        """When so many bytes that leave now arrive, however late those before them are."""
        given = self.conditions
        if given.bandwidth:
            self._free_at[direction] = max(now, self._free_at[direction]) + 8 * size / given.bandwidth
            now = self._free_at[direction]
        return now + given.latency / 2 + self._random.random() * given.jitter


class _Cut(Exception):  # noqa: N818 - it ends a connection, nothing is wrong
    """The connection is to be reset."""


_Flying = asyncio.Queue[tuple[float, bytes]]  # each piece with when it arrives, and the end as an empty one


class _Way:
    """The two directions of one connection: 0 to the server, 1 back."""

    def __init__(self, relay: Relay, opens_at: float, cut_after: int | None) -> None:
        self._relay = relay
        self._opens_at = opens_at
        self._left = cut_after
        self._passed_at = opens_at

    async def carry(self, direction: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Deliver what is read, each piece when it is due, and then the end."""
        slowly = bool(self._relay.conditions.bandwidth)
        flying: _Flying = asyncio.Queue(_IN_FLIGHT_SLOWLY if slowly else _IN_FLIGHT)
        # A reset by the one ends the other, which may wait long for what comes next.
        async with asyncio.TaskGroup() as both:
            both.create_task(self._take(direction, reader, flying))
            both.create_task(self._deliver(direction, flying, writer))

    async def _take(self, direction: int, reader: asyncio.StreamReader, flying: _Flying) -> None:
        loop, due, data = asyncio.get_running_loop(), self._opens_at, b"-"
        while data:
            data = await reader.read(_PIECE)
            due = max(due, self._relay.due(direction, len(data), loop.time()))
            await flying.put((due, data))

    async def _deliver(self, direction: int, flying: _Flying, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await flying.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                else:
                    writer.close()
                return
            for piece in self._pieces(data):
                if direction == 1 and self._left is not None:
                    writer.write(piece[: self._left])
                    self._left -= len(piece)
                    if self._left <= 0:
                        raise _Cut
                else:
                    writer.write(piece)
                await writer.drain()
            self._passed_at = loop.time()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        size = self._relay.conditions.segment or len(data)
        return (data[at : at + size] for at in range(0, len(data), size))

    async def watch(self, idle: float, directions: list[asyncio.Task[None]]) -> None:
        """Raise _Cut when nothing has passed for so long."""
        loop = asyncio.get_running_loop()
        while not all(task.done() for task in directions):
            silent = loop.time() - self._passed_at
            if silent >= idle:
                raise _Cut
            await asyncio.wait(directions, timeout=idle - silent)


def _certified(folder: Path, *, ask: bool) -> ssl.SSLContext:
    """A context with a certificate of a private authority, whose own goes to the folder as ca.pem."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client = authority.issue_cert("runstone@example.org")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    client.private_key_pem.write_to_path(folder / "client.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    if ask:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextlib.contextmanager
def relaying(to: str, conditions: Conditions) -> Iterator[Relay]:
    """A relay in a thread of its own, for the time of the block."""
    relay, up, stop = Relay(to, conditions), threading.Event(), threading.Event()

    async def serve() -> None:
        async with relay.serving():
            up.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        if not up.wait(_READY_S):
            raise RuntimeError("the relay did not start")
        yield relay
    finally:
        stop.set()
        thread.join()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="A bad network in front of a server.",
        epilog="What each means stands in Conditions.",
    )
    parser.add_argument("--to", required=True, metavar="URL", help="the server")
    parser.add_argument("--port", type=int, default=0, help="where to listen; default: a free one")
    for field in fields(Conditions):
        name = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(name, action="store_true")
        else:
            parser.add_argument(name, type=type(field.default), default=field.default)
    return parser.parse_args()


async def _main() -> None:
    given = vars(_arguments())
    to, port = given.pop("to"), given.pop("port")
    async with Relay(to, Conditions(**given)).serving(port) as relay:
        print(f"{to} is reached at {relay.url}", flush=True)  # noqa: T201 - for whoever started it
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
