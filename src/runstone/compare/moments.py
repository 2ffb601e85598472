"""Which answers of a trace are a matter of the moment, so that their bodies do not count.

- Whatever is read of a thread while a run on it is under way: from the request that starts the run until
  something shows that it has ended.
- Everything on a thread from when one of its runs was cut off: cancelled, deleted, interrupted or rolled back
  by another run, or left by a client that hung up. How far the run had come by then is chance, and stays in
  the thread's values.
- Everything on a thread from when two of its runs were under way at once: which of them came first may be
  chance.

Nothing at all counts of a run without a thread once it has ended, which a server may forget whenever it
likes, and of an exchange that Runstone broke off itself.
"""

from __future__ import annotations

import re
from math import inf
from typing import Final, Literal

from runstone.wire.documents import raw
from runstone.wire.exchange import UUID, Exchange
from runstone.wire.trace import Trace

Weight = Literal["whole", "moment", "nothing"]

_THREAD = re.compile(rf"/threads/({UUID.pattern})(?=[/?]|$)")
_RUN = re.compile(rf"/runs/({UUID.pattern})(?=[/?]|$)")
_STARTS = re.compile(r"/runs(/wait|/stream)?(\?|$)")
_LASTS = re.compile(r"/(join|stream|wait)(\?|$)")  # as long as the run itself
_OVER: Final = "the scenario's deadline passed"


def weights(trace: Trace) -> dict[int, Weight]:
    """By the number of each exchange: whether all of it counts, only status and headers, or nothing."""
    busy: dict[str | None, tuple[float, str | None]] = {}  # thread → until when its latest run is under way
    chance: dict[str | None, float] = {}  # thread → since when what it holds is chance
    stateless: set[str | None] = set()  # threads of runs that were started without one
    early: set[int] = set()  # reads of a thread while a run on it was under way
    for each in trace.exchanges:
        thread = _thread(each)
        until, run = busy.get(thread, (-inf, None))
        if _cuts(each):
            cut = each.ended_at if each.closed_by_client else each.sent_at
            chance[thread] = min(cut, chance.get(thread, inf))
        if _starts(each) and thread is None:
            stateless.add(each.found_thread_id)
        elif _starts(each) and each.code is not None and each.code < 400:
            if each.sent_at < until:
                chance[thread] = min(each.sent_at, chance.get(thread, inf))
            waited = _LASTS.search(each.path) and each.failure is None and not each.closed_by_client
            busy[thread] = max(until, each.ended_at if waited else inf), each.found_run_id
        elif _reads(each) and each.sent_at < until:
            if _shows_end(each, run):
                busy[thread] = each.ended_at, run
            elif not _LASTS.search(each.path):
                early.add(each.number)
    return {
        each.number: _weight(each, each.number in early, chance.get(_thread(each), inf), stateless)
        for each in trace.exchanges
    }


def ran_out_of_time(trace: Trace) -> bool:
    """Whether time was up before the scenario was through: what it never sent says nothing."""
    blocked = any("deadline" in reason for reason in trace.blocked.values())
    return blocked or any(map(_broken_off, trace.exchanges))


def _weight(exchange: Exchange, early: bool, chance: float, stateless: set[str | None]) -> Weight:
    if exchange.code is None and (exchange.closed_by_client or _broken_off(exchange)):
        return "nothing"
    thread = _thread(exchange)
    if thread is None:
        return "whole"
    if exchange.method == "GET" and thread in stateless:
        return "nothing"
    return "moment" if early or exchange.ended_at >= chance else "whole"


def _broken_off(exchange: Exchange) -> bool:
    return (exchange.failure or "").startswith(_OVER)


def _thread(exchange: Exchange) -> str | None:
    named = _THREAD.search(exchange.path)
    return named[1] if named else None


def _starts(exchange: Exchange) -> bool:
    return exchange.method == "POST" and _STARTS.search(exchange.path) is not None


def _reads(exchange: Exchange) -> bool:
    return exchange.method == "GET" or exchange.path.partition("?")[0].endswith("/history")


def _shows_end(read: Exchange, run: str | None) -> bool:
    """Whether a read of a thread shows that its latest run has ended."""
    named = _RUN.search(read.path)
    if not read.complete or (named and named[1] != run):
        return False
    if named and _LASTS.search(read.path):
        return True
    body = raw(read.json) if read.content.startswith("{") else None
    status = body.get("status") if isinstance(body, dict) else None
    return status is not None and status not in {"pending", "running", "busy"}


def _cuts(exchange: Exchange) -> bool:
    """Whether it cuts off a run, or may."""
    if exchange.closed_by_client:
        return exchange.method != "GET" or "cancel_on_disconnect" in exchange.path
    if _RUN.search(exchange.path) and (exchange.method == "DELETE" or "/cancel" in exchange.path):
        return True
    asked = raw(exchange.request_json) if exchange.method == "POST" else None  # which may be wrong on purpose
    return isinstance(asked, dict) and asked.get("multitask_strategy") in ("interrupt", "rollback")
