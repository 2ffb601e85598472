"""Where webhooks go: a listener on this machine, whose deliveries become exchanges of the trace.

A delivery is an exchange in which the target asks and we answer. The listener is on loopback; if the target
must reach this machine by another name, RUNSTONE_WEBHOOK_HOST holds it, and calls are taken from anywhere.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import h11

from runstone.wire.recorder import Recorder
from runstone.wire.recording import Story
from runstone.wire.trace import Exchange

HOST_VARIABLE: Final = "RUNSTONE_WEBHOOK_HOST"
LOOPBACK: Final = "127.0.0.1"
DELIVERY: Final = "delivery"  # the label of every exchange that is one
_ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - only where the user has named the host by which it is reached
_PIECE: Final = 64 * 1024


@dataclass(slots=True)
class _Address:
    """One path of the listener. `answer`: the status that is answered; None: no answer at all."""

    part: str
    answer: int | None
    called: asyncio.Event = field(default_factory=asyncio.Event)


class Sink:
    """The addresses of one scenario (see `listening`)."""

    def __init__(self, recorder: Recorder, story: Story, host: str) -> None:
        self._recorder = recorder
        self._story = story
        self._host = host
        self._port = 0
        self._addresses: dict[str, _Address] = {}
        self._conversations: list[asyncio.Task[None]] = []

    def address(self, part: str = "", *, answer: int | None = 200, host: str | None = None) -> str:
        """A fresh URL. What is delivered there belongs to this part of the scenario, label `delivery`.

        `answer`: the status of every answer; None leaves the caller waiting. `host`: instead of the usual.
        """
        path = f"/webhook/{len(self._addresses) + 1}"
        self._addresses[path] = _Address(part, answer)
        return f"http://{host or self._host}:{self._port}{path}"

    async def delivered(self, url: str) -> bool:
        """Wait for the first delivery to this address, as long as for a run to settle; whether it came."""
        address = self._addresses["/" + url.split("/", 3)[3]]
        try:
            async with asyncio.timeout(self._recorder.limits.settle_s):
                await address.called.wait()
        except TimeoutError:
            return False
        return True

    async def open(self) -> asyncio.Server:
        """Listen on a free port."""

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._conversations.append(asyncio.create_task(self._converse(reader, writer)))

        server = await asyncio.start_server(accept, LOOPBACK if self._host == LOOPBACK else _ANYWHERE, 0)
        self._port = server.sockets[0].getsockname()[1]
        return server

    async def hang_up(self) -> None:
        """Hang up on all who still speak or wait. Raises what broke a conversation, if anything did."""
        for task in self._conversations:
            task.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        for task in self._conversations:
            if not task.cancelled():
                task.result()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request, note it, and answer it. A caller who speaks no HTTP is left."""
        http = h11.Connection(h11.SERVER)
        began = self._recorder.clock
        try:
            request, body = await _next_request(http, reader, writer, self._recorder.limits.body_bytes)
            address = self._addresses.get(request.target.decode("latin-1"))
            answer = 404 if address is None else address.answer
            self._keep(request, body, address, began)
            if address is not None:
                address.called.set()
            if answer is None:
                await asyncio.Event().wait()  # until the scenario ends
            else:
                reply = h11.Response(
                    status_code=answer, headers=[("content-length", "0"), ("connection", "close")]
                )
                writer.write((http.send(reply) or b"") + (http.send(h11.EndOfMessage()) or b""))
                await writer.drain()
        except (ConnectionError, h11.RemoteProtocolError):
            return
        finally:
            writer.close()

    def _keep(self, request: h11.Request, body: bytes, address: _Address | None, began: float) -> None:
        redactor, answer = self._recorder.redactor, 404 if address is None else address.answer
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers)
        took = round(self._recorder.clock - began, 4)
        self._story.exchanges.append(
            Exchange(
                scenario=self._story.scenario,
                part="" if address is None else address.part,
                number=self._story.next_number(),
                label=DELIVERY if address is not None else "stray_delivery",
                method=request.method.decode("ascii"),
                url=redactor.text(f"http://{self._host}:{self._port}{request.target.decode('latin-1')}"),
                sent_at=round(began, 4),
                request_headers=redactor.headers(headers),
                request_body=redactor.text(body.decode("utf-8", "replace")),
                code=answer,
                headers_after=None if answer is None else took,
                finished_after=took,
                closed_by_client=answer is None,  # it is this end that ends it
            )
        )


@asynccontextmanager
async def listening(recorder: Recorder, story: Story) -> AsyncIterator[Sink]:
    """A listener that keeps what is delivered in the story. Its port closes with the block."""
    sink = Sink(recorder, story, os.environ.get(HOST_VARIABLE) or LOOPBACK)
    server = await sink.open()
    try:
        yield sink
    finally:
        server.close()
        await sink.hang_up()


async def _next_request(
    http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cap: int
) -> tuple[h11.Request, bytes]:
    """The request and its body, cut at the cap. Raises h11.RemoteProtocolError for what is no whole one."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            if http.they_are_waiting_for_100_continue:
                writer.write(http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            http.receive_data(await reader.read(_PIECE))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data[: cap - len(body)]
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return head, bytes(body)
        else:
            raise h11.RemoteProtocolError("the caller hung up before its request was whole")
