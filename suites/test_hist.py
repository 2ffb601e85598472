"""GET and POST /threads/{thread_id}/history: the states of a thread, the newest first.

Servers differ in the default limit, so that everywhere but for HIST-006 a limit is sent.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

from runstone.suite import (
    GRAPHS,
    STEPS,
    Api,
    Blocked,
    Exchange,
    Missing,
    Trace,
    assert_parent,
    cases,
    checkpoint_ids,
    conforms,
    has,
    needs,
    ran,
    raw,
    requirement,
    resolve,
    scenario,
    shown,
    some,
    summary_of,
)

RUNS = 3  # three runs of three nodes leave more than ten states
LIMIT = 3
PAGE = 6
PAGES = 5  # at most; the states of three runs fill three
FILTERS: dict[str, dict[str, Any]] = {"source": {"source": "input"}, "step": {"source": "loop", "step": 1}}


@scenario(agent=True)
async def history_read(api: Api) -> None:
    """The history of a new thread and after each of three runs, then in every way that it can be narrowed."""
    thread = await api.create_thread()
    path = f"/threads/{thread}/history"
    await api.request("GET", path, params={"limit": 100}, label="before_a_run")
    for number in range(RUNS):
        # Whoever wants a checkpoint of each step asks for it.
        await api.wait(thread, "steps", {"note": f"run {number}"}, durability="sync")
        await api.settle(thread)
        await api.request("GET", path, params={"limit": 100}, label="history")
    state = await api.state(thread)
    await api.request("POST", path, json={"limit": 100}, label="posted")
    await api.request("GET", path, label="without_limit")
    await api.request("GET", path, params={"limit": LIMIT}, label="limited")
    await api.request("POST", path, json={"limit": LIMIT}, label="limited_post")
    for name, metadata in FILTERS.items():
        await api.request("POST", path, json={"limit": 100, "metadata": metadata}, label=f"by_{name}")
    before = resolve(state.object, "/parent_checkpoint")  # the checkpoint of the second newest state
    await api.request("POST", path, json={"limit": 100, "before": before}, label="before_a_checkpoint")
    await _turn_pages(api, path)


async def _turn_pages(api: Api, path: str) -> None:
    """Each page is asked for by the last id of the one before it, until one is empty."""
    last: dict[str, Any] = {}
    for _ in range(PAGES):
        page = await api.request("GET", path, params={"limit": PAGE, **last}, label="page")
        ids = checkpoint_ids(page)
        if not ids or not isinstance(ids[-1], str):
            return
        last = {"before": ids[-1]}


@scenario
async def history_of_a_subgraph(api: Api) -> None:
    """A subgraph pauses; its own history is asked for by the checkpoint that its task names."""
    thread = await api.create_thread()
    await api.wait(thread, "subgraph", {"ask": True})
    await api.settle(thread)
    state = await api.state(thread)
    checkpoint = resolve(state.object, "/tasks/0/checkpoint")
    if not resolve(checkpoint, "/checkpoint_ns"):
        raise Blocked(f"{state.where} names no checkpoint of a subgraph, but {shown(checkpoint)}")
    api.note(namespace=checkpoint["checkpoint_ns"])
    await api.history(thread)
    body = {"limit": 100, "checkpoint": checkpoint}
    await api.request("POST", f"/threads/{thread}/history", json=body, label="of_the_subgraph")


@requirement("HIST-001")
@cases("answer", ["history", "posted"])
def test_newest_comes_first(answer: str, history_read: Trace) -> None:
    got = history_read.all("history")[-1]
    history = got if answer == "history" else history_read.posted
    assert history.status == 200
    entries = some(history.array, "entry in the history")
    if has(GRAPHS):
        logs = [resolve(entry, "/values/log") or [] for entry in entries]
        if STEPS * RUNS not in logs:
            raise Missing(f"{history.where} has no state after {RUNS} runs")
        assert [len(log) for log in logs] == sorted((len(log) for log in logs), reverse=True)
    stamps = [_moment(history, entry) for entry in entries]
    for newer, older in pairwise(stamps):
        assert newer >= older, f"wanted the newest first, got {older.isoformat()} after {newer.isoformat()}"
    assert checkpoint_ids(history) == checkpoint_ids(got)


@requirement("HIST-002")
@cases("outcome", ["success", "static_interrupt", "interrupt"])
def test_first_entry_is_the_state(
    outcome: str, success: Trace, static_interrupt: Trace, interrupt: Trace
) -> None:
    traces = {trace.scenario: trace for trace in (success, static_interrupt, interrupt)}
    part = traces[outcome].part("wait")
    newest = some(part.history.array, "entry in the history")[0]
    if not resolve(part.state.object, "/checkpoint/checkpoint_id") or not part.state.object.get("values"):
        raise Missing(f"{part.state.where} shows no state that the history could begin with")
    assert summary_of(newest) == summary_of(part.state.object)


@requirement("HIST-003")
def test_later_run_changes_no_entry(history_read: Trace) -> None:
    first, last = history_read.first("history").array, _whole(history_read).array
    grew = len(last) - len(some(first, "entry after the first run"))
    assert grew > 0, f"wanted more entries after a later run, got {len(last)} after {len(first)}"
    assert [summary_of(entry) for entry in last[grew:]] == [summary_of(entry) for entry in first]


@requirement("HIST-004")
def test_entries_are_linked(history_read: Trace) -> None:
    ids = checkpoint_ids(_whole(history_read))
    assert len(set(ids)) == len(ids), "wanted an id of its own for each entry"
    for entry, parent in zip(_whole(history_read).array, [*ids[1:], None], strict=True):
        assert_parent(entry, parent)


@requirement("HIST-005")
@cases("answer", ["limited", "limited_post", "page"])
def test_pages_are_the_whole_history(answer: str, history_read: Trace) -> None:
    everything = checkpoint_ids(_whole(history_read))
    if len(everything) <= PAGE:
        raise Missing(f"there are but {len(everything)} entries, which fill one page")
    pages = [checkpoint_ids(page) for page in history_read.all(answer)]
    limit = PAGE if answer == "page" else LIMIT
    assert [len(page) for page in pages if len(page) > limit] == []
    assert [each for page in pages for each in page] == everything[: None if answer == "page" else limit]


@requirement("HIST-006")
@needs(GRAPHS)
def test_default_limit_is_ten(history_read: Trace) -> None:
    everything = checkpoint_ids(_whole(history_read))
    if len(everything) <= 10:
        raise Missing(f"there are but {len(everything)} entries")
    assert len(checkpoint_ids(history_read.without_limit)) == 10
    assert checkpoint_ids(history_read.without_limit) == everything[:10]


@requirement("HIST-007")
@cases("name", FILTERS)
def test_metadata_narrows(name: str, history_read: Trace) -> None:
    entries = _whole(history_read).array
    wanted = [
        resolve(entry, "/checkpoint/checkpoint_id")
        for entry in entries
        if all(resolve(entry, f"/metadata/{key}") == value for key, value in FILTERS[name].items())
    ]
    if not 0 < len(wanted) < len(entries):
        raise Missing(f"{len(wanted)} of {len(entries)} entries match, so that a filter would not show")
    assert checkpoint_ids(history_read.only(f"by_{name}")) == wanted


@requirement("HIST-008")
def test_namespace_tells_of_the_subgraph(history_of_a_subgraph: Trace) -> None:
    namespace = history_of_a_subgraph.note("namespace")
    own = history_of_a_subgraph.of_the_subgraph
    entries = some(own.array, "entry in the history of the subgraph")
    assert {resolve(entry, "/checkpoint/checkpoint_ns") for entry in entries} == {namespace}
    assert resolve(entries[0], "/next") == ["c2"]
    assert resolve(entries[0], "/values/log") == ["c1"]
    parents = checkpoint_ids(history_of_a_subgraph.history)
    assert not set(parents) & set(checkpoint_ids(own)), (
        "wanted the states of the subgraph, got those of its parent"
    )


@requirement("HIST-009")
def test_new_thread_has_no_history(history_read: Trace) -> None:
    some(_whole(history_read).array, "entry after a run")
    assert history_read.before_a_run.status == 200
    assert history_read.before_a_run.array == []


@requirement("HIST-010")
def test_metadata_tells_source_and_step(history_read: Trace) -> None:
    entries = some(_whole(history_read).array, "entry in the history")
    for entry in entries:
        source, step = resolve(entry, "/metadata/source"), resolve(entry, "/metadata/step")
        assert isinstance(source, str), f"wanted a source, got {shown(source)}"
        assert type(raw(step)) is int, f"wanted a step that is a whole number, got {shown(step)}"
    assert resolve(entries[-1], "/metadata/source") == "input"
    assert resolve(entries[-1], "/metadata/step") == -1


@requirement("HIST-011")
def test_checkpoint_as_before(history_read: Trace) -> None:
    everything = checkpoint_ids(_whole(history_read))
    if len(everything) < LIMIT:
        raise Missing(f"there are but {len(everything)} entries")
    assert history_read.before_a_checkpoint.status == 200
    assert checkpoint_ids(history_read.before_a_checkpoint) == everything[2:]


def _whole(trace: Trace) -> Exchange:
    """The history after the last run. Raises Missing when not all runs left their mark in it."""
    history = trace.all("history")[-1]
    newest = resolve(history.array, "/0/values")
    if len(trace.all("history")) != RUNS or not ran(newest, STEPS * RUNS):
        raise Missing(f"{history.where} does not begin with the state after {RUNS} runs")
    return history


def _moment(history: Exchange, entry: Any) -> datetime:
    stamp = resolve(entry, "/created_at")
    conforms(stamp, "timestamp", history)
    return datetime.fromisoformat(str(stamp).upper())
