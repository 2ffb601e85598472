"""Changes of a whole message: its status, its headers, its body, when it came, and whose it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from runstone.proof.mutate.change import Change, delivered, said, saying
from runstone.wire.exchange import UUID, Exchange
from runstone.wire.trace import Trace

LATE_S: Final = 120.0  # past every deadline that a client sets by default
OTHER_ID: Final = "0f0f0f0f-1a1a-4b2b-8c3c-5d5d5d5d5d5d"  # an id that nothing has
_CUT: Final = "the connection was closed before the body's end"
# What another status of each class would be. A success that fails, a failure that succeeds, and one class of
# failure for another.
_OTHER_CODES: Final = {2: (500, 404), 3: (500,), 4: (200, 500), 5: (200, 404)}


def change_code(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """Another status code of another class."""
    if exchange.code is None or delivered(exchange):
        return
    for code in _OTHER_CODES.get(exchange.code // 100, ()):
        yield Change("code", exchange.code, code, _replacing(exchange, code=code))


def drop_header(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A response without one of its headers."""
    for name, value in () if delivered(exchange) else exchange.response_headers:
        kept = tuple(each for each in exchange.response_headers if each[0] != name)
        yield Change(f"header {name}", value, None, _replacing(exchange, response_headers=kept))


def change_header(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A response of which one header has another value."""
    for name, value in () if delivered(exchange) else exchange.response_headers:
        other = _other_value(name, value)
        changed = tuple((each, other if each == name else value) for each, value in exchange.response_headers)
        yield Change(f"header {name}", value, other, _replacing(exchange, response_headers=changed))


def _other_value(name: str, value: str) -> str:
    if name == "content-type":
        return "text/html" if "html" not in value else "application/json"
    found = UUID.findall(value)
    if found:
        return value.replace(found[-1], OTHER_ID)
    return str(int(value) + 7) if value.isdecimal() else f"{value}x"


def truncate_body(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A body that ends in its middle, as if that were its end."""
    body = said(exchange)
    if len(body) > 1 and not exchange.events:
        half = body[: len(body) // 2]
        yield Change(
            "body", f"{len(body)} characters", f"{len(half)} characters", lambda: (saying(exchange, half),)
        )


def empty_body(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A message without its body."""
    body = said(exchange)
    if body:
        yield Change(
            "body", f"{len(body)} characters", "", lambda: (saying(exchange, "", events=(), chunks=()),)
        )


def cut_body(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A body that breaks off in its middle, with the connection."""
    body = said(exchange)
    if len(body) > 1 and not exchange.events and not delivered(exchange) and exchange.failure is None:
        half = body[: len(body) // 2]
        yield Change("body", "whole", "cut off", lambda: (saying(exchange, half, failure=_CUT),))


def lose_response(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """No response at all."""
    if exchange.code is not None and not delivered(exchange):
        empty = dict.fromkeys(("response_headers", "events", "comments", "chunks"), ())
        none = dict.fromkeys(("code", "headers_after", "first_byte_after"))
        lost = {**empty, **none, "content": "", "failure": "the connection was closed before a response"}
        yield Change("response", exchange.code, None, _replacing(exchange, **lost))


def delay_response(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A response that comes two minutes later."""
    if exchange.headers_after is None or delivered(exchange):
        return
    later = {name: getattr(exchange, name) + LATE_S for name in ("headers_after", "finished_after")}
    if exchange.first_byte_after is not None:
        later["first_byte_after"] = exchange.first_byte_after + LATE_S
    chunks = tuple((at + LATE_S, size) for at, size in exchange.chunks)
    events = tuple(msgspec.structs.replace(event, at=event.at + LATE_S) for event in exchange.events)
    yield Change(
        "response",
        f"after {exchange.headers_after:.2f} s",
        f"after {later['headers_after']:.2f} s",
        _replacing(exchange, chunks=chunks, events=events, **later),
    )


def swap_responses(exchange: Exchange, trace: Trace) -> Iterator[Change]:
    """The answers of this request and of a later one, each given to the other."""
    if exchange.code is None or delivered(exchange):
        return
    answer = _dateless(_answer(exchange))
    for other in trace.exchanges:
        if (
            other.number > exchange.number
            and other.code is not None
            and not delivered(other)
            and _dateless(_answer(other)) != answer
        ):
            yield Change(
                f"response with {other.key}",
                exchange.where,
                other.where,
                _swapping(exchange, other),
            )


def _answer(exchange: Exchange) -> dict[str, Any]:
    """What of the exchange is the response, but for its times."""
    names = ("code", "response_headers", "content", "utf8", "truncated", "events", "comments", "failure")
    return {name: getattr(exchange, name) for name in names}


def _dateless(answer: dict[str, Any]) -> dict[str, Any]:
    headers = [header for header in answer["response_headers"] if header[0] != "date"]
    return {**answer, "response_headers": headers}


def _replacing(exchange: Exchange, **changes: Any) -> Callable[[], tuple[Exchange, ...]]:
    return lambda: (msgspec.structs.replace(exchange, **changes),)


def _swapping(one: Exchange, other: Exchange) -> Callable[[], tuple[Exchange, ...]]:
    return lambda: (
        msgspec.structs.replace(one, **_answer(other)),
        msgspec.structs.replace(other, **_answer(one)),
    )
