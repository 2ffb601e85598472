"""Batches over HTTP.

GET  /                        the page
GET  /scenarios               what can be played
GET  /batches                 what was played, the newest first
POST /batches                 play what the body wants (`offer.Wanted`)
GET  /batches/ID              how far it is, with each of its conversations
GET  /batches/ID/events       its events from the first on, or after Last-Event-ID, until it has ended
POST /batches/ID/cancel       have it end soon
GET  /batches/ID/report.html  what it resulted in; report.json and junit.xml too
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from runstone.contracts.reading import WrongShape, convert
from runstone.conversations.live.answers import HEADERS, answer, problem
from runstone.conversations.live.batches import Batches, LiveBatch, TooMany, UnknownBatch
from runstone.conversations.live.guard import Guard, Guarded
from runstone.conversations.live.log import Forgotten, Log
from runstone.conversations.live.offer import Offer, Wanted
from runstone.conversations.live.page import Page
from runstone.errors import RunstoneError

SILENCE_S: Final = 10.0  # proxies and clients commonly give up after 15 to 60 s of silence
_MOST_BYTES: Final = 256 * 1024  # of a body
_REPORT_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
_REPORTS: Final = {
    "report.html": "text/html; charset=utf-8",
    "report.json": "application/json",
    "junit.xml": "application/xml",
}


class _Bad(Exception):  # noqa: N818 - an answer to the client
    """A request that cannot be carried out as it is."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Application:
    """The operations on the batches of one offer."""

    def __init__(self, offer: Offer, batches: Batches, page: Page, silence_s: float = SILENCE_S) -> None:
        self._offer = offer
        self._batches = batches
        self._page = page
        self._silence_s = silence_s

    def guarded(self, guard: Guard) -> ASGIApp:
        """All of it as an ASGI application behind a guard."""
        routes = [
            _route("/", GET=self.page),
            _route("/scenarios", GET=self.scenarios),
            _route("/batches", GET=self.batches, POST=self.start),
            _route("/batches/{id}", GET=self.batch),
            _route("/batches/{id}/events", GET=self.events),
            _route("/batches/{id}/cancel", POST=self.cancel),
            *(_route(f"/batches/{{id}}/{name}", GET=self.report) for name in _REPORTS),
        ]
        app = Starlette(
            routes=routes, exception_handlers={404: _no_route, 405: _no_method, Exception: _broken}
        )
        app.router.redirect_slashes = False
        return Guarded(app, guard)

    async def page(self, _: Request) -> Response:
        """The page, which asks for the rest."""
        headers = {**HEADERS, "Content-Security-Policy": self._page.policy}
        return Response(self._page.text, headers=headers, media_type="text/html")

    async def scenarios(self, _: Request) -> Response:
        """What can be played, as the files are now."""
        return answer({"scenarios": await asyncio.to_thread(self._offer.cases)})

    async def batches(self, _: Request) -> Response:
        """What was played."""
        return answer({"batches": [each.summary() for each in self._batches.all()]})

    async def start(self, request: Request) -> Response:
        """Play what the body wants."""
        batch = await self._batches.add(await _wanted(request))
        return answer(_told(batch), 201, {"Location": f"/batches/{batch.id}"})

    async def batch(self, request: Request) -> Response:
        """How far a batch is."""
        return answer(_told(self._found(request)))

    async def cancel(self, request: Request) -> Response:
        """Have a batch end soon."""
        batch = self._found(request)
        self._batches.cancel(batch)
        return answer(_told(batch), 202)

    async def report(self, request: Request) -> Response:
        """A file that the batch resulted in."""
        batch, name = self._found(request), request.url.path.rpartition("/")[2]
        try:
            body = await asyncio.to_thread((batch.folder / name).read_bytes)
        except OSError:
            raise _Bad(404, f"the batch {batch.id} has no {name} yet") from None
        headers = {**HEADERS, "Content-Security-Policy": _REPORT_POLICY}
        return Response(body, headers=headers, media_type=_REPORTS[name])

    async def events(self, request: Request) -> Response:
        """The events of a batch as a stream of server-sent events; 204 to who has seen all of them.

        They have no names: `error` is one of the kinds, and is what browsers call a connection that was lost.
        """
        batch, after = self._found(request), _last_seen(request)
        log = batch.log
        if after > log.last:
            raise _Bad(400, f"the batch {batch.id} has no event {after}; its last one is {log.last}")
        try:
            log.insist_on(after)
        except Forgotten as gone:
            return problem(410, f"{gone}; GET /batches/{batch.id} tells how far it is", first=gone.first)
        if log.closed and after == log.last:
            return Response(status_code=204, headers=HEADERS)
        headers = {**HEADERS, "X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type="text/event-stream")
        return StreamingResponse(
            _sent(log, after, self._silence_s), headers=headers, media_type="text/event-stream"
        )

    def _found(self, request: Request) -> LiveBatch:
        return self._batches.get(request.path_params["id"])


async def _sent(log: Log, after: int, silence_s: float) -> AsyncIterator[bytes]:
    """Events as they go over the wire; JSON has no line breaks. Who is too slow has to come back."""
    yield b": runstone\n\n"  # headers alone do not open a stream behind some proxies
    try:
        async for each in log.follow(after, silence_s):
            yield b": alive\n\n" if each is None else b"id: %d\ndata: %s\n\n" % each
    except Forgotten:
        return


def _last_seen(request: Request) -> int:
    """The number of the event that the client has seen last, by the header of a browser or by `after`."""
    text = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise _Bad(400, f"Last-Event-ID must be the id of an event, not {text[:40]!r}")
    return int(text)


async def _wanted(request: Request) -> Wanted:
    """What a body wants. It must say that it is JSON: a form of another site cannot."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _Bad(415, "the body must be JSON: Content-Type: application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise _Bad(413, f"the body is larger than {_MOST_BYTES} bytes")
    try:
        return convert(msgspec.json.decode(body or b"{}"), Wanted)
    except msgspec.DecodeError as error:
        raise _Bad(400, f"the body is not valid JSON: {error}") from None
    except WrongShape as error:
        raise _Bad(422, f"the body: {error}") from None


def _told(batch: LiveBatch) -> dict[str, Any]:
    return batch.summary() | {"conversations": [*batch.conversations.values()]}


def _route(path: str, **handlers: Callable[[Request], Awaitable[Response]]) -> Route:
    """A path, with what answers each method on it; whatever they raise is a problem of the client."""

    async def handled(request: Request) -> Response:
        try:
            return await handlers["GET" if request.method == "HEAD" else request.method](request)
        except _Bad as bad:
            return problem(bad.status, str(bad))
        except UnknownBatch as error:
            return problem(404, str(error))
        except TooMany as error:
            return problem(429, str(error), {"Retry-After": "10"})
        except RunstoneError as error:
            return problem(422, str(error))
        except ClientDisconnect:
            return problem(400, "the body broke off")  # which nobody hears

    return Route(path, handled, methods=[*handlers])


async def _no_route(request: Request, _: Exception) -> Response:
    return problem(404, f"there is no {request.url.path[:200]} here")


async def _no_method(request: Request, error: Exception) -> Response:
    allowed = getattr(error, "headers", None) or {}
    return problem(405, f"{request.method} is not allowed here", allowed)


async def _broken(_: Request, error: Exception) -> Response:
    return problem(500, f"Runstone itself failed: {type(error).__name__}; its log says more")
