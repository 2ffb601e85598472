"""What holds in every trace of the session, whatever the scenario was about."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from runstone.suite import (
    UUID,
    Api,
    Exchange,
    Finding,
    Missing,
    Trace,
    has,
    is_json,
    lasts_as_its_run,
    lifecycle,
    new_id,
    none_broken,
    operation_for,
    requirement,
    scenario,
    some,
    stream_grammar,
    violations,
)

SETTLED_S = 5.0  # the least time for which scenarios poll a thread before they give up on it
_OF_A_THREAD = re.compile(rf"/threads/({UUID.pattern})/runs/({UUID.pattern})")
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


@requirement("MON-001")
def test_statuses_follow_the_automaton(traces: list[Trace]) -> None:
    automaton = lifecycle().runs
    restarts: dict[str, list[float]] = {
        trace.scenario: trace.notes.get("restarted_at", []) for trace in traces
    }

    def findings() -> Iterator[Finding]:
        for readings in some(_run_readings(traces), "run whose status was read"):
            for (earlier, before), (later, after) in combinations(readings, 2):
                # A run that a server finds unfinished when it starts again may be queued once more.
                retried = any(earlier.sent_at < at < later.sent_at for at in restarts[later.scenario])
                # Of two readings that overlap in time, nobody can say which the server answered first.
                if earlier.ended_at <= later.sent_at and not automaton.may_show(
                    before, after, retried=retried
                ):
                    yield later, f"shows run status {after} after {before} at {earlier.where}"

    none_broken(findings())


@requirement("MON-002")
def test_a_run_has_one_id(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        naming = [(each, _run_ids_named(each)) for each in _creating_runs(traces)]
        some((named for _, named in naming if "body" in named), "run that was created and shown")
        for exchange, named in naming:
            if len(set(named.values())) > 1:
                yield exchange, f"names different runs: {named}"
        for trace in traces:
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
def test_bodies_conform_to_their_schemas(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        delayed, known = _delayed_runs(traces), dict[tuple[str, str], list[list[str]]]()
        for exchange in some(_described(traces), "2xx body that the contract describes"):
            yield from _schema_findings(exchange, delayed, known)

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


@requirement("MON-006")
def test_threads_leave_busy(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        polled = [readings for trace in traces for readings in _thread_readings(trace)]
        for readings, last_run_end in some(polled, "thread whose runs all ended"):
            exchange, status = readings[-1]
            # What settles a thread reads it until it is not busy, or until that takes too long.
            waited = exchange.label.startswith("settle") and exchange.sent_at >= last_run_end
            if status == "busy" and (waited or exchange.sent_at - last_run_end >= SETTLED_S):
                late = exchange.sent_at - last_run_end
                yield exchange, f"still shows the thread busy {late:.1f} s after its last run ended"

    none_broken(findings())


def _run_readings(traces: list[Trace]) -> list[list[tuple[Exchange, str]]]:
    """For every run the (exchange, status) of all its readings, in the order of their answers."""
    by_run: dict[str, list[tuple[Exchange, str]]] = {}
    for trace in traces:
        for exchange in trace.exchanges:
            for run in _runs_in(exchange):
                by_run.setdefault(run["run_id"].lower(), []).append((exchange, run["status"]))
    return [sorted(readings, key=lambda reading: reading[0].ended_at) for readings in by_run.values()]


def _runs_in(exchange: Exchange) -> list[dict[str, Any]]:
    operation = operation_for(exchange.method, exchange.path)
    if operation is None or operation.schema != "run":
        return []
    return [
        each
        for each in _objects(exchange)
        if isinstance(each.get("run_id"), str) and isinstance(each.get("status"), str)
    ]


def _objects(exchange: Exchange) -> list[dict[str, Any]]:
    """The objects of a JSON answer, be it one or an array; none where it is not 2xx JSON."""
    try:
        body = exchange.ok.json
    except Missing:
        return []
    return [each for each in (body if isinstance(body, list) else [body]) if isinstance(each, dict)]


def _creating_runs(traces: list[Trace]) -> list[Exchange]:
    paths = re.compile(r"(/threads/[^/]+)?/runs(/wait|/stream)?")
    return [
        exchange
        for trace in traces
        for exchange in trace.exchanges
        if exchange.method == "POST" and paths.fullmatch(exchange.path) and exchange.found_run_id
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
    named["body"] = [run["run_id"] for run in _runs_in(exchange)]
    return {place: ids[0].lower() for place, ids in named.items() if ids}


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
        for state in _objects(exchange):
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
    """What breaks a schema; `known`: what was found before, by schema and body, as polls repeat bodies."""
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
    documents, told = body if operation.many else [body], (operation.schema, exchange.content)
    if told not in known:
        broken = (violations(operation.schema, document)[:1] for document in documents)
        known[told] = [[f"{each.path}: {each.message}" for each in of_it] for of_it in broken]
    for document, broken_at in zip(documents, known[told], strict=True):
        for place in broken_at:
            yield exchange, f"breaks {operation.schema}{place}"
        run = document.get("run_id") if isinstance(document, dict) else None
        if isinstance(document, dict) and run not in delayed and _runs_backwards(document):
            yield exchange, f"was created {document['created_at']}, after its update {document['updated_at']}"


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


def _thread_readings(trace: Trace) -> Iterator[tuple[list[tuple[Exchange, str]], float]]:
    """For each thread of which all runs were seen to end: its readings, and when the last run had ended."""
    terminal = lifecycle().runs.terminal
    threads: dict[str, list[tuple[Exchange, str]]] = {}
    runs: dict[str, dict[str, tuple[float, str]]] = {}
    for exchange in trace.exchanges:
        operation = operation_for(exchange.method, exchange.path)
        if lasts_as_its_run(exchange) and exchange.complete and not exchange.closed_by_client:
            for thread, run in _OF_A_THREAD.findall(exchange.headers.get("content-location", "")):
                runs.setdefault(thread, {})[run] = (exchange.ended_at, "over")
        if operation is None or not operation.schema or operation.many:
            continue
        for each in _objects(exchange):
            thread, status = each.get("thread_id"), each.get("status")
            if not isinstance(thread, str) or not isinstance(status, str):
                continue
            if operation.schema == "thread":
                threads.setdefault(thread, []).append((exchange, status))
            elif operation.schema == "run" and isinstance(each.get("run_id"), str):
                runs.setdefault(thread, {})[each["run_id"]] = (exchange.ended_at, status)
    for thread, readings in threads.items():
        ends = runs.get(thread, {})
        if ends and all(status in {*terminal, "over"} for _, status in ends.values()):
            yield readings, max(ended for ended, _ in ends.values())
