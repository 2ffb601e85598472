"""A small HTTP/1.1 server on h11, for those who look at each request and decide each byte of its answer.

It routes nothing and answers nothing by itself: `handle(request, connection)` does, one request of a
connection after another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import h11

from runstone.wire.accepting import LOOPBACK, accepting

_PIECE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """One whole request. Names of headers are in lower case; `seconds` from its first byte to its last."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float


Handle = Callable[[Received, "Connection"], Awaitable[None]]


class Connection:
    """The server's side of one connection. `writer` is for those who send what is not HTTP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self._http = h11.Connection(h11.SERVER)

    async def next_request(self, body_bytes: int | None = None) -> Received | None:
        """The next whole request, its body cut after `body_bytes`; None when the client is done.

        Raises h11.RemoteProtocolError for what is not HTTP or breaks off.
        """
        head: h11.Request | None = None
        body = bytearray()
        began = time.monotonic()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    await self.send(h11.InformationalResponse(status_code=100, headers=[]))
                data = await self._reader.read(_PIECE)
                began = time.monotonic() if head is None else began
                self._http.receive_data(data)
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data if body_bytes is None else event.data[: body_bytes - len(body)]
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _received(head, bytes(body), time.monotonic() - began)
            else:
                return None

    async def send(self, event: h11.Event) -> None:
        """Send a piece of an answer. Raises ConnectionError when the client is gone."""
        self.writer.write(self._http.send(event) or b"")
        await self.writer.drain()

    async def until_gone(self) -> None:
        """Return when the client hangs up; what it sends meanwhile is kept for later."""
        try:
            while data := await self._reader.read(_PIECE):
                self._http.receive_data(data)
        except ConnectionError:
            return

    def restart(self) -> bool:
        """Make ready for a further request; False when this connection cannot have one."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True


@asynccontextmanager
async def serving(
    handle: Handle, *, host: str = LOOPBACK, body_bytes: int | None = None
) -> AsyncIterator[int]:
    """Serve on a free port, which is what is yielded, for the time of the block.

    At its end every connection is closed, and what broke a handler, if anything did, is raised. A client that
    hangs up or speaks no HTTP breaks nothing; an answer that a handler leaves unfinished ends with its
    connection.
    """

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        try:
            while (request := await connection.next_request(body_bytes)) is not None:
                await handle(request, connection)
                if not connection.restart():
                    return
        except (ConnectionError, h11.RemoteProtocolError):
            return

    async with accepting(converse, host=host) as port:
        yield port


def _received(head: h11.Request, body: bytes, seconds: float) -> Received:
    return Received(
        method=head.method.decode("ascii"),
        target=head.target.decode("latin-1"),
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers),
        body=body,
        seconds=seconds,
    )
