"""The recording proxy: real clients speak to a target through it, and their traffic becomes exchanges.

It listens on loopback, on one port per part of a scenario, so that each request can be told whose it is
without touching it. It changes no more than it must: the host, the hop-by-hop headers (RFC 9110, 7.6.1), the
encodings that the client accepts (what is recorded must be readable) and the target's own origin in a
Location; and it adds the headers of the target, whose secrets the client never learns. It invents no answer:
where the target gives none, the connection is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import h11
import httpx

from runstone.wire.recorder import Recorder, Request
from runstone.wire.recording import Story
from runstone.wire.sse import EventReader
from runstone.wire.trace import UUID

_HOST: Final = "127.0.0.1"
_PIECE: Final = 64 * 1024
_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
_NOT_FORWARDED: Final = _HOP_BY_HOP | {b"host", b"content-length", b"accept-encoding", b"expect"}


@dataclass(slots=True)
class _Listener:
    """One port. `events_left`: the first event stream that gets so far is cut there; None: none is."""

    part: str
    patience: float
    events_left: int | None
    url: str = ""


class Proxy:
    """The open ports of one scenario (see `proxying`)."""

    def __init__(self, recorder: Recorder, story: Story) -> None:
        self._recorder = recorder
        self._story = story
        self._servers: list[asyncio.Server] = []
        self._conversations: set[asyncio.Task[None]] = set()

    async def listen(self, part: str, *, patience: float = 0.0, cut_after_events: int | None = None) -> str:
        """Open a port whose traffic belongs to this part of the scenario; its URL.

        `patience`: seconds that an answer may take beyond an ordinary one. With `cut_after_events` the first
        event stream that gets so far is cut behind that event: its connection closes amid the body.
        """
        listener = _Listener(part, patience, cut_after_events)

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            conversation = self._converse(listener, _Connection(reader, writer))
            self._conversations.add(asyncio.create_task(conversation))

        server = await asyncio.start_server(accept, _HOST, 0)
        self._servers.append(server)
        listener.url = f"http://{_HOST}:{server.sockets[0].getsockname()[1]}"
        return listener.url

    async def close(self) -> None:
        """Close every port and every connection. Raises what broke the proxy itself, if anything did."""
        for server in self._servers:
            server.close()
        for task in self._conversations:
            task.cancel()
        ended = await asyncio.gather(*self._conversations, return_exceptions=True)
        await asyncio.sleep(0)  # and their transports end
        for error in ended:
            if isinstance(error, Exception):  # being cancelled is none
                raise error

    async def _converse(self, listener: _Listener, connection: _Connection) -> None:
        """Answer the requests of one connection, until either side has had enough."""
        try:
            while (received := await connection.next_request()) is not None:
                relay = _Relay(connection, self._recorder.url, listener)
                await self._answer(self._owned(listener, received), connection, relay)
                if not connection.restart():
                    return
        except (ConnectionError, h11.RemoteProtocolError):
            return  # the client hung up or speaks no HTTP, as it may
        finally:
            connection.close()

    async def _answer(self, request: Request, connection: _Connection, relay: _Relay) -> None:
        """Send the request on. An answer that does not end leaves the connection in its middle."""
        sending = asyncio.create_task(self._recorder.send(request, self._story.exchanges, relay=relay))
        watching = asyncio.create_task(connection.until_gone())
        try:
            await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
            relay.gone = relay.gone or not sending.done()
        finally:
            sending.cancel()
            watching.cancel()
            await asyncio.wait({sending, watching})
        if not sending.cancelled() and sending.result().complete:
            await connection.send(h11.EndOfMessage())

    def _owned(self, listener: _Listener, received: _Received) -> Request:
        return Request(
            scenario=self._story.scenario,
            part=listener.part,
            number=self._story.next_number(),
            label=f"{received.method} {UUID.sub('*', received.target.partition('?')[0])}",
            method=received.method,
            path=received.target,
            headers=received.headers,
            content=received.content,
            deadline=self._recorder.limits.request_s + listener.patience,
        )


@asynccontextmanager
async def proxying(recorder: Recorder, story: Story) -> AsyncIterator[Proxy]:
    """A proxy to the recorder's target that keeps in the story what passes. It closes with the block."""
    proxy = Proxy(recorder, story)
    try:
        yield proxy
    finally:
        await proxy.close()


