"""POST /threads/{thread_id}/state: a state is updated by hand, as if a node had done it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from runstone.suite import (
    STEPS,
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    assert_parent,
    cases,
    conforms,
    raw,
    requirement,
    resolve,
    scenario,
    shown,
    some,
)

# A run waits or sleeps so long while its thread is updated; the second where a busy machine took longer.
LONG_S = (2.0, 8.0)


@scenario
async def finished_thread_updated(api: Api) -> None:
    """A finished thread is updated plainly, as a node, and at an earlier checkpoint; a new one cannot be."""
    thread = await api.create_thread()
    await api.wait(thread, "steps", {"note": "first"})
    await api.settle(thread)
    await api.state(thread, label="before")
    earlier = await api.checkpoint_before(thread, "s2")
    api.note(earlier=earlier)
    await _update(api, thread, "plain", values={"log": ["by hand"], "note": "second"})
    await _update(api, thread, "as_node", values={"log": ["as s1"]}, as_node="s1")
    await _update(api, thread, "fork", values={"log": ["forked"]}, checkpoint=earlier)
    fresh = await api.create_thread()
    await api.update_state(fresh, values={"note": "no graph"}, label="without_a_graph")


@scenario
async def paused_thread_updated(api: Api) -> None:
    """A run pauses before s2; its values are updated and it goes on, or s2 is stepped over."""

    async def edited(part: Api) -> None:
        thread = await _paused(part)
        await _update(part, thread, "edit", values={"note": "edited"})
        await part.wait(thread, "steps", None, label="go_on")
        await part.settle(thread)
        await part.state(thread, label="state_at_the_end")

    async def stepped_over(part: Api) -> None:
        thread = await _paused(part)
        await _update(part, thread, "step", values=None, as_node="s2")

    drives = {"edited": edited, "stepped_over": stepped_over}
    await api.each(drives, lambda part, name: drives[name](part))


@scenario(Schedule(waits=2.0, calm=True, thorough=True))
async def busy_thread_updated(api: Api) -> None:
    """A thread is updated while its run is pending, while it is running, and when it has ended."""

    async def pending(part: Api, thread: str, seconds: float) -> str:
        run = await part.create_run(thread, "slow", {"sleep": 0.1}, after_seconds=seconds)
        await asyncio.sleep(0.3)  # run and thread are not written at once everywhere
        return run

    async def running(part: Api, thread: str, seconds: float) -> str:
        run = await part.create_run(thread, "slow", {"sleep": seconds})
        await part.until_logged(thread, "a")
        return run

    starts: dict[str, Callable[[Api, str, float], Awaitable[str]]] = {"pending": pending, "running": running}

    async def drive(part: Api, name: str) -> None:
        for seconds in LONG_S:
            thread = await part.create_thread()
            lasts_s = part.with_slack(seconds)
            run = await starts[name](part, thread, lasts_s)
            await part.update_state(thread, values={"note": "meddled"}, label="during")
            during = await part.run(thread, run, label="run_during")
            await part.poll_run(thread, run, patience=2 * lasts_s)
            if '"success"' not in during.content:
                break
        await part.settle(thread)
        await part.state(thread, label="state_at_the_end")
        await part.update_state(thread, values={"note": "in its turn"}, label="later")

    await api.each(starts, drive)


async def _paused(part: Api) -> str:
    thread = await part.create_thread()
    await part.wait(thread, "steps", {"note": "first"}, interrupt_before=["s2"])
    await part.settle(thread)
    await part.state(thread, label="before")
    return thread


async def _update(api: Api, thread: str, label: str, **body: Any) -> None:
    """One update, and the state and the thread as they are after it."""
    await api.update_state(thread, label=label, **body)
    await api.state(thread, label=f"state_after_{label}")
    await api.thread(thread, label=f"thread_after_{label}")


@requirement("STATE-UPD-001")
def test_update_makes_a_state(finished_thread_updated: Trace) -> None:
    _insist(finished_thread_updated.before, log=STEPS, note="first")
    answer, state = finished_thread_updated.plain, finished_thread_updated.state_after_plain.object
    assert answer.status == 200
    conforms(answer.object, "state-update", answer)
    made = resolve(answer.object, "/checkpoint/checkpoint_id")
    assert made != resolve(finished_thread_updated.before.object, "/checkpoint/checkpoint_id")
    assert resolve(state, "/checkpoint/checkpoint_id") == made
    assert resolve(state, "/metadata/source") == "update"
    assert resolve(state, "/values/log") == [*STEPS, "by hand"]
    assert resolve(state, "/values/note") == "second"


@requirement("STATE-UPD-002")
def test_update_counts_as_the_nodes(finished_thread_updated: Trace) -> None:
    _insist(finished_thread_updated.before, log=STEPS, note="first")
    before, state = (
        finished_thread_updated.only(f"state_after_{each}").object for each in ("plain", "as_node")
    )
    assert finished_thread_updated.as_node.status == 200
    assert resolve(state, "/next") == ["s2"]
    assert resolve(state, "/values/log") == [*some(resolve(before, "/values/log") or [], "log"), "as s1"]


@requirement("STATE-UPD-003")
def test_update_forks(finished_thread_updated: Trace) -> None:
    earlier = finished_thread_updated.note("earlier")
    state = finished_thread_updated.state_after_fork.object
    assert finished_thread_updated.fork.status == 200
    made = resolve(finished_thread_updated.fork.object, "/checkpoint/checkpoint_id")
    assert resolve(state, "/checkpoint/checkpoint_id") == made
    assert_parent(state, earlier["checkpoint_id"])
    assert resolve(state, "/values/log") == [*STEPS[:1], "forked"]


@requirement("STATE-UPD-004")
def test_update_leaves_a_pause(paused_thread_updated: Trace) -> None:
    part = paused_thread_updated.part("edited")
    _insist(part.before, log=STEPS[:1], note="first")
    assert part.edit.status == 200
    assert resolve(part.state_after_edit.object, "/next") == ["s2"]
    assert resolve(part.state_after_edit.object, "/values/note") == "edited"
    assert part.thread_after_edit.object.get("status") == "interrupted"
    assert part.go_on.status == 200
    values = resolve(part.state_at_the_end.object, "/values")
    assert resolve(values, "/log") == STEPS
    assert resolve(values, "/note") == "edited"


@requirement("STATE-UPD-005")
@cases("run_is", ["pending", "running"])
def test_busy_thread_is_not_updated(run_is: str, busy_thread_updated: Trace) -> None:
    part = busy_thread_updated.part(run_is)
    seen = part.last("run_during").object.get("status")
    if seen not in ("pending", "running"):  # a pending run that has begun by now was not at its end either
        raise Missing(f"the run was {shown(seen)} when the thread had been updated")
    if part.later.status != 200:
        raise Missing(f"{part.later.where} answered {part.later.status} to an update of the thread at rest")
    assert part.last("during").status == 409
    assert part.last("poll").object.get("status") == "success"
    values = resolve(part.state_at_the_end.object, "/values")
    assert resolve(values, "/log") == ["a", "b", "c"]
    assert raw(resolve(values, "/note")) is None


@requirement("STATE-UPD-006")
def test_thread_without_a_graph_is_not_updated(finished_thread_updated: Trace) -> None:
    assert finished_thread_updated.plain.object
    assert finished_thread_updated.without_a_graph.status == 400


@requirement("STATE-UPD-007")
def test_update_without_values_moves_on(paused_thread_updated: Trace) -> None:
    part = paused_thread_updated.part("stepped_over")
    _insist(part.before, log=STEPS[:1], note="first")
    assert part.step.status == 200
    assert resolve(part.state_after_step.object, "/next") == ["s3"]
    assert resolve(part.state_after_step.object, "/values") == resolve(part.before.object, "/values")


@requirement("STATE-UPD-008")
@cases("update", ["plain", "as_node", "fork", "edit"])
def test_thread_shows_the_update(
    update: str, finished_thread_updated: Trace, paused_thread_updated: Trace
) -> None:
    trace = paused_thread_updated.part("edited") if update == "edit" else finished_thread_updated
    assert trace.only(update).ok
    state = resolve(trace.only(f"state_after_{update}").object, "/values")
    if not state or state == resolve(trace.before.object, "/values"):
        raise Missing(f"the update changed nothing: the values are {shown(state)}")
    assert trace.only(f"thread_after_{update}").object.get("values") == state


def _insist(before: Exchange, log: list[str], note: str) -> None:
    """What is to be updated is there."""
    values = resolve(before.object, "/values")
    if resolve(values, "/log") != log or resolve(values, "/note") != note:
        raise Missing(f"{before.where} does not show the log {shown(log)} to update, but {shown(values)}")
