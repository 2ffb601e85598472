"""Exchanges as they are recorded, to read something of: answers, streams and their events."""

from __future__ import annotations

from typing import Any

from runstone.wire.exchange import Event, Exchange

THREAD = "018f0000-0000-7000-8000-000000000001"
RUN = "018f0000-0000-7000-8000-0000000000AA"
STREAM = (("content-type", "text/event-stream; charset=utf-8"),)


def exchange(**changes: Any) -> Exchange:
    """A finished exchange that answered 200 with `{}`."""
    fields: dict[str, Any] = {
        "scenario": "talk",
        "number": 1,
        "label": "state",
        "method": "GET",
        "url": f"http://127.0.0.1:2024/threads/{THREAD}/state?subgraphs=true",
        "sent_at": 1.5,
        "code": 200,
        "content": "{}",
        "finished_after": 0.25,
    }
    return Exchange(**{**fields, **changes})


def streamed(*events: Event, **changes: Any) -> Exchange:
    return exchange(response_headers=STREAM, events=events, content="", **changes)


def event(name: str, data: str = "{}") -> Event:
    return Event(event=name, data=data, at=0.1)
