"""When the threads of a trace rested, and what was read of each meanwhile: while nothing changes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from runstone.contracts import Profile, lifecycle, operation_for
from runstone.judge.monitoring import (
    bare_path,
    begins_run,
    body_of,
    last_id,
    last_values,
    lasts_as_its_run,
    run_statuses,
)
from runstone.wire.canonical import shown
from runstone.wire.documents import raw
from runstone.wire.exchange import UUID, Exchange
from runstone.wire.trace import Trace

_THREAD: Final = re.compile(rf"/threads/({UUID.pattern})(?=[/?]|$)")
_READS: Final = ("/history", "/state/checkpoint")  # by POST, and yet nothing is changed


@dataclass
class Rest:
    """A time in which a thread rested: what was read of it, after which run.

    `values`: (exchange, source, values); `statuses`: (exchange, status); `states`: (exchange, state);
    `asked`, `waiting`: (exchange, interrupts), of the result of its last run and of the thread itself.
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
    asked: list[tuple[Exchange, list[Any]]] = field(default_factory=list)
    waiting: list[tuple[Exchange, list[Any]]] = field(default_factory=list)
    newest: list[tuple[Exchange, dict[str, Any]]] = field(
        default_factory=list
    )  # where the newest state stands


def rests_of(traces: Iterable[Trace], profile: Profile) -> list[Rest]:
    """The times in which a thread of one of the traces rested, and something was read of it."""
    return [rest for trace in traces for rest in _rests_in(trace, profile)]


def _rests_in(trace: Trace, profile: Profile) -> Iterator[Rest]:
    told = [_Told(each) for each in trace.exchanges]
    of_runs: dict[str, list[_Told]] = {}
    for each in told:
        for run in each.runs:
            of_runs.setdefault(run, []).append(each)
    for thread in _threads(trace):
        found = _Recorded(thread, told, of_runs, profile).rests()
        yield from (rest for rest in found if rest.values or rest.statuses)


