"""The status of a thread: what each outcome of a run makes of it, and that it does not stay busy."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    THREADED_ENTRY_POINTS,
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    applicable,
    by_threaded_entry_point,
    cases,
    requirement,
    scenario,
    shown,
    status_of,
)

STATUSES = ("idle", "busy", "interrupted", "error")
ACTIVE = {"pending", "running"}
TERMINAL = {"success", "error", "timeout", "interrupted"}
SLEEP_S = 2.0  # of the node in whose middle a thread is read; under load a reading was seen to take 1.1 s


@scenario(Schedule(waits=1.5, calm=True, thorough=True))
async def thread_during_a_run(api: Api) -> None:
    """A thread read while its run waits for its time, and in the middle of a long node."""

    async def pending(part: Api) -> None:
        thread = await part.create_thread()
        delay = part.with_slack(1.0)
        run = await part.create_run_later(thread, "slow", {"sleep": 0.5}, delay)
        await asyncio.sleep(0.3)  # run and thread are not written at once everywhere
        await _thread_within_run(part, thread, run, delay + 0.5)

    async def running(part: Api) -> None:
        thread = await part.create_thread()
        sleep = part.with_slack(SLEEP_S)
        run = await part.create_run(thread, "slow", {"sleep": sleep})
        await part.until_logged(thread, "a")
        await _thread_within_run(part, thread, run, sleep)

    drives = {"pending": pending, "running": running}
    await api.each(drives, lambda part, name: drives[name](part))


async def _thread_within_run(part: Api, thread: str, run: str, lasts_s: float) -> None:
    await part.thread(thread, label="during")
    await part.run(thread, run, label="run_during")
    await part.poll_run(thread, run, patience=2 * lasts_s)
    await part.settle(thread)


@scenario(Schedule(waits=2.0, thorough=True))
async def thread_with_a_queue(api: Api) -> None:
    """Two runs, one queued behind the other: the thread after the first, in the second, and at the end."""
    thread = await api.create_thread()
    first = await api.create_run(thread, "slow", {"sleep": 0.3}, label="create_first")
    sleep = api.with_slack(SLEEP_S)
    second = await api.create_run(thread, "slow", {"sleep": sleep}, label="create_second")
    await api.poll_run(thread, first, label="first")
    await api.thread(thread, label="between")
    await api.run(thread, second, label="run_between")
    await api.until_running(thread, second, label="second_starts")
    await api.thread(thread, label="in_second")
    await api.run(thread, second, label="run_in_second")
    await api.poll_run(thread, second, label="second", patience=sleep)
    await api.settle(thread)


@scenario(Schedule(steady=True), agent=True)
async def thread_that_recovers(api: Api) -> None:
    """A good run after a failed one, and the resume of an interrupted one."""

    async def after_error(part: Api) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "fail", {"message": "the boiler is cold"}, label="broken")
        await part.settle(thread, label="before")
        await part.wait(thread, "steps", {"note": "repaired"}, label="good")
        await part.settle(thread, label="after")

    async def after_interrupt(part: Api) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "interrupt", {"question": "go on?"}, label="broken")
        await part.settle(thread, label="before")
        await part.state(thread, label="state_before")
        await part.wait(thread, "interrupt", command={"resume": "yes"}, label="good")
        await part.settle(thread, label="after")

    drives = {"error": after_error, "interrupted": after_interrupt}
    await api.each(drives, lambda part, name: drives[name](part))


@scenario(Schedule(steady=True))
async def thread_after_a_rollback(api: Api) -> None:
    """A run that is rolled back while its second node sleeps, without waiting for the rollback."""
    thread = await api.create_thread()
    run = await api.create_run(thread, "slow", {"sleep": api.never_slept_s})
    await api.until_logged(thread, "a")
    await api.cancel(thread, run, action="rollback", wait=False)
    await api.poll_run(thread, run)
    await api.settle(thread)


def _insist(exchange: Exchange, status: set[str], why: str) -> None:
    """Raise Missing unless the run or thread is in one of these: the case would not be the one meant."""
    if status_of(exchange) not in status:
        raise Missing(f"{why}: {exchange.where} says {shown(status_of(exchange))}")


def _interrupts_by_task(state: dict[str, Any]) -> dict[str, list[Any]]:
    tasks = state.get("tasks") or []
    return {task["id"]: _ids_and_values(task.get("interrupts")) for task in tasks if task.get("interrupts")}


def _ids_and_values(interrupts: Any) -> list[Any]:
    """Id and value of each interrupt; servers add members of their own."""
    return [{key: each.get(key) for key in ("id", "value")} for each in interrupts or []]


@requirement("THR-STATUS-001")
def test_status_is_one_of_four(
    success: Trace, error: Trace, interrupt: Trace, cancel: Trace, thread_during_a_run: Trace
) -> None:
    for trace in applicable(success, error, interrupt, cancel):
        for exchange in trace.all("settle"):
            assert status_of(exchange) in STATUSES
    for trace in applicable(thread_during_a_run):
        for exchange in trace.all("during"):
            assert status_of(exchange) in STATUSES


@requirement("THR-STATUS-002")
@cases("status", ["pending", "running"])
def test_thread_of_an_active_run_is_busy(status: str, thread_during_a_run: Trace) -> None:
    part = thread_during_a_run.part(status)
    # A server without `after_seconds` has begun the run meanwhile; its thread is busy all the same.
    active = ACTIVE if status == "pending" else {"running"}
    _insist(part.run_during, active, "the run was no longer in the middle")
    assert status_of(part.during) == "busy"
    _insist(part.last("poll"), {"success"}, "the run did not end well")


@requirement("THR-STATUS-003")
@by_threaded_entry_point
def test_thread_is_idle_after_success(entry_point: str, success: Trace) -> None:
    part = success.part(entry_point)
    _insist(part.last("poll"), {"success"}, "the run did not end well")
    assert status_of(part.last("settle")) == "idle"


@requirement("THR-STATUS-004")
@by_threaded_entry_point
@cases("kind", ["static", "dynamic"])
def test_thread_is_interrupted_at_an_interrupt(
    kind: str, entry_point: str, interrupt: Trace, static_interrupt: Trace
) -> None:
    part = (static_interrupt if kind == "static" else interrupt).part(entry_point)
    if not part.state.object.get("next"):
        raise Missing(f"{part.state.where} names no next node, so nothing was interrupted")
    assert status_of(part.last("settle")) == "interrupted"


@requirement("THR-STATUS-005")
@by_threaded_entry_point
def test_thread_is_in_error_after_an_exception(entry_point: str, error: Trace) -> None:
    part = error.part(entry_point)
    _insist(part.last("poll"), {"error"}, "the run did not fail")
    assert status_of(part.last("settle")) == "error"


@requirement("THR-STATUS-006")
@cases("status", ["error", "interrupted"])
def test_good_run_makes_the_thread_idle_again(status: str, thread_that_recovers: Trace) -> None:
    part = thread_that_recovers.part(status)
    _insist(part.last("before"), {status}, "the thread was not in the status to recover from")
    assert part.good.ok.complete
    assert status_of(part.last("after")) == "idle"


@requirement("THR-STATUS-007")
@cases("after", ["success", "error", "interrupt", "cancel", "rollback"])
def test_thread_leaves_busy(
    after: str, success: Trace, error: Trace, interrupt: Trace, cancel: Trace, thread_after_a_rollback: Trace
) -> None:
    traces = {"success": success, "error": error, "interrupt": interrupt, "cancel": cancel}
    parts = [thread_after_a_rollback]
    if after != "rollback":
        parts = [traces[after].part(entry_point) for entry_point in THREADED_ENTRY_POINTS]
    for part in parts:
        last = part.last("poll")
        if after != "rollback" or last.status != 404:  # a run that was rolled back may be gone
            _insist(last, TERMINAL, "the run did not end")
        assert status_of(part.last("settle")) in ("idle", "interrupted", "error")


@requirement("THR-STATUS-008")
@by_threaded_entry_point
def test_thread_after_a_cancel(entry_point: str, cancel: Trace) -> None:
    part = cancel.part(entry_point)
    assert part.cancel.ok.complete
    _insist(part.last("poll"), {"interrupted"}, "the run was not cancelled")
    allowed = ["idle", "interrupted"] if part.state.object.get("next") else ["idle"]
    assert status_of(part.last("settle")) in allowed


@requirement("THR-STATUS-009")
@cases("when", ["between", "in_second"])
def test_thread_stays_busy_for_the_queue(when: str, thread_with_a_queue: Trace) -> None:
    _insist(thread_with_a_queue.last("first"), {"success"}, "the first run did not end well")
    _insist(thread_with_a_queue.only(f"run_{when}"), ACTIVE, "the queued run was over")
    assert status_of(thread_with_a_queue.only(when)) == "busy"
    _insist(thread_with_a_queue.last("second"), {"success"}, "the queued run did not end well")


@requirement("THR-STATUS-010")
def test_thread_shows_its_interrupts(thread_that_recovers: Trace) -> None:
    part = thread_that_recovers.part("interrupted")
    wanted = _interrupts_by_task(part.state_before.object)
    if not wanted:
        raise Missing(f"{part.state_before.where} shows no task with an interrupt")
    before, after = (part.last(label).object.get("interrupts") for label in ("before", "after"))
    assert isinstance(before, dict), f"wanted interrupts by task, got {shown(before)}"
    assert {task: _ids_and_values(each) for task, each in before.items() if each} == wanted
    _insist(part.last("after"), {"idle"}, "the resume did not end well")
    assert [each for each in (after or {}).values() if each] == []
