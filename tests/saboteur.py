"""A proxy that stands between a client and a real server and sabotages the event streams that pass.

What it may do to a stream happens on real networks and to real servers: packets that end anywhere,
connections that are cut or fall silent, proxies that add comments or repeat what was sent, servers that
replay too much after a reconnect. It knows what it sent, so a test can hold a client's word against it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import h11

# How the answer ends: as it should; without the chunk that marks its end; by a reset; not at all, with the
# connection left open; or short of the length that was announced.
End = Literal["clean", "cut", "reset", "stall", "length_too_long"]
_STALL_S = 30.0  # longer than any deadline of the tests


@dataclass(frozen=True)
class Plan:
    """What is done to each event stream. The defaults do nothing.

    `keep`: the share of its bytes that are sent, in thousandths. `pieces`: sizes of the packets, in turn.
    `repeat`: this event (counted from the end of the stream) is sent twice. `replay`: so many of the first
    events are sent once more after the last. `comments`: a comment stands between the lines of every event.
    """

    keep: int = 1000
    pieces: tuple[int, ...] = ()
    repeat: int | None = None
    replay: int = 0
    comments: bool = False
    heartbeats: bool = False
    line_end: bytes = b"\n"
    byte_order_mark: bool = False
    end: End = "clean"
    refuse: int = 0  # requests for a stream that are hung up on before any answer


@dataclass
class Sent:
    """One stream as it left: the events that went out whole, as (name, data), and whether it was all."""

    events: list[tuple[str, str]]
    whole: bool


@dataclass
class Saboteur:
    """The proxy; `url` is where clients find it, `streams` what it did to each stream."""

    upstream: str
    plan: Plan = field(default_factory=Plan)
    url: str = ""
    streams: list[Sent] = field(default_factory=list)
    refused: int = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Saboteur]:
        """Serve for the time of the block."""
        tasks: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                with contextlib.suppress(ConnectionError):  # a client that hangs up is nobody's fault
                    await self._converse(reader, writer)
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request per connection, so that each answer can end as the plan says."""
        client = h11.Connection(h11.SERVER)
        request, body = await _request(client, reader)
        path = request.target.decode()
        if "/stream" in path and self.refused < self.plan.refuse:
            self.refused += 1
            return
        status, headers, answer = await self._ask(request, body)
        kind = next((value for name, value in headers if name == b"content-type"), b"")
        if not kind.startswith(b"text/event-stream"):
            await _send_whole(writer, status, kind, headers, answer)
        else:
            await self._send_stream(writer, status, kind, headers, answer)

    async def _ask(self, request: h11.Request, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """The whole answer of the real server."""
        parts = urlsplit(self.upstream)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            server = h11.Connection(h11.CLIENT)
            kept = [(name, value) for name, value in request.headers if name != b"connection"]
            asked = h11.Request(
                method=request.method, target=request.target, headers=[*kept, (b"connection", b"close")]
            )
            writer.write(server.send(asked) or b"")
            if body:
                writer.write(server.send(h11.Data(data=body)) or b"")
            writer.write(server.send(h11.EndOfMessage()) or b"")
            await writer.drain()
            status, headers, answer = 0, [], bytearray()
            while True:
                event = server.next_event()
                if event is h11.NEED_DATA:
                    server.receive_data(await reader.read(65536))
                elif isinstance(event, h11.Response):
                    status, headers = event.status_code, list(event.headers)
                elif isinstance(event, h11.Data):
                    answer += event.data
                elif isinstance(event, h11.EndOfMessage):
                    return status, headers, bytes(answer)
        finally:
            writer.close()

    async def _send_stream(
        self,
        writer: asyncio.StreamWriter,
        status: int,
        kind: bytes,
        headers: list[tuple[bytes, bytes]],
        answer: bytes,
    ) -> None:
        plan = self.plan
        blocks = _blocks(answer)
        body, ends = _sabotaged(blocks, plan)
        given = body[: len(body) * plan.keep // 1000]
        whole = len(given) == len(body) and plan.end == "clean"
        sent = [event for event, end in ends if end <= len(given)]
        self.streams.append(Sent(sent, whole))
        chunked = plan.end != "length_too_long"
        frame = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % (len(body) + 10)
        located = [b"%s: %s" % (name, value) for name, value in headers if name.endswith(b"location")]
        lines = [b"HTTP/1.1 %d OK" % status, b"content-type: " + kind, frame, b"connection: close", *located]
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        for piece in _pieces(given, plan.pieces):
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            await writer.drain()
            await asyncio.sleep(0)  # so that the pieces leave as packets of their own
        if plan.end == "clean" and whole:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        elif plan.end == "reset":
            linger = struct.pack("ii", 1, 0)  # close with a reset, whatever is still unsent
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        elif plan.end == "stall":
            await asyncio.sleep(_STALL_S)


async def _request(client: h11.Connection, reader: asyncio.StreamReader) -> tuple[h11.Request, bytes]:
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            received = await reader.read(65536)
            if not received:
                raise ConnectionResetError
            client.receive_data(received)
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            return request, bytes(body)


async def _send_whole(
    writer: asyncio.StreamWriter, status: int, kind: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    located = [b"%s: %s" % (name, value) for name, value in headers if name.endswith(b"location")]
    length = b"content-length: %d" % len(body)
    lines = [b"HTTP/1.1 %d OK" % status, b"content-type: " + kind, length, b"connection: close", *located]
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    await writer.drain()


def _blocks(answer: bytes) -> list[list[bytes]]:
    """The lines of each event of the real stream; what has no data, like a heartbeat, is left out."""
    blocks = [block.split(b"\n") for block in answer.replace(b"\r\n", b"\n").split(b"\n\n")]
    return [block for block in blocks if any(line.startswith(b"data:") for line in block)]


def _sabotaged(blocks: list[list[bytes]], plan: Plan) -> tuple[bytes, list[tuple[tuple[str, str], int]]]:
    """The bytes to send, and for each event in them where it ends."""
    told = list(blocks)
    if plan.repeat is not None and blocks:
        place = len(blocks) - 1 - plan.repeat % len(blocks)
        told.insert(place, blocks[place])
    told += blocks[: plan.replay]
    body = b"\xef\xbb\xbf" if plan.byte_order_mark else b""
    ends = []
    for block in told:
        if plan.heartbeats:
            body += b": heartbeat" + plan.line_end * 2
        between = plan.line_end + (b": between" + plan.line_end if plan.comments else b"")
        body += between.join(block) + plan.line_end * 2
        ends.append((_event(block), len(body)))
    return body, ends


def _event(block: list[bytes]) -> tuple[str, str]:
    def value(name: bytes) -> str:
        lines = [line[len(name) :].removeprefix(b" ") for line in block if line.startswith(name)]
        return b"\n".join(lines).decode()

    return value(b"event:"), value(b"data:")


def _pieces(body: bytes, sizes: tuple[int, ...]) -> list[bytes]:
    if not sizes:
        return [body] if body else []
    pieces, at, turn = [], 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        pieces.append(body[at : at + size])
        at, turn = at + size, turn + 1
    return pieces
