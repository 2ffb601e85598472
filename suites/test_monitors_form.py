"""What holds for the form of every answer: its parts suit each other, and it arrives to its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from runstone.suite import (
    GRAPHS,
    UUID,
    Event,
    Exchange,
    Finding,
    Missing,
    Trace,
    has,
    is_json,
    lasts_as_its_run,
    none_broken,
    operation_for,
    requirement,
    some,
    stream_grammar,
    violations,
)

SILENCE_S = 60.0  # what proxies and clients cut by default; keep-alive bytes come far more often
_KILL_S = 1.0  # between the moment that a scenario notes for a kill and the end of the last connection
_CREATES = re.compile(rf"(/threads/{UUID.pattern})?/runs(/wait|/stream)?")
# What a model says piece by piece, where equal pieces may follow each other.
_IN_CHUNKS = ("messages", "messages/partial", "events")


@requirement("MON-008")
def test_status_and_headers_suit_the_body(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        some(_run_shown(traces), "run that was created and shown")
        for exchange in (each for each in _answers(traces) if each.complete):
            reason = _unsuited(exchange)
            if reason:
                yield exchange, reason

    none_broken(findings())


@requirement("MON-009")
def test_every_answer_arrives_to_its_end(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        some(_run_shown(traces), "run that was created and shown")
        for trace in traces:
            for exchange in trace.exchanges:
                if _is_delivery(exchange) or _was_cut_by_us(exchange, trace):
                    continue
                if exchange.failure is not None:
                    yield exchange, f"did not end: {exchange.failure}"
                elif exchange.longest_silence > SILENCE_S:
                    yield exchange, f"was silent for {exchange.longest_silence:.0f} s"

    none_broken(findings())


@requirement("MON-012")
def test_streams_follow_the_grammar(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        streams = [each for each in _answers(traces) if each.is_stream and each.events and _of_a_run(each)]
        some(
            (each for each in streams if each.complete and len(each.events) > 1),
            "stream that ended",
        )
        some(_run_shown(traces), "run that was shown")  # where every answer is cut short, streams are too
        for exchange in streams:
            yield from _ungrammatical(exchange)

    none_broken(findings())


def _answers(traces: list[Trace]) -> list[Exchange]:
    """What the target answered; of a webhook it is the one that asks."""
    return [each for trace in traces for each in trace.exchanges if not _is_delivery(each) and each.answered]


def _run_shown(traces: list[Trace]) -> Iterator[Exchange]:
    """Where a server first shows that it does anything at all: a complete answer that is a run."""
    for exchange in _answers(traces):
        operation = operation_for(exchange.method, exchange.path)
        single = operation is not None and operation.schema == "run" and not operation.many
        done = single and exchange.complete and exchange.status < 300 and is_json(exchange)
        if done and not violations("run", exchange.json):
            yield exchange
            return


def _of_a_run(exchange: Exchange) -> bool:
    """Whether it was asked for the events of one run."""
    operation = operation_for(exchange.method, exchange.path)
    return operation is not None and operation.stream and operation.lasts == "run"


def _is_delivery(exchange: Exchange) -> bool:
    return exchange.label in {"delivery", "stray_delivery"}


def _was_cut_by_us(exchange: Exchange, trace: Trace) -> bool:
    """Whether the server was stopped on purpose meanwhile, or its part of the scenario was given up."""
    stops = trace.notes.get("restarted_at", [])
    stopped = any(exchange.sent_at - _KILL_S <= at <= exchange.ended_at + _KILL_S for at in stops)
    return stopped or not {"", exchange.part}.isdisjoint(trace.blocked)


def _unsuited(exchange: Exchange) -> str:
    """What of status, headers and body contradicts the rest; '' for nothing."""
    refused = exchange.status >= 400
    kind = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
    if exchange.method == "HEAD" or exchange.status in {202, 204, 304}:
        return ""
    if kind == "application/json" and not is_json(exchange):
        return f"answers {exchange.status} as application/json, and the body is none"
    if refused:
        return _unsuited_refusal(exchange, kind)
    operation = operation_for(exchange.method, exchange.path)
    if _of_a_run(exchange):
        if kind != "text/event-stream":
            return f"answers a stream as {kind or 'nothing'}"
    elif lasts_as_its_run(exchange):
        if kind not in {"application/json", "text/plain"} or not is_json(exchange):
            return f"answers no JSON, but {kind or 'nothing'}"
    elif operation is not None and operation.schema and kind != "application/json":
        return f"answers as {kind or 'nothing'} what the contract describes as application/json"
    return _unlocated(exchange)


def _unsuited_refusal(exchange: Exchange, kind: str) -> str:
    if not exchange.content.strip():
        return f"answers {exchange.status} and does not say why"
    body = exchange.json if kind == "application/json" else None
    broken = violations("error-body", body) if body is not None else []
    if broken:
        return f"answers {exchange.status} with a body that is not an error: {broken[0].message}"
    if not kind and is_json(exchange) and isinstance(exchange.json, dict):
        return f"answers {exchange.status} with JSON, and does not call it so"
    known = {"application/json", "text/plain", ""}
    return "" if kind in known else f"answers {exchange.status} as {kind}"


def _unlocated(exchange: Exchange) -> str:
    """Whether an answer that creates a run fails to name it in its headers."""
    if exchange.method != "POST" or not _CREATES.fullmatch(exchange.path.partition("?")[0]):
        return ""
    named = UUID.findall(exchange.headers.get("content-location", ""))
    if not named:
        return "names no run in Content-Location"
    followed = UUID.findall(exchange.headers.get("location", ""))
    if followed and followed[-1].lower() != named[-1].lower():
        return f"names in Location another run than in Content-Location: {followed[-1]}"
    return ""


def _ungrammatical(exchange: Exchange) -> Iterator[Finding]:
    grammar = stream_grammar()
    events = exchange.events
    begun = exchange.method == "POST" and exchange.path.partition("?")[0].endswith("/runs/stream")
    if begun and events[0].event != grammar.first.event:
        yield exchange, f"begins with {events[0].event!r}"
    if [event.event for event in events].count(grammar.first.event) > 1:
        yield exchange, f"has several events {grammar.first.event!r}"
    modes = _modes(exchange) if begun else None
    for event in events:
        schema = grammar.schema_of(event.event)
        if event.data and schema is not None and _json_of(event) is not None:
            for broken in violations(schema, _json_of(event))[:1]:
                yield (
                    exchange,
                    f"sends an event {event.event!r} that breaks {schema}{broken.path}: {broken.message}",
                )
        if modes is not None and not grammar.is_allowed(event.event, modes, subgraphs=True):
            yield exchange, f"sends an event {event.event!r}, which no mode of {', '.join(modes)} has"
    yield from ((exchange, reason) for reason in _ungrown(events) if has(GRAPHS))
    ids = [event.id for event in events if event.id is not None]
    # The event that only closes a stream is none of the run's, and need not be resumed from.
    of_the_run = [event for event in events if event.event != "end"]
    if ids and len(ids) < len(of_the_run):
        yield exchange, "gives an id to some of its events only"
    if len(set(ids)) < len(ids):
        yield exchange, "gives one id to two of its events"


def _ungrown(events: tuple[Event, ...]) -> Iterator[str]:
    """Values that do not follow from those before: the conformance graphs log each node that they execute."""
    logs = [(number, _log(event)) for number, event in enumerate(events) if event.event == "values"]
    told = [(number, log) for number, log in logs if log is not None]
    for (_, before), (number, after) in pairwise(told):
        if after[: len(before)] != before:
            yield f"sends values in event {number + 1} that do not follow from those before: {after}"
        elif len(after) > len(before) + 1:
            yield f"sends values in event {number + 1} that are more than a step after those before: {after}"
    for first, second in pairwise(events):
        if (first.event, first.data) == (second.event, second.data) and first.mode not in _IN_CHUNKS:
            yield f"sends an event {first.event!r} twice"


def _log(event: Event) -> list[Any] | None:
    values = _json_of(event)
    log = values.get("log") if isinstance(values, dict) else None
    return log if isinstance(log, list) else None


def _modes(exchange: Exchange) -> list[str] | None:
    """The modes that the request asks for; None where it does not say, or says what is not a mode."""
    body = exchange.request_json
    asked: Any = body.get("stream_mode", "values") if isinstance(body, dict) else None
    modes = [asked] if isinstance(asked, str) else asked
    known = isinstance(modes, list) and set(map(str, modes)) <= set(stream_grammar().modes)
    return modes if known else None


def _json_of(event: Event) -> Any:
    try:
        return event.json
    except Missing:
        return None
