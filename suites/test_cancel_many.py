"""Many runs are cancelled at once, by their ids or by their status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from runstone.suite import (
    Api,
    Blocked,
    Exchange,
    Schedule,
    Trace,
    cases,
    new_id,
    requirement,
    row,
    scenario,
    status_of,
)

THREADS = ("one", "two")
_Told = TypeVar("_Told")


@scenario(Schedule(steady=True))
async def several_cancelled_at_once(api: Api) -> None:
    """POST /runs/cancel with a running and a queued run of a thread, and with a run that never was."""
    thread = await api.create_thread()
    runs = [
        await api.create_run(thread, "slow", {"sleep": api.never_slept_s}, label=f"create_{place}")
        for place in ("running", "queued")
    ]
    await api.until_running(thread, runs[0])
    await _cancel_many(api, "unknown", thread_id=thread, run_ids=[new_id()])
    await api.run(thread, runs[0], label="untouched")
    _go_on_if_served(await _cancel_many(api, "both", thread_id=thread, run_ids=runs))
    for place, run in zip(("running", "queued"), runs, strict=True):
        await api.poll_run(thread, run, label=place)


async def _cancel_many(api: Api, label: str, **body: Any) -> Exchange:
    return await api.request(
        "POST", "/runs/cancel", params={"action": "interrupt"}, json=body, label=f"cancel_{label}"
    )


def _go_on_if_served(cancel: Exchange) -> None:
    """Where nothing was cancelled, nothing ends: waiting for each run would take a minute for nothing."""
    if cancel.code in (404, 405):
        raise Blocked(f"{cancel.where} answered {cancel.code}, so that no run was cancelled")


@scenario(Schedule(alone=True), needs=["exclusive"])
async def cancelled_by_status_and_ids(api: Api) -> None:
    """POST /runs/cancel with both kinds of choice; a server that heeds the status would hit others' runs."""
    thread = await api.create_thread()
    run = await api.create_run(thread, "slow", {"sleep": 0}, after_seconds=round(api.never_slept_s))
    await _cancel_many(api, "contradiction", status="pending", thread_id=thread, run_ids=[run])
    await api.run(thread, run, label="untouched")
    await _cancel_many(api, "ids", thread_id=thread, run_ids=[run])
    await api.poll_run(thread, run)


@scenario(Schedule(alone=True), needs=["exclusive"])
async def cancelled_by_status(api: Api) -> None:
    """The running runs of two threads are cancelled, then the pending ones, then all that are left."""
    threads = {number: await api.create_thread() for number in THREADS}

    async def of_each(ask: Callable[[str, str], Coroutine[Any, Any, _Told]]) -> dict[str, _Told]:
        async with asyncio.TaskGroup() as asking:
            told = {number: asking.create_task(ask(number, thread)) for number, thread in threads.items()}
        return {number: task.result() for number, task in told.items()}

    async def create(name: str) -> dict[str, str]:
        given = {"sleep": api.never_slept_s}
        return await of_each(lambda _, each: api.create_run(each, "slow", given, label=f"create {name}"))

    async def read_all(runs: dict[str, str], label: str) -> None:
        read = api.run if label.endswith("goes on") else api.poll_run
        await of_each(lambda number, each: read(each, runs[number], label=f"{number} {label}"))

    async def begin(runs: dict[str, str]) -> None:
        await of_each(lambda number, each: api.until_running(each, runs[number]))

    first, second = await create("first"), await create("second")
    await begin(first)
    _go_on_if_served(await _cancel_many(api, "running", status="running"))
    await read_all(first, "first")
    await begin(second)
    await read_all(second, "second goes on")
    third = await create("third")
    await _cancel_many(api, "pending", status="pending")
    await read_all(third, "third")
    await read_all(second, "second still goes on")
    fourth = await create("fourth")
    await _cancel_many(api, "all", status="all")
    await read_all(second, "second")
    await read_all(fourth, "fourth")


@requirement("CANCEL-011")
def test_several_runs_are_cancelled(several_cancelled_at_once: Trace) -> None:
    assert several_cancelled_at_once.cancel_both.status == 204
    for place in ("running", "queued"):
        assert status_of(several_cancelled_at_once.last(place)) == "interrupted"


@requirement("CANCEL-012")
@cases("choice", [row("contradiction", needs=["exclusive"]), "unknown"])
def test_choice_of_runs_is_checked(
    several_cancelled_at_once: Trace, cancelled_by_status_and_ids: Trace, choice: str
) -> None:
    if choice == "unknown":
        assert several_cancelled_at_once.cancel_both.ok
        assert several_cancelled_at_once.cancel_unknown.status == 404
        assert status_of(several_cancelled_at_once.untouched) == "running"
    else:
        contradiction = cancelled_by_status_and_ids.cancel_contradiction
        if contradiction.status >= 300:  # one that is accepted may have ended the run that the ids name
            assert cancelled_by_status_and_ids.cancel_ids.ok
        assert contradiction.status == 422
        assert status_of(cancelled_by_status_and_ids.untouched) == "pending"


@requirement("CANCEL-014")
def test_runs_of_a_status_are_cancelled(cancelled_by_status: Trace) -> None:
    for choice in ("running", "pending", "all"):
        assert cancelled_by_status.only(f"cancel_{choice}").ok
    for number in THREADS:
        for name in ("first", "second", "third", "fourth"):
            assert status_of(cancelled_by_status.last(f"{number} {name}")) == "interrupted"
        for untouched in ("second goes on", "second still goes on"):
            assert status_of(cancelled_by_status.last(f"{number} {untouched}")) in {"pending", "running"}
