"""Answers: whole ones, and those that go on for as long as a run does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runstone.reference.wire import encode

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(encode(value), status, headers, JSON)


def refusal(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error, in the one form that all errors have: `{"detail": TEXT}`."""
    return answer({"detail": detail}, status, headers)


def page(items: list[Any], total: int, limit: int, offset: int) -> Response:
    """One page of a search; the headers tell how many there are and where the next page begins."""
    headers = {"X-Pagination-Total": str(total)}
    if offset + limit < total:
        headers["X-Pagination-Next"] = str(offset + limit)
    return answer(items, headers=headers)


class Listening(Response):
    """Sends its headers at once and its body as it comes.

    gone: called when the client hangs up before the end.
    """

    def __init__(
        self,
        body: AsyncIterator[bytes],
        media_type: str,
        headers: Mapping[str, str],
        gone: Callable[[], None] | None = None,
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)
        self._body = body
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        await _until_gone(receive, self._send(send), self._gone)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self._body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class TimedWait(Response):
    """Waits before it says anything: the output within the time, else 408 while the run goes on."""

    def __init__(
        self,
        output: Coroutine[Any, Any, bytes],
        seconds: float,
        headers: Mapping[str, str],
        gone: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self._output = output
        self._seconds = seconds
        self._run_headers = headers
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _until_gone(receive, self._wait(scope, receive, send), self._gone)

    async def _wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                response = Response(await self._output, 200, self._run_headers, JSON)
        except TimeoutError:
            text = f"the run did not end within {self._seconds:g} s; it goes on and can be joined"
            response = refusal(408, text, self._run_headers)
        await response(scope, receive, send)


async def _until_gone(
    receive: Receive, sending: Coroutine[Any, Any, None], gone: Callable[[], None] | None
) -> None:
    pump = asyncio.create_task(sending)
    watch = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({pump, watch}, return_when=asyncio.FIRST_COMPLETED)
        if pump.done():
            pump.result()
        elif gone is not None:
            gone()
    finally:
        for task in (pump, watch):
            task.cancel()
        await asyncio.wait({pump, watch})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
