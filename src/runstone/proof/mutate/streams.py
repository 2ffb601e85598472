"""Changes of an event stream: of its events, of their order and times, and of where it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import msgspec

from runstone.proof.mutate.change import Change, streaming
from runstone.proof.mutate.messages import LATE_S
from runstone.wire.exchange import Event, Exchange
from runstone.wire.trace import Trace


def drop_event(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A stream without one of its events."""
    for number, event in enumerate(exchange.events):
        kept = exchange.events[:number] + exchange.events[number + 1 :]
        yield _change(exchange, number, event.event, None, kept)


def repeat_event(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A stream in which an event comes twice in a row."""
    for number, event in enumerate(exchange.events):
        twice = exchange.events[: number + 1] + exchange.events[number:]
        yield _change(exchange, number, event.event, f"{event.event} twice", twice)


def swap_events(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A stream in which two neighbours come in the other order."""
    for number, (first, second) in enumerate(pairwise(exchange.events)):
        if (first.event, first.data) != (second.event, second.data):
            swapped = (
                [second, first] if first.id is None else [_numbered(second, first), _numbered(first, second)]
            )
            order = (*exchange.events[:number], *swapped, *exchange.events[number + 2 :])
            yield _change(
                exchange, number, f"{first.event}, {second.event}", f"{second.event}, {first.event}", order
            )


def _numbered(event: Event, by: Event) -> Event:
    return msgspec.structs.replace(event, id=by.id, at=by.at)


def rename_event(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A stream of which one event has another name."""
    names = list(dict.fromkeys(event.event for event in exchange.events))
    for number, event in enumerate(exchange.events):
        other = next((name for name in names if name != event.event), f"{event.event}s")
        yield _change(exchange, number, event.event, other, _replaced(exchange, number, event=other))


def change_event_id(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A stream of which one event has the id of its neighbour, or none."""
    for number, event in enumerate(exchange.events):
        if event.id is not None:
            yield _change(exchange, number, event.id, None, _replaced(exchange, number, id=None), part="/id")
            neighbour = exchange.events[number - 1].id
            if neighbour != event.id:
                changed = _replaced(exchange, number, id=neighbour)
                yield _change(exchange, number, event.id, neighbour, changed, part="/id")


def spoil_event(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A stream of which the data of one event breaks off."""
    for number, event in enumerate(exchange.events):
        if len(event.data) > 1:
            half = event.data[: len(event.data) // 2]
            yield _change(
                exchange, number, event.data, half, _replaced(exchange, number, data=half), part="/data"
            )


def delay_event(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A stream that falls silent for two minutes before one of its events."""
    for number, event in enumerate(exchange.events):
        since = event.at
        late = [msgspec.structs.replace(each, at=each.at + LATE_S) for each in exchange.events[number:]]
        chunks = tuple((at + LATE_S if at >= since else at, size) for at, size in exchange.chunks)
        yield Change(
            f"event {number + 1}",
            f"after {since:.2f} s",
            f"after {since + LATE_S:.2f} s",
            _streaming(
                exchange,
                (*exchange.events[:number], *late),
                chunks=chunks,
                finished_after=exchange.finished_after + LATE_S,
            ),
            event=number,
        )


def end_stream(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A stream that ends early, as if that were its end."""
    for number, event in enumerate(exchange.events):
        if not exchange.closed_by_client:
            yield _change(exchange, number, event.event, "the end", exchange.events[:number])


def cut_stream(exchange: Exchange, _trace: Trace) -> Iterator[Change]:
    """A stream that breaks off, with the connection."""
    if exchange.closed_by_client or exchange.failure is not None:
        return
    for number, event in enumerate(exchange.events):
        cut = _streaming(exchange, exchange.events[:number], failure="the stream was cut")
        yield Change(f"event {number + 1}", event.event, "cut off", cut, event=number)


def _streaming(
    exchange: Exchange, events: tuple[Event, ...], **changes: Any
) -> Callable[[], tuple[Exchange, ...]]:
    return lambda: (streaming(exchange, events, **changes),)


def _replaced(exchange: Exchange, number: int, **changes: Any) -> tuple[Event, ...]:
    events = list(exchange.events)
    events[number] = msgspec.structs.replace(events[number], **changes)
    return tuple(events)


def _change(
    exchange: Exchange, number: int, before: Any, after: Any, events: tuple[Event, ...], part: str = ""
) -> Change:
    where = f"event {number + 1}{part}"
    return Change(where, before, after, _streaming(exchange, events), event=number)
