"""Cancelling runs, one by one and several at once: what cancel answers, and what it leaves behind."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from runstone.suite import (
    NEVER_SLEPT_S,
    Api,
    Missing,
    Schedule,
    Trace,
    canonical,
    cases,
    lifecycle,
    new_id,
    requirement,
    resolve,
    scenario,
    shown,
    some,
    status_of,
)

AHEAD_S = (1.5, 6.0)  # that a run ahead of the cancelled one sleeps; the second where the first was too short
SHORT_SLEEP_S = 1.5  # a node that was not stopped would be through after that
GONE_WITHIN_S = 5.0
CALLS: dict[str, dict[str, Any]] = {
    "default": {},
    "wait=0": {"wait": "0", "action": "interrupt"},
    "wait=false": {"wait": "false", "action": "interrupt"},
    "wait=1": {"wait": "1", "action": "interrupt"},
    "wait=true": {"wait": "true"},
    "rollback": {"wait": "false", "action": "rollback"},
    "rollback, wait=true": {"wait": "true", "action": "rollback"},
}
ROLLBACKS = tuple(call for call in CALLS if "rollback" in call)


@scenario(Schedule(steady=True, thorough=True))
async def cancelled_while_running(api: Api) -> None:
    """A run is cancelled while it sleeps, in each way that there is to ask for it; then another one runs."""
    await api.each(CALLS, _cancel)


async def _cancel(part: Api, call: str) -> None:
    thread = await part.create_thread()
    earlier = []
    if call in ROLLBACKS:
        await part.wait(thread, "slow", {"sleep": 0, "note": "earlier"}, label="earlier")
        await part.state(thread, label="state_before")
        earlier = ["a", "b", "c"]
    given = {"sleep": part.never_slept_s, "note": "cancelled"}
    run = await part.create_run(thread, "slow", given)
    await _until_log_is(part, thread, [*earlier, "a"])
    await part.run(thread, run, label="before")
    await part.cancel(thread, run, **CALLS[call])
    await part.run(thread, run, label="at_once")
    if call in ROLLBACKS:
        await _until_gone(part, thread, run)
    else:
        await part.poll_run(thread, run)
        await part.settle(thread)
    await part.state(thread)
    await part.history(thread)
    later = await part.wait(thread, "slow", {"sleep": 0, "note": "later"}, label="later")
    await part.run(thread, later.run_id, label="later_ended")
    await part.state(thread, label="state_later")


async def _until_gone(part: Api, thread: str, run: str) -> None:
    deadline = part.clock + GONE_WITHIN_S
    for _ in range(int(GONE_WITHIN_S / part.limits.poll_s)):
        if (await part.run(thread, run, label="poll")).code == 404 or part.clock > deadline:
            return
        await asyncio.sleep(part.limits.poll_s)


async def _until_log_is(part: Api, thread: str, log: list[str]) -> None:
    for _ in range(int(part.limits.settle_s / part.limits.poll_s)):
        if resolve((await part.state(thread, label="watch")).object, "/values/log") == log:
            return
        await asyncio.sleep(part.limits.poll_s)


@scenario(Schedule(waits=2.5, calm=True))
async def cancelled_before_the_start(api: Api) -> None:
    """A run that is queued behind another, and one that waits for its time, are cancelled."""

    async def queued(part: Api) -> None:
        for sleep in AHEAD_S:
            thread = await part.create_thread()
            lasts_s = part.with_slack(sleep)
            given = {"sleep": lasts_s, "note": "ahead"}
            ahead = await part.create_run(thread, "slow", given, label="other")
            run = await part.create_run(thread, "slow", {"sleep": 0, "note": "cancelled"})
            await _cancel_pending(part, thread, run)
            meanwhile = await part.run(thread, ahead, label="other_meanwhile")
            if '"success"' not in meanwhile.content:
                break
        await part.join(thread, ahead, patience=2 * lasts_s)
        await part.poll_run(thread, ahead, label="other_ended")
        await _read_what_is_left(part, thread, run)

    async def delayed(part: Api) -> None:
        thread = await part.create_thread()
        delay = math.ceil(part.with_slack(1.5))
        given = {"sleep": 0, "note": "cancelled"}
        run = await part.create_run(thread, "slow", given, after_seconds=delay)
        await _cancel_pending(part, thread, run)
        # By the time of this one the cancelled run would have been executed.
        given = {"sleep": 0, "note": "ahead"}
        later = await part.create_run(thread, "slow", given, after_seconds=delay + 1, label="other")
        await part.join(thread, later, patience=delay + 1)
        await part.poll_run(thread, later, label="other_ended")
        await _read_what_is_left(part, thread, run)

    drives = {"queued": queued, "delayed": delayed}
    await api.each(drives, lambda part, name: drives[name](part))


async def _cancel_pending(part: Api, thread: str, run: str) -> None:
    await part.run(thread, run, label="before")
    await part.cancel(thread, run, wait=False, action="interrupt")


async def _read_what_is_left(part: Api, thread: str, run: str) -> None:
    await part.poll_run(thread, run)
    await part.settle(thread)
    await part.state(thread)


@scenario(Schedule(waits=1.5, calm=True))
async def cancelled_and_left_alone(api: Api) -> None:
    """A run is cancelled in the middle of a node, and its thread is read when the node would be through."""
    thread = await api.create_thread()
    sleep = api.with_slack(SHORT_SLEEP_S)
    run = await api.create_run(thread, "slow", {"sleep": sleep})
    await api.until_logged(thread, "a")
    await api.cancel(thread, run, wait=True, action="interrupt")
    await asyncio.sleep(sleep + 0.3)  # 0.3 s for the nodes behind it
    await api.run(thread, run)
    await api.state(thread)


@scenario
async def nothing_to_cancel(api: Api) -> None:
    """A run that has ended and one that never was are cancelled, after one that goes on."""
    thread = await api.create_thread()
    run = await api.create_run(thread, "slow", {"sleep": api.never_slept_s})
    await api.until_running(thread, run)
    await api.cancel(thread, run, wait=True, action="interrupt", label="cancel_running")
    await api.poll_run(thread, run, label="cancelled")
    ended = await api.create_run(thread, "steps", {}, label="create_other")
    await api.poll_run(thread, ended)
    await api.cancel(thread, ended, wait=False, action="interrupt", label="cancel_ended")
    await api.run(thread, ended, label="ended_after")
    await api.cancel(thread, new_id(), wait=False, action="interrupt", label="cancel_unknown")


@requirement("CANCEL-001")
@cases("call", [call for call in CALLS if call not in ROLLBACKS])
def test_running_run_ends_as_interrupted(cancelled_while_running: Trace, call: str) -> None:
    turn = _cancelled(cancelled_while_running, call)
    assert 200 <= turn.cancel.whole.status < 300, f"wanted a 2xx, got {turn.cancel.status}"
    assert status_of(turn.last("poll")) == "interrupted"


@requirement("CANCEL-002")
def test_cancel_does_not_wait(cancelled_while_running: Trace) -> None:
    _answers_before_the_end(_cancelled(cancelled_while_running, "default"))


@requirement("CANCEL-003")
@cases("call", ["wait=1", "wait=true", "rollback, wait=true"])
def test_cancel_waits_for_the_end(cancelled_while_running: Trace, call: str) -> None:
    turn = _cancelled(cancelled_while_running, call)
    assert turn.cancel.ok
    gone = call in ROLLBACKS and turn.at_once.status == 404
    if not gone:
        assert status_of(turn.at_once) in lifecycle().runs.terminal


@requirement("CANCEL-004")
@cases("call", ["wait=0", "wait=1", "wait=false", "wait=true"])
def test_wait_may_be_a_number(cancelled_while_running: Trace, call: str) -> None:
    turn = _cancelled(cancelled_while_running, call)
    if call in ("wait=0", "wait=false"):
        _answers_before_the_end(turn)
    else:
        assert 200 <= turn.cancel.whole.status < 300, f"wanted a 2xx, got {turn.cancel.status}"
        assert status_of(turn.at_once) in lifecycle().runs.terminal


def _answers_before_the_end(turn: Trace) -> None:
    """202 says that the end is still to come; a node that cannot be stopped does not delay the answer."""
    assert turn.cancel.status == 202
    assert turn.cancel.finished_after < NEVER_SLEPT_S / 2
    assert status_of(turn.last("poll")) == "interrupted"


@requirement("CANCEL-005")
@cases("call", ["default", "wait=0"])
def test_interrupt_keeps_run_and_steps(cancelled_while_running: Trace, call: str) -> None:
    turn = _cancelled(cancelled_while_running, call)
    assert turn.cancel.ok
    read = turn.last("poll")
    assert read.status == 200
    assert read.object.get("run_id") == turn.create_run.run_id
    assert resolve(turn.state.object, "/values/log") == ["a"]
    logs = [resolve(entry, "/values/log") for entry in some(turn.history.array, "entry of history")]
    assert ["a"] in logs, f"wanted the completed step in the history, got the logs {shown(logs)}"


@requirement("CANCEL-006")
@cases("call", ROLLBACKS)
def test_rollback_takes_the_run_back(cancelled_while_running: Trace, call: str) -> None:
    turn = _cancelled(cancelled_while_running, call)
    assert turn.cancel.ok
    gone = turn.last("poll")
    assert gone.status == 404
    assert gone.sent_at - turn.cancel.ended_at <= GONE_WITHIN_S
    for member in ("values", "next"):
        before = turn.state_before.object.get(member)
        assert canonical(turn.state.object.get(member)) == canonical(before)
    assert resolve(turn.state.object, "/values/note") == "earlier"


@requirement("CANCEL-007")
@cases("waiting", ["queued", "delayed"])
def test_pending_run_is_never_executed(cancelled_before_the_start: Trace, waiting: str) -> None:
    turn = cancelled_before_the_start.part(waiting)
    before = status_of(turn.last("before"))
    if before != "pending":
        raise Missing(f"the run was {shown(before)} when it was to be cancelled while pending")
    if waiting == "queued" and status_of(turn.last("other_meanwhile")) == "success":
        raise Missing("the run ahead had ended by then, so that nothing shows that this one was pending")
    assert turn.last("cancel").ok
    if status_of(turn.last("other_ended")) != "success":
        raise Missing(f"{turn.last('other_ended').where} does not show that the other run ended well")
    assert resolve(turn.state.object, "/values/log") == ["a", "b", "c"]
    assert resolve(turn.state.object, "/values/note") == "ahead"
    if turn.last("poll").status != 404:
        assert status_of(turn.last("poll")) == "interrupted"


@requirement("CANCEL-008")
def test_ended_run_cannot_be_cancelled(nothing_to_cancel: Trace) -> None:
    _demand_a_real_cancel(nothing_to_cancel)
    assert status_of(nothing_to_cancel.last("poll")) == "success"
    answer = nothing_to_cancel.cancel_ended
    assert 400 <= answer.status < 500, f"wanted a 4xx, got {answer.status}"
    assert status_of(nothing_to_cancel.ended_after) == "success"


@requirement("CANCEL-009")
def test_unknown_run_cannot_be_cancelled(nothing_to_cancel: Trace) -> None:
    _demand_a_real_cancel(nothing_to_cancel)
    assert nothing_to_cancel.cancel_unknown.status == 404


def _demand_a_real_cancel(trace: Trace) -> None:
    if status_of(trace.last("cancelled")) != "interrupted":
        raise Missing("not even a running run could be cancelled")
    assert trace.cancel_running.ok


@requirement("CANCEL-010")
def test_node_is_stopped(cancelled_and_left_alone: Trace) -> None:
    trace = cancelled_and_left_alone
    if "a" not in (resolve(trace.last("watch").object, "/values/log") or []):
        raise Missing("the run never reached the node that was to be cancelled")
    assert trace.cancel.ok
    assert status_of(trace.run) == "interrupted"
    assert resolve(trace.state.object, "/values/log") == ["a"]


@requirement("CANCEL-013")
@cases("call", ["default", *ROLLBACKS])
def test_thread_takes_a_new_run(cancelled_while_running: Trace, call: str) -> None:
    turn = _cancelled(cancelled_while_running, call)
    assert turn.cancel.ok
    assert turn.later.status == 200
    assert status_of(turn.later_ended) == "success"
    log = resolve(turn.state_later.object, "/values/log")
    kept = ["a", "b", "c"] if call in ROLLBACKS else ["a"]
    assert log == [*kept, "a", "b", "c"]


def _cancelled(trace: Trace, call: str) -> Trace:
    """The part of this call. Raises Missing unless the run was at work when it was cancelled."""
    turn = trace.part(call)
    if status_of(turn.before) not in {"pending", "running"}:
        raise Missing(f"the run was {shown(status_of(turn.before))} before it could be cancelled")
    if resolve(turn.last("watch").object, "/values/note") != "cancelled":
        raise Missing(f"{turn.last('watch').where} does not show the run at work")
    return turn
