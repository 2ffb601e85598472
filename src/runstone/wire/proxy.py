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
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import h11
import httpx

from runstone.wire.accepting import LOOPBACK
from runstone.wire.exchange import UUID
from runstone.wire.http_server import Connection, Received, serving
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording
from runstone.wire.request import Request
from runstone.wire.sse import EventReader

_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_NOT_FORWARDED: Final = _HOP_BY_HOP | {"host", "content-length", "accept-encoding", "expect"}


@dataclass(slots=True)
class _Listener:
    """One port. `events_left`: the first event stream that gets so far is cut there; None: none is."""

    part: str
    patience: float
    events_left: int | None
    url: str = ""


class Proxy:
    """The open ports of one scenario (see `proxying`)."""

    def __init__(self, recorder: Recorder, recording: Recording, ports: AsyncExitStack) -> None:
        self._recorder = recorder
        self._recording = recording
        self._ports = ports

    async def listen(self, part: str, *, patience: float = 0.0, cut_after_events: int | None = None) -> str:
        """Open a port whose traffic belongs to this part of the scenario; its URL.

        `patience`: seconds that an answer may take beyond an ordinary one. With `cut_after_events` the first
        event stream that gets so far is cut behind that event: its connection closes amid the body.
        """
        listener = _Listener(part, patience, cut_after_events)

        async def answer(received: Received, connection: Connection) -> None:
            await self._answer(listener, received, connection)

        port = await self._ports.enter_async_context(serving(answer))
        listener.url = f"http://{LOOPBACK}:{port}"
        return listener.url

    async def _answer(self, listener: _Listener, received: Received, connection: Connection) -> None:
        """Send the request on. An answer that does not end leaves the connection in its middle."""
        request, relay = self._owned(listener, received), _Relay(connection, self._recorder.url, listener)
        sending = asyncio.create_task(self._recorder.send(request, self._recording.exchanges, relay=relay))
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

    def _owned(self, listener: _Listener, received: Received) -> Request:
        has_body = bool(received.body) or "content-length" in dict(received.headers)
        return Request(
            scenario=self._recording.scenario,
            part=listener.part,
            number=self._recording.next_number(),
            label=f"{received.method} {UUID.sub('*', received.target.partition('?')[0])}",
            method=received.method,
            path=received.target,
            headers=tuple(pair for pair in received.headers if pair[0] not in _NOT_FORWARDED),
            content=received.body if has_body else None,
            deadline=self._recorder.limits.request_s + listener.patience,
        )


@asynccontextmanager
async def proxying(recorder: Recorder, recording: Recording) -> AsyncIterator[Proxy]:
    """A proxy to the recorder's target that keeps in the recording what passes. It closes with the block.

    Raises what broke the proxy itself, if anything did.
    """
    async with AsyncExitStack() as ports:
        yield Proxy(recorder, recording, ports)


class _Relay:
    """Passes one answer on to the client (see `client.Relay`)."""

    def __init__(self, connection: Connection, target: str, listener: _Listener) -> None:
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


def _passed_on(response: httpx.Response) -> list[tuple[bytes, bytes]]:
    """The headers of an answer without those that speak of one connection only."""
    left_out = _HOP_BY_HOP
    if "transfer-encoding" in response.headers:
        left_out = left_out | {"content-length"}  # a body in chunks has no other length
    return [pair for pair in response.headers.raw if pair[0].lower().decode("latin-1") not in left_out]
