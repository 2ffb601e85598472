"""What holds for the resources of every trace: an answer is about the one asked for, and readings agree."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

from runstone.suite import (
    UUID,
    Exchange,
    Finding,
    Missing,
    Trace,
    bare_path,
    none_broken,
    operation_for,
    raw,
    requirement,
    shown,
    some,
)

_THREAD = re.compile(rf"/threads/({UUID.pattern})(?=[/?]|$)")
_RUN = re.compile(rf"/runs/({UUID.pattern})(?=[/?]|$)")
_ASSISTANT = re.compile(rf"/assistants/({UUID.pattern})(?=[/?]|$)")
_CHECKPOINT = re.compile(r"/state/(?!checkpoint)([^/?]+)")
# What a resource was created with and keeps for good, by its schema; the first one is its id.
_CONSTANT = {
    "thread": ("thread_id", "created_at"),
    "run": ("run_id", "created_at", "thread_id", "assistant_id", "multitask_strategy"),
    "assistant": ("assistant_id", "created_at"),
}
_TIMES = ("created_at", "updated_at")
_CLOCK_S = 60.0  # servers renew their Date header now and then, some of them seconds late
_SOURCES = {"input", "loop", "update", "fork"}  # of a checkpoint, as the graph library names them
_OF_ANOTHER = ("/copy",)  # answers about a thread that the path does not name


@requirement("MON-007")
def test_an_answer_is_about_what_was_asked(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        found = _resources(traces)
        some((each for each in found if _asked(each[0], each[1])), "resource that was read by its id")
        delays = _delays(traces)
        for exchange, schema, document in found:
            yield from _strangers(exchange, schema, document)
            delay = delays.get(str(document.get("run_id")), 0.0) + _delay_of(exchange)
            yield from _of_the_future(exchange, document, delay)
        for trace in traces:
            yield from ((each, "lists a thing twice") for each in trace.exchanges if _lists_twice(each))
            yield from _changed(trace)
            yield from _unheard_of(trace)

    none_broken(findings())


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
            yield from _lost_parents(exchange, states)
        for exchange in _states(traces):
            yield from ((exchange, reason) for reason in _odd(exchange.json))

    none_broken(findings())


def _resources(traces: list[Trace]) -> list[tuple[Exchange, str, dict[str, Any]]]:
    """Every object in a 2xx answer that the contract describes, with its exchange and its schema."""
    return [found for trace in traces for exchange in trace.exchanges for found in _resources_in(exchange)]


def _resources_in(exchange: Exchange) -> list[tuple[Exchange, str, dict[str, Any]]]:
    operation = operation_for(exchange.method, exchange.path)
    if operation is None or not operation.schema or not exchange.complete or not 200 <= exchange.status < 300:
        return []
    body = _body(exchange)
    objects = body if isinstance(body, list) else [body]
    return [(exchange, operation.schema, each) for each in objects if isinstance(each, dict)]


def _body(exchange: Exchange) -> Any:
    try:
        return exchange.json
    except Missing:
        return None  # MON-004 says so


def _strangers(exchange: Exchange, schema: str, document: dict[str, Any]) -> Iterator[Finding]:
    """Ids in the answer that are not those in the request."""
    asked = _asked(exchange, schema)
    for name, wanted in asked.items():
        told = _part(document, *name.split("."))
        if isinstance(told, str) and told.lower() != wanted.lower():
            yield exchange, f"answers about {name} {told}, and was asked about {wanted}"


def _lists_twice(exchange: Exchange) -> bool:
    found = _resources_in(exchange)
    ids = [str(each.get(_CONSTANT[schema][0])) for _, schema, each in found if schema in _CONSTANT]
    return len(set(ids)) < len(ids)


def _of_the_future(exchange: Exchange, document: dict[str, Any], delay: float) -> Iterator[Finding]:
    """Times that lie later than `delay` seconds after the moment at which the server says it answered."""
    try:
        answered = parsedate_to_datetime(exchange.headers.get("date", ""))
    except ValueError:
        return
    for name in _TIMES:
        time = _comparable(document.get(name))
        if not isinstance(time, dt.datetime) or time.tzinfo is None or answered.tzinfo is None:
            continue
        if (time - answered).total_seconds() > _CLOCK_S + delay:
            yield exchange, f"shows {name} {document[name]}, and answered at {exchange.headers['date']}"


def _delays(traces: list[Trace]) -> dict[str, float]:
    """By run, how much later it was asked to start: that may be when it counts as created, in lists too."""
    asked = [each for trace in traces for each in trace.exchanges if _delay_of(each)]
    return {each.found_run_id: _delay_of(each) for each in asked if each.found_run_id is not None}


def _delay_of(exchange: Exchange) -> float:
    """How much later than now the request asks for."""
    sent = raw(exchange.request_json)
    asked = sent.get("after_seconds") if isinstance(sent, dict) else None
    return float(asked) if isinstance(asked, int | float) and not isinstance(asked, bool) else 0.0


def _asked(exchange: Exchange, schema: str) -> dict[str, str]:
    """Which id the answer must carry, by its place."""
    path = exchange.path.partition("?")[0]
    if path.endswith(_OF_ANOTHER):
        return {}
    thread, run, assistant = (each.search(path) for each in (_THREAD, _RUN, _ASSISTANT))
    asked: dict[str, str] = {}
    if thread and schema in {"thread", "run"}:
        asked["thread_id"] = thread[1]
    if thread and schema == "thread-state":
        asked |= {"checkpoint.thread_id": thread[1], "parent_checkpoint.thread_id": thread[1]}
        checkpoint = _CHECKPOINT.search(path)
        asked |= (
            {"checkpoint.checkpoint_id": checkpoint[1]} if checkpoint and exchange.method == "GET" else {}
        )
    sent = exchange.request_json
    if exchange.method == "POST" and schema == "run" and isinstance(sent, dict):
        strategy = sent.get("multitask_strategy")
        asked |= {"multitask_strategy": strategy} if isinstance(strategy, str) else {}
    if run and schema == "run":
        asked["run_id"] = run[1]
    if assistant and schema in {"assistant", "assistant-version"}:
        asked["assistant_id"] = assistant[1]
    body = exchange.request_json
    if exchange.method == "POST" and path in {"/threads", "/assistants"} and isinstance(body, dict):
        wanted = body.get(f"{path[1:-1]}_id")
        asked |= {f"{path[1:-1]}_id": wanted} if isinstance(wanted, str) else {}
    return asked


def _changed(trace: Trace) -> Iterator[Finding]:
    """What a resource was created with, and is later shown without."""
    first: dict[tuple[str, str], tuple[Any, Exchange]] = {}
    for exchange in trace.exchanges:
        if exchange.method == "DELETE":  # its id may be given to another one
            gone = {each.lower() for each in UUID.findall(exchange.path)}
            first = {place: value for place, value in first.items() if place[0] not in gone}
        yield from _changed_in(exchange, first)


def _changed_in(exchange: Exchange, first: dict[tuple[str, str], tuple[Any, Exchange]]) -> Iterator[Finding]:
    for _, schema, document in _resources_in(exchange):
        id_name, *others = _CONSTANT.get(schema, ("",))
        id_ = document.get(id_name)
        for name in others if isinstance(id_, str) else ():
            if raw(document.get(name)) is None:
                continue
            before, seen = first.setdefault((str(id_).lower(), name), (document[name], exchange))
            if _comparable(before) != _comparable(document[name]):
                yield exchange, f"shows {name} {document[name]}, which was {before} at {seen.where}"


def _unheard_of(trace: Trace) -> Iterator[Finding]:
    """A thread or run that is served, though nothing in the trace named it before."""
    heard: set[str] = set()
    for exchange in sorted(trace.exchanges, key=lambda each: each.sent_at):
        operation = operation_for(exchange.method, exchange.path)
        served = (
            exchange.answered
            and exchange.status < 300
            and "if_not_exists" not in (exchange.request_body or "")
        )
        # An empty list of a thread that nobody knows is RUN-LIST-005's, which is a SHOULD.
        read = operation is not None and operation.schema in {"thread", "run", "thread-state"}
        read = read and _body(exchange) != []
        begun = exchange.method == "POST" and exchange.path.endswith(("/runs/wait", "/runs/stream"))
        if served and (begun or (read and exchange.method in {"GET", "POST"})):
            for asked in (each.lower() for kind in (_THREAD, _RUN) for each in kind.findall(exchange.path)):
                if asked not in heard:
                    yield exchange, f"serves {asked}, which no answer had named"
        told = [exchange.content, exchange.request_body or "", exchange.path]
        told += [value for _, value in exchange.response_headers]
        heard |= {each.lower() for text in told for each in UUID.findall(text)}


def _histories(traces: list[Trace]) -> list[Exchange]:
    return [each for each in _of_states(traces) if isinstance(_body(each), list)]


def _asked_for_history(traces: list[Trace]) -> Iterator[Exchange]:
    return (each for trace in traces for each in trace.exchanges if bare_path(each).endswith("/history"))


def _states(traces: list[Trace]) -> list[Exchange]:
    return [each for each in _of_states(traces) if isinstance(_body(each), dict)]


def _of_states(traces: list[Trace]) -> list[Exchange]:
    return list(
        {each.key: each for each, schema, _ in _resources(traces) if schema == "thread-state"}.values()
    )


def _out_of_order(newer: dict[str, Any], older: dict[str, Any]) -> str:
    """Why the first of two neighbours in a history cannot be the newer one; '' where it can."""
    times = [_comparable(each.get("created_at")) for each in (newer, older)]
    if all(isinstance(each, dt.datetime) for each in times) and times[0] < times[1]:
        return f"shows the checkpoint of {older['created_at']} after that of {newer['created_at']}"
    return ""


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


def _comparable(value: Any) -> Any:
    """Ids without regard to letter case, times without regard to how they are written."""
    if not isinstance(value, str):
        return value
    try:
        return dt.datetime.fromisoformat(value)
    except ValueError:
        return value.lower()
