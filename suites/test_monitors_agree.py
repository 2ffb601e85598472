"""What holds between the readings of one thread: while nothing changes it, all of them tell the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from runstone.suite import (
    UUID,
    Exchange,
    Finding,
    Trace,
    bare_path,
    body_of,
    canonical,
    first_difference,
    last_id,
    last_values,
    lasts_as_its_run,
    lifecycle,
    none_broken,
    operation_for,
    requirement,
    run_statuses,
    shown,
    some,
    view,
)

_THREAD = re.compile(rf"/threads/({UUID.pattern})(?=[/?]|$)")
_READS = ("/history", "/state/checkpoint")  # by POST, and yet nothing is changed
_CREATES = re.compile(r"/runs(/wait|/stream)?$")
# What a thread may show once its last run ended so, and nothing is left to be done.
_AFTER = {
    "success": {"idle", "interrupted"},
    "error": {"error"},
    "timeout": {"error", "idle", "interrupted"},
    "interrupted": {"idle", "interrupted"},
}


@dataclass
class Rest:
    """A time in which a thread rested: what was read of it, after which run.

    `values`: (exchange, source, values); `statuses`: (exchange, status); `states`: (exchange, state).
    `shown`: (exchange, values), as the thread itself shows them, which only should be those of its state
    (THR-CREATE-008).
    """

    last_run: str | None = None
    fresh: bool = False  # nothing ever happened to the thread
    updated: bool = (
        False  # last its state was updated, which GET of the thread only should show (STATE-UPD-008)
    )
    values: list[tuple[Exchange, str, Any]] = field(default_factory=list)
    shown: list[tuple[Exchange, Any]] = field(default_factory=list)
    statuses: list[tuple[Exchange, str]] = field(default_factory=list)
    states: list[tuple[Exchange, dict[str, Any]]] = field(default_factory=list)
    newest: list[tuple[Exchange, dict[str, Any]]] = field(
        default_factory=list
    )  # where the newest state stands


@view
def rests(traces: list[Trace]) -> list[Rest]:
    """The times in which any thread of the session rested, and something was read of it."""
    return [
        rest
        for trace in traces
        for told in [[_Told(each) for each in trace.exchanges]]
        for thread in _threads(trace)
        for rest in _Story(thread, told).rests()
        if rest.values or rest.statuses
    ]


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
        for trace in traces:
            yield from _misjudged(trace)

    none_broken(findings())


def _shown_otherwise(rest: Rest) -> Iterator[Finding]:
    """The thread with other values than its state, or than the result of its last run."""
    wanted = rest.values or [(exchange, "values", values) for exchange, values in rest.shown[:1]]
    for exchange, values in rest.shown:
        difference = first_difference(canonical(values), canonical(wanted[0][2]))
        if difference is not None:
            yield exchange, f"shows other values than {wanted[0][0].where}: {difference}"


def _contradicted(exchange: Exchange, status: str, rest: Rest) -> Iterator[Finding]:
    """States that say otherwise than this status of the thread."""
    for other, state in rest.states:
        tasks = [each for each in state.get("tasks") or () if isinstance(each, dict)]
        asked = any(each.get("interrupts") for each in tasks)
        if asked and status != "interrupted":
            yield exchange, f"shows the thread {status}, which waits at an interrupt at {other.where}"
        if status == "interrupted" and not state.get("next"):
            yield exchange, f"shows the thread interrupted, which has nothing left to do at {other.where}"


def _misjudged(trace: Trace) -> Iterator[Finding]:
    """Runs whose status says otherwise than their result, or that had ended when they were created."""
    results = {run: failed for each in trace.exchanges for run, failed in _result_of(each)}
    for exchange in trace.exchanges:
        for run, status in run_statuses(exchange):
            ended = status in lifecycle().runs.terminal
            if ended and exchange.method == "POST" and _CREATES.search(bare_path(exchange)):
                yield exchange, f"creates a run that is {status} already"
            if status in {"error", "success", "timeout"} and results.get(run, status != "success") != (
                status != "success"
            ):
                told = "failed" if results[run] else "went well"
                yield exchange, f"shows status {status} of a run whose result {told}"


def _result_of(exchange: Exchange) -> Iterator[tuple[str, bool]]:
    """The run whose result a wait, a join or a stream has told to its end, and whether it failed."""
    run = exchange.found_run_id or last_id(exchange.path)
    if not lasts_as_its_run(exchange) or not exchange.complete or exchange.status >= 300 or run is None:
        return
    if not exchange.is_stream:
        body = body_of(exchange)
        if isinstance(body, dict):
            yield run, "__error__" in body
    elif exchange.method == "POST" and exchange.events and not exchange.closed_by_client:
        yield run, any(event.event == "error" for event in exchange.events)


class _Told:
    """What an exchange tells, read once for all threads of its trace, of which there may be hundreds."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.placed = _placed(exchange)
        self.statuses = list(run_statuses(exchange))
        self.lasted = lasts_as_its_run(exchange) and exchange.complete and exchange.status < 300
        self.makes_thread = bare_path(exchange) == "/threads"


