"""One exchange as plain text: the curl line that repeats it, then what came back."""

from __future__ import annotations

from collections.abc import Iterator

from runstone.report.text import for_terminal
from runstone.wire.exchange import Event, Exchange

_BODY = 20_000  # characters of a body, and of one event's data
_EVENTS = 200


def to_text(exchange: Exchange) -> str:
    """The exchange for a reader without the evidence at hand; long bodies and streams are cut, and say so."""
    return for_terminal("\n".join(_lines(exchange))) + "\n"


def _lines(exchange: Exchange) -> Iterator[str]:
    yield exchange.curl()
    yield ""
    if exchange.code is None:
        yield f"no response: {exchange.failure or 'Runstone hung up first'}"
        return
    yield f"HTTP {exchange.code}, ended after {exchange.finished_after:.3f} s"
    yield from (f"{name}: {value}" for name, value in exchange.response_headers)
    yield ""
    if exchange.events:
        yield from (_event(event) for event in exchange.events[:_EVENTS])
        left = len(exchange.events) - _EVENTS
        if left > 0:
            yield f"({left} more events)"
    else:
        yield _cut(exchange.content)
    if exchange.failure is not None:
        yield f"\nnot ended: {exchange.failure}"


def _event(event: Event) -> str:
    own_id = "" if event.id is None else f" id={event.id}"
    return f"{event.at:.3f} s  {event.event or '(no name)'}{own_id}  {_cut(event.data)}"


def _cut(text: str) -> str:
    return text if len(text) <= _BODY else f"{text[:_BODY]} ({len(text) - _BODY} more characters)"
