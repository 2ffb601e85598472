"""multitask_strategy: what a server does with a run on a thread that is busy with another one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any

from runstone.suite import (
    OMIT,
    THREADED_ENTRY_POINTS,
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    ask,
    cases,
    lifecycle,
    log_of,
    requirement,
    resolve,
    scenario,
    shown,
    some,
    status_of,
)

BUSY_S = 1.5
READ_EVERY_S = 0.1
QUEUE = [f"question {number}" for number in range(5)]
ACTIVE = ("pending", "running")


@scenario(Schedule(waits=1.5, calm=True))
async def refused_on_a_busy_thread(api: Api) -> None:
    """Runs with "reject": while another waits for its time, by every entry point while it runs, and after."""

    async def pending(part: Api) -> None:
        thread = await part.create_thread()
        # A server without `after_seconds` is busy with the run meanwhile, and has to refuse all the same.
        delay = math.ceil(part.with_slack(0.5))
        fields: dict[str, Any] = {"after_seconds": delay, "label": "first"}
        run = await part.create_run(thread, "slow", {"sleep": BUSY_S / 2}, **fields)
        await part.send_run(thread, "slow", {"sleep": 0}, multitask_strategy="reject", label="background")
        await part.run(thread, run, label="meanwhile")
        await _outcome(part, thread, run, delay + BUSY_S / 2)

    async def running(part: Api) -> None:
        thread = await part.create_thread()
        sleep = part.with_slack(BUSY_S)
        run = await part.create_run(thread, "slow", {"sleep": sleep, "note": "first"}, label="first")
        await part.until_running(thread, run, label="begin")
        await asyncio.gather(*(_reject(part, thread, entry_point) for entry_point in THREADED_ENTRY_POINTS))
        await part.run(thread, run, label="meanwhile")
        await _outcome(part, thread, run, sleep)
        accepted = await _reject(part, thread, "wait", label="idle")
        await part.run(thread, accepted.run_id, label="accepted")

    drives = {"pending": pending, "running": running}
    await api.each(drives, lambda part, name: drives[name](part))


async def _outcome(part: Api, thread: str, run: str, lasts_s: float) -> None:
    await part.join(thread, run, patience=lasts_s + BUSY_S)
    await part.poll_run(thread, run)
    await part.settle(thread)
    await part.state(thread)
    await part.runs(thread, limit=100)


async def _reject(part: Api, thread: str, entry_point: str, *, label: str = "") -> Exchange:
    send: dict[str, Callable[..., Coroutine[Any, Any, Exchange]]] = {
        "wait": part.wait,
        "stream": part.stream,
        "background": part.send_run,
    }
    given = {"sleep": 0, "note": "second"}
    return await send[entry_point](
        thread, "slow", given, multitask_strategy="reject", label=label or entry_point
    )


@scenario(Schedule(waits=1.5, calm=True, thorough=True))
async def queued_behind_a_run(api: Api) -> None:
    """A second run on a busy thread with "enqueue" and without a strategy; both are read until they end."""

    async def turn(part: Api, strategy: str) -> None:
        thread = await part.create_thread()
        sleep = part.with_slack(BUSY_S)
        given = {"sleep": sleep, "note": "first"}
        first = await part.create_run(thread, "slow", given, label="create_first")
        chosen: Any = OMIT if strategy == "default" else strategy
        second = await part.create_run(
            thread, "slow", {"sleep": 0, "note": "second"}, multitask_strategy=chosen, label="create_second"
        )
        for _ in range(int((2 * part.limits.settle_s + sleep) / READ_EVERY_S)):
            later = await part.run(thread, second, label="second")
            await part.run(thread, first, label="first")  # always read after the second
            if later.code != 200 or later.object.get("status") in lifecycle().runs.terminal:
                break
            await asyncio.sleep(READ_EVERY_S)
        await part.settle(thread)
        await part.state(thread)

    await api.each(["enqueue", "default"], turn)


@scenario
async def queue_of_questions(api: Api) -> None:
    """`echo` is asked several questions on one thread, each enqueued before the first is answered."""
    thread = await api.create_thread()
    for question in QUEUE:
        run = await api.create_run(thread, "echo", ask(question))
    await api.poll_run(thread, run, patience=len(QUEUE) * api.limits.turn_s)
    await api.settle(thread)
    await api.state(thread)
    await api.runs(thread, limit=100)


@scenario(Schedule(steady=True, thorough=True))
async def run_ended_by_its_successor(api: Api) -> None:
    """A second run with "interrupt" or "rollback" comes while the first sleeps, once after an earlier run."""

    async def turn(part: Api, name: str) -> None:
        thread = await part.create_thread()
        earlier = ["a", "b", "c"] if name == "rollback_after_a_run" else []
        if earlier:
            await part.wait(thread, "slow", {"sleep": 0, "note": "earlier"}, label="earlier")
        given = {"sleep": part.never_slept_s, "note": "first"}
        first = await part.create_run(thread, "slow", given, label="create_first")
        await _until_log_is(part, thread, [*earlier, "a"])
        await part.run(thread, first, label="first_before")
        second = await part.create_run(
            thread,
            "slow",
            {"sleep": 0, "note": "second"},
            multitask_strategy=name.partition("_")[0],
            label="create_second",
        )
        await part.poll_run(thread, second)
        await part.settle(thread)
        await part.run(thread, first, label="first_after")
        await part.runs(thread, limit=100)
        await part.state(thread)
        await part.history(thread)

    await api.each(["interrupt", "rollback", "rollback_after_a_run"], turn)


async def _until_log_is(part: Api, thread: str, log: list[str]) -> None:
    for _ in range(int(part.limits.settle_s / part.limits.poll_s)):
        if resolve((await part.state(thread, label="watch")).object, "/values/log") == log:
            return
        await asyncio.sleep(part.limits.poll_s)


def _refusals(trace: Trace, case: str) -> list[Exchange]:
    """The answers to "reject". Raises Missing when one was accepted when the first run may have been over."""
    part = trace.part(case)
    answers = [part.only(name) for name in (THREADED_ENTRY_POINTS if case == "running" else ("background",))]
    meanwhile = part.meanwhile.object.get("status")
    if meanwhile not in ACTIVE and any(answer.status < 300 for answer in answers):
        raise Missing(f"the first run was {shown(meanwhile)} before the others could be refused")
    return answers


by_phase = cases("phase", ACTIVE)


@requirement("MULTI-001")
def test_default_strategy_is_enqueue(queued_behind_a_run: Trace) -> None:
    _one_after_the_other(queued_behind_a_run.part("default"))


@requirement("MULTI-ENQ-001")
def test_enqueued_run_follows(queued_behind_a_run: Trace) -> None:
    _one_after_the_other(queued_behind_a_run.part("enqueue"))


def _one_after_the_other(turn: Trace) -> None:
    assert turn.create_first.ok.run_id
    second = turn.create_second.status
    assert 200 <= second < 300, f"wanted the second run accepted, got {second}"
    firsts = [status_of(reading) for reading in turn.all("first")]
    seconds = [status_of(reading) for reading in turn.all("second")]
    if firsts[0] == "success":
        raise Missing("the first run was over before the thread could be seen busy")
    assert (firsts[-1], seconds[-1]) == ("success", "success")
    for later, first in zip(seconds, firsts, strict=False):  # the first was read after the second
        begun_too_early = later != "pending" and first in ACTIVE
        assert not begun_too_early, f"wanted the second run to wait, got it {later} beside a {first} one"
    assert log_of(turn.state) == ["a", "b", "c"] * 2
    assert resolve(turn.state.object, "/values/note") == "second"


@requirement("MULTI-ENQ-002")
def test_queue_keeps_its_order(queue_of_questions: Trace) -> None:
    assert [_member(run, "status") for run in queue_of_questions.runs.array] == ["success"] * len(QUEUE)
    messages = some(resolve(queue_of_questions.state.object, "/values/messages") or [], "message")
    said = [(_member(message, "type"), _member(message, "content")) for message in messages]
    assert said == [(who, question) for question in QUEUE for who in ("human", "ai")]


@requirement("MULTI-005")
def test_every_entry_point_refuses_alike(refused_on_a_busy_thread: Trace) -> None:
    codes = [answer.status for answer in _refusals(refused_on_a_busy_thread, "running")]
    assert refused_on_a_busy_thread.part("running").idle.ok
    assert 400 <= codes[0] < 500, f"wanted a 4xx, got {codes[0]}"
    assert codes == [codes[0]] * len(codes)


@requirement("MULTI-REJECT-001")
@by_phase
def test_busy_thread_refuses(refused_on_a_busy_thread: Trace, phase: str) -> None:
    for refused in _refusals(refused_on_a_busy_thread, phase):
        assert refused.status in {409, 422}
    turn = refused_on_a_busy_thread.part(phase)
    assert status_of(turn.last("poll")) == "success"
    assert log_of(turn.state) == ["a", "b", "c"]


@requirement("MULTI-REJECT-002")
@by_phase
def test_refusal_is_a_conflict(refused_on_a_busy_thread: Trace, phase: str) -> None:
    assert status_of(refused_on_a_busy_thread.part(phase).last("poll")) == "success"
    for refused in _refusals(refused_on_a_busy_thread, phase):
        assert refused.status == 409


@requirement("MULTI-REJECT-003")
@by_phase
def test_refused_run_is_not_listed(refused_on_a_busy_thread: Trace, phase: str) -> None:
    turn = refused_on_a_busy_thread.part(phase)
    for refused in _refusals(refused_on_a_busy_thread, phase):
        if not 400 <= refused.status < 500:
            raise Missing(f"{refused.where} answered {refused.status}, so nothing was refused")
    assert [_member(run, "run_id") for run in turn.runs.array] == [turn.first("first").run_id]


@requirement("MULTI-REJECT-004")
def test_idle_thread_accepts(refused_on_a_busy_thread: Trace) -> None:
    turn = refused_on_a_busy_thread.part("running")
    if status_of(turn.last("settle")) == "busy":
        raise Missing(f"{turn.last('settle').where} does not show an idle thread")
    assert turn.idle.status == 200
    assert status_of(turn.accepted) == "success"


@requirement("MULTI-INT-001")
def test_interrupted_run_leaves_its_steps(run_ended_by_its_successor: Trace) -> None:
    turn = _taken_over(run_ended_by_its_successor, "interrupt")
    assert status_of(turn.first_after) == "interrupted"
    assert status_of(turn.last("poll")) == "success"
    assert log_of(turn.state) == ["a", "a", "b", "c"]


@requirement("MULTI-INT-002")
def test_interrupted_run_can_be_read(run_ended_by_its_successor: Trace) -> None:
    turn = _taken_over(run_ended_by_its_successor, "interrupt")
    first = turn.create_first.run_id
    assert turn.first_after.status == 200
    assert turn.first_after.object.get("run_id") == first
    assert status_of(turn.first_after) == "interrupted"
    listed = {_member(run, "run_id"): _member(run, "status") for run in turn.runs.array}
    assert listed == {first: "interrupted", turn.create_second.run_id: "success"}


@requirement("MULTI-RB-001")
def test_rolled_back_run_is_gone(run_ended_by_its_successor: Trace) -> None:
    turn = _taken_over(run_ended_by_its_successor, "rollback")
    assert status_of(turn.last("poll")) == "success"
    assert turn.first_after.status == 404
    assert log_of(turn.state) == ["a", "b", "c"]
    assert resolve(turn.state.object, "/values/note") == "second"
    for entry in some(turn.history.array, "entry of history"):
        assert resolve(entry, "/metadata/run_id") != turn.create_first.run_id
        assert resolve(entry, "/values/note") != "first"


@requirement("MULTI-RB-002")
def test_rollback_keeps_what_was_before(run_ended_by_its_successor: Trace) -> None:
    turn = _taken_over(run_ended_by_its_successor, "rollback_after_a_run")
    assert status_of(turn.last("poll")) == "success"
    assert log_of(turn.state) == ["a", "b", "c"] * 2
    assert resolve(turn.state.object, "/values/note") == "second"
    notes = [resolve(entry, "/values/note") for entry in turn.history.array]
    assert "earlier" in notes, f"wanted the earlier run in the history, got the notes {shown(notes)}"
    assert "first" not in notes, f"wanted nothing of the first run in the history, got {shown(notes)}"


def _taken_over(trace: Trace, name: str) -> Trace:
    """The part of this name. Raises Missing unless the first run was at work when the second one came."""
    turn = trace.part(name)
    before = status_of(turn.first_before)
    if before not in ACTIVE or resolve(turn.last("watch").object, "/values/note") != "first":
        raise Missing(f"{turn.first_before.where} does not show the first run at work, but {shown(before)}")
    return turn


def _member(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None
