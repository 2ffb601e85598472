"""What an exchange says, once everything is set aside that never counts when two servers are compared.

These never count:

- ids (UUIDs, 32 hexadecimal digits, ids of messages and of cursors), dates, epoch times, durations and
  latencies, process ids and memory addresses, hosts and ports, version numbers, and the letters in which any
  of them is written;
- the order of keys, line ends, white space around JSON, `1` against `1.0`, and a null member against none at
  all;
- `kwargs` of a run, which is the request in the server's own words;
- keep-alives: comments of a stream, events that are called so, blank lines before a body, the chunks in which
  a body arrives, and whether an event carries an id (which a requirement judges);
- every header but `content-type` (without its parameters), `location` and `content-location`;
- what a search finds beyond how many: other ids and clocks lead to another order, and other scenarios add to
  it;
- what a server says of itself: the bodies of /info, /metrics, /openapi.json and /docs;
- how long the input of a graph lets it sleep, which is measured out to the target's speed;
- the wording of an error: of a 4xx or 5xx, an `__error__` or an `error` event only its shape counts, and its
  class;
- whether a run that has not ended is still `pending` or already `running`.

An answer of an agent of the user's own is compared by its shape alone: its words are its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

import msgspec

from runstone.report.text import well_formed
from runstone.wire.canonical import anonymous, kind
from runstone.wire.documents import raw
from runstone.wire.exchange import Event, Exchange, strict_json

_TEXTS: Final = (
    (re.compile(r"\r\n?"), "\n"),
    (re.compile(r"<id>-\d+"), "<id>"),
    (re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?"), "<host>"),
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "<address>"),
    (re.compile(r"^v?\d+(?:\.\d+){2,}\S*$"), "<version>"),
)
_WHEN = re.compile(r"(.*_at|ts|time|timestamp|date)$")
_HOW_LONG = re.compile(r"(.*_(ms|s|seconds|secs)_*|.*(duration|latency|elapsed|uptime).*|pid|sleep)$")
_HEADERS: Final = ("content-type", "content-location", "location")
_UNENDED: Final = frozenset({"pending", "running"})
_ABOUT_ITSELF: Final = frozenset({"/info", "/metrics", "/openapi.json", "/docs"})
_KEEP_ALIVES: Final = frozenset({"ping", "heartbeat", "keepalive", "keep-alive"})

Document = Any  # JSON


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange in canonical form.

    `place`: what it is in its scenario, ids set aside; `request`: its body as text. `document`: status,
    headers, and the body or the events by their names; `text`: the same as text. `polled`: it is the last of
    several reads that waited for a change.
    """

    exchange: Exchange
    place: tuple[str, ...]
    request: str
    document: dict[str, Document]
    text: str
    polled: bool = False

    @property
    def code(self) -> int:
        """The status, 0 for no response."""
        return self.exchange.code or 0

    @property
    def under_way(self) -> bool:
        """Whether it reads a run that has not ended, or a thread that is busy."""
        reads = self.exchange.method == "GET" or self.exchange.path.partition("?")[0].endswith("/search")
        return reads and _under_way(self.document.get("body"))


def answer(exchange: Exchange, *, by_shape: bool, polled: bool = False) -> Answer:
    """The exchange in canonical form; `by_shape`: an agent of the user's own answered."""
    document: dict[str, Document] = {"status": exchange.code or "no response"}
    if exchange.code is not None and exchange.failure is not None:
        document["failure"] = "the response did not end"
    document["headers"] = {
        name: _header(name, exchange.headers[name]) for name in _HEADERS if name in exchange.headers
    }
    if exchange.is_stream:
        document["events"] = _events(exchange.events, by_shape)
    else:
        document["body"] = _body(exchange, by_shape)
    return Answer(
        exchange=exchange,
        place=_place(exchange),
        request=outline(canonical(raw(exchange.request_json))) if exchange.request_body else "",
        document=document,
        text=outline(document),
        polled=polled,
    )


def outline(document: Document) -> str:
    """The document as text: two of them are equal when the documents are."""
    return msgspec.json.encode(document, order="deterministic").decode()


