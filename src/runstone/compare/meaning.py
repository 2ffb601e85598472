"""What an exchange says, once everything is set aside that never counts when two servers are compared.

These never count:

- ids (UUIDs, 32 hexadecimal digits, ids of messages and of cursors), dates, epoch times, durations and
  latencies, process ids and memory addresses, hosts and ports, version numbers, and the letters in which any
  of them is written;
- the order of keys, line ends, white space around JSON, `1` against `1.0`, and a null member against none at
  all;
- `kwargs` of a run, which is the request in the server's own words, and members of `metadata`, `config`,
  `configurable` and `flags` that only one side has, which servers add as they like;
- keep-alives: comments of a stream, events that are called so, blank lines before a body, the chunks in which
  a body arrives, and whether an event carries an id (which a requirement judges);
- every header but `content-type` (without its parameters), `location` and `content-location`;
- what a search finds beyond how many: other ids and clocks lead to another order, and other scenarios add to
  it;
- what a server says of itself: the bodies of /info, /metrics, /openapi.json and /docs;
- how long the input of a graph lets it sleep, which is measured out to the target's speed;
- the wording of an error: of a 4xx or 5xx, an `__error__` or an `error` event only its shape counts, and its
  class;
- whether a run that has not ended is still `pending` or already `running`, and whatever one read of a run or
  thread shows while it is under way: that is a matter of the moment. A status that was polled and never left
  is none.

An answer of an agent of the user's own is compared by its shape alone: its words are its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec

from runstone.wire.documents import raw
from runstone.wire.trace import UUID, Event, Exchange, strict_json

_UUID = rf"(?:{UUID.pattern})"
_TEXTS: Final = (
    (re.compile(r"\r\n?"), "\n"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(rf"(?:lc_run-+|run-+|lc_)?{_UUID}(?:-\d+)?"), "<id>"),
    (re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{32}(?![0-9a-fA-F])"), "<id>"),
    (re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?"), "<host>"),
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "<address>"),
)
_SHORTEST: Final = 8  # characters; anything that is replaced is longer
_VERSION = re.compile(r"v?\d+(\.\d+)+\S*")
_WHEN = re.compile(r"(.*_at|ts|time|timestamp|date)$")
_HOW_LONG = re.compile(r"(.*_(ms|s|seconds|secs)_*|.*(duration|latency|elapsed|uptime).*|pid|sleep)$")
_HEADERS: Final = ("content-type", "content-location", "location")
_UNENDED: Final = frozenset({"pending", "running"})
_ABOUT_ITSELF: Final = frozenset({"/info", "/metrics", "/openapi.json", "/docs"})
_KEEP_ALIVES: Final = frozenset({"ping", "heartbeat", "keepalive", "keep-alive"})
_ERROR_TEXTS: Final = frozenset({"message", "detail", "msg", "stack", "traceback"})

Document = Any  # JSON


class Said(msgspec.Struct, frozen=True):
    """One event in canonical form: its number in the stream (from 1), its name and its data."""

    number: int
    name: str
    data: Document


class Meaning(msgspec.Struct, frozen=True):
    """One exchange in canonical form. `answer` has status, headers and body; a stream's body are its events.

    `hung_up`: the scenario closed the stream, so that where it ends says nothing; `joined`: it was joined,
    perhaps late, so that where it begins says nothing; `under_way`: it shows a run that has not ended, or a
    thread that is busy.
    """

    answer: dict[str, Document]
    events: tuple[Said, ...] = ()
    hung_up: bool = False
    joined: bool = False
    under_way: bool = False


def meaning(exchange: Exchange, *, by_shape: bool) -> Meaning:
    """The exchange in canonical form; `by_shape`: an agent of the user's own answered."""
    answer: dict[str, Document] = {"status": exchange.code}
    if exchange.code is None:
        answer["failure"] = "no response"
    elif exchange.failure is not None:
        answer["failure"] = "the response did not end"
    headers = exchange.headers
    answer["headers"] = {name: _header(name, headers[name]) for name in _HEADERS if name in headers}
    streamed = exchange.is_stream
    if not streamed:
        answer["body"] = _body(exchange, by_shape)
    return Meaning(
        answer=answer,
        events=tuple(
            _said(number, each, by_shape)
            for number, each in enumerate(exchange.events, 1)
            if each.event not in _KEEP_ALIVES
        ),
        hung_up=exchange.closed_by_client,
        joined=streamed and exchange.method == "GET",
        under_way=_reads(exchange) and _under_way(answer.get("body")),
    )


def _reads(exchange: Exchange) -> bool:
    return exchange.method == "GET" or exchange.path.partition("?")[0].endswith("/search")


def _under_way(body: Document) -> bool:
    if isinstance(body, list):
        return any(_under_way(each) for each in body)
    return isinstance(body, dict) and body.get("status") in {"<not ended>", "busy"}


