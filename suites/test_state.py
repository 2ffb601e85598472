"""GET /threads/{thread_id}/state: a thread's state, now and at its earlier checkpoints."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from runstone.suite import (
    GRAPHS,
    STEPS,
    Api,
    Blocked,
    Exchange,
    Inapplicable,
    Missing,
    Profile,
    Trace,
    assert_parent,
    by_threaded_entry_point,
    cases,
    conforms,
    has,
    new_id,
    ran,
    raw,
    requirement,
    resolve,
    scenario,
    shown,
    some,
    summary_of,
)

MEMBERS = {"values", "next", "tasks", "checkpoint", "metadata", "created_at", "parent_checkpoint"}
READINGS = ("by_path", "by_body")


@scenario(agent=True)
async def state_read(api: Api) -> None:
    """The state of an unknown thread, of a new one, and of one that ran, at three of its checkpoints."""
    await api.state(new_id(), label="unknown")
    thread = await api.create_thread()
    await api.thread(thread)
    await api.state(thread, label="before_a_run")
    await api.wait(thread, "steps", {"note": "read"})
    await api.settle(thread)
    await api.state(thread)
    entries = (await api.history(thread)).array
    for index in _ends_and_middle(entries):
        checkpoint = _checkpoint_in(entries[index])
        path = f"/threads/{thread}/state"
        await api.request("GET", f"{path}/{checkpoint['checkpoint_id']}", label="by_path")
        await api.request("POST", f"{path}/checkpoint", json={"checkpoint": checkpoint}, label="by_body")


@scenario(agent=True)
async def checkpoint_handed_back(api: Api) -> None:
    """The checkpoint of a state is handed back as it came: to read, to update, and to run from."""
    thread = await api.create_thread()
    await api.wait(thread, "steps", {"note": "kept"})
    await api.settle(thread)
    checkpoint = _checkpoint_in((await api.state(thread)).object)
    api.note(thread=thread)
    path = f"/threads/{thread}/state/checkpoint"
    await api.request("POST", path, json={"checkpoint": checkpoint}, label="read")
    api.demand_graphs()
    await api.update_state(thread, values={"note": "changed"}, checkpoint=checkpoint, label="update")
    await api.state(thread, label="updated")
    await api.wait(thread, "steps", {"log": ["given"]}, checkpoint=checkpoint, label="run")


@scenario
async def state_of_a_paused_subgraph(api: Api) -> None:
    """A subgraph pauses; the state of its parent is read with and without subgraphs."""
    thread = await api.create_thread()
    await api.wait(thread, "subgraph", {"ask": True})
    await api.settle(thread)
    await api.state(thread)
    await api.state(thread, subgraphs=True, label="with_subgraphs")


def _ends_and_middle(entries: list[Any]) -> tuple[int, ...]:
    return (0, len(entries) // 2, len(entries) - 1) if entries else ()


def _checkpoint_in(state: Any) -> dict[str, Any]:
    """The checkpoint that the state names. Raises Blocked when it has no id."""
    checkpoint = resolve(state, "/checkpoint")
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("checkpoint_id"), str):
        raise Blocked(f"a state names no checkpoint, but {shown(checkpoint)}")
    return checkpoint


@requirement("STATE-001")
@cases("outcome", ["success", "error", "interrupt", "static_interrupt"])
def test_state_is_whole(
    outcome: str, success: Trace, error: Trace, interrupt: Trace, static_interrupt: Trace
) -> None:
    traces = {trace.scenario: trace for trace in (success, error, interrupt, static_interrupt)}
    state = traces[outcome].part("wait").state
    assert state.status == 200
    assert sorted(MEMBERS - set(state.object)) == []
    conforms(state.object, "thread-state", state)


@requirement("STATE-002")
@by_threaded_entry_point
def test_nothing_follows_success(entry_point: str, success: Trace, static_interrupt: Trace) -> None:
    paused, state = static_interrupt.part(entry_point).state.object, success.part(entry_point).state.object
    if paused.get("next") != ["s2"] or not paused.get("tasks"):
        raise Missing("the state of a paused run shows neither next nodes nor tasks, so none has a meaning")
    if resolve(state, "/values/log") != STEPS:
        raise Missing(f"the state shows no run that succeeded: {shown(state.get('values'))}")
    assert state.get("next") == []
    assert state.get("tasks") == []


@requirement("STATE-003")
def test_state_before_a_run_is_empty(state_read: Trace) -> None:
    _insist_on_a_run(state_read.state)
    assert state_read.thread.ok
    state = state_read.before_a_run
    assert state.status == 200
    assert state.object.get("values") in (None, {}, []), f"wanted no values, got {shown(state.object)}"
    assert state.object.get("next") == []
    assert raw(resolve(state.object, "/checkpoint/checkpoint_id")) is None


@requirement("STATE-004")
@cases("where", ["state", "read", "update", "run"])
def test_checkpoint_can_be_handed_back(where: str, checkpoint_handed_back: Trace, profile: Profile) -> None:
    trace = checkpoint_handed_back
    checkpoint = resolve(trace.state.object, "/checkpoint")
    own = resolve(checkpoint, "/checkpoint_id")
    _insist_on_a_run(trace.state)
    assert trace.only(where).status == 200
    if where == "state":
        conforms(checkpoint, "checkpoint", trace.state)
        assert resolve(checkpoint, "/thread_id").lower() == trace.note("thread").lower()
        assert resolve(checkpoint, "/checkpoint_ns") == ""
        assert own, "wanted a checkpoint_id, got none"
    elif where == "read":
        assert resolve(trace.read.object, "/checkpoint/checkpoint_id") == own
        assert resolve(trace.read.object, "/values") == resolve(trace.state.object, "/values")
    elif where == "update":
        assert resolve(trace.updated.object, "/values/note") == "changed"
        assert_parent(trace.updated.object, own)
    else:
        values = profile.wait.values_in(trace.run.object)
        assert resolve(values, "/log") == [*STEPS, "given", *STEPS]
        assert resolve(values, "/note") == "kept"


@requirement("STATE-005")
@cases("reading", READINGS)
def test_earlier_state_is_answered(reading: str, state_read: Trace) -> None:
    entries = some(state_read.history.array, "entry in the history")
    wanted = [entries[index] for index in _ends_and_middle(entries)]
    values = [resolve(entry, "/values") for entry in wanted]
    told_apart = len(values) == 3 and all(one != other for one, other in combinations(values, 2))
    if not told_apart and not has(GRAPHS):
        raise Inapplicable("the agent leaves no three states that differ, so that none is told from another")
    if not told_apart:
        raise Missing("the history has no three states that differ, so that one cannot be told from another")
    read = [summary_of(exchange.object) for exchange in state_read.all(reading)]
    assert read == [summary_of(entry) for entry in wanted]
    assert [exchange.status for exchange in state_read.all(reading)] == [200] * 3


@requirement("STATE-006")
def test_subgraph_state_is_in_its_task(state_of_a_paused_subgraph: Trace) -> None:
    state = resolve(_child(state_of_a_paused_subgraph.with_subgraphs), "/state")
    assert isinstance(state, dict), f"wanted a ThreadState in the task, got {shown(state)}"
    conforms(state, "thread-state", state_of_a_paused_subgraph.with_subgraphs)
    assert resolve(state, "/values/log") == ["c1"]
    assert state.get("next") == ["c2"]
    plain = _child(state_of_a_paused_subgraph.state)
    assert raw(resolve(plain, "/state")) is None
    namespace = resolve(plain, "/checkpoint/checkpoint_ns")
    named = isinstance(namespace, str) and namespace.startswith("child")
    assert named, f"wanted the checkpoint of the subgraph in the task, got {shown(plain)}"


def _child(state: Exchange) -> dict[str, Any]:
    """The task that stands for the subgraph. Raises Missing when there is none."""
    tasks = resolve(state.object, "/tasks")
    found = [task for task in tasks if resolve(task, "/name") == "child"] if isinstance(tasks, list) else []
    task: dict[str, Any] = some(found, f"task `child` in {state.where}")[0]
    return task


@requirement("STATE-007")
def test_unknown_thread_has_no_state(state_read: Trace) -> None:
    _insist_on_a_run(state_read.state)
    assert state_read.unknown.status == 404


def _insist_on_a_run(state: Exchange) -> None:
    """The state is that of a run which succeeded. Raises Missing when it is not."""
    values = resolve(state.object, "/values")
    if not ran(values, STEPS):
        raise Missing(f"{state.where} does not show what a run left, but {shown(values)}")
