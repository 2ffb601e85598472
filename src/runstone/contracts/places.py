"""Where ids stand in an exchange, as contracts/operations.yaml writes it: OpenAPI runtime expressions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import msgspec

from runstone.wire.documents import Missing, raw
from runstone.wire.exchange import Exchange

# https://spec.openapis.org/oas/v3.1.0#runtime-expressions; `$request.query` as a whole and `*` are ours.
_EXPRESSION: Final = re.compile(
    r"\$request\.path\.(?P<segment>\w+)"
    r"|\$request\.(?P<query>query)"
    r"|\$(?P<side>request|response)\.body(#(?P<pointer>(/[^/]+)*))?"
    r"|\$response\.(?P<header>header\.content-location)"
)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One place. `segment`: a placeholder of the path. `steps`: from the root of the body to the id."""

    source: str  # request.path, request.query, request.body, response.body or response.header
    segment: str = ""
    steps: tuple[str, ...] = ()


@cache
def parsed(expression: str) -> Place:
    """The place that an expression names. Raises ValueError for one that cannot be read."""
    found = _EXPRESSION.fullmatch(expression)
    if found is None:
        raise ValueError(f"{expression!r} names no place; write it like $response.body#/thread_id")
    if found["segment"]:
        return Place(source="request.path", segment=found["segment"])
    if found["query"]:
        return Place(source="request.query")
    if found["header"]:
        return Place(source="response.header")
    return Place(source=f"{found['side']}.body", steps=tuple((found["pointer"] or "").split("/")[1:]))


def in_bodies(place: Place, exchange: Exchange) -> list[Any]:
    """What stands at a place of the request's or the answer's body; empty where there is nothing."""
    if place.source == "request.body":
        return _at(exchange.request_json, place.steps)
    try:
        return _at(raw(exchange.json), place.steps)
    except Missing:
        return []


def _at(document: Any, steps: Sequence[str]) -> list[Any]:
    if not steps:
        return [] if document is None else [document]
    step, *further = steps
    if step == "*":
        items = document if isinstance(document, list) else []
        return [found for each in items for found in _at(each, further)]
    return _at(document.get(step), further) if isinstance(document, dict) else []