def place(exchange: Exchange) -> tuple[str, ...]:
    """What the exchange is in its scenario: part, label, method and path, ids set aside."""
    path, _, query = exchange.path.partition("?")
    asked = "&".join(sorted(canonical_text(each) for each in query.split("&"))) if query else ""
    return exchange.part, exchange.label, exchange.method, canonical_text(path), asked


def request_text(exchange: Exchange) -> str:
    """The request's body in canonical form, as text."""
    return outline(canonical(raw(exchange.request_json))) if exchange.request_body else ""


def outline(document: Document) -> str:
    """The document as text: two of them are equal when the documents are."""
    return msgspec.json.encode(document, order="deterministic").decode("utf-8", "replace")


def canonical(document: Document, key: str = "") -> Document:
    """The JSON document without what never counts."""
    if isinstance(document, dict):
        return dict(_members(document))
    if isinstance(document, list):
        return [canonical(each) for each in document]
    if isinstance(document, str):
        return _text(document, key)
    if isinstance(document, (int, float)) and not isinstance(document, bool):
        if _WHEN.match(key):
            return "<time>"
        if _HOW_LONG.match(key):
            return "<duration>"
        whole = isinstance(document, float) and document.is_integer()
        return int(document) if whole else document if abs(document) < 2**63 else str(document)
    return document


def _members(document: dict[str, Document]) -> Iterator[tuple[str, Document]]:
    named: dict[str, list[Document]] = {}
    for key, value in document.items():
        if value is not None and key != "kwargs":
            found = wordless(value) if key == "__error__" else canonical(value, key)
            named.setdefault(canonical_text(key), []).append(found)
    for name in sorted(named):
        # Where ids are keys, what belongs to them tells them apart.
        for number, value in enumerate(
            sorted(named[name], key=outline) if len(named[name]) > 1 else named[name]
        ):
            yield f"{name} {number + 1}" if number else name, value


@lru_cache(maxsize=65_536)
def canonical_text(text: str) -> str:
    """The text with ids, times, hosts and addresses replaced by what they are, well-formed as UTF-8."""
    if len(text) >= _SHORTEST:
        for pattern, name in _TEXTS:
            text = pattern.sub(name, text)
    return text.encode("utf-8", "backslashreplace").decode()


def _text(text: str, key: str) -> str:
    if key == "status" and text in _UNENDED:
        return "<not ended>"
    if "version" in key and _VERSION.fullmatch(text):
        return "<version>"
    return canonical_text(text)


def wordless(document: Document) -> Document:
    """An error without its wording: the texts that describe it become `<text>`, its class stays."""
    if isinstance(document, dict):
        return {
            canonical_text(key): "<text>"
            if key in _ERROR_TEXTS and isinstance(value, str)
            else wordless(value)
            for key, value in sorted(document.items())
            if value is not None
        }
    return canonical(document)


def shape(document: Document) -> Document:
    """The kind of a document and of each member: how results of an agent of the user's own compare."""
    if isinstance(document, dict):
        return {key: _kind(value) for key, value in document.items()}
    return _kind(document)


def _kind(document: Document) -> str:
    if isinstance(document, (dict, list, str)) and not document:
        return f"<empty {_KINDS[type(document)]}>"
    return f"<{_KINDS.get(type(document), 'number')}>"


_KINDS: Final = {dict: "object", list: "array", str: "text", bool: "boolean", type(None): "null"}


def _header(name: str, value: str) -> str:
    return value.partition(";")[0].strip().lower() if name == "content-type" else canonical_text(value)


def _body(exchange: Exchange, by_shape: bool) -> Document:
    try:
        document = strict_json(exchange.content) if exchange.content.strip() else None
    except ValueError:
        if exchange.path.partition("?")[0] in _ABOUT_ITSELF:
            return "<text>"
        return "<text>" if _refused(exchange) else canonical_text(exchange.content.strip())
    if _refused(exchange):
        return shape(canonical(document))
    path = exchange.path.partition("?")[0]
    if path in _ABOUT_ITSELF:
        return _kind(document)
    found = canonical(document)
    if path.endswith("/search"):
        return _found(found)
    return shape(found) if by_shape else found


def _found(document: Document) -> Document:
    """What a search found: how many, and of what kind."""
    if isinstance(document, dict):
        return {key: _found(value) for key, value in document.items()}
    return [_kind(each) for each in document] if isinstance(document, list) else document


def _refused(exchange: Exchange) -> bool:
    return exchange.code is not None and exchange.code >= 400


def _said(number: int, event: Event, by_shape: bool) -> Said:
    name = canonical_text(event.event)
    try:
        document = strict_json(event.data)
    except ValueError:
        return Said(number, name, canonical_text(event.data))
    data = wordless(document) if event.mode == "error" else canonical(document)
    return Said(number, name, shape(data) if by_shape else data)