@dataclass(frozen=True, slots=True)
class _Received:
    """A client's request, as far as it is sent on."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    content: bytes | None


class _Connection:
    """The server's side of one HTTP/1.1 connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def next_request(self) -> _Received | None:
        """The next whole request; None when the client is done. Raises h11.RemoteProtocolError for junk."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    await self.send(h11.InformationalResponse(status_code=100, headers=[]))
                self._http.receive_data(await self._reader.read(_PIECE))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _received(head, bytes(body))
            else:
                return None

    async def send(self, event: h11.Event) -> None:
        """Send a piece of an answer. Raises ConnectionError when the client is gone."""
        self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()

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

    def close(self) -> None:
        """Send what is buffered, then close."""
        self._writer.close()


class _Relay:
    """Passes one answer on to the client (see `client.Relay`)."""

    def __init__(self, connection: _Connection, target: str, listener: _Listener) -> None:
        self.finished = False
        self.gone = False
        self._connection = connection
        self._target = target
        self._listener = listener
        self._events: EventReader | None = None  # counts, where a stream is to be cut

    async def begin(self, response: httpx.Response) -> None:
        kind = response.headers.get("content-type", "")
        if self._listener.events_left is not None and kind.startswith("text/event-stream"):
            self._events = EventReader()
        headers = [(name, self._value(name.lower(), value)) for name, value in _passed_on(response)]
        reason = response.extensions.get("reason_phrase", b"")
        await self._send(h11.Response(status_code=response.status_code, headers=headers, reason=reason))

    async def pass_on(self, chunk: bytes) -> bytes:
        passed = chunk if self._events is None else chunk[: self._room(self._events, chunk)]
        await self._send(h11.Data(data=passed))
        return passed

    async def _send(self, event: h11.Event) -> None:
        try:
            await self._connection.send(event)
        except ConnectionError:
            self.gone = self.finished = True

    def _value(self, name: bytes, value: bytes) -> bytes:
        """A Location of the target's own origin is one of the proxy's, as behind any reverse proxy."""
        own = self._target.encode()
        is_own = name == b"location" and value.startswith(own)
        return self._listener.url.encode() + value.removeprefix(own) if is_own else value

    def _room(self, events: EventReader, chunk: bytes) -> int:
        """How many bytes of the chunk go through before the cut."""
        left = self._listener.events_left
        if left is None:
            return len(chunk)
        for end in range(1, len(chunk) + 1):
            events.feed(chunk[end - 1 : end], 0.0)
            if len(events.events) >= left:
                self._listener.events_left = None
                self.finished = True
                return end + chunk[end:].startswith(b"\n")  # the rest of a line end
        return len(chunk)


def _received(head: h11.Request, body: bytes) -> _Received:
    names = {name for name, _ in head.headers}
    has_body = bool(body) or b"content-length" in names
    return _Received(
        method=head.method.decode("ascii"),
        target=head.target.decode("latin-1"),
        headers=tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in head.headers
            if name not in _NOT_FORWARDED
        ),
        content=body if has_body else None,
    )


def _passed_on(response: httpx.Response) -> list[tuple[bytes, bytes]]:
    """The headers of an answer without those that speak of one connection only."""
    left_out = _HOP_BY_HOP
    if "transfer-encoding" in response.headers:
        left_out = left_out | {b"content-length"}  # a body in chunks has no other length
    return [(name, value) for name, value in response.headers.raw if name.lower() not in left_out]
