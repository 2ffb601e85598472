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
from urllib.parse import urlsplit

import h11

from runstone.wire.accepting import LOOPBACK as LOOPBACK  # suites know it from here
from runstone.wire.accepting import is_loopback
from runstone.wire.exchange import Exchange
from runstone.wire.http_server import Connection, Received, serving
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording

HOST_VARIABLE: Final = "RUNSTONE_WEBHOOK_HOST"
DELIVERY: Final = "delivery"  # the label of every exchange that is one
_ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - only where the user has named the host by which it is reached


@dataclass(slots=True)
class _Address:
    """One path of the listener. `answer`: the status that is answered; None: no answer at all."""

    part: str
    answer: int | None
    called: asyncio.Event = field(default_factory=asyncio.Event)


class Sink:
    """The addresses of one scenario (see `listening`)."""

    def __init__(self, recorder: Recorder, recording: Recording, host: str) -> None:
        self._recorder = recorder
        self._recording = recording
        self._host = host
        self._port = 0
        self._addresses: dict[str, _Address] = {}

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

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen on a free port for the time of the block. Raises what broke an answer, if anything did."""
        host = LOOPBACK if self._host == LOOPBACK else _ANYWHERE
        most = self._recorder.limits.body_bytes
        async with serving(self._take, host=host, body_bytes=most) as self._port:
            yield

    async def _take(self, received: Received, connection: Connection) -> None:
        """Note a delivery, and answer it."""
        address = self._addresses.get(received.target)
        answer = 404 if address is None else address.answer
        self._keep(received, address, answer)
        if address is not None:
            address.called.set()
        if answer is None:
            await asyncio.Event().wait()  # until the scenario ends
        else:
            headers = [("content-length", "0"), ("connection", "close")]
            await connection.send(h11.Response(status_code=answer, headers=headers))
            await connection.send(h11.EndOfMessage())

    def _keep(self, received: Received, address: _Address | None, answer: int | None) -> None:
        redactor, took = self._recorder.redactor, round(received.seconds, 4)
        self._recording.exchanges.append(
            Exchange(
                scenario=self._recording.scenario,
                part="" if address is None else address.part,
                number=self._recording.next_number(),
                label=DELIVERY if address is not None else "stray_delivery",
                method=received.method,
                url=redactor.text(f"http://{self._host}:{self._port}{received.target}"),
                sent_at=round(self._recorder.clock - received.seconds, 4),
                request_headers=redactor.headers(received.headers),
                request_body=redactor.text(received.body.decode("utf-8", "replace")),
                code=answer,
                headers_after=None if answer is None else took,
                finished_after=took,
                closed_by_client=answer is None,  # it is this end that ends it
            )
        )


@asynccontextmanager
async def listening(recorder: Recorder, recording: Recording) -> AsyncIterator[Sink]:
    """A listener that keeps what is delivered in the recording. Its port closes with the block."""
    sink = Sink(recorder, recording, named_host() or LOOPBACK)
    async with sink.open():
        yield sink


def named_host() -> str:
    """By which name the target reaches this machine, as the user has said; empty where nothing was said."""
    return os.environ.get(HOST_VARIABLE, "")


def on_loopback(url: str) -> bool:
    """Whether the loopback of who serves this URL is ours too, as far as the URL tells."""
    return is_loopback(urlsplit(url).hostname or "")
