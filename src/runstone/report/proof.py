"""Which exchanges report.html embeds, and how much of each, so that one file stays small enough to send.

What needs explaining comes first: the exchanges of broken requirements, then those of requirements that rest
on few. An exchange is embedded once, however many cases rest on it. Past the budget only its first line is
kept, and past a second one nothing but a count; the evidence folder has everything.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from runstone.report.text import well_formed, well_formed_tree
from runstone.verdict.model import SEVERITY, Report, Verdict
from runstone.wire.exchange import Event, Exchange
from runstone.wire.trace import Trace

BODY = 4_096  # characters of a body
_EVENTS = 60  # a longer stream is shown by its first and last events
_LAST_EVENTS = 20
_EVENT_TEXT = 8_192  # characters for the data of all events of one exchange
_SHORTEST_DATA = 160  # characters of each event's data, however many there are
_HEADER = 400
_WHOLE_BUDGET = 1_600_000  # bytes of embedded JSON: with the page around them, the file stays below 3 MB
_BRIEF_BUDGET = 300_000


class Cut(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text and how long it was before it was cut (0: it is whole)."""

    text: str
    of: int = 0


class ShownEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event as the page lists it; `ms` after the request was sent."""

    ms: float
    name: str
    data: Cut
    id: str | None = None


class ShownExchange(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One exchange as the page shows it; `brief` when only its first line is kept."""

    key: str
    method: str
    path: str
    status: int | None = None
    ms: float = 0.0
    brief: bool = False
    label: str = ""
    sent_ms: float = 0.0
    headers_ms: float | None = None
    first_byte_ms: float | None = None
    request_headers: list[tuple[str, str]] = []
    request: Cut | None = None
    response_headers: list[tuple[str, str]] = []
    response: Cut | None = None
    events: list[ShownEvent] = []
    last_events: list[ShownEvent] = []
    events_left_out: int = 0
    comments: int = 0
    remarks: list[str] = []


class Proof(msgspec.Struct, frozen=True):
    """The embedded exchanges, and for each case of each requirement their places and how many are left."""

    exchanges: list[ShownExchange]
    cases: dict[str, list[tuple[list[int], int]]]


def gather(report: Report, traces: Iterable[Trace]) -> Proof:
    """The exchanges that the report's cases were judged on, within the budget."""
    known = {exchange.key: exchange for trace in traces for exchange in trace.exchanges}
    shown: list[ShownExchange] = []
    places: dict[str, int] = {}
    spent = 0
    for key in _keys_by_urgency(report):
        entry = shown_exchange(known, key) if spent < _WHOLE_BUDGET else brief_exchange(known, key)
        spent += len(inert_json(entry))
        if spent > _WHOLE_BUDGET + _BRIEF_BUDGET:
            break
        places[key] = len(shown)
        shown.append(entry)
    return Proof(shown, {verdict.id: _cases(verdict, places) for verdict in report.verdicts})


def inert_json(value: Any) -> bytes:
    """A value as JSON without `<`: it can neither end the script element around it nor open a comment."""
    return msgspec.json.encode(value).replace(b"<", b"\\u003c")


def packed_json(value: Any) -> str:
    """A value as JSON, gzipped and in Base64, as `packed` of page.js reads it; the same text each time."""
    plain = msgspec.json.encode(well_formed_tree(msgspec.to_builtins(value)))
    return base64.b64encode(gzip.compress(plain, mtime=0)).decode()


def _keys_by_urgency(report: Report) -> Iterator[str]:
    urgent = sorted(report.verdicts, key=lambda verdict: (_mildness(verdict), _weight(verdict)))
    keys = (key for verdict in urgent for case in verdict.cases for key in case.exchanges)
    yield from dict.fromkeys(keys)


def _mildness(verdict: Verdict) -> int:
    return -SEVERITY.index(verdict.verdict)


def _weight(verdict: Verdict) -> int:
    return sum(len(case.exchanges) for case in verdict.cases)


