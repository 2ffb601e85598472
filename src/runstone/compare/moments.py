"""Which answers of a trace are a matter of the moment, so that their bodies do not count.

- Whatever is read of a thread while a run on it is under way: from the request that starts the run until
  something shows that it has ended.
- Everything on a thread from when one of its runs was cut off: cancelled, deleted, interrupted or rolled back
  by another run, or left by a client that hung up. How far the run had come by then is chance, and stays in
  the thread's values.
- Everything on a thread from when two of its runs were under way at once: which of them came first may be
  chance.
- What is left of a run without a thread, which a server may forget whenever it likes.
- An exchange that Runstone broke off itself, because it hung up or the time for the scenario was over.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from math import inf
from typing import Final, Literal

from runstone.wire.trace import UUID, Exchange, Trace

Weight = Literal["whole", "moment", "nothing"]

_THREAD = re.compile(rf"^/threads/({UUID.pattern})(?=[/?]|$)")
_RUN = re.compile(rf"/runs/({UUID.pattern})(?=[/?]|$)")
_STARTS = re.compile(r"/runs(/wait|/stream)?(\?|$)")
_STATELESS = re.compile(r"^/runs(/wait|/stream)?(\?|$)")
_ENDS = re.compile(r"/(join|stream|wait)(\?|$)")
_CUTS: Final = frozenset({"interrupt", "rollback"})
_OVER: Final = "the scenario's deadline passed"


def weights(trace: Trace) -> dict[int, Weight]:
    """By the number of each exchange: whether all of it counts, only status and headers, or nothing."""
    spans = _spans(trace)
    cuts = _cuts(trace)
    stateless = {
        each.found_thread_id
        for each in trace.exchanges
        if each.method == "POST" and _STATELESS.search(each.path)
    }
    return {each.number: _weight(each, spans, cuts, stateless) for each in trace.exchanges}


def ran_out_of_time(trace: Trace) -> bool:
    """Whether time was up before the scenario was through: what it never sent says nothing."""
    return any("deadline" in reason for reason in trace.blocked.values()) or any(
        (each.failure or "").startswith(_OVER) for each in trace.exchanges
    )


def _weight(
    exchange: Exchange,
    spans: dict[str, list[tuple[float, float]]],
    cuts: dict[str, float],
    stateless: set[str | None],
) -> Weight:
    if exchange.code is None and (exchange.closed_by_client or (exchange.failure or "").startswith(_OVER)):
        return "nothing"
    thread = _thread(exchange)
    if thread is None:
        return "whole"
    if exchange.method == "GET" and thread in stateless:
        return "nothing"
    reads = exchange.method == "GET" or exchange.path.partition("?")[0].endswith("/history")
    under_way = any(begin < exchange.ended_at and exchange.sent_at < end for begin, end in spans[thread])
    waits = bool(_ENDS.search(exchange.path))  # it lasts as long as the run itself
    if exchange.ended_at >= min(cuts.get(thread, inf), _overlap(spans[thread])) or (
        reads and under_way and not waits
    ):
        return "moment"
    return "whole"


def _spans(trace: Trace) -> defaultdict[str, list[tuple[float, float]]]:
    """For each thread when its runs were under way: from the request until their end was seen."""
    found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for each in trace.exchanges:
        started = each.method == "POST" and _STARTS.search(each.path) and each.code is not None
        thread = _thread(each) if started else None
        if thread is not None and each.code is not None and each.code < 400:
            waited = _ENDS.search(each.path) and each.failure is None and not each.closed_by_client
            end = each.ended_at if waited else min(_ends_of(trace, each, thread), default=inf)
            found[thread].append((each.sent_at, end))
    return found


def _overlap(spans: list[tuple[float, float]]) -> float:
    """When for the first time a run began before another had ended; infinite for never."""
    ordered = sorted(spans)
    return min(
        (later for (_, end), (later, _) in pairwise(ordered) if later < end),
        default=inf,
    )


def _ends_of(trace: Trace, start: Exchange, thread: str) -> Iterator[float]:
    """When exchanges after the start of a run show that it has ended."""
    run = start.found_run_id
    for each in trace.exchanges:
        if each.number <= start.number or not each.complete or _thread(each) != thread:
            continue
        named = _RUN.search(each.path)
        if named is not None and run is not None and named[1].lower() == run.lower():
            if each.method == "GET" and (
                _ENDS.search(each.path) or _status(each) not in {"pending", "running"}
            ):
                yield each.ended_at
        elif each.method == "GET" and each.path == f"/threads/{thread}" and _status(each) != "busy":
            yield each.ended_at


def _status(exchange: Exchange) -> object:
    body = exchange.json if exchange.content.startswith("{") else None
    return body.get("status") if isinstance(body, dict) else None


def _cuts(trace: Trace) -> dict[str, float]:
    """For each thread when the first of its runs was cut off."""
    found: dict[str, float] = {}
    for each in trace.exchanges:
        thread = _thread(each)
        if thread is not None and _is_cut(each):
            at = each.ended_at if each.closed_by_client else each.sent_at
            found[thread] = min(at, found.get(thread, inf))
    return found


def _is_cut(exchange: Exchange) -> bool:
    if exchange.closed_by_client:
        return exchange.method != "GET" or "cancel_on_disconnect" in exchange.path
    if _RUN.search(exchange.path) and (exchange.method == "DELETE" or "/cancel" in exchange.path):
        return True
    asked = exchange.request_json if exchange.method == "POST" else None
    return isinstance(asked, dict) and asked.get("multitask_strategy") in _CUTS


def _thread(exchange: Exchange) -> str | None:
    named = _THREAD.match(exchange.path)
    return named[1] if named else None
