"""What holds between the readings of one thread: while nothing changes it, all of them tell the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from runstone.suite import (
    Exchange,
    Finding,
    Profile,
    Rest,
    Trace,
    begins_run,
    body_of,
    canonical,
    first_difference,
    interrupts_in,
    last_id,
    lasts_as_its_run,
    lifecycle,
    none_broken,
    raw,
    requirement,
    rests_of,
    run_statuses,
    shown,
    some,
    view,
)

# What may end a run before its last node, or lets it pause.
_STOPS = re.compile(
    r"/cancel|rollback|cancel_on_disconnect|strategy\W+interrupt|on_disconnect\W+cancel|interrupt_",
    re.IGNORECASE,
)
_LAG_S = 1.0  # by which the status of a run may lag behind its result (RUN-WAIT-013)
Result = tuple[float, bool, bool]  # of a run: when it was told, whether it failed, whether it may have paused
# What a thread may show once its last run ended so, and nothing is left to be done.
_AFTER = {
    "success": {"idle", "interrupted"},
    "error": {"error"},
    "timeout": {"error", "idle", "interrupted"},
    "interrupted": {"idle", "interrupted"},
}


@view
def rests(traces: list[Trace], profile: Profile) -> list[Rest]:
    """The times in which any thread of the session rested, and something was read of it."""
    return rests_of(traces, profile)


@requirement("MON-010")
def test_all_readings_of_a_result_agree(rests: list[Rest]) -> None:
    def findings() -> Iterator[Finding]:
        told = [[values for _, _, values in each.values if values] for each in rests]
        some((each for each in told if len(each) > 1), "result that was read twice")
        for rest in rests:
            for exchange, source, values in rest.values[1:]:
                other, of, wanted = rest.values[0]
                difference = first_difference(canonical(values), canonical(wanted))
                if difference is not None:
                    yield exchange, f"shows other {source} than {of} at {other.where}: {difference}"
            for exchange, place in rest.newest[1:]:
                other, wanted = rest.newest[0]
                difference = first_difference(place, wanted)
                if difference is not None:
                    yield exchange, f"shows another state than {other.where}: {difference}"

    none_broken(findings())


@requirement("MON-011")
def test_a_resting_thread_shows_how_its_last_run_ended(rests: list[Rest], traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        some((each for each in rests if each.statuses and each.last_run), "thread that was read after a run")
        for rest in rests:
            legal = (
                {"idle"} if rest.fresh else _AFTER.get(rest.last_run or "", {"idle", "interrupted", "error"})
            )
            for exchange, status in rest.statuses:
                if status not in legal:
                    ended = f"after its last run ended with {shown(rest.last_run)}"
                    yield exchange, f"shows the thread {status} {ended}"
                yield from _contradicted(exchange, status, rest)
            yield from _shown_otherwise(rest)
            yield from _asked_otherwise(rest)
        for trace in traces:
            yield from _misjudged(trace)

    none_broken(findings())


def _shown_otherwise(rest: Rest) -> Iterator[Finding]:
    """The thread with other values than its state, or than the result of its last run."""
    if rest.fresh and not rest.values:
        yield from (
            (exchange, f"shows the values {shown(values)} of a thread on which nothing ran")
            for exchange, values in rest.shown
            if values
        )
    wanted = rest.values or [(exchange, "values", values) for exchange, values in rest.shown[:1]]
    for exchange, values in rest.shown:
        difference = first_difference(canonical(values), canonical(wanted[0][2]))
        if difference is not None:
            yield exchange, f"shows other values than {wanted[0][0].where}: {difference}"


def _asked_otherwise(rest: Rest) -> Iterator[Finding]:
    """Interrupts of a thread, or of the result of its last run, that its state does not have."""
    for exchange, told in (*rest.asked, *rest.waiting):
        if any(each["id"] and told.count(each) > 1 for each in told):
            yield exchange, f"shows an interrupt twice: {shown(told)}"
        for other, state in rest.states:
            tasks = [each for each in state.get("tasks") or () if isinstance(each, dict)]
            known = [item for each in tasks for item in interrupts_in(raw(each.get("interrupts")))]
            strange = [each for each in told if not _is_among(each, known)]
            if strange:
                yield exchange, f"shows the interrupt {shown(strange[0])}, which is not in {other.where}"
            # That all of several are shown is RUN-WAIT-007's, which is a SHOULD of its own.
            if known and not told:
                yield exchange, f"does not show the interrupt that the thread waits at, in {other.where}"
    for exchange, told in rest.waiting:
        for other, asked in rest.asked:
            lacking = [each for each in asked if not _is_among(each, told)]
            if lacking:
                yield exchange, f"lacks the interrupt {shown(lacking[0])} of {other.where}"


def _is_among(interrupt: dict[str, Any], known: list[dict[str, Any]]) -> bool:
    """Whether one of these asks the same under the same id; an id need not be shown everywhere."""
    return any(
        interrupt["value"] == each["value"] and (not interrupt["id"] or each["id"] in (None, interrupt["id"]))
        for each in known
    )


def _contradicted(exchange: Exchange, status: str, rest: Rest) -> Iterator[Finding]:
    """States that say otherwise than this status of the thread."""
    for other, state in rest.states:
        tasks = [each for each in state.get("tasks") or () if isinstance(each, dict)]
        asked = any(each.get("interrupts") for each in tasks)
        if asked and status != "interrupted":
            yield exchange, f"shows the thread {status}, which waits at an interrupt at {other.where}"
        if status == "idle" and state.get("next") and rest.last_run == "success":
            left = shown(state["next"])
            yield exchange, f"shows the thread idle, which has {left} left to do at {other.where}"
        if status == "interrupted" and not state.get("next"):
            yield exchange, f"shows the thread interrupted, which has nothing left to do at {other.where}"


def _misjudged(trace: Trace) -> Iterator[Finding]:
    """Runs whose status says otherwise than their result, or that had ended when they were created."""
    results: dict[str, list[Result]] = {}
    for run, result in (found for each in trace.exchanges for found in _result_of(each)):
        results.setdefault(run, []).append(result)
    shows = [(each, run, status) for each in trace.exchanges for run, status in run_statuses(each)]
    last = {run: each for each, run, _ in shows}
    stopped = any(status == "interrupted" for *_, status in shows) and _may_end_early(trace)
    for exchange, run, status in shows:
        ended = status in lifecycle().runs.terminal
        if ended and begins_run(exchange):
            yield exchange, f"creates a run that is {status} already"
        for over, failed, paused in results.get(run, ()):
            if status in {"error", "success", "timeout"} and failed != (status != "success"):
                told = "failed" if failed else "went well"
                yield exchange, f"shows status {status} of a run whose result {told}"
            if status == "interrupted" and not (failed or paused or stopped):
                yield exchange, "shows status interrupted of a run that nothing had stopped"
            # Who polls a run does so until it has ended, or until that takes too long.
            waited = exchange.label == "poll" and exchange is last[run]
            if not ended and exchange.sent_at >= over + (0.0 if waited else _LAG_S):
                yield exchange, f"shows status {status} of a run whose result had been told"


def _may_end_early(trace: Trace) -> bool:
    return bool(trace.notes.get("restarted_at")) or any(map(_may_end_a_run, trace.exchanges))


def _may_end_a_run(exchange: Exchange) -> bool:
    return (
        exchange.closed_by_client
        or exchange.method == "DELETE"
        or bool(_STOPS.search(f"{exchange.path} {exchange.request_body or ''}"))
    )


def _result_of(exchange: Exchange) -> Iterator[tuple[str, Result]]:
    """The run whose result a wait, a join or a stream has told to its end."""
    run = exchange.found_run_id or last_id(exchange.path)
    if not lasts_as_its_run(exchange) or not exchange.complete or exchange.status >= 300 or run is None:
        return
    paused = "interrupt" in exchange.content or "interrupt" in (exchange.request_body or "")
    if not exchange.is_stream:
        body = body_of(exchange)
        if isinstance(body, dict):
            yield run, (exchange.ended_at, "__error__" in body, paused)
    elif exchange.method == "POST" and exchange.events and not exchange.closed_by_client:
        yield run, (exchange.ended_at, any(event.event == "error" for event in exchange.events), paused)
