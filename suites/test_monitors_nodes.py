"""What holds for the nodes that the runs of every trace executed: the conformance graphs log each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from runstone.suite import (
    GRAPHS,
    UUID,
    Exchange,
    Finding,
    Inapplicable,
    Profile,
    Trace,
    bare_path,
    body_of,
    has,
    last_id,
    last_values,
    lasts_as_its_run,
    none_broken,
    requirement,
    run_statuses,
    shown,
    some,
    strict_json,
)

_STARTS = re.compile(r"(/runs(/wait|/stream)?|/commands)$")
_RESULTS = re.compile(r"/runs/(wait|stream)$")
_UNCOUNTED = ("/runs/batch", "/runs/crons", "/copy")  # these begin runs, or pass on what others began
_PLACE = re.compile(rf"/threads/{UUID.pattern}|/runs")
# The nodes of the conformance graphs in their order (fixtures/graphs/README.md), and those that begin a run.
_FIRST_NODES = {"s1", "a", "before", "ok", "look", "c1", "bad", "remember", "make", "u1"}
_NEXT_NODES = {
    "s1": {"s2"},
    "s2": {"s3"},
    "a": {"b"},
    "b": {"c"},
    "before": {"ask", "ask_left", "ask_right", "ask_twice"},
    "ask": {"after"},
    "ask_left": {"ask_right", "after"},
    "ask_right": {"ask_left", "after"},
    "ask_twice": {"after"},
    "c1": {"c2"},
    **{f"u{step}": {f"u{step + 1}"} for step in range(1, 5)},
    "c2": {"done"},
}
# With which node a run of a graph ends that asks for nothing and does not fail.
_LAST_NODES = {
    **dict.fromkeys(("steps", "sync_steps", "functional"), "s3"),
    "slow": "c",
    "config": "look",
    "memory": "remember",
    "maker": "make",
}
# Words of a request with which a run may end elsewhere, and of one that may end another run.
_ELSEWHERE = ('"command"', '"interrupt_', '"checkpoint', '"timeout"', '"log"')
_ENDING = ("/cancel", '"interrupt"', '"rollback"', '"cancel"')


@requirement("MON-014")
def test_logs_name_the_nodes_in_their_order(traces: list[Trace], profile: Profile) -> None:
    """Of an agent of the user's own nobody knows the nodes."""

    def findings() -> Iterator[Finding]:
        told = [(each, log) for trace in traces if _only_runs_wrote(trace) for each, log in _logs(trace)]
        # A stream may be cut short unseen; a body of JSON may not.
        named = (log for each, log in told if log and each.found_run_id and not each.is_stream)
        some(named, "log of a run that its answer names")
        for exchange, log in told:
            for before, after in pairwise(["", *log]):
                if after not in _FIRST_NODES and after not in _NEXT_NODES.get(before, ()):
                    yield exchange, f"logs {after} after {before or 'nothing'}, in {log}"
        for trace in (each for each in traces if _only_runs_wrote(each)):
            yield from _unfinished(trace)
            yield from _unlogged(trace, profile)
            yield from _begun_too_often(trace)

    if not has(GRAPHS):
        raise Inapplicable("the nodes of the agent are not known")
    none_broken(findings())


def _unfinished(trace: Trace) -> Iterator[Finding]:
    """Results of runs that ended well, whose last node is one after which the graph goes on."""
    ended = {run: status for each in trace.exchanges for run, status in run_statuses(each)}
    stopped = {each.found_run_id for each in trace.exchanges if "interrupt_" in (each.request_body or "")}
    for exchange in trace.exchanges:
        if not lasts_as_its_run(exchange) or not exchange.complete or exchange.status >= 300:
            continue
        run = exchange.found_run_id or last_id(bare_path(exchange))
        paused = "__interrupt__" in exchange.content or run in stopped
        values = last_values(exchange)
        log = values.get("log") if isinstance(values, dict) else None
        if ended.get(run) != "success" or paused or not isinstance(log, list) or not log:
            continue
        if isinstance(log[-1], str) and log[-1] in _NEXT_NODES:
            yield exchange, f"ends with {log[-1]}, after which the graph goes on"


