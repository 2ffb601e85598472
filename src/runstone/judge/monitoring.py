"""What monitors read of the exchanges of any scenario; nothing here raises for what is not told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from runstone.contracts import operation_for, violations
from runstone.judge.words import is_json
from runstone.wire.documents import Missing
from runstone.wire.exchange import UUID, Exchange
from runstone.wire.trace import Trace
from runstone.wire.webhooks import DELIVERY

Finding = tuple[Exchange, str]  # an exchange and what is wrong with it, for `none_broken`


_BEGINS: Final = re.compile(r"/runs(/wait|/stream)?$")


def answers(traces: Iterable[Trace]) -> list[Exchange]:
    """What the target answered; of a webhook it is the one that asks."""
    return [each for trace in traces for each in trace.exchanges if not is_delivery(each) and each.answered]


def is_delivery(exchange: Exchange) -> bool:
    """Whether the target asked, and a webhook of ours answered."""
    return exchange.label in {DELIVERY, "stray_delivery"}


def run_shown(traces: Iterable[Trace]) -> Iterator[Exchange]:
    """Where a server first shows that it does anything at all: a complete answer that is a run."""
    for exchange in answers(traces):
        operation = operation_for(exchange.method, exchange.path)
        single = operation is not None and operation.schema == "run" and not operation.many
        done = single and exchange.complete and exchange.status < 300 and is_json(exchange)
        if done and not violations("run", exchange.json):
            yield exchange
            return


def streams_a_run(exchange: Exchange) -> bool:
    """Whether it was asked for the events of one run."""
    operation = operation_for(exchange.method, exchange.path)
    return operation is not None and operation.stream and operation.lasts == "run"


def body_of(exchange: Exchange) -> Any:
    """The JSON body of a whole 2xx answer; None where it has none."""
    try:
        return exchange.ok.json
    except Missing:
        return None


def objects_of(exchange: Exchange) -> list[dict[str, Any]]:
    """The objects of a JSON answer, be it one or an array; none where it is not 2xx JSON."""
    body = body_of(exchange)
    return [each for each in (body if isinstance(body, list) else [body]) if isinstance(each, dict)]


def bare_path(exchange: Exchange) -> str:
    """The path without its query, in lower case, as ids may be written either way."""
    return exchange.path.partition("?")[0].lower()


def begins_run(exchange: Exchange) -> bool:
    """Whether it asks for one run, in the background, by wait or by stream."""
    return exchange.method == "POST" and _BEGINS.search(bare_path(exchange)) is not None


def last_id(text: str) -> str:
    """The last UUID of a path; '' where there is none."""
    found: list[str] = UUID.findall(text)
    return found[-1] if found else ""


def lasts_as_its_run(exchange: Exchange) -> bool:
    """Whether its answer takes as long as the run that it is about."""
    operation = operation_for(exchange.method, exchange.path)
    return operation is not None and operation.lasts == "run"


def run_statuses(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Run id and status of each run that the answer shows, alone or in a list."""
    operation = operation_for(exchange.method, exchange.path)
    body = body_of(exchange) if operation is not None and operation.schema == "run" else None
    for each in body if isinstance(body, list) else [body]:
        if isinstance(each, dict) and isinstance(each.get("run_id"), str):
            yield each["run_id"], str(each.get("status"))


def last_values(exchange: Exchange) -> Any:
    """The values that a whole wait, join or stream ends with; None where it tells none, or an error."""
    if exchange.is_stream:
        told = [event.json for event in exchange.events if event.event == "values" and event.data]
        body = told[-1] if told and exchange.method == "POST" else None
    else:
        body = body_of(exchange)
    if not isinstance(body, dict) or "__error__" in body:
        return None
    values = {name: value for name, value in body.items() if name != "__interrupt__"}
    return values if values or "__interrupt__" not in body else None