def _threads(trace: Trace) -> list[str]:
    places = [f"{each.path} {each.headers.get('content-location', '')}" for each in trace.exchanges]
    made = [
        body_of(each) for each in trace.exchanges if each.method == "POST" and bare_path(each) == "/threads"
    ]
    ids = [str(body["thread_id"]) for body in made if isinstance(body, dict) and body.get("thread_id")]
    ids += [id_ for place in places for id_ in _THREAD.findall(place)]
    return list(dict.fromkeys(map(str.lower, ids)))


def _may_go_on_unseen(exchange: Exchange) -> bool:
    """Whether it may have begun a run whose id nobody reads from its answer."""
    path = bare_path(exchange)
    lost = _CREATES.search(path) and exchange.found_run_id is None and exchange.closed_by_client
    return bool(lost) or path.endswith("/commands")


class _Story:
    """What a trace tells of one thread: what changed it, which runs it had, and when each was over."""

    def __init__(self, thread: str, told: list[_Told]) -> None:
        self._thread = thread
        self._told = [each.exchange for each in told if thread in each.placed]
        self._changes = [each for each in self._told if _may_change(each)]
        self._runs = {
            each.found_run_id: each
            for each in self._changes
            if _CREATES.search(bare_path(each)) and each.found_run_id
        }
        self._ended: dict[str, float] = {}
        self._statuses: dict[str, str] = {}
        for each in told:
            if each.statuses or each.lasted:
                self._learn(each)
        makers = [each.exchange for each in told if each.makes_thread and _is_of(each.exchange, thread)]
        self._made_here = bool(makers) and not any(
            "supersteps" in (each.request_body or "") for each in makers
        )
        if self._made_here:
            self._told = [*makers[:1], *self._told]

    def _learn(self, told: _Told) -> None:
        """Of the end of a run: by its status, or because an answer that lasts as long as the run is over."""
        exchange = told.exchange
        for run, status in told.statuses:
            if run in self._runs and status in lifecycle().runs.terminal:
                self._over(run, exchange.ended_at)
                self._statuses[run] = status
        if told.lasted:
            run = exchange.found_run_id or last_id(exchange.path)
            self._over(run, exchange.ended_at)
            if exchange is self._runs.get(run) and not exchange.is_stream:
                failed = "__error__" in (body_of(exchange) or {})
                self._statuses.setdefault(run, "error" if failed else "success")

    def _over(self, run: str, at: float) -> None:
        self._ended[run] = min(at, self._ended.get(run, at))

    def rests(self) -> Iterator[Rest]:
        """The times in which the thread rested, with what was read in them."""
        if any(map(_may_go_on_unseen, self._changes)):
            return
        found: dict[int, Rest] = {}
        for exchange in self._told:
            lasting = lasts_as_its_run(exchange)
            since = exchange.ended_at if lasting else exchange.sent_at
            before = [each for each in self._changes if each.sent_at < since]
            if (exchange in self._changes and not lasting) or not self._rested(
                since, exchange.ended_at, before
            ):
                continue
            updated = bool(before) and bare_path(before[-1]).endswith("/state")
            fresh = not before and self._made_here
            rest = found.setdefault(len(before), Rest(self._status_after(before), fresh, updated))
            if lasting:
                self._note_result(exchange, rest, before)
            else:
                self._note_reading(exchange, rest)
        yield from found.values()

    def _rested(self, since: float, until: float, before: list[Exchange]) -> bool:
        meanwhile = any(since <= each.sent_at < until for each in self._changes)
        pending = any(each.ended_at > since for each in before)
        created = [run for run, each in self._runs.items() if each.sent_at < since]
        return (
            not meanwhile and not pending and all(self._ended.get(run, until + 1) <= since for run in created)
        )

    def _status_after(self, before: list[Exchange]) -> str | None:
        """How the last run ended, if nothing but runs and their ends made the thread what it is."""
        created = [run for run, each in self._runs.items() if each in before]
        taken_back = any("rollback" in f"{each.path} {each.request_body or ''}" for each in before)
        since = max((each.sent_at for each in before if "/runs" not in each.path), default=-1.0)
        if not created or self._runs[created[-1]].sent_at < since or taken_back:
            return None
        return self._statuses.get(created[-1])

    def _note_result(self, exchange: Exchange, rest: Rest, before: list[Exchange]) -> None:
        """What an answer tells that lasted until the last run was over."""
        run = exchange.found_run_id or last_id(exchange.path)
        created = [run for run, each in self._runs.items() if each in before]
        ended = self._statuses.get(run, "success")
        if not created or run != created[-1] or ended != "success" or not _by_values(self._runs[run]):
            return
        values = last_values(exchange)
        if values is not None:
            rest.values.append((exchange, "values", values))

    def _note_reading(self, exchange: Exchange, rest: Rest) -> None:
        operation = operation_for(exchange.method, exchange.path)
        body = body_of(exchange)
        path = bare_path(exchange)
        if operation is None or exchange.status >= 300:
            return
        if (
            operation.schema == "thread"
            and isinstance(body, dict)
            and path.endswith((self._thread, "/threads"))
        ):
            if body.get("status") == "busy" and not rest.fresh and not rest.statuses:
                return  # the status of a run and that of its thread need not change at one moment (MON-006)
            status = body.get("status")
            rest.statuses.append((exchange, status if isinstance(status, str) else shown(status)))
            if "values" in body and not rest.updated and rest.last_run not in {"error", "timeout"}:
                rest.shown.append((exchange, body["values"] or {}))
        elif operation.schema == "thread-state" and path.endswith("/state") and isinstance(body, dict):
            rest.states.append((exchange, body))
            rest.newest.append((exchange, _place_of(body)))
            rest.values.append((exchange, "values", body.get("values") or {}))
        elif (
            operation.schema == "thread-state" and path.endswith("/history") and _newest_first(exchange, body)
        ):
            rest.values.append((exchange, "values", body[0].get("values") or {}))
            rest.newest.append((exchange, _place_of(body[0])))


