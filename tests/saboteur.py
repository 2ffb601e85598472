"""A proxy that stands between a client and a real server and sabotages the event streams that pass.

What it may do to a stream happens on real networks and to real servers: packets that end anywhere,
connections that are cut or fall silent, proxies that add comments or repeat what was sent, servers that
replay too much after a reconnect. It knows what it sent, so a test can hold a client's word against it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import h11
import httpx

from runstone.wire.http_server import Connection, Received, serving

# How the answer ends: as it should; without the chunk that marks its end; by a reset; not at all, with the
# connection left open; or short of the length that was announced.
End = Literal["clean", "cut", "reset", "stall", "length_too_long"]
_STALL_S = 30.0  # longer than any deadline of the tests
_TRUSTED = ssl.create_default_context()  # 20 ms, which each client would take again


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
        async with (
            httpx.AsyncClient(base_url=self.upstream, trust_env=False, timeout=60, verify=_TRUSTED) as client,
            serving(lambda received, connection: self._answer(received, connection, client)) as port,
        ):
            self.url = f"http://127.0.0.1:{port}"
            yield self

    async def _answer(self, received: Received, connection: Connection, client: httpx.AsyncClient) -> None:
        """One request per connection, so that each answer can end as the plan says."""
        if "/stream" in received.target and self.refused < self.plan.refuse:
            self.refused += 1
            return
        answer = await client.request(
            received.method, received.target, headers=received.headers, content=received.body
        )
        passed = {"content-type", "location", "content-location"}
        headers = [pair for pair in answer.headers.items() if pair[0] in passed]
        headers.append(("connection", "close"))
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            await self._send_stream(connection, answer, headers)
            return
        headers.append(("content-length", str(len(answer.content))))
        await connection.send(h11.Response(status_code=answer.status_code, headers=headers))
        await connection.send(h11.Data(data=answer.content))
        await connection.send(h11.EndOfMessage())

    async def _send_stream(
        self, connection: Connection, answer: httpx.Response, headers: list[tuple[str, str]]
    ) -> None:
        plan = self.plan
        body, ends = _sabotaged(_blocks(answer.content), plan)
        given = body[: len(body) * plan.keep // 1000]
        whole = len(given) == len(body) and plan.end == "clean"
        sent = [event for event, end in ends if end <= len(given)]
        self.streams.append(Sent(sent, whole))
        length = [("content-length", str(len(body) + 10))] if plan.end == "length_too_long" else []
        await connection.send(h11.Response(status_code=answer.status_code, headers=[*headers, *length]))
        for piece in _pieces(given, plan.pieces):
            await connection.send(h11.Data(data=piece))
            await asyncio.sleep(0)  # so that the pieces leave as packets of their own
        if plan.end == "clean" and whole:
            await connection.send(h11.EndOfMessage())
        elif plan.end == "reset":
            linger = struct.pack("ii", 1, 0)  # close with a reset, whatever is still unsent
            opened = connection.writer.get_extra_info("socket")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        elif plan.end == "stall":
            await asyncio.sleep(_STALL_S)


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
