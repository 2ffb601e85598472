"""Runs from an earlier checkpoint: a new branch beside the old one."""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    STEPS,
    Api,
    Exchange,
    Missing,
    Trace,
    assert_parent,
    checkpoint_ids,
    new_id,
    requirement,
    resolve,
    scenario,
    shown,
    some,
)


@scenario
async def run_from_a_checkpoint(api: Api) -> None:
    """A finished thread is run again from the state before s2, then from one that is not there."""
    thread = await api.create_thread()
    await api.wait(thread, "steps", {"note": "first"})
    await api.settle(thread)
    await api.state(thread, label="state_before")
    checkpoint = await api.checkpoint_before(thread, "s2", label="history_before")
    api.note(fork=checkpoint["checkpoint_id"])
    await api.stream(
        thread, "steps", None, stream_mode="updates", checkpoint=checkpoint, label="run_on_a_branch"
    )
    await api.settle(thread)
    await api.state(thread, label="state_after")
    await api.history(thread, label="history_after")
    nowhere = {**checkpoint, "checkpoint_id": new_id()}
    astray = await api.wait(thread, "steps", {"note": "astray"}, checkpoint=nowhere, label="run_astray")
    if astray.found_run_id is not None:
        await api.poll_run(thread, astray.found_run_id)
    await api.settle(thread)
    await api.state(thread, label="state_at_the_end")


@requirement("FORK-001")
def test_nodes_run_on_a_new_branch(run_from_a_checkpoint: Trace) -> None:
    old, new = run_from_a_checkpoint.history_before, run_from_a_checkpoint.history_after
    stream = run_from_a_checkpoint.run_on_a_branch.stream
    updates = [event.json for event in stream if event.event == "updates"]
    nodes = [node for update in updates if isinstance(update, dict) for node in update]
    assert nodes == ["s2", "s3"]
    assert sorted(_summaries(old) - _summaries(new)) == [], "wanted the old states in the history"
    branch = _branch(new, run_from_a_checkpoint.note("fork"))
    shared = sorted(set(checkpoint_ids(old)) & set(branch))
    assert shared == [], "wanted states of the run's own"


@requirement("FORK-002")
def test_state_is_the_head_of_the_branch(run_from_a_checkpoint: Trace) -> None:
    state = run_from_a_checkpoint.state_after.object
    old = checkpoint_ids(run_from_a_checkpoint.history_before)
    head = resolve(state, "/checkpoint/checkpoint_id")
    assert head not in old, f"wanted a new state as the thread's, got the old one {head}"
    assert head in _branch(run_from_a_checkpoint.history_after, run_from_a_checkpoint.note("fork"))
    assert resolve(state, "/values/log") == STEPS
    assert resolve(state, "/values/note") == "first"
    assert resolve(state, "/next") == []


@requirement("FORK-003")
def test_unknown_checkpoint_is_no_beginning(run_from_a_checkpoint: Trace) -> None:
    before = resolve(run_from_a_checkpoint.state_after.object, "/values")
    if resolve(before, "/log") != STEPS or not run_from_a_checkpoint.run_on_a_branch.ok:
        raise Missing("no run began at a checkpoint that is there")
    status = run_from_a_checkpoint.run_astray.status
    refused = 400 <= status < 500
    if not refused:
        assert status == 200, f"wanted a 4xx or a run that ends as error, got {status}"
        assert run_from_a_checkpoint.last("poll").object.get("status") == "error"
    assert resolve(run_from_a_checkpoint.state_at_the_end.object, "/values") == before


def _summaries(history: Exchange) -> set[str]:
    pointers = ("/checkpoint/checkpoint_id", "/values", "/next")
    entries = some(history.array, f"entry in {history.where}")
    return {shown([resolve(entry, pointer) for pointer in pointers], 1000) for entry in entries}


def _branch(history: Exchange, fork: str) -> list[str]:
    """The states from the newest one down to the fork, which itself is left out."""
    entries = dict(zip(checkpoint_ids(history), history.array, strict=True))
    found = some(checkpoint_ids(history), f"entry in {history.where}")[:1]
    while (parent := _parent(entries[found[-1]])) in entries.keys() - {fork, *found}:
        found.append(parent)
    assert_parent(entries[found[-1]], fork)
    return found


def _parent(entry: Any) -> Any:
    return resolve(entry, "/parent_checkpoint/checkpoint_id")
