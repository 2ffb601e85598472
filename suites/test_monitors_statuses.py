"""What holds for the statuses of every trace: a run follows the automaton, and no thread stays busy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from runstone.suite import (
    UUID,
    Exchange,
    Finding,
    Trace,
    bare_path,
    begins_run,
    lasts_as_its_run,
    lifecycle,
    none_broken,
    objects_of,
    operation_for,
    requirement,
    some,
)

SETTLED_S = 5.0  # the least time for which scenarios poll a thread before they give up on it
_CLOCK_S = 0.01  # by which two times may be off that are written down one after the other
_OF_A_THREAD = re.compile(rf"/threads/({UUID.pattern})/runs/({UUID.pattern})")


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


@requirement("MON-006")
def test_threads_leave_busy(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        polled = [readings for trace in traces for readings in _thread_readings(trace)]
        for readings, last_run_end in some(polled, "thread whose runs all ended"):
            # What settles a thread reads it until it is not busy, or until that takes too long.
            settled = [each for each in readings if each[0].label.startswith("settle")]
            watched = [(*each, -_CLOCK_S) for each in settled[-1:]] + [(*readings[-1], SETTLED_S)]
            for exchange, status, late in watched:
                since = exchange.sent_at - last_run_end
                if status == "busy" and since >= late:
                    yield exchange, f"still shows the thread busy {since:.1f} s after its last run ended"

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
        for each in objects_of(exchange)
        if isinstance(each.get("run_id"), str) and isinstance(each.get("status"), str)
    ]


@dataclass
class _Seen:
    """What a trace shows of a run: since when it was named, and when it was over."""

    since: float
    over: float | None = None


def _thread_readings(trace: Trace) -> Iterator[tuple[list[tuple[Exchange, str]], float]]:
    """For each time in which all runs of a thread were over: its readings, and when the last one ended."""
    threads: dict[str, list[tuple[Exchange, str]]] = {}
    runs: dict[str, dict[str, _Seen]] = {}
    for exchange in trace.exchanges:
        operation = operation_for(exchange.method, exchange.path)
        if lasts_as_its_run(exchange) and exchange.complete and not exchange.closed_by_client:
            for thread, run in _OF_A_THREAD.findall(exchange.headers.get("content-location", "")):
                _learn(runs.setdefault(thread, {}), run, exchange, "over")
        if operation is None or not operation.schema or operation.many:
            continue
        for each in objects_of(exchange):
            thread, status = each.get("thread_id"), each.get("status")
            if not isinstance(thread, str) or not isinstance(status, str):
                continue
            if operation.schema == "thread":
                threads.setdefault(thread, []).append((exchange, status))
            elif operation.schema == "run" and isinstance(each.get("run_id"), str):
                _learn(runs.setdefault(thread, {}), each["run_id"], exchange, status)
    for thread, readings in threads.items():
        yield from _between_runs(readings, list(runs.get(thread, {}).values()), _unseen_since(trace, thread))


def _learn(runs: dict[str, _Seen], run: str, exchange: Exchange, status: str) -> None:
    seen = runs.setdefault(run, _Seen(exchange.sent_at))
    seen.since = min(seen.since, exchange.sent_at)
    if status in {*lifecycle().runs.terminal, "over"}:
        seen.over = exchange.ended_at if seen.over is None else min(seen.over, exchange.ended_at)


def _unseen_since(trace: Trace, thread: str) -> float:
    """From when on a run may be on the thread of which the trace shows nothing."""
    return min(
        (
            each.sent_at
            for each in trace.exchanges
            if each.method == "POST"
            and bare_path(each).startswith(f"/threads/{thread.lower()}/")
            and (bare_path(each).endswith(("/commands", "/crons")) or _begins_unnamed(each))
        ),
        default=float("inf"),
    )


def _begins_unnamed(exchange: Exchange) -> bool:
    taken = exchange.code is None or exchange.code < 300
    return begins_run(exchange) and taken and exchange.found_run_id is None


def _between_runs(
    readings: list[tuple[Exchange, str]], runs: list[_Seen], unseen: float
) -> Iterator[tuple[list[tuple[Exchange, str]], float]]:
    """The readings in groups: after the same runs, each of which was over at last."""
    groups: dict[int, list[tuple[Exchange, str]]] = {}
    for exchange, status in readings:
        before = sum(run.since <= exchange.ended_at for run in runs)
        if before and exchange.ended_at < unseen:
            groups.setdefault(before, []).append((exchange, status))
    ordered = sorted(runs, key=lambda run: run.since)
    for count, group in groups.items():
        ends = [run.over for run in ordered[:count]]
        known = [end for end in ends if end is not None]
        if len(known) == len(ends):
            yield group, max(known)
