"""The paths to a run's result: how each one asks, and what proves that the answer is this run's.

A stream belongs to its run by its address. A thread's state does not: any later run, or a person, may have
written it; the checkpoint's metadata tells, and where it does not, the thread's list of runs does. The body
of a join is not better: the official Python server answers the join of a run that has ended with the thread's
values of now (seen in langgraph-api 0.16.7).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import httpx

from runstone.retrieval.answers import NOTHING, Finding, ThreadState, failure_from, from_values
from runstone.retrieval.errors import AnotherRun, MalformedAnswer, NoValues
from runstone.retrieval.wire import (
    Bounds,
    Request,
    decode_json,
    fetch_json,
    kind_of,
    read_events,
    run_path,
    thread_path,
)
from runstone.wire.exchange import Event, excerpt

Strategy = Literal["stream", "state", "join_stream", "join"]

_PAGE = 100  # runs of the thread that are looked at to learn which is the newest
_CHECKPOINTS = 20  # of this run, newest first; only hand-made ones stand before the one that counts


@dataclass(frozen=True, kw_only=True)
class Sought:
    """The run whose result is sought, and the means to ask for it."""

    client: httpx.AsyncClient
    bounds: Bounds
    thread_id: str
    run_id: str

    async def json(self, request: Request) -> Any:
        """The JSON body of a 2xx answer."""
        return await fetch_json(self.client, request, self.bounds)


def first_request(strategy: Strategy, thread_id: str, run_id: str) -> Request:
    """The request with which the strategy begins; where the answer proves to be the run's, the only one."""
    run = run_path(thread_id, run_id)
    match strategy:
        case "stream":
            return Request(
                path=f"{run}/stream", params={"stream_mode": "values"}, headers={"Last-Event-ID": "-1"}
            )
        case "state":
            return Request(path=f"{thread_path(thread_id)}/state")
        case "join_stream":
            return Request(path=f"{run}/stream")
        case "join":
            return Request(path=f"{run}/join")


async def _replay(sought: Sought) -> Finding:
    """`stream`: replay the run's values events; needs a run that was created resumable."""
    return await _read_stream(sought, first_request("stream", sought.thread_id, sought.run_id))


async def _join_stream(sought: Sought) -> Finding:
    """`join_stream`: the stream as the server gives it to whoever joins late, asking for nothing special.

    For servers that replay unasked, or refuse the filter or the Last-Event-ID that `stream` sends.
    """
    return await _read_stream(sought, first_request("join_stream", sought.thread_id, sought.run_id))


async def _read_stream(sought: Sought, request: Request) -> Finding:
    folded = _Fold(sought, request)
    await read_events(sought.client, request, sought.bounds, folded.take)
    if folded.seen == 0:
        raise NoValues(f"{request} streamed no event: the run was perhaps not created resumable")
    return folded.finding


class _Fold:
    """What the events of one stream result in: the last values, the open interrupts, the error."""

    def __init__(self, sought: Sought, request: Request) -> None:
        self._sought = sought
        self._request = request
        self.seen = 0
        self.finding = Finding()
        self._taken: set[tuple[str, str, str]] = set()

    def take(self, event: Event) -> None:
        """Raises MalformedAnswer for data that is not JSON, AnotherRun for the metadata of another run."""
        self.seen += 1
        if event.id is not None:
            # A server that replays too much repeats events with their ids: an earlier one is not the last.
            # The id alone does not tell: those of the official Python server can repeat.
            same = (event.id, event.event, event.data)
            if same in self._taken:
                return
            self._taken.add(same)
        if event.event not in {"values", "error", "metadata"}:  # `values|…` is a subgraph's
            return
        data = decode_json(event.data, f"{self._request} streamed a {event.event} event")
        if event.event == "values":
            found = from_values(data)
            kept = self.finding.values if found.values is NOTHING else found.values
            interrupts = self._with_earlier(found.interrupts)
            self.finding = Finding(values=kept, failure=found.failure, interrupts=interrupts)
        elif event.event == "error":
            failure = failure_from(data) or failure_from(excerpt(event.data))
            self.finding = Finding(values=self.finding.values, failure=failure)
        else:
            named = data.get("run_id") if isinstance(data, dict) else None
            if isinstance(named, str) and named.lower() != self._sought.run_id.lower():
                raise AnotherRun(f"{self._request} streamed run {excerpt(named)}")

    def _with_earlier(self, interrupts: tuple[Any, ...]) -> tuple[Any, ...]:
        """Nodes that pause in one step may tell their interrupts in one event each."""
        if not interrupts:
            return ()
        return (*(each for each in self.finding.interrupts if each not in interrupts), *interrupts)


