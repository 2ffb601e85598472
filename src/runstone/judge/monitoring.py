"""What monitors read of the exchanges of any scenario; nothing here raises for what is not told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runstone.contracts import operation_for
from runstone.wire.documents import Missing
from runstone.wire.exchange import UUID, Exchange

Finding = tuple[Exchange, str]  # an exchange and what is wrong with it, for `none_broken`


def body_of(exchange: Exchange) -> Any:
    """The JSON body of a whole 2xx answer; None where it has none."""
    try:
        return exchange.ok.json
    except Missing:
        return None


def bare_path(exchange: Exchange) -> str:
    """The path without its query, in lower case, as ids may be written either way."""
    return exchange.path.partition("?")[0].lower()


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