def _unlogged(trace: Trace, profile: Profile) -> Iterator[Finding]:
    """Results of runs that nothing ended early which do not log the last node, or log several runs."""
    ended = {run: status for each in trace.exchanges for run, status in run_statuses(each)}
    if trace.notes.get("restarted_at") or any(map(_may_end_another, trace.exchanges)):
        return
    for exchange in trace.exchanges:
        asked = exchange.request_json if _RESULTS.search(bare_path(exchange)) else None
        graph = asked.get("assistant_id") if isinstance(asked, dict) else None
        elsewhere = any(word in (exchange.request_body or "") for word in _ELSEWHERE)
        if graph not in _LAST_NODES or elsewhere or not exchange.complete or exchange.status >= 300:
            continue
        values = _result(exchange, profile)
        if values is None or ended.get(exchange.found_run_id or "", "success") != "success":
            continue
        log = values.get("log") if isinstance(values, dict) else None
        if not isinstance(log, list) or log[-1:] != [_LAST_NODES[graph]]:
            yield exchange, f"ends without {_LAST_NODES[graph]}, the last node of {graph}, in {shown(log)}"
        elif bare_path(exchange).startswith("/runs") and sum(each in _FIRST_NODES for each in log) != 1:
            yield exchange, f"logs several runs in the result of one, in {shown(log)}"


def _may_end_another(exchange: Exchange) -> bool:
    said = f"{exchange.path} {exchange.request_body or ''}"
    return exchange.method == "DELETE" or any(word in said for word in _ENDING)


def _result(exchange: Exchange, profile: Profile) -> Any:
    """The values of a wait, or the last ones of a stream of values; None where it failed or was cut short."""
    if not exchange.is_stream:
        body = body_of(exchange)
        failed = not isinstance(body, dict) or "__error__" in body
        return None if failed else profile.wait.values_in(exchange.object)
    modes = exchange.request_json.get("stream_mode", "values")
    if exchange.closed_by_client or "values" not in modes or any(e.event == "error" for e in exchange.events):
        return None
    return last_values(exchange) or {}


def _begun_too_often(trace: Trace) -> Iterator[Finding]:
    """Logs of more runs than were asked for on their thread, which a stateless run may have made."""
    asked = [
        bare_path(each)
        for each in trace.exchanges
        if each.method == "POST" and _STARTS.search(bare_path(each))
    ]
    if any(path.endswith(_UNCOUNTED) for path in map(bare_path, trace.exchanges)):
        return
    for exchange, log in _logs(trace):
        place = _PLACE.match(bare_path(exchange))
        if place is None:
            continue  # a search finds what other scenarios made
        on_it = [path for path in asked if path.startswith((place[0], "/runs"))]
        begun = sum(node in _FIRST_NODES for node in log)
        if begun > len(on_it):
            yield exchange, f"logs {begun} runs where {len(on_it)} were asked for, in {log}"


def _only_runs_wrote(trace: Trace) -> bool:
    """Whether no request of the trace wrote to a state by hand, or sent a run elsewhere than on."""
    by_hand = ("checkpoint_id", '"goto"', '"update"', "supersteps")
    accepted = [each for each in trace.exchanges if each.answered and each.status < 300]
    return not any(
        (each.method == "POST" and bare_path(each).endswith("/state"))
        or any(word in (each.request_body or "") for word in by_hand)
        for each in accepted
    )


def _logs(trace: Trace) -> Iterator[tuple[Exchange, list[str]]]:
    """Every `log` in the values of an answer, of a values event, or of what a webhook was told."""
    for exchange in trace.exchanges:
        if not exchange.answered or exchange.status >= 300:
            continue
        told = [event.data for event in exchange.events if event.mode == "values"]
        whole = exchange.request_body if exchange.label == "delivery" else exchange.content
        for text in told if exchange.is_stream else [whole or ""]:
            if '"log"' not in text:
                continue  # most answers have none, and need not be walked through
            try:
                document = strict_json(text)
            except ValueError:
                continue
            yield from ((exchange, log) for log in _logs_in(document))


def _logs_in(document: Any) -> Iterator[list[str]]:
    if isinstance(document, list):
        for each in document:
            yield from _logs_in(each)
    if isinstance(document, dict):
        for name, member in document.items():
            if name == "log" and isinstance(member, list) and all(isinstance(each, str) for each in member):
                yield member
            elif name not in {"kwargs", "tasks"}:
                yield from _logs_in(member)