def _cases(verdict: Verdict, places: Mapping[str, int]) -> list[tuple[list[int], int]]:
    found = [[places[key] for key in case.exchanges if key in places] for case in verdict.cases]
    return [(kept, len(case.exchanges) - len(kept)) for kept, case in zip(found, verdict.cases, strict=True)]


def brief_exchange(known: Mapping[str, Exchange], key: str) -> ShownExchange:
    """An exchange by its key, as its first line; by its key alone where it is not among the known."""
    exchange = known.get(key)
    if exchange is None:
        return ShownExchange(key=well_formed(key), method="", path="", brief=True)
    return ShownExchange(
        key=well_formed(key),
        method=exchange.method,
        path=_cut(exchange.path, _HEADER).text,
        status=exchange.code,
        ms=_ms(exchange.finished_after),
        brief=True,
    )


def shown_exchange(known: Mapping[str, Exchange], key: str) -> ShownExchange:
    """An exchange by its key as the page shows it; long parts are cut."""
    exchange = known.get(key)
    if exchange is None:
        return brief_exchange(known, key)
    first, last = _ends(exchange.events)
    limit = max(_SHORTEST_DATA, _EVENT_TEXT // max(1, len(first) + len(last)))
    return ShownExchange(
        key=well_formed(key),
        method=exchange.method,
        path=_cut(exchange.path, BODY).text,
        status=exchange.code,
        ms=_ms(exchange.finished_after),
        label=well_formed(exchange.label),
        sent_ms=_ms(exchange.sent_at),
        headers_ms=_ms_or_none(exchange.headers_after),
        first_byte_ms=_ms_or_none(exchange.first_byte_after),
        request_headers=_headers(exchange.request_headers),
        request=None if exchange.request_body is None else _cut(exchange.request_body, BODY),
        response_headers=_headers(exchange.response_headers),
        # A stream's body is its events; shown raw only where it holds none.
        response=None if exchange.events or not exchange.content else _cut(exchange.content, BODY),
        events=[_event(event, limit) for event in first],
        last_events=[_event(event, limit) for event in last],
        events_left_out=len(exchange.events) - len(first) - len(last),
        comments=len(exchange.comments),
        remarks=list(_remarks(exchange)),
    )


def _ends(events: tuple[Event, ...]) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    if len(events) <= _EVENTS:
        return events, ()
    return events[: _EVENTS - _LAST_EVENTS], events[-_LAST_EVENTS:]


def _event(event: Event, limit: int) -> ShownEvent:
    identity = None if event.id is None else _cut(event.id, _HEADER).text
    return ShownEvent(_ms(event.at), _cut(event.event, _HEADER).text, _cut(event.data, limit), identity)


def _remarks(exchange: Exchange) -> Iterator[str]:
    if exchange.failure is not None:
        yield _cut(exchange.failure, _HEADER).text
    if exchange.truncated:
        yield "the body went past the byte cap and was cut there"
    if not exchange.utf8:
        yield "the body is not valid UTF-8; it is shown as Latin-1"
    if exchange.closed_by_client:
        yield "Runstone hung up on purpose"
    if exchange.retried:
        yield "sent again on a fresh connection, because the first was cut before any answer"
    for refusal in exchange.refused:
        yield _cut(f"put off ({refusal.code}, Retry-After: {refusal.retry_after}), sent again", _HEADER).text
    for line in exchange.malformed_lines[:5]:
        yield f"malformed line in the stream: {_cut(line, _HEADER).text}"


def _headers(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(_cut(name, _HEADER).text, _cut(value, _HEADER).text) for name, value in pairs]


def _cut(text: str, limit: int) -> Cut:
    if len(text) <= limit:
        return Cut(well_formed(text))
    return Cut(well_formed(text[:limit]), len(text))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _ms_or_none(seconds: float | None) -> float | None:
    return None if seconds is None else _ms(seconds)
