"""What holds for the states of every trace: a history leads back, and what a state says fits together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from runstone.suite import (
    Exchange,
    Finding,
    Missing,
    Trace,
    bare_path,
    body_of,
    none_broken,
    operation_for,
    raw,
    requirement,
    shown,
    some,
    time_in,
)

_SOURCES = {"input", "loop", "update", "fork"}  # of a checkpoint, as the graph library names them


@requirement("MON-013")
def test_histories_lead_back(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        histories = [each for each in _histories(traces) if len(each.json) > 1]
        for asked in () if histories else _asked_for_history(traces):
            _ = asked.ok  # what was refused tells why there is none
        some(histories, "history of several states")
        for exchange in _histories(traces):
            states = [each for each in exchange.json if isinstance(each, dict)]
            for newer, older in pairwise(states):
                reason = _out_of_order(newer, older)
                if reason:
                    yield exchange, reason
            ids = [_part(each, "checkpoint", "checkpoint_id") for each in states]
            if len(set(map(str, ids))) < len(ids):
                yield exchange, "shows a checkpoint twice"
            yield from ((exchange, reason) for each in states for reason in _odd(each))
            for state in (each for each in states[1:] if each.get("tasks") and not each.get("next")):
                yield exchange, f"has nothing to do next in a state with the tasks {shown(state['tasks'])}"
            yield from _lost_parents(exchange, states)
        for exchange in _states(traces):
            yield from ((exchange, reason) for reason in _odd(exchange.json))

    none_broken(findings())


def _histories(traces: list[Trace]) -> list[Exchange]:
    return [each for each in _of_states(traces) if isinstance(body_of(each), list)]


def _asked_for_history(traces: list[Trace]) -> Iterator[Exchange]:
    return (each for trace in traces for each in trace.exchanges if bare_path(each).endswith("/history"))


def _states(traces: list[Trace]) -> list[Exchange]:
    return [each for each in _of_states(traces) if isinstance(body_of(each), dict)]


def _of_states(traces: list[Trace]) -> list[Exchange]:
    found = []
    for exchange in (each for trace in traces for each in trace.exchanges):
        operation = operation_for(exchange.method, exchange.path)
        if operation is not None and operation.schema == "thread-state":
            found.append(exchange)
    return found


def _out_of_order(newer: dict[str, Any], older: dict[str, Any]) -> str:
    """Why the first of two neighbours in a history cannot be the newer one; '' where it can."""
    times = [_time_of(each) for each in (newer, older)]
    if times[0] is not None and times[1] is not None and times[0] < times[1]:
        return f"shows the checkpoint of {older['created_at']} after that of {newer['created_at']}"
    return ""


def _time_of(state: dict[str, Any]) -> dt.datetime | None:
    told = raw(state.get("created_at"))
    try:
        return time_in(told, "created_at") if isinstance(told, str) else None
    except Missing:
        return None  # MON-004 says so


def _lost_parents(exchange: Exchange, states: list[dict[str, Any]]) -> Iterator[Finding]:
    """Checkpoints in the midst of a history whose parent is none of the older ones."""
    asked = exchange.request_json
    narrowed = "metadata" in exchange.path or "before" in exchange.path or "checkpoint" in exchange.path
    narrowed = narrowed or (isinstance(asked, dict) and bool(set(asked) - {"limit"}))
    if narrowed:
        return
    older = {_part(each, "checkpoint", "checkpoint_id"): each for each in states}
    for state in states[:-1]:
        older.pop(_part(state, "checkpoint", "checkpoint_id"), None)
        parent = _part(state, "parent_checkpoint", "checkpoint_id")
        if parent not in older:
            yield exchange, f"shows a checkpoint whose parent {shown(parent)} is none of the older ones"
            continue
        step, before = _part(state, "metadata", "step"), _part(older[parent], "metadata", "step")
        if isinstance(step, int) and isinstance(before, int) and step != before + 1:
            yield exchange, f"shows step {step} after step {before}"


def _odd(state: dict[str, Any]) -> Iterator[str]:
    """What of one state contradicts the rest of it."""
    own, parent = state.get("checkpoint"), state.get("parent_checkpoint")
    step = _part(state, "metadata", "step")
    if _part(own, "checkpoint_id") and not isinstance(step, int):
        yield "has a checkpoint without a step"
    spaces = {_part(each, "checkpoint_ns") for each in (own, parent)} - {None}
    if len(spaces) > 1:
        yield "has a parent of another namespace"
    if _part(own, "checkpoint_id") and _part(state, "metadata", "source") not in _SOURCES:
        yield f"is of the source {_part(state, 'metadata', 'source')}"
    yield from _odd_tasks(state)


def _odd_tasks(state: dict[str, Any]) -> Iterator[str]:
    tasks, following = state.get("tasks"), state.get("next")
    if not isinstance(tasks, list) or not isinstance(following, list):
        return
    names = [each.get("name") for each in tasks if isinstance(each, dict)]
    unknown = [each for each in following if following.count(each) > names.count(each)]
    if unknown:
        yield f"would execute {unknown[0]} next, which is none of its tasks"
    waiting = [each.get("name") for each in tasks if isinstance(each, dict) and each.get("interrupts")]
    forgotten = [each for each in waiting if waiting.count(each) > following.count(each)]
    if forgotten:
        yield f"has a task {forgotten[0]} that waits for an answer, and would not execute it next"
    ids = [str(each.get("id")) for each in tasks if isinstance(each, dict)]
    if len(set(ids)) < len(ids):
        yield "shows a task twice"
    own, of_tasks = state.get("interrupts"), [_part(each, "interrupts") for each in tasks]
    if isinstance(own, list) and all(isinstance(each, list) for each in of_tasks):
        listed = [item for each in of_tasks for item in each]
        if sorted(map(str, own)) != sorted(map(str, listed)):
            yield f"has {len(own)} interrupts, and its tasks {len(listed)}, which are not the same"


def _part(document: Any, *names: str) -> Any:
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document
