"""What is known to come of the conformance graphs, and where the answers of a self-check show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from runstone.scenario.requests import ask
from runstone.wire.documents import Missing
from runstone.wire.exchange import Exchange

STEPS: Final = ["s1", "s2", "s3"]  # the nodes of `steps` in their order, as its log has them
_TEXT: Final = "runstone self-check: äß漢"
INPUTS: Final[dict[str, Any]] = {"echo": ask(_TEXT), "steps": {"note": "self-check"}}
AGENT: Final = "agent"  # the name of its parts


def is_a_result(exchange: Exchange) -> bool:
    """Whether it is the answer to a turn, and was accepted."""
    return exchange.label == "result" and exchange.code is not None and exchange.code < 300


def ended_well(readings: list[Exchange]) -> bool:
    """Whether these readings of one turn show a run that succeeded, and values that are not empty."""
    return any(_member(each, "status") == "success" for each in readings) and any(
        _member(each, "values") for each in readings
    )


def _member(exchange: Exchange, key: str) -> Any:
    try:
        return exchange.object.get(key)
    except Missing:
        return None


def shows(exchange: Exchange, graph: str) -> bool:
    """Whether any JSON of the exchange holds what this graph is known to answer."""
    try:
        documents = [event.json for event in exchange.stream] if exchange.is_stream else [exchange.json]
    except Missing:
        return False
    known = _is_echo if graph == "echo" else _is_steps
    return any(known(found) for document in documents for found in _objects(document))


def _is_echo(value: dict[str, Any]) -> bool:
    # The answer must be the graph's: a server that returns its request holds the token, but no AI message.
    return value.get("type") == "ai" and value.get("content") == _TEXT


def _is_steps(value: dict[str, Any]) -> bool:
    return value.get("log") == STEPS


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in the document, itself included."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