def canonical(document: Document, key: str = "") -> Document:
    """The JSON document without what never counts."""
    if isinstance(document, dict):
        return dict(_members(document))
    if isinstance(document, list):
        return [canonical(each) for each in document]
    if isinstance(document, str):
        return "<not ended>" if key == "status" and document in _UNENDED else canonical_text(document)
    if isinstance(document, (int, float)) and not isinstance(document, bool):
        if _WHEN.match(key):
            return "<time>"
        if _HOW_LONG.match(key):
            return "<duration>"
        whole = isinstance(document, float) and document.is_integer()
        return int(document) if whole else document if abs(document) < 2**63 else str(document)
    return document


def _members(document: dict[str, Document]) -> Iterator[tuple[str, Document]]:
    named: defaultdict[str, list[Document]] = defaultdict(list)
    for key, value in document.items():
        if value is not None and key != "kwargs":
            found = shape(value, words={"error"}) if key == "__error__" else canonical(value, key)
            named[canonical_text(key)].append(found)
    for name in sorted(named):
        # Where ids are keys, what belongs to them tells them apart.
        for number, value in enumerate(sorted(named[name], key=outline)):
            yield f"{name} {number + 1}" if number else name, value


@lru_cache(maxsize=65_536)
def canonical_text(text: str) -> str:
    """The text with ids, times, hosts and addresses replaced by what they are, well-formed as UTF-8."""
    text = anonymous(text)
    for pattern, name in _TEXTS:
        text = pattern.sub(name, text)
    return well_formed(text)


def shape(document: Document, *, words: Collection[str] = ()) -> Document:
    """The kind of a document and of each member, but for the members whose `words` count."""
    found = canonical(document)
    if not isinstance(found, dict):
        return _kind(found)
    return {key: value if key in words else _kind(value) for key, value in found.items()}


def _kind(document: Document) -> str:
    empty = isinstance(document, (dict, list, str)) and not document
    return f"<empty {kind(document)}>" if empty else f"<{kind(document)}>"


def _place(exchange: Exchange) -> tuple[str, ...]:
    path, _, query = exchange.path.partition("?")
    asked = "&".join(sorted(canonical_text(each) for each in query.split("&"))) if query else ""
    return exchange.part, exchange.label, exchange.method, canonical_text(path), asked


def _header(name: str, value: str) -> str:
    return value.partition(";")[0].strip().lower() if name == "content-type" else canonical_text(value)


def _body(exchange: Exchange, by_shape: bool) -> Document:
    path = exchange.path.partition("?")[0]
    refused = exchange.code is not None and exchange.code >= 400
    try:
        document = strict_json(exchange.content) if exchange.content.strip() else None
    except ValueError:
        return "<text>" if refused or path in _ABOUT_ITSELF else canonical_text(exchange.content.strip())
    if path in _ABOUT_ITSELF and not refused:
        return _kind(document)
    if path.endswith("/search") and not refused:
        return _found(canonical(document))
    return shape(document) if refused or by_shape else canonical(document)


def _found(document: Document) -> Document:
    """What a search found: how many, and of what kind."""
    if isinstance(document, dict):
        return {key: _found(value) for key, value in document.items()}
    return [_kind(each) for each in document] if isinstance(document, list) else document


def _under_way(body: Document) -> bool:
    if isinstance(body, list):
        return any(map(_under_way, body))
    return isinstance(body, dict) and body.get("status") in {"<not ended>", "busy"}


def _events(events: Collection[Event], by_shape: bool) -> dict[str, list[Document]]:
    """The data of events by mode and namespace; tasks of one superstep in the order of their names."""
    found: defaultdict[str, list[Document]] = defaultdict(list)
    for each in events:
        if each.event not in _KEEP_ALIVES:
            found[canonical_text(each.event)].append(_data(each, by_shape))
    for name, data in found.items():
        if name.partition("|")[0] in {"tasks", "debug"}:
            found[name] = [
                each for _, stretch in groupby(data, _superstep) for each in sorted(stretch, key=_task)
            ]
    return found


def _data(event: Event, by_shape: bool) -> Document:
    try:
        document = strict_json(event.data)
    except ValueError:
        return canonical_text(event.data)
    if event.mode == "error":
        return shape(document, words={"error"})
    return shape(document) if by_shape else canonical(document)


def _superstep(data: Document) -> object:
    """Equal for neighbours that tell of tasks which run at once."""
    return isinstance(data, dict) and (data.get("step"), data.get("type"), "input" in data)


def _task(data: Document) -> str:
    payload = data.get("payload", data) if isinstance(data, dict) else None
    return str(payload.get("name", "")) if isinstance(payload, dict) else ""
