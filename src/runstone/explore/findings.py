"""Answers that no request may get, told apart by their cause."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runstone.wire.exchange import UUID, Exchange, excerpt


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem, how often it was seen, and the smallest request that shows it."""

    problem: str
    times: int
    exchange: Exchange


def problem(exchange: Exchange, *, empty: bool) -> str | None:
    """What is wrong with an answer whatever was asked, or None. `empty`: a 2xx may have no body."""
    if exchange.code is None:
        return None if exchange.closed_by_client else f"no answer: {exchange.failure}"
    if exchange.code >= 500:
        return f"{exchange.code} {UUID.sub('…', excerpt(exchange.content))}"
    if exchange.failure is not None:
        return f"{exchange.code}, and then: {exchange.failure}"
    if not empty and exchange.complete and 200 <= exchange.code < 300 and not exchange.content.strip():
        return f"{exchange.code} with an empty body"
    return None


def findings(exchanges: Iterable[Exchange], *, empty: bool) -> list[Finding]:
    """The problems among the answers of one operation, each with its smallest request; the smallest first."""
    seen: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        found = problem(exchange, empty=empty)
        if found is not None:
            seen.setdefault(found, []).append(exchange)
    return sorted(
        (Finding(cause, len(each), min(each, key=_size)) for cause, each in seen.items()),
        key=lambda finding: _size(finding.exchange),
    )


def told(found: list[Finding], asked: int) -> str:
    """The findings in one line, for the reason of a verdict."""
    texts = [f"{each.problem} ({each.times} of {asked} requests)" for each in found]
    return "; ".join(texts)


def _size(exchange: Exchange) -> tuple[int, int]:
    return len(exchange.url) + len(exchange.request_body or ""), exchange.number
