"""What happened on the wire: immutable exchanges, and the events of their streams.

Reading what is not there raises `Missing`, which a verdict shows as *not-testable*; so a server that says
nothing keeps no promise about what it said. Each read is noted in the current `reading()` journal: a verdict
lists the exchanges it was judged on without its author naming them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NoReturn

import msgspec

from runstone.wire import curl
from runstone.wire.documents import Array, Headers, Missing, Object, Several, told

UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_RUN_PATH = re.compile(rf"(?:/threads/(?P<thread>{UUID.pattern}))?/runs/(?P<run>{UUID.pattern})")
CUT = "the network cut it off"  # how `disturbed` begins of an exchange without an answer, or with half of one
_EXCERPT = 160  # characters of a body that a reason quotes; a report shows the whole exchange
_LONGEST_IN_A_LINE = 8_192  # characters of a body in a shell line
# Characters of a document that is kept decoded for good. The one in a hundred that is longer is decoded again
# and again: those took half of the memory. As many of them are kept as judges of one trace read in turns.
_SHORT = 16_384
_LONG_ONES_KEPT = 32
# Levels of a document. Before 3.14 Python itself goes no deeper; who walks down in C or Rust ends where the
# stack does, at three times as many, and the process with it.
_DEEPEST = 5_000
_TEXT_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]')


class _Journal(dict[tuple[str, int], "Exchange"]):
    """The exchanges that were read, each once, in the order in which they were read last."""

    last: Exchange | None = None

    def note(self, exchange: Exchange) -> None:
        place = exchange.scenario, exchange.number
        self.pop(place, None)
        self[place] = self.last = exchange


_journal: ContextVar[_Journal | None] = ContextVar("journal", default=None)


@contextmanager
def reading() -> Iterator[dict[tuple[str, int], Exchange]]:
    """Collect the exchanges read inside the block; the one that was read last comes last."""
    journal = _Journal()
    token = _journal.set(journal)
    try:
        yield journal
    finally:
        _journal.reset(token)


def note(exchanges: Iterable[Exchange]) -> None:
    """Note that these were read, in this order."""
    for each in exchanges:
        each._read()


def strict_json(text: str) -> Any:
    """Decode RFC 8259 JSON; ValueError for anything else, `NaN` and nesting past the stack included."""
    try:
        if _depth(text) <= _DEEPEST:
            return _STRICT.decode(text)
    except RecursionError:
        pass
    raise ValueError("nested deeper than can be decoded")


def _depth(text: str) -> int:
    """How many levels it has; 0 where they cannot be too many."""
    if text.count("[") + text.count("{") <= _DEEPEST:
        return 0
    depth = deepest = 0
    for each in _TEXT_OR_BRACKET.findall(text):
        depth += 1 if each in "[{" else -1 if each in "]}" else 0
        deepest = max(deepest, depth)
    return deepest


@lru_cache(_LONG_ONES_KEPT)
def _long_json(text: str) -> Any:
    return strict_json(text)


def let_go_of_long_ones() -> None:
    """Keep no long document decoded any longer, when all is judged."""
    _long_json.cache_clear()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(parse_constant=_refuse_constant)


class Event(msgspec.Struct, frozen=True, dict=True, kw_only=True, omit_defaults=True):
    """One server-sent event: name, raw data, and its own `id:` field (None if it carried none)."""

    event: str
    data: str
    at: float  # seconds after the request was sent
    id: str | None = None
    data_lines: int = 1

    @property
    def json(self) -> Any:
        """The data, decoded, as judges read it. Raises Missing when it is not JSON."""
        return self._short_json if len(self.data) <= _SHORT else self._told(_long_json)

    @cached_property
    def _short_json(self) -> Any:
        return self._told(strict_json)

    def _told(self, decode: Callable[[str], Any]) -> Any:
        try:
            return told(decode(self.data), f"the data of event {self.event!r}")
        except ValueError as error:
            reason = f"the data of event {self.event!r} is not JSON ({error}): {excerpt(self.data)}"
            raise Missing(reason) from None

    @property
    def mode(self) -> str:
        """The name up to the first `|`: the stream mode, without the namespace of a subgraph."""
        return self.event.partition("|")[0]


class Comment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One comment line of an event stream; `inside` when it stood between the lines of an event."""

    text: str
    at: float
    inside: bool = False


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request that was refused for a while, and sent again after the pause that the target asked for."""

    at: float  # seconds after the session began
    code: int
    retry_after: str  # as the target said it
    pause_s: float
    unreadable: bool = False  # it is neither seconds nor a date, so that the pause is of our choice


class Exchange(msgspec.Struct, frozen=True, dict=True, kw_only=True, omit_defaults=True):
    """One request and what came back. Times are seconds after `sent_at`; secrets are redacted."""

    scenario: str
    number: int  # 1 for the scenario's first request
    label: str  # the operation, or the name the scenario gave it
    method: str
    url: str
    sent_at: float  # seconds after the session began
    part: str = ""
    request_headers: tuple[tuple[str, str], ...] = ()
    request_body: str | None = None
    request_truncated: bool = False  # the request's body was longer; only its beginning is kept
    code: int | None = None  # None: no response arrived
    response_headers: tuple[tuple[str, str], ...] = ()
    content: str = ""  # the body as UTF-8, or as Latin-1 where it is none (see `utf8`)
    utf8: bool = True
    truncated: bool = False  # the body went past a cap (bytes, events) and was cut there
    sent_after: float | None = (
        None  # when a large request had been handed over; the time before is the line's
    )
    headers_after: float | None = None
    first_byte_after: float | None = None
    finished_after: float = 0.0
    chunks: tuple[tuple[float, int], ...] = ()  # arrival and size of every chunk of the body
    events: tuple[Event, ...] = ()
    comments: tuple[Comment, ...] = ()
    malformed_lines: tuple[str, ...] = ()  # lines of an event stream that are neither field nor comment
    failure: str | None = None  # why the response is missing or unfinished
    closed_by_client: bool = False  # the scenario hung up on purpose
    retried: bool = False  # the connection was cut before the response; sent again on a fresh one
    refused: tuple[Refusal, ...] = ()  # the earlier attempts, which the target put off
    disturbed: str | None = None  # what of it may be the doing of the network rather than of the target

    def _read(self) -> Exchange:
        journal = _journal.get()
        if journal is not None and journal.last is not self:  # what is read of one is mostly read in a row
            journal.note(self)
        return self

    @property
    def key(self) -> str:
        """How reports and evidence name this exchange: `scenario#4`."""
        return f"{self.scenario}#{self.number}"

    @cached_property
    def path(self) -> str:
        """The URL's path and query, as a reader wants to see it."""
        return "/" + self.url.split("://", 1)[-1].partition("/")[2]

    @property
    def where(self) -> str:
        """`exchange 4 GET /threads/…/state`, ids shortened."""
        return f"exchange {self.number} {self.method} {UUID.sub('…', self.path)}"

    @property
    def answered(self) -> bool:
        """Whether a status line arrived at all."""
        self._read()
        return self.code is not None

    @property
    def complete(self) -> bool:
        """Whether the response arrived to its end."""
        self._read()
        unfinished = self.failure is not None or self.closed_by_client or self.truncated
        return self.code is not None and not unfinished

    @property
    def lost(self) -> bool:
        """Whether the network cut it off, so that there is no answer or only its beginning."""
        return self.disturbed is not None and self.disturbed.startswith(CUT)

    @property
    def status(self) -> int:
        """The HTTP status. Raises Missing when no response arrived."""
        self._read()
        if self.code is None:
            raise Missing(f"{self.where} got no response: {self.failure}")
        return self.code

    @property
    def ok(self) -> Exchange:
        """This exchange, if it was answered with a 2xx to its end. Raises Missing otherwise."""
        if not 200 <= self.status < 300:
            raise Missing(f"{self.where} answered {self.status}: {excerpt(self.content)}")
        return self.whole

    @property
    def whole(self) -> Exchange:
        """This exchange, if the body arrived to its end or the scenario hung up. Raises Missing otherwise."""
        if self.status and self.failure is not None:
            raise Missing(f"{self.where} answered {self.status} but did not end: {self.failure}")
        if self.truncated:
            raise Missing(f"{self.where} sent a body past the caps; {len(self.content)} bytes are kept")
        return self

    @property
    def headers(self) -> Headers:
        """Response headers by lower-case name; repeated ones joined by a comma."""
        return self._read()._merged_headers

    @cached_property
    def _merged_headers(self) -> Headers:
        merged: dict[str, str] = {}
        for name, value in self.response_headers:
            merged[name] = f"{merged[name]}, {value}" if name in merged else value
        return Headers(merged, self.where)

    @property
    def text(self) -> str:
        """The whole body as text. Raises Missing when it did not arrive to its end."""
        return self.whole.content

    @cached_property
    def _short_json(self) -> Any:
        return self._told(strict_json)

    def _told(self, decode: Callable[[str], Any]) -> Any:
        if not self.utf8:
            raise ValueError("it is not UTF-8")
        return told(decode(self.content), self.where)

    @property
    def json(self) -> Any:
        """The whole body, decoded, as judges read it. Raises Missing when it is unfinished or no JSON."""
        whole = self.whole
        try:
            return whole._short_json if len(self.content) <= _SHORT else whole._told(_long_json)
        except ValueError as error:
            raise Missing(
                f"{self.where} answered {self.status} with no JSON ({error}): {excerpt(self.content)}"
            ) from None

    @property
    def object(self) -> Object:
        """The JSON body of a 2xx answer that is an object. Raises Missing when it is anything else."""
        body = self.ok.json
        if not isinstance(body, Object):
            raise Missing(f"{self.where} answered no JSON object: {excerpt(self.content)}")
        return body

    @property
    def array(self) -> Array:
        """The JSON body of a 2xx answer that is an array. Raises Missing when it is anything else."""
        body = self.ok.json
        if not isinstance(body, Array):
            raise Missing(f"{self.where} answered no JSON array: {excerpt(self.content)}")
        return body

    @property
    def is_stream(self) -> bool:
        """Whether the response calls itself an event stream."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"

    @property
    def stream(self) -> Several[Event]:
        """The events of a 2xx event stream, at least one. Raises Missing when there is none."""
        if not self.ok.is_stream:
            kind = self.headers.get("content-type", "no content type")
            raise Missing(f"{self.where} answered no event stream, but {kind}")
        if not self.events:
            raise Missing(f"{self.where} streamed no event")
        return Several(self.events, f"events of {self.where}")

    def named(self, name: str) -> Several[Event]:
        """The events of the stream with this name, at least one. Raises Missing when there is none."""
        found = [event for event in self.stream if event.event == name]
        if not found:
            names = ", ".join(dict.fromkeys(event.event for event in self.stream))
            raise Missing(f"{self.where} streamed no event {name!r}, only: {names}")
        return Several(found, f"events {name!r} of {self.where}")

    @property
    def names(self) -> Several[str]:
        """The names of the stream's events, in order."""
        return Several((event.event for event in self.stream), f"events of {self.where}")

    @property
    def longest_silence(self) -> float:
        """The longest time without a byte of the body, from the request to the end, in seconds."""
        self._read()
        arrivals = [self.sent_after or 0.0, *(at for at, _ in self.chunks), self.finished_after]
        return max(later - earlier for earlier, later in pairwise(arrivals))

    @property
    def ended_at(self) -> float:
        """When the response ended, in seconds after the session began."""
        return self.sent_at + self.finished_after

    @cached_property
    def request_json(self) -> Any:
        """The request's body, decoded, as judges read it; null where there was none or it was no JSON."""
        return told(_lenient(self.request_body or ""), f"the request of {self.where}")

    @cached_property
    def _named_run(self) -> tuple[str | None, str | None]:
        """Thread and run id from Content-Location, the body or the metadata event, else from the request."""
        located = _RUN_PATH.search(self.headers.get("content-location", ""))
        if located and located["thread"]:
            return located["thread"], located["run"]
        for event in self.events:
            if event.event == "metadata":
                return None, located["run"] if located else _text_member(_lenient(event.data), "run_id")
        body = None if self.is_stream else _lenient(self.content)
        # Of a stateless run the header may name the run alone and the body, a Run, its thread.
        thread = _text_member(body, "thread_id")
        run = located["run"] if located else _text_member(body, "run_id")
        # The answer to a question about one run, such as a join, need not say again which.
        asked = _RUN_PATH.search(self.path)
        if run is None and asked:
            return asked["thread"] or thread, asked["run"]
        return thread, run

    @property
    def found_run_id(self) -> str | None:
        """The run this exchange created or concerned, where the response or the request's path names it."""
        self._read()
        return self._named_run[1]

    @property
    def run_id(self) -> str:
        """As `found_run_id`. Raises Missing when the response names none."""
        found = self.found_run_id
        if found is None:
            raise Missing(f"{self.where} names no run: neither Content-Location nor body holds a run id")
        return found

    @property
    def found_thread_id(self) -> str | None:
        """The thread of the run, where the response names it."""
        self._read()
        return self._named_run[0]

    @property
    def thread_id(self) -> str:
        """As `found_thread_id`. Raises Missing when the response names none."""
        thread = self.found_thread_id
        if thread is None:
            raise Missing(f"{self.where} names no thread")
        return thread

    def curl(self) -> str:
        """The line that repeats this request in a shell; a redacted secret stays a placeholder.

        A body that nobody would paste, and every report would repeat, stays in the evidence.
        """
        long = len(self.request_body or "") > _LONGEST_IN_A_LINE
        line = curl.line(self, with_body=not long)
        if self.request_truncated:
            return f"{line}  # only the body's beginning is kept"
        return f"{line}  # body: request_body of {self.key} in the evidence" if long else line


def excerpt(text: str, limit: int = _EXCERPT) -> str:
    """The text on one line, cut to `limit` characters; `an empty body` for none."""
    line = " ".join(text.split())
    if not line:
        return "an empty body"
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _lenient(text: str) -> Any:
    try:
        return strict_json(text)
    except ValueError:
        return None


def _text_member(body: Any, key: str) -> str | None:
    value = body.get(key) if isinstance(body, dict) else None
    return value if isinstance(value, str) else None
