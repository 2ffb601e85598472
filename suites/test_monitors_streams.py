"""What holds for the events of every stream of a run: which there are, and what follows what."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from runstone.suite import (
    GRAPHS,
    Event,
    Exchange,
    Finding,
    Missing,
    Trace,
    answers,
    bare_path,
    begins_run,
    body_of,
    has,
    none_broken,
    requirement,
    run_shown,
    shown,
    some,
    stream_grammar,
    streams_a_run,
    violations,
)

# What a model says piece by piece, where equal pieces may follow each other.
_IN_CHUNKS = ("messages", "messages/partial", "events")
# What an input can write to the state of a conformance graph whose nodes log themselves, one after the other
# (fixtures/graphs/README.md): one that writes nothing gives no event of its own.
_WRITES = {
    **{graph: {"note"} for graph in ("steps", "sync_steps")},
    "slow": {"note", "sleep", "ticks"},
    "fail": {"message", "error"},
    "interrupt": {"variant", "question"},
    "subgraph": {"ask", "question"},
    "memory": {"op", "namespace", "key", "value"},
    "maker": {"given", "writes", "kind"},
}


@requirement("MON-012")
def test_streams_follow_the_grammar(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        streams = [each for each in answers(traces) if each.is_stream and each.events]
        of_runs = [each for each in streams if streams_a_run(each)]
        some((each for each in of_runs if each.complete and len(each.events) > 1), "stream that ended")
        some(run_shown(traces), "run that was shown")  # where every answer is cut short, streams are too
        for exchange in of_runs:
            yield from ((exchange, reason) for reason in _ungrammatical(exchange))
            yield from ((exchange, reason) for reason in _disordered(exchange.events))
        for exchange in streams:
            yield from ((exchange, reason) for reason in _unnumbered(exchange.events))
        for trace in traces:
            yield from _misnamed(trace)
            yield from _misbegun(trace)

    none_broken(findings())


def _begun(exchange: Exchange) -> bool:
    """Whether it is the stream of a run that it has begun itself."""
    return exchange.method == "POST" and bare_path(exchange).endswith("/runs/stream")


def _ungrammatical(exchange: Exchange) -> Iterator[str]:
    grammar = stream_grammar()
    events = exchange.events
    if _begun(exchange) and events[0].event != grammar.first.event:
        yield f"begins with {events[0].event!r}"
    if [event.event for event in events].count(grammar.first.event) > 1:
        yield f"has several events {grammar.first.event!r}"
    for event in events:
        schema = grammar.schema_of(event.event)
        if event.data and schema is not None and _json_of(event) is not None:
            for broken in violations(schema, _json_of(event))[:1]:
                yield f"sends an event {event.event!r} that breaks {schema}{broken.path}: {broken.message}"
    if has(GRAPHS):
        yield from _ungrown(events)


def _misnamed(trace: Trace) -> Iterator[Finding]:
    """Events of a mode that the run was not asked for, in its own stream or in one that is joined."""
    grammar = stream_grammar()
    asked = {each.found_run_id: _modes(each) for each in trace.exchanges if _creates(each)}
    for exchange in trace.exchanges:
        modes = _modes(exchange) if _begun(exchange) else asked.get(exchange.found_run_id)
        if modes is None or not streams_a_run(exchange):
            continue
        for event in exchange.events:
            if not grammar.is_allowed(event.event, modes, subgraphs=True):
                yield exchange, f"sends an event {event.event!r}, which no mode of {', '.join(modes)} has"


def _creates(exchange: Exchange) -> bool:
    return begins_run(exchange) and exchange.found_run_id is not None


def _modes(exchange: Exchange) -> list[str] | None:
    """The modes that the request asks for; None where it does not say, or says what is not a mode."""
    body = exchange.request_json
    asked: Any = body.get("stream_mode", "values") if isinstance(body, dict) else None
    modes = [asked] if isinstance(asked, str) else asked
    known = isinstance(modes, list) and set(map(str, modes)) <= set(stream_grammar().modes)
    return modes if known else None


def _unnumbered(events: tuple[Event, ...]) -> Iterator[str]:
    ids = [event.id for event in events if event.id is not None]
    # The event that only closes a stream is none of the run's, and need not be resumed from.
    of_the_run = [event for event in events if event.event != "end"]
    if ids and len(ids) < len(of_the_run):
        yield "gives an id to some of its events only"
    if len(set(ids)) < len(ids):
        yield "gives one id to two of its events"


def _ungrown(events: tuple[Event, ...]) -> Iterator[str]:
    """Values that do not follow from those before: the conformance graphs only add to their lists."""
    values = [(number, event) for number, event in enumerate(events) if event.event == "values"]
    logs = [(number, log) for number, event in values if (log := _list_in(event, "log")) is not None]
    for (_, before), (number, after) in pairwise(logs):
        if after[: len(before)] != before:
            yield f"sends values in event {number + 1} that do not follow from those before: {after}"
        elif len(after) > len(before) + 1:
            yield f"sends values in event {number + 1} that are more than a step after those before: {after}"
    said = [(number, told) for number, event in values if (told := _list_in(event, "messages")) is not None]
    for (_, before), (number, after) in pairwise(said):
        if _ids(after)[: len(before)] != _ids(before):
            yield f"sends values in event {number + 1} that lack a message of those before"
    for first, second in pairwise(events):
        if (first.event, first.data) == (second.event, second.data) and first.mode not in _IN_CHUNKS:
            yield f"sends an event {first.event!r} twice"


def _list_in(event: Event, name: str) -> list[Any] | None:
    values = _json_of(event)
    found = values.get(name) if isinstance(values, dict) else None
    return found if isinstance(found, list) else None


def _ids(messages: list[Any]) -> list[str]:
    return [str(each.get("id")) if isinstance(each, dict) else "" for each in messages]


def _disordered(events: tuple[Event, ...]) -> Iterator[str]:
    """What contradicts the order that contracts/streams.yaml gives to the events of one mode."""
    paused: set[str] = set()
    steps: dict[str, int] = {}
    over: set[tuple[str, str]] = set()
    for event in events:
        document = _json_of(event)
        if not isinstance(document, dict):
            continue
        if event.mode == "values":
            if event.event in paused and "__interrupt__" not in document:
                yield "sends values after those that ask for an answer"
            paused |= {event.event} if document.get("__interrupt__") else set()
        step = _step_of(event, document)
        if step is not None:
            if step < steps.get(event.event, step):
                yield f"sends {event.event!r} of step {step} after step {steps[event.event]}"
            steps[event.event] = step
        task = document.get("payload") if event.mode == "debug" else document
        if event.mode in {"tasks", "debug"} and isinstance(task, dict) and "name" in task:
            place = (event.event, str(task.get("id")))
            if "triggers" in task and place in over:
                yield f"sends the start of the task {task['name']} after its result"
            over |= {place} if "result" in task else set()


def _step_of(event: Event, document: dict[str, Any]) -> int | None:
    holder = document.get("metadata") if event.mode == "checkpoints" else document
    told = holder.get("step") if isinstance(holder, dict) and event.mode in {"checkpoints", "debug"} else None
    return told if isinstance(told, int) else None


def _misbegun(trace: Trace) -> Iterator[Finding]:
    """Streams that tell of an attempt before their own, or begin with values that a node has written."""
    for exchange in trace.exchanges:
        if not _begun(exchange) or not exchange.answered or exchange.status >= 300 or not exchange.events:
            continue
        told = _json_of(exchange.events[0])
        attempt = told.get("attempt") if isinstance(told, dict) else None
        if exchange.events[0].event == "metadata" and attempt != 1 and not trace.notes.get("restarted_at"):
            yield exchange, f"begins with attempt {shown(attempt)}, where nothing was tried before"
        asked = exchange.request_json
        if has(GRAPHS) and isinstance(asked, dict) and "values" in (_modes(exchange) or ()):
            yield from ((exchange, reason) for reason in _written(exchange, asked, trace))


def _written(exchange: Exchange, asked: dict[str, Any], trace: Trace) -> Iterator[str]:
    """What of the first values only a node of this run can have written."""
    first = next((event for event in exchange.events if event.event == "values"), None)
    given = asked.get("input")
    elsewhere = any(asked.get(name) for name in ("command", "checkpoint", "checkpoint_id"))
    if first is None or not isinstance(given, dict) or elsewhere:
        return
    log = _list_in(first, "log")
    written = _WRITES.get(str(asked.get("assistant_id")), set()) & given.keys()
    if written and "log" not in given and log and _is_fresh(exchange, trace):
        yield f"begins with values that log {shown(log)}"
    said = _list_in(first, "messages")
    if given.get("messages") and said and isinstance(said[-1], dict) and said[-1].get("type") == "ai":
        yield "begins with values that hold an answer"


def _is_fresh(exchange: Exchange, trace: Trace) -> bool:
    """Whether it runs on a thread of its own, or on one on which nothing had happened before."""
    path = bare_path(exchange)
    if path == "/runs/stream":
        return True
    thread = path.split("/")[2]
    before = [each for each in trace.exchanges if each.sent_at < exchange.ended_at and each is not exchange]
    made = [each for each in before if each.method == "POST" and bare_path(each) == "/threads"]
    own = [each for each in made if _thread_of(each) == thread]
    written = any("supersteps" in (each.request_body or "") for each in own)
    touched = any(each.method != "GET" and thread in bare_path(each) for each in before)
    return bool(own) and not written and not touched


def _thread_of(exchange: Exchange) -> str:
    body = body_of(exchange)
    return str(body.get("thread_id")).lower() if isinstance(body, dict) else ""


def _json_of(event: Event) -> Any:
    try:
        return event.json
    except Missing:
        return None