class _Told:
    """What an exchange tells, read once for all threads of its trace, of which there may be hundreds.

    `lasted`: the run that it lasted as long as; `runs`: all runs of whose end it tells.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.placed = _placed(exchange)
        self.listed = _listed(exchange)
        self.statuses = list(run_statuses(exchange))
        over = lasts_as_its_run(exchange) and exchange.complete and exchange.status < 300
        self.lasted = (exchange.found_run_id or last_id(exchange.path)) if over else None
        self.runs = {run for run, _ in self.statuses} | ({self.lasted} if self.lasted else set())
        self.makes = _thread_in(exchange) if bare_path(exchange) == "/threads" else None


def _listed(exchange: Exchange) -> dict[str, dict[str, Any]]:
    """The threads that a search finds, by id; not those of which it was asked for some members only."""
    operation = operation_for(exchange.method, exchange.path)
    if operation is None or operation.schema != "thread" or not operation.many:
        return {}
    body = None if '"select"' in (exchange.request_body or "") else body_of(exchange)
    found = [each for each in body if isinstance(each, dict)] if isinstance(body, list) else []
    return {str(each.get("thread_id")).lower(): each for each in found}


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
    lost = begins_run(exchange) and exchange.found_run_id is None and exchange.closed_by_client
    return lost or bare_path(exchange).endswith("/commands")


class _Recorded:
    """What a trace tells of one thread: what changed it, which runs it had, and when each was over."""

    def __init__(
        self, thread: str, told: list[_Told], of_runs: Mapping[str, list[_Told]], profile: Profile
    ) -> None:
        self._thread = thread
        self._profile = profile
        self._told = [each.exchange for each in told if thread in each.placed or thread in each.listed]
        self._listed = {each.exchange.number: each.listed[thread] for each in told if thread in each.listed}
        self._changes = [each for each in self._told if each.number not in self._listed and _may_change(each)]
        self._runs = {
            each.found_run_id: each for each in self._changes if begins_run(each) and each.found_run_id
        }
        self._ended: dict[str, float] = {}
        self._statuses: dict[str, str] = {}
        for run in self._runs:
            for each in of_runs.get(run, ()):
                self._learn(run, each)
        makers = [each.exchange for each in told if each.makes == thread]
        self._made_here = bool(makers) and not any(
            "supersteps" in (each.request_body or "") for each in makers
        )
        if self._made_here:
            self._told = [*makers[:1], *self._told]

    def _learn(self, run: str, told: _Told) -> None:
        """Of the end of a run: by its status, or because an answer that lasts as long as the run is over."""
        exchange = told.exchange
        for shown_run, status in told.statuses:
            if shown_run == run and status in lifecycle().runs.terminal:
                self._over(run, exchange.ended_at)
                self._statuses[run] = status
        if told.lasted == run:
            self._over(run, exchange.ended_at)
            if exchange is self._runs.get(run) and not exchange.is_stream:
                failed = "__error__" in (body_of(exchange) or {})
                self._statuses.setdefault(run, "error" if failed else "success")

    def _over(self, run: str, at: float) -> None:
        self._ended[run] = min(at, self._ended.get(run, at))

    def rests(self) -> Iterator[Rest]:
        """The times in which the thread rested, with what was read in them."""
        unseen = min(
            (each.sent_at for each in self._changes if _may_go_on_unseen(each)), default=float("inf")
        )
        found: dict[int, Rest] = {}
        for exchange in (each for each in self._told if each.ended_at < unseen):
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
        asked = _interrupts_of(exchange, self._profile)
        if asked is not None:
            rest.asked.append((exchange, asked))

    def _note_reading(self, exchange: Exchange, rest: Rest) -> None:
        operation = operation_for(exchange.method, exchange.path)
        body = self._listed.get(exchange.number, body_of(exchange))
        path = bare_path(exchange)
        if operation is None or exchange.status >= 300:
            return
        if operation.schema == "thread" and isinstance(body, dict):
            if exchange.number in self._listed or path.endswith((self._thread, "/threads")):
                self._note_thread(exchange, body, rest)
        elif operation.schema == "thread-state" and path.endswith("/state") and isinstance(body, dict):
            rest.states.append((exchange, body))
            rest.newest.append((exchange, _place_of(body)))
            rest.values.append((exchange, "values", body.get("values") or {}))
        elif (
            operation.schema == "thread-state" and path.endswith("/history") and _newest_first(exchange, body)
        ):
            rest.values.append((exchange, "values", body[0].get("values") or {}))
            rest.newest.append((exchange, _place_of(body[0])))

    def _note_thread(self, exchange: Exchange, thread: dict[str, Any], rest: Rest) -> None:
        """What a thread says of itself."""
        if thread.get("status") == "busy" and not rest.fresh and not rest.statuses:
            return  # the status of a run and that of its thread need not change at one moment (MON-006)
        status = thread.get("status")
        rest.statuses.append((exchange, status if isinstance(status, str) else shown(status)))
        shows = "values" in thread or rest.last_run == "success"
        if shows and not rest.updated and rest.last_run not in {"error", "timeout"}:
            rest.shown.append((exchange, raw(thread.get("values")) or {}))
        interrupts = raw(thread.get("interrupts"))
        if isinstance(interrupts, dict) and status == "interrupted":
            told = [item for each in interrupts.values() for item in interrupts_in(each)]
            rest.waiting.append((exchange, told))


def _interrupts_of(exchange: Exchange, profile: Profile) -> list[dict[str, Any]] | None:
    """The interrupts that a whole wait, join or stream of values ends with; None where it failed."""
    if not exchange.is_stream:
        body = body_of(exchange)
        failed = not isinstance(body, dict) or raw(profile.wait.error_in(body)) is not None
        return None if failed else interrupts_in(profile.wait.interrupts_in(body))
    told = [event.json for event in exchange.events if event.event == "values" and event.data]
    if exchange.method != "POST" or any(event.event == "error" for event in exchange.events):
        return None
    last = told[-1] if told else None
    return interrupts_in(last.get("__interrupt__")) if isinstance(last, dict) else []


def interrupts_in(interrupts: Any) -> list[dict[str, Any]]:
    """What of each interrupt of a list is promised wherever it is shown; none of anything else."""
    listed = raw(interrupts)
    told = listed if isinstance(listed, list) else []
    return [{name: each.get(name) for name in ("value", "id")} for each in told if isinstance(each, dict)]


def _place_of(state: dict[str, Any]) -> dict[str, Any]:
    """Where a state stands: what all readings of it must have in common besides the values."""
    tasks = state.get("tasks")
    names = (
        [each.get("name") for each in tasks if isinstance(each, dict)] if isinstance(tasks, list) else tasks
    )
    known = {name: state.get(name) for name in ("checkpoint", "parent_checkpoint", "created_at", "next")}
    metadata = state.get("metadata") or {}
    return {**known, "tasks": names, **{name: metadata.get(name) for name in ("step", "source", "run_id")}}


def _thread_in(exchange: Exchange) -> str | None:
    body = body_of(exchange)
    return str(body.get("thread_id")).lower() if isinstance(body, dict) else None


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
