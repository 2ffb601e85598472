"""One bounded request: a wall-clock deadline and a byte cap around httpx, and its failures as types.

httpx's own timeouts start again with every byte, so heartbeats would keep a read alive for ever; the deadline
here is the clock's. Everything below the HTTP status becomes a `StrategyFailed`.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from runstone.errors import UsageError
from runstone.retrieval.errors import BrokenStream, MalformedAnswer, NoAnswer, Refused, TooLarge, TooSlow
from runstone.wire.exchange import UUID, Event, excerpt, strict_json
from runstone.wire.sse import EventReader

# A kept-alive connection that the server has dropped fails on its next use: seen on the official Python
# server after an unhandled 500. All requests here only read, so sending one again is safe.
_RESET = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
_LAST = frozenset({"end", "error"})  # nothing that matters follows; some servers hold the socket on for 0.5 s


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one request may take: seconds until its last byte, and bytes of its body after decompression."""

    seconds: float
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Request:
    """One read of the run API, relative to the client's base URL."""

    path: str
    method: str = "GET"
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    body: Any = None

    def __str__(self) -> str:
        return f"{self.method} {UUID.sub('…', self.path)}"


def thread_path(thread_id: str) -> str:
    """`/threads/{id}`, the id quoted. Raises UsageError for an id that would change the path."""
    return f"/threads/{_segment(thread_id, 'thread')}"


def run_path(thread_id: str, run_id: str) -> str:
    """`/threads/{id}/runs/{id}`, the ids quoted. Raises UsageError as `thread_path` does."""
    return f"{thread_path(thread_id)}/runs/{_segment(run_id, 'run')}"


def _segment(identifier: str, what: str) -> str:
    if identifier.strip() in {"", ".", ".."}:
        raise UsageError(f"{identifier!r} is not a {what} id; give the id that the server answered")
    return quote(identifier, safe="")


async def fetch(client: httpx.AsyncClient, request: Request, bounds: Bounds) -> tuple[int, bytes]:
    """The HTTP status and the whole body. Raises NoAnswer, TooSlow and TooLarge."""
    body = bytearray()
    async with _answer(client, request, bounds) as response:
        async for chunk in _chunks(request, response, bounds):
            body += chunk
    return response.status_code, bytes(body)


async def fetch_json(client: httpx.AsyncClient, request: Request, bounds: Bounds) -> Any:
    """The decoded JSON body of a 2xx answer. Raises Refused and MalformedAnswer, and what `fetch` does."""
    code, body = await fetch(client, request, bounds)
    _require_success(request, code, body)
    return decode_json(body, f"{request} answered {code}")


def decode_json(body: bytes | str, what: str) -> Any:
    """RFC 8259 JSON. Raises MalformedAnswer, whose message begins with `what`."""
    try:
        return strict_json(body if isinstance(body, str) else body.decode())
    except ValueError as error:  # UnicodeDecodeError is one
        shown = body if isinstance(body, str) else body.decode("utf-8", "replace")
        raise MalformedAnswer(f"{what} with no JSON ({error}): {excerpt(shown)}") from None


def kind_of(value: Any) -> str:
    """What kind of JSON a value is, for messages; its text may be long, or nested past what repr can show."""
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return "an array" if value else "an empty array"
    return "a text" if isinstance(value, str) else json.dumps(value)


async def read_events(
    client: httpx.AsyncClient, request: Request, bounds: Bounds, take: Callable[[Event], None]
) -> None:
    """Hand each event of a stream to `take`, up to `end`, `error` or the stream's proven end.

    Raises what `fetch` does, Refused, and BrokenStream for bytes that are not an event stream, an unfinished
    last event, and a body that just stopped where nothing (length, chunks, HTTP/2, `end`) marks its end.
    """
    async with _answer(client, request, bounds) as response:
        if not response.is_success:
            body = b"".join([chunk async for chunk in _chunks(request, response, bounds)])
            _require_success(request, response.status_code, body)
        _require_stream(request, response)
        reader = _Lines()
        async for chunk in _chunks(request, response, bounds):
            for event in reader.take(chunk, request):
                take(event)
                if event.event in _LAST:
                    return
        reader.close(request)
        if not _has_marked_end(response):
            raise BrokenStream(f"{request} stopped without a mark of its end: perhaps it was cut")