def _place_of(state: dict[str, Any]) -> dict[str, Any]:
    """Where a state stands: what all readings of it must have in common besides the values."""
    tasks = state.get("tasks")
    names = (
        [each.get("name") for each in tasks if isinstance(each, dict)] if isinstance(tasks, list) else tasks
    )
    known = {name: state.get(name) for name in ("checkpoint", "parent_checkpoint", "created_at", "next")}
    metadata = state.get("metadata") or {}
    return {**known, "tasks": names, **{name: metadata.get(name) for name in ("step", "source", "run_id")}}


def _is_of(exchange: Exchange, thread: str) -> bool:
    body = body_of(exchange)
    return isinstance(body, dict) and str(body.get("thread_id")).lower() == thread


def _placed(exchange: Exchange) -> str:
    return f"{exchange.path} {exchange.headers.get('content-location', '')}".lower()


def _may_change(exchange: Exchange) -> bool:
    return exchange.method not in {"GET", "PATCH"} and not bare_path(exchange).endswith(_READS)


def _by_values(created: Exchange) -> bool:
    """Whether the run was asked for its values, and nothing was said of the form of its result."""
    body = created.request_json
    return isinstance(body, dict) and "values" in body.get("stream_mode", "values")


def _newest_first(exchange: Exchange, body: Any) -> bool:
    """Whether a history begins with the newest state of all: nothing narrowed it."""
    asked = exchange.request_json
    narrowed = set(asked) - {"limit"} if isinstance(asked, dict) else set()
    plain = not narrowed and not {"before", "metadata", "checkpoint"} & set(re.findall(r"\w+", exchange.path))
    return plain and isinstance(body, list) and bool(body) and isinstance(body[0], dict)