async def _state(sought: Sought) -> Finding:
    """`state`: the thread's state where this run wrote it, else this run's last checkpoint in the history."""
    request = first_request("state", sought.thread_id, sought.run_id)
    state = ThreadState.of(await sought.json(request), str(request))
    if state.handmade or (state.run_id is not None and not state.written_by(sought.run_id)):
        own = await _last_checkpoint(sought)
        if own is None:
            return await _pause_without_checkpoint(sought, state)
        if None not in {own.graph_id, state.graph_id} and own.graph_id != state.graph_id:
            # Servers show a thread's whole history through its latest graph: other channels are left out.
            raise AnotherRun(f"a later run of graph {excerpt(str(state.graph_id))} hides this run's values")
        state = own
    return await _attributed(sought, state, str(request))


async def _attributed(sought: Sought, state: ThreadState, source: str) -> Finding:
    """The state's finding, if it is this run's. Raises AnotherRun.

    The open tasks of a checkpoint are not only its writer's: a later run that goes on from it leaves its own
    interrupts and errors there before it writes a checkpoint.
    """
    if state.thread_id is not None and state.thread_id.lower() != sought.thread_id.lower():
        raise AnotherRun(f"{source} answered the state of thread {excerpt(state.thread_id)}")
    finding = state.finding
    if not state.written_by(sought.run_id):
        if state.run_id is not None or state.handmade:
            raise AnotherRun(f"{source} answered a state that {_writer(state)} has written")
        await _require_newest(sought, source)
        return replace(finding, values=NOTHING) if finding.empty else finding
    if finding.failure is not None or finding.interrupts:
        await _require_newest(sought, source)
    return finding


async def _pause_without_checkpoint(sought: Sought, state: ThreadState) -> Finding:
    """A run that resumes, and pauses again in the same node, writes no checkpoint: it shows on the last."""
    if state.handmade or not state.finding.interrupts:
        raise AnotherRun(f"{_writer(state)} has written the state since; the history has none of this run")
    await _require_newest(sought, "the state")
    return state.finding


def _writer(state: ThreadState) -> str:
    return "an update by hand" if state.handmade else f"the other run {excerpt(str(state.run_id))}"


async def _last_checkpoint(sought: Sought) -> ThreadState | None:
    request = Request(
        method="POST",
        path=f"{thread_path(sought.thread_id)}/history",
        body={"limit": _CHECKPOINTS, "metadata": {"run_id": sought.run_id}},
    )
    entries = await sought.json(request)
    if not isinstance(entries, list):
        raise MalformedAnswer(f"{request} answered no array: {kind_of(entries)}")
    states = (ThreadState.of(entry, str(request)) for entry in entries)
    return next((state for state in states if state.written_by(sought.run_id)), None)


async def _require_newest(sought: Sought, source: str) -> None:
    """Raises AnotherRun unless no other run has begun since this one. To be asked *after* the reading."""
    request = Request(path=f"{thread_path(sought.thread_id)}/runs", params={"limit": str(_PAGE)})
    body = await sought.json(request)
    if not isinstance(body, list):
        raise MalformedAnswer(f"{request} answered no array, but {kind_of(body)}")
    runs = [_Listed.of(run, request) for run in body]
    own = next((run for run in runs if run.run_id == sought.run_id.lower()), None)
    if own is None or (len(runs) >= _PAGE and runs[0] is not own):
        raise AnotherRun(f"{source} names no run, and {request} does not show that this run is the newest")
    others = (run for run in runs if run.run_id != own.run_id and run.begun)
    later = next((run for run in others if run.created_at >= own.created_at), None)
    if later is not None:
        raise AnotherRun(f"{source} may be of the later run {later.run_id}")


@dataclass(frozen=True)
class _Listed:
    """What the list of a thread's runs tells of one; the lists' order differs from server to server."""

    run_id: str
    created_at: datetime
    begun: bool

    @classmethod
    def of(cls, run: Any, request: Request) -> _Listed:
        try:
            created = datetime.fromisoformat(run["created_at"])
            run_id, begun = str(run["run_id"]).lower(), run["status"] != "pending"
        except (KeyError, TypeError, ValueError):
            raise MalformedAnswer(f"{request} lists a run without run_id, status and created_at") from None
        return cls(run_id, created if created.tzinfo else created.replace(tzinfo=UTC), begun)


async def _join(sought: Sought) -> Finding:
    """`join`: the body of GET …/join, bare values or (profile wait-state) a thread state.

    `{}` and null stand for "nothing kept" on some servers, so they never count as values.
    """
    request = first_request("join", sought.thread_id, sought.run_id)
    body = await sought.json(request)
    if ThreadState.fits(body):
        return await _attributed(sought, ThreadState(body), str(request))
    await _require_newest(sought, str(request))
    return Finding() if body in (None, {}) else from_values(body)


READERS: dict[Strategy, Callable[[Sought], Awaitable[Finding]]] = {
    "stream": _replay,
    "state": _state,
    "join_stream": _join_stream,
    "join": _join,
}
