"""One change of one recorded trace: what an operator may do, and where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from runstone.wire.exchange import Event, Exchange, strict_json
from runstone.wire.trace import Trace
from runstone.wire.webhooks import DELIVERY

Step = str | int
_NUMBER: Final = re.compile(r"(?<=[/#])\d+(?=/|$)")


@dataclass(frozen=True, slots=True)
class Change:
    """A change that could be made: `where` it is in the exchange, what was there and what would be instead.

    `event`: the number of the event that it is in, None in a body; `steps`: the place in its JSON document.
    `make` answers the changed exchanges.
    """

    where: str
    before: Any
    after: Any
    make: Callable[[], tuple[Exchange, ...]]
    event: int | None = None
    steps: tuple[Step, ...] | None = None

    @property
    def kind(self) -> str:
        """`where` without numbers: of a hundred items or answers one is as good as another."""
        return _NUMBER.sub("*", self.where)


Operator = Callable[[Exchange, Trace], Iterator[Change]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A trace with one change. `number`: of the exchange that was changed."""

    operator: str
    scenario: str
    number: int
    change: Change

    @property
    def key(self) -> tuple[str, str, int, str, str]:
        """Tells it from all others."""
        return (self.scenario, self.operator, self.number, self.change.where, repr(self.change.after))

    def applied(self, trace: Trace) -> Trace:
        """The trace with the change made."""
        changed = {exchange.number: exchange for exchange in self.change.make()}
        exchanges = tuple(changed.get(each.number, each) for each in trace.exchanges)
        return msgspec.structs.replace(trace, exchanges=exchanges)


def delivered(exchange: Exchange) -> bool:
    """Whether the target asked and we answered: what it said is then the request."""
    return exchange.label == DELIVERY


def said(exchange: Exchange) -> str:
    """The body that the target sent."""
    return (exchange.request_body or "") if delivered(exchange) else exchange.content


def saying(exchange: Exchange, content: str, **changes: Any) -> Exchange:
    """The exchange with another body of the target."""
    member = "request_body" if delivered(exchange) else "content"
    return msgspec.structs.replace(exchange, **{member: content}, **changes)


def streaming(exchange: Exchange, events: Sequence[Event], **changes: Any) -> Exchange:
    """The exchange with other events, and the text that they would have arrived as."""
    text = "".join(map(_as_text, events))
    return msgspec.structs.replace(exchange, events=tuple(events), content=text, **changes)


def _as_text(event: Event) -> str:
    name = f"id: {event.id}\n" if event.id is not None else ""
    return f"event: {event.event}\ndata: {event.data}\n{name}\n"


def document_of(text: str) -> Any:
    """The JSON of a text; None where it is none, which holds nothing to change."""
    try:
        return strict_json(text)
    except ValueError:
        return None


def written(document: Any) -> str:
    """The document as a server would write it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def pointer(steps: Sequence[Step]) -> str:
    """The place as a JSON pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
