"""The recorder: sends one request and keeps everything that came back, under a deadline and a byte cap.

Nothing here raises for what a target does: a refused connection, a hang or a cut body becomes an `Exchange`
with its `failure`. Secrets are replaced by their exact value before anything is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from runstone.wire.answer import Answer
from runstone.wire.causes import cause, was_cut
from runstone.wire.connections import Connections
from runstone.wire.exchange import UUID, Exchange, Refusal
from runstone.wire.hanging_up import hanging_up
from runstone.wire.identity import Identity
from runstone.wire.limits import Limits
from runstone.wire.network import Network
from runstone.wire.pace import MOST_PAUSES, AskedToWait, Pace, refusal
from runstone.wire.patience import Grows, patient
from runstone.wire.redaction import Redactor
from runstone.wire.request import Relay, Request
from runstone.wire.sse import EventReader

_KEPT_OF_A_REQUEST = 64 * 1024  # characters of its body; what a scenario sends beyond that is its own filler
_LOOKED_THROUGH = 1024 * 1024  # bytes of it, for secrets; a copy of all of its 20 MB would stay in the memory
_TELLING = 3.0  # times the deadline that a stream may take longer while its events go on
_SLOW_LINE = 16 * 1024  # bytes per second, at which even a large answer is in time; life signs are far less

Heard = Callable[[Identity, Exchange], None]

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_LAST_WORD_S = 2.0
_LATEST = 16  # requests
_SLOWEST_S = 1.0  # a request that takes longer tells of itself, not of how busy the target is


def _no_request(_method: str, _path: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class KnownOperations:
    """What is known of the operations of a server, each by its method and path; by default nothing.

    `may_last`: whether one may be answered long after it could be, waiting for a run. `creates`: whether it
    makes something; what that is, an interrupted session still wants to know. `reads`: whether it changes
    nothing whatever its method, so that it may be sent twice.
    """

    may_last: Callable[[str, str], bool] = _no_request
    creates: Callable[[str, str], bool] = _no_request
    reads: Callable[[str, str], bool] = _no_request


class Recorder:
    """One set of connections, one clock and one byte budget for a whole session."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        limits: Limits,
        others: Mapping[Identity, Mapping[str, str]] | None = None,
        network: Network | None = None,
        known: KnownOperations = KnownOperations(),
    ) -> None:
        """`headers` are those of the first identity, `others` those of the further ones."""
        self.limits = limits
        self.pace = Pace()
        self._url = url.rstrip("/")
        self._network = network or Network()
        self._putting_off: set[str] = set()  # operations that were put off until the last try
        self._stopped_at_will = (
            False  # cut connections are not a disturbance where a server is killed on purpose
        )
        self._identities: dict[Identity, dict[str, str]] = {"anonymous": {}, "first": dict(headers)}
        self._identities |= {who: dict(theirs) for who, theirs in (others or {}).items()}
        self._known = known
        self._redactor = Redactor(headers, others)
        self._began = time.monotonic()
        self.grows: Grows | None = None  # asked when a deadline has passed
        self.alive_path = "/ok"  # of a GET that is answered while the target lives
        self.heard: Heard | None = None  # told of every exchange, and of who made it
        self._kept_bytes = 0
        self._latest_s: deque[float] = deque([0.0], maxlen=_LATEST)
        self._connections = Connections(
            self._url, self._network, self._identities, self.pace, lambda: self.clock
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.close()

    def beside(self, url: str) -> Recorder:
        """A recorder of a server that is stopped at will: same clock, headers, limits and network."""
        others: dict[Identity, dict[str, str]] = {**self._identities}
        del others["first"]
        recorder = Recorder(url, self._identities["first"], self.limits, others, self._network, self._known)
        recorder._began = self._began
        recorder._stopped_at_will = True
        recorder.grows = self.grows
        # What is made on another server goes with it.
        recorder.heard = self.heard if url.rstrip("/") == self._url else None
        return recorder

    @property
    def url(self) -> str:
        """The target's base URL."""
        return self._url

    @property
    def redactor(self) -> Redactor:
        """What hides the target's secrets."""
        return self._redactor

    @property
    def clock(self) -> float:
        """Seconds since the session began."""
        return time.monotonic() - self._began

    @property
    def answer_s(self) -> float:
        """Seconds that the slowest of the latest requests took: how busy target and machine are at present.

        Those count that are answered as soon as they can be, not those that wait for a run.
        """
        return min(max(self._latest_s), max(_SLOWEST_S, 2 * self.limits.answer_s))

    async def send(
        self,
        request: Request,
        keep: list[Exchange],
        opened: asyncio.Future[Exchange] | None = None,
        relay: Relay | None = None,
    ) -> Exchange:
        """Send the request and append the exchange to `keep`, even when this task is cancelled.

        `opened` is given what is known as soon as the headers have arrived (or never will), `relay` the
        answer itself, piece by piece. Raises AskedToWait when the target asks for too long a pause.
        """
        crowded = self._kept_bytes > self.limits.session_bytes
        cap = self.limits.crowded_bytes if crowded else self.limits.body_bytes
        answer = Answer(cap, self.limits.events, self.clock)
        try:
            await self.pace.clear()
            answer.held_s = self.clock - answer.sent_at
            answer.begin(self.clock)
            await self._hear_out(request, answer, opened, relay)
            reads = request.method in _READING or self._known.reads(request.method, request.path)
            if answer.cut and answer.may_be_asked_for_again(reads=reads, passed_on=relay is not None):
                answer.retried = True
                answer.begin(self.clock)
                await self._converse(request, answer, opened, relay)
            if answer.refusal is not None:
                await self._after_the_pause(request, answer, opened, relay)
        except asyncio.CancelledError:
            if relay is not None and relay.gone:
                answer.closed_by_client = True
            elif not answer.ended:
                answer.failure = "the scenario's deadline passed, or the session was ended"
            raise
        finally:
            exchange = self._exchange(request, answer)
            self._kept_bytes += len(answer.body)
            keep.append(exchange)
            if self.heard is not None:
                self.heard(request.identity, exchange)
            if opened is not None and not opened.done():
                opened.set_result(exchange)
        ordinary = request.deadline <= self.limits.request_s
        if ordinary and exchange.complete and not self._known.may_last(request.method, request.path):
            self._latest_s.append(exchange.finished_after)
        return exchange

    async def _after_the_pause(
        self,
        request: Request,
        answer: Answer,
        opened: asyncio.Future[Exchange] | None,
        relay: Relay | None,
    ) -> None:
        """Send what was refused again, after the pause that is asked for, while nobody else sends any."""
        alone = await self.pace.alone()
        try:
            while (refused := answer.refusal) is not None:
                answer.refusals.append(refused)
                if sum(each.pause_s for each in answer.refusals) > self.limits.pause_s:
                    raise AskedToWait.too_long(self._url, refused, self.limits.pause_s)
                alone.keep()
                if alone.given_back:
                    alone = await self.pace.alone()
                await self.pace.pause(refused.at + refused.pause_s - self.clock)
                answer.begin(self.clock)
                alone.send()
                await self._converse(request, answer, opened, relay)
        finally:
            alone.give_back()

    def _refusal(self, request: Request, answer: Answer, response: httpx.Response) -> Refusal | None:
        """What is refused for a while. Where the target never stops refusing, that is its answer: None."""
        operation = f"{request.method} {UUID.sub('*', request.path)}"
        refused = None if operation in self._putting_off else refusal(response, self.clock)
        if refused is not None and len(answer.refusals) == MOST_PAUSES:
            self._putting_off.add(operation)
            return None
        return refused

    async def _hear_out(
        self,
        request: Request,
        answer: Answer,
        opened: asyncio.Future[Exchange] | None,
        relay: Relay | None,
    ) -> None:
        """Converse; of what is being made when this task is cancelled, the answer is awaited for a moment.

        Nobody could delete it otherwise: its id is in the answer.
        """
        conversing = self._converse(request, answer, opened, relay)
        if relay is not None or not self._known.creates(request.method, request.path):
            return await conversing
        task = asyncio.create_task(conversing)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task}, timeout=_LAST_WORD_S)
            task.cancel()
            raise

    async def _converse(
        self,
        request: Request,
        answer: Answer,
        opened: asyncio.Future[Exchange] | None,
        relay: Relay | None,
    ) -> None:
        closing = request.close_after is not None and request.close_after < request.deadline
        seconds = min(request.deadline, request.close_after or request.deadline)
        grows = None if closing or request.canary else self.grows
        began = self.clock

        def own_time() -> float:
            listened_s = 0.0 if request.close_when is None else answer.listened_s(self.clock)
            return self.clock - began - answer.put_off_s - listened_s

        try:
            async with (
                patient(seconds, grows, own_time) as patience,
                hanging_up(request, answer, lambda: self.clock, grows),
                self._connections.responding(request, answer, self.limits) as response,
            ):
                answer.response = response
                answer.headers_after = self.clock - answer.sent_at
                answer.refusal = self._refusal(request, answer, response)
                if answer.refusal is not None:
                    return
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                answer.reader = EventReader() if kind == "text/event-stream" else None
                if opened is not None and not opened.done():
                    opened.set_result(self._exchange(request, answer))
                if relay is not None:
                    await relay.begin(response)
                await self._read_body(request, answer, response, relay)
                answer.ended = True
        except TimeoutError:
            if closing:
                answer.closed_by_client = True
            else:
                answer.busy = patience.grew > 0
                answer.failure = f"not finished within {request.deadline:.1f} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:  # the last: TLS that breaks off
            answer.failure = cause(error, self._connections.proxy)
            answer.cut = was_cut(error)

    async def _read_body(
        self,
        request: Request,
        answer: Answer,
        response: httpx.Response,
        relay: Relay | None,
    ) -> None:
        """Read to the end, or as far as is wanted; events and parts of a large body put off its deadline."""
        if request.unread_until is not None:
            await request.unread_until.wait()
        # Not by httpx's own way, which gives the connection back to its pool at the last byte.
        assert isinstance(response.stream, httpx.AsyncByteStream)
        async for arrived in response.stream:
            at, before = self.clock - answer.sent_at, answer.heard_after
            chunk = arrived if relay is None else await relay.pass_on(arrived)
            answer.take(chunk, at)
            if request.close_after is None:
                answer.put_off_s += len(chunk) / _SLOW_LINE
                if before is not None and answer.heard_after != before:
                    answer.goes_on(before, _TELLING * request.deadline)
            if relay is not None and relay.finished:
                answer.closed_by_client = True
                return
            if answer.truncated:
                return
            enough = request.close_after_events
            if enough is not None and answer.reader is not None and len(answer.reader.events) >= enough:
                answer.closed_by_client = True
                return

    def _url_of(self, request: Request) -> str:
        try:
            return str(self._connections.url_of(request))
        except httpx.InvalidURL:  # an id that a target made up holds what no URL can
            return self._url + request.path

    def _beginning(self, content: bytes) -> str:
        """A request's body without its secrets; of one that is very long at least more than is kept of it."""
        beginning = self._redactor.text(content[:_LOOKED_THROUGH].decode("utf-8", "replace"))
        # Secrets may be all that it holds; and of the one at its end, half may have been cut off.
        if len(content) > _LOOKED_THROUGH and len(beginning) < 2 * _KEPT_OF_A_REQUEST:
            return self._redactor.text(content.decode("utf-8", "replace"))
        return beginning

    def _exchange(self, request: Request, answer: Answer) -> Exchange:
        response, reader = answer.response, answer.reader
        disturbed = None if self._stopped_at_will else answer.disturbed
        body, utf8 = _text_of(answer.body)
        text = self._redactor.text
        sent = None if request.content is None else self._beginning(request.content)
        if reader is not None and not (answer.failure or answer.closed_by_client or answer.truncated):
            reader.close()
        return Exchange(
            scenario=request.scenario,
            part=request.part,
            number=request.number,
            label=request.label,
            method=request.method,
            url=text(answer.url or self._url_of(request)),
            sent_at=round(answer.sent_at, 4),
            request_headers=self._redactor.headers(
                (*request.headers, *self._identities[request.identity].items())
            ),
            request_body=sent if sent is None else sent[:_KEPT_OF_A_REQUEST],
            request_truncated=sent is not None and len(sent) > _KEPT_OF_A_REQUEST,
            code=None if response is None else response.status_code,
            response_headers=() if response is None else self._redactor.response_headers(response.headers),
            content=text(body),
            utf8=utf8,
            truncated=answer.truncated,
            sent_after=_rounded(answer.sent_after),
            headers_after=_rounded(answer.headers_after),
            first_byte_after=answer.chunks[0][0] if answer.chunks else None,
            finished_after=round(self.clock - answer.sent_at, 4),
            chunks=tuple(answer.chunks),
            events=() if reader is None else tuple(map(self._redactor.event, reader.events)),
            comments=() if reader is None else tuple(map(self._redactor.comment, reader.comments)),
            malformed_lines=() if reader is None else tuple(map(text, reader.malformed)),
            failure=None if answer.failure is None else text(answer.failure),
            closed_by_client=answer.closed_by_client,
            retried=answer.retried,
            refused=tuple(answer.refusals),
            disturbed=None if disturbed is None else text(disturbed),
        )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _text_of(body: bytearray) -> tuple[str, bool]:
    """The body as UTF-8, or as Latin-1 where it is none; whether it is UTF-8."""
    try:
        return body.decode("utf-8"), True
    except UnicodeDecodeError:
        return body.decode("latin-1"), False