class _Lines:
    """Feeds an EventReader whole lines, so that one event of many chunks is not copied once per chunk."""

    def __init__(self) -> None:
        self._reader = EventReader()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._held: list[bytes] = []
        self._began = time.monotonic()

    def take(self, chunk: bytes, request: Request) -> list[Event]:
        """The events that this chunk completes."""
        self._decode(chunk, request, final=False)
        self._held.append(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            return []
        self._reader.feed(b"".join(self._held), time.monotonic() - self._began)
        self._held = []
        self._refuse_malformed(request)
        events, self._reader.events = self._reader.events, []
        self._reader.comments = []
        return events

    def close(self, request: Request) -> None:
        """The body ended. Raises BrokenStream where an event or a character is unfinished."""
        self._decode(b"", request, final=True)
        self._reader.feed(b"".join(self._held), time.monotonic() - self._began)
        self._reader.close()
        self._refuse_malformed(request)

    def _decode(self, chunk: bytes, request: Request, *, final: bool) -> None:
        try:
            self._utf8.decode(chunk, final)
        except UnicodeDecodeError as error:
            raise BrokenStream(f"{request} streamed bytes that are not UTF-8 ({error.reason})") from None

    def _refuse_malformed(self, request: Request) -> None:
        if self._reader.malformed:
            line = excerpt(self._reader.malformed[0])
            raise BrokenStream(f"{request} streamed a line that is part of no event: {line}")


@asynccontextmanager
async def _answer(
    client: httpx.AsyncClient, request: Request, bounds: Bounds
) -> AsyncIterator[httpx.Response]:
    """The response, its body unread, under the deadline; closed on leaving."""
    try:
        async with asyncio.timeout(bounds.seconds):
            response = await _send(client, request, bounds)
            try:
                yield response
            finally:
                await response.aclose()
    except (TimeoutError, httpx.TimeoutException):
        raise TooSlow(f"{request} had not ended after {bounds.seconds:g} s") from None
    except httpx.RequestError as error:
        reason = str(error) or type(error).__name__
        raise NoAnswer(f"{request} broke off: {reason}") from error


async def _send(client: httpx.AsyncClient, request: Request, bounds: Bounds) -> httpx.Response:
    try:
        return await client.send(_built(client, request, bounds), stream=True)
    except _RESET:
        return await client.send(_built(client, request, bounds), stream=True)


def _built(client: httpx.AsyncClient, request: Request, bounds: Bounds) -> httpx.Request:
    return client.build_request(
        request.method,
        request.path,
        params=request.params,
        headers=request.headers,
        json=request.body,
        timeout=bounds.seconds,
    )


async def _chunks(request: Request, response: httpx.Response, bounds: Bounds) -> AsyncIterator[bytes]:
    room = bounds.bytes
    async for chunk in response.aiter_bytes():
        room -= len(chunk)
        if room < 0:
            raise TooLarge(f"{request} went past {bounds.bytes} bytes")
        yield chunk


def _require_success(request: Request, code: int, body: bytes) -> None:
    if not 200 <= code < 300:
        raise Refused(f"{request} answered {code}: {excerpt(body.decode('utf-8', 'replace'))}", code)


def _require_stream(request: Request, response: httpx.Response) -> None:
    kind = response.headers.get("content-type", "no content type")
    if kind.partition(";")[0].strip().lower() != "text/event-stream":
        raise BrokenStream(f"{request} answered {response.status_code} with {kind}, no event stream")


def _has_marked_end(response: httpx.Response) -> bool:
    return (
        response.http_version == "HTTP/2"
        or "content-length" in response.headers
        or "chunked" in response.headers.get("transfer-encoding", "").lower()
    )
