"""What holds in every trace of the session, whatever the scenario was about."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

from runstone.suite import (
    UUID,
    Api,
    Exchange,
    Finding,
    Missing,
    Profile,
    Trace,
    begins_run,
    body_of,
    has,
    is_json,
    lasts_as_its_run,
    new_id,
    none_broken,
    objects_of,
    operation_for,
    raw,
    requirement,
    run_statuses,
    scenario,
    some,
    stream_grammar,
    violations,
)

_OF_A_RUN = re.compile(rf"/runs/({UUID.pattern})")
_CANARY = "runstone-canary-"
_STACK_TRACE = re.compile(
    r"Traceback \(most recent call last\)|File \\?\"[^\"]+\\?\", line \d+|\\n\s+at [^\\]+:\d+:\d+\)?"
)


@scenario(agent=True)
async def secret_in_a_header(api: Api) -> None:
    """A request carries a key that no answer about it may repeat."""
    secret = {"x-api-key": _CANARY + new_id()}
    thread = await api.create_thread()
    await api.request(
        "POST",
        f"/threads/{thread}/runs/wait",
        json={"assistant_id": "config", "input": {"log": []}, "on_disconnect": "continue"},
        headers=secret,
        label="wait",
    )
    await api.runs(thread)
    await api.state(thread)
    await api.request("GET", f"/threads/{thread}/runs/{new_id()}", headers=secret, label="unknown run")


@requirement("MON-002")
def test_a_run_has_one_id(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        naming = [(each, _run_ids_named(each)) for each in _creating_runs(traces)]
        some((named for _, named in naming if "body" in named), "run that was created and shown")
        for exchange, named in naming:
            if len(set(named.values())) > 1:
                yield exchange, f"names different runs: {named}"
        for trace in traces:
            yield from _located_elsewhere(trace)
            yield from _foreign_checkpoints(trace)

    none_broken(findings())


@requirement("MON-003")
def test_streams_end_at_error_and_end(traces: list[Trace]) -> None:
    grammar = stream_grammar()

    def findings() -> Iterator[Finding]:
        streams = [each for trace in traces for each in trace.exchanges if each.is_stream and each.events]
        if has("error_outcome"):  # of streams that are all cut short nobody knows how they would have ended
            told = {event.event for each in streams for event in each.events}
            some(told & set(grammar.closing), "event that closes a stream")
        for exchange in some(streams, "stream with events"):
            for number, event in enumerate(exchange.events):
                illegal = [later.event for later in exchange.events[number + 1 :]]
                illegal = [
                    name
                    for name in illegal
                    if event.event in grammar.closing and not grammar.may_follow(event.event, name)
                ]
                if illegal:
                    yield exchange, f"sends {illegal[0]!r} after {event.event!r}"
                if event.data and not is_json(event):
                    yield (
                        exchange,
                        f"sends an event {event.event!r} whose data is not JSON: {event.data[:80]}",
                    )

    none_broken(findings())


@requirement("MON-004")
def test_bodies_conform_to_their_schemas(traces: list[Trace], profile: Profile) -> None:
    def findings() -> Iterator[Finding]:
        delayed, known = _delayed_runs(traces), dict[tuple[str, str], list[list[str]]]()
        for exchange in some(_described(traces), "2xx body that the contract describes"):
            yield from _schema_findings(exchange, delayed, known)
        for trace in traces:
            for exchange in trace.exchanges:
                yield from _result_findings(exchange, profile)

    none_broken(findings())


@requirement("MON-005")
def test_no_answer_holds_a_secret_or_a_stack_trace(secret_in_a_header: Trace, traces: list[Trace]) -> None:
    assert secret_in_a_header.wait.ok.run_id

    def findings() -> Iterator[Finding]:
        answered = [each for trace in traces for each in trace.exchanges if each.answered]
        canaries = {secret for exchange in answered for secret in _secrets(exchange)}
        for exchange in answered:
            told = "\n".join([*(value for _, value in exchange.response_headers), exchange.content])
            if "[redacted:" in told or any(secret in told for secret in canaries):
                yield exchange, "repeats a secret of a request header"
            found = _STACK_TRACE.search(told)
            if found:
                yield exchange, f"shows a stack trace: {found.group()[:60]}"

    none_broken(findings())


def _creating_runs(traces: list[Trace]) -> list[Exchange]:
    return [
        exchange
        for trace in traces
        for exchange in trace.exchanges
        if begins_run(exchange) and exchange.found_run_id
    ]


def _run_ids_named(exchange: Exchange) -> dict[str, str]:
    """Place → run id, lower-case, of every place in this answer that names its run."""
    named = {"Content-Location": UUID.findall(exchange.headers.get("content-location", ""))[-1:]}
    named["metadata event"] = [
        event.json["run_id"]
        for event in exchange.events
        if event.event == "metadata"
        and isinstance(event.json, dict)
        and isinstance(event.json.get("run_id"), str)
    ]
    named["body"] = [run for run, _ in run_statuses(exchange)]
    return {place: ids[0].lower() for place, ids in named.items() if ids}


def _located_elsewhere(trace: Trace) -> Iterator[Finding]:
    """Answers about the run that their path names, of which a header names another one."""
    for exchange in trace.exchanges:
        asked = _OF_A_RUN.search(exchange.path)
        for header in ("content-location", "location") if asked and exchange.answered else ():
            named = UUID.findall(exchange.headers.get(header, ""))[-1:]
            if asked and named and named[0].lower() != asked[1].lower():
                yield exchange, f"is about run {asked[1]}, and names {named[0]} in {header}"


def _foreign_checkpoints(trace: Trace) -> Iterator[Finding]:
    """Checkpoints that name a run which the trace never saw on their thread."""
    created = _creating_runs([trace])
    known = {run.lower() for exchange in created if (run := exchange.found_run_id)}
    unnamed = [
        each
        for each in trace.exchanges
        if each.method == "POST"
        and ("/runs" in each.path or "/commands" in each.path)
        and each not in created
    ]
    if not known or unnamed:
        return  # a run was made whose id the trace does not know; any checkpoint may be that run's
    for exchange in trace.exchanges:
        operation = operation_for(exchange.method, exchange.path)
        if operation is None or operation.schema != "thread-state":
            continue
        for state in objects_of(exchange):
            metadata = state.get("metadata")
            run = metadata.get("run_id") if isinstance(metadata, dict) else None
            if isinstance(run, str) and run.lower() not in known:
                yield exchange, f"shows a checkpoint of run {run}, which was never created"


def _described(traces: list[Trace]) -> list[Exchange]:
    found = []
    for trace in traces:
        for exchange in trace.exchanges:
            operation = operation_for(exchange.method, exchange.path)
            if operation is None or not operation.schema:
                continue
            # A 204 has no body to conform.
            answered = exchange.complete and 200 <= exchange.status < 300 and exchange.status != 204
            if answered and not _may_differ(exchange, operation.unless):
                found.append(exchange)
    return found


def _may_differ(exchange: Exchange, member: str) -> bool:
    body = exchange.request_json
    return bool(member) and isinstance(body, dict) and member in body


def _schema_findings(
    exchange: Exchange, delayed: set[str], known: dict[tuple[str, str], list[list[str]]]
) -> Iterator[Finding]:
    """What breaks a schema; `known`: what was found before, by operation and body, as polls repeat bodies."""
    operation = operation_for(exchange.method, exchange.path)
    if operation is None or not operation.schema:
        return
    try:
        body = exchange.json
    except Missing as reason:
        yield exchange, str(reason)
        return
    if operation.many and not isinstance(body, list):
        yield exchange, f"answers no array of {operation.schema}"
        return
    documents, told = body if operation.many else [body], (operation.name, exchange.content)
    if told not in known:
        broken = (violations(operation.schema, document)[:1] for document in documents)
        known[told] = [[f"{each.path}: {each.message}" for each in of_it] for of_it in broken]
    for document, broken_at in zip(documents, known[told], strict=True):
        for place in broken_at:
            yield exchange, f"breaks {operation.schema}{place}"
        run = document.get("run_id") if isinstance(document, dict) else None
        if isinstance(document, dict) and run not in delayed and _runs_backwards(document):
            yield exchange, f"was created {document['created_at']}, after its update {document['updated_at']}"


def _result_findings(exchange: Exchange, profile: Profile) -> Iterator[Finding]:
    """What breaks the schema that the profile has for the body of a wait or a join."""
    body = body_of(exchange) if lasts_as_its_run(exchange) and not exchange.is_stream else None
    if isinstance(body, dict):
        failed = raw(profile.wait.error_in(body)) is not None
        schema = profile.wait.error_schema if failed else profile.wait.schema
        for violation in violations(schema, body)[:1]:
            yield exchange, f"breaks {schema}{violation.path}: {violation.message}"


def _delayed_runs(traces: list[Trace]) -> set[str]:
    """The ids of the runs that were asked to start later: their created_at may lie in the future."""
    created = _creating_runs(traces)
    return {
        each.run_id
        for each in created
        if isinstance(each.request_json, dict) and each.request_json.get("after_seconds")
    }


def _runs_backwards(document: dict[str, Any]) -> bool:
    created, updated = document.get("created_at"), document.get("updated_at")
    if not isinstance(created, str) or not isinstance(updated, str):
        return False
    try:
        return dt.datetime.fromisoformat(created) > dt.datetime.fromisoformat(updated)
    except (ValueError, TypeError):
        return False  # the schema has already said that it is not a timestamp


def _secrets(exchange: Exchange) -> list[str]:
    return [value for _, value in exchange.request_headers if value.startswith(_CANARY)]
