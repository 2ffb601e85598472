"""Threads in every status: what each operation answers, and what the thread shows.

The statuses and the operations are data (contracts/cases/statuses.yaml).
"""

from __future__ import annotations

import json
from typing import Any

from runstone.suite import (
    STEPS,
    Api,
    Blocked,
    Missing,
    Schedule,
    Trace,
    cases,
    first_difference,
    lifecycle,
    new_id,
    requirement,
    resolve,
    scenario,
    status_table,
)

TABLE = status_table()
PLAIN = [name for name, status in TABLE.statuses.items() if not status.needs]
GIVEN: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "idle": ("steps", {}, {}),
    "interrupted": ("interrupt", {}, {}),
    "paused": ("steps", {}, {"interrupt_before": ["s2"]}),
    "error": ("fail", {}, {}),
}
SLEEP_S = 1.5
LATE_S = 1.0  # a node that is stopped and writes on would do so when its sleep is over
CASES = {f"{status}-{name}": (status, name) for status in PLAIN for name in TABLE.asks}


async def _bring(part: Api, status: str) -> tuple[str, str]:
    """A thread in this status, and its run."""
    thread = await part.create_thread(metadata={"status": status})
    await part.thread(thread, label="before")
    if status in ("busy", "cancelled"):
        sleep = part.with_slack(SLEEP_S)
        run = await part.create_run(thread, "slow", {"sleep": sleep + 6})
        await part.until_logged(thread, "a")
        if status == "cancelled":
            await part.cancel(thread, run, wait=True)
            await part.poll_run(thread, run)
            await part.settle(thread)
        return thread, run
    graph, given, fields = GIVEN.get(status) or await _limited(part)
    run = await part.create_run(thread, graph, given, **fields)
    await part.poll_run(thread, run, patience=given.get("sleep", 0))
    await part.settle(thread)
    return thread, run


async def _limited(part: Api) -> tuple[str, dict[str, Any], dict[str, Any]]:
    limit = part.target.run_time_limit
    if limit is None:
        raise Blocked("run_time_limit is declared without an assistant and its seconds")
    return limit.assistant, {"sleep": limit.seconds + 30}, {}


async def _show(part: Api, status: str) -> None:
    thread, run = await _bring(part, status)
    await part.run(thread, run, label="run_then")
    await part.thread(thread, label="then")
    await part.search_threads(ids=[thread], label="by_id")
    shown = TABLE.statuses[status].thread
    for each in shown:
        await part.search_threads(ids=[thread], status=each, label=f"by_status_{each}")
    await part.search_threads(ids=[thread], metadata={"status": status}, label="by_metadata")
    await _ask_all(part, status, thread, run)


async def _ask_all(part: Api, status: str, thread: str, run: str) -> None:
    ids = {"{thread}": thread, "{run}": run}
    for name, ask in TABLE.asks.items():
        method, _, path = name.partition(" ")
        text = json.dumps([path, ask.body])
        for placeholder, found in ids.items():
            text = text.replace(placeholder, found)
        path, body = json.loads(text)
        sent: dict[str, Any] = {} if body is None else {"json": body}
        await part.request(method, path, params=ask.query, label=f"{status}-{name}", **sent)


@scenario(Schedule(steady=True, thorough=True))
async def threads_in_every_status(api: Api) -> None:
    """A thread in each status; then every operation on it."""
    await api.each(PLAIN, _show)


@scenario(needs=["run_time_limit"])
async def thread_after_a_timeout(api: Api) -> None:
    """A thread whose run took longer than its limit; then every operation on it."""
    await api.each(["timeout"], _show)


@scenario
async def threads_found_by_their_assistant(api: Api) -> None:
    """A run of an assistant of its own; then a search by what the thread's metadata name."""
    tag = new_id()
    made = await api.request("POST", "/assistants", json={"graph_id": "steps"}, label="new_assistant")
    assistant = str(made.object.get("assistant_id"))
    thread = await api.create_thread(metadata={"tag": tag})
    await api.wait(thread, assistant, {})
    await api.settle(thread)
    api.note(assistant=assistant, thread=thread)
    await api.thread(thread)
    for name, value in (("graph_id", "steps"), ("assistant_id", assistant)):
        await api.search_threads(metadata={"tag": tag, name: value}, label=f"by_{name}")


@scenario(Schedule(steady=True))
async def busy_thread_deleted(api: Api) -> None:
    """A thread is deleted while its run sleeps; an id that is made again shows whether the run goes on."""
    thread = await api.create_thread()
    sleep = api.with_slack(SLEEP_S)
    run = await api.create_run(thread, "slow", {"sleep": sleep})
    await api.until_logged(thread, "a")
    deleted = await api.delete_thread(thread)
    await api.thread(thread, label="thread_after")
    await api.run(thread, run, label="run_after")
    if deleted.code is not None and deleted.code < 300:
        await api.create_thread(thread_id=thread, label="made_again")
        await api.state(thread, label="state_again")
        await api.runs(thread, label="runs_again")


@scenario
async def new_input_while_interrupted(api: Api) -> None:
    """A thread waits at an interrupt; a run of another graph with new input ends well."""
    thread = await api.create_thread()
    await api.wait(thread, "interrupt", {"question": "old?"}, label="asked")
    await api.settle(thread)
    await api.thread(thread, label="thread_asked")
    await api.wait(thread, "steps", {"note": "new"}, label="new")
    await api.settle(thread)
    await api.thread(thread)
    await api.state(thread)


@scenario
async def resumed_at_its_checkpoint(api: Api) -> None:
    """An interrupt is answered by a run that names the checkpoint at which it waits."""

    async def resume(part: Api, how: str) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "interrupt", {"question": "go?"}, label="asked")
        await part.settle(thread)
        checkpoint = resolve((await part.state(thread, label="state_asked")).object, "/checkpoint")
        if how == "checkpoint_id":
            named = {"checkpoint_id": resolve(checkpoint, "/checkpoint_id")}
        else:
            named = {"checkpoint": {key: checkpoint[key] for key in ("checkpoint_id", "checkpoint_ns")}}
        await part.wait(thread, "interrupt", command={"resume": "yes"}, label="resumed", **named)
        await part.settle(thread)
        await part.state(thread)

    await api.each(["checkpoint", "checkpoint_id"], resume)


@scenario(Schedule(waits=2 * LATE_S, steady=True, calm=True))
async def stopped_by_another_run(api: Api) -> None:
    """A run sleeps in its second node when another one stops it; the state is read again later."""
    thread = await api.create_thread()
    sleep = api.with_slack(LATE_S)
    first = await api.create_run(thread, "slow", {"sleep": sleep})
    await api.until_logged(thread, "a")
    await api.wait(thread, "steps", {"note": "second"}, multitask_strategy="interrupt", label="second")
    await api.poll_run(thread, first)
    await api.settle(thread)
    await api.state(thread, label="state_then")
    await api.wait(None, "slow", {"sleep": sleep}, label="as_long", patience=sleep)
    await api.state(thread, label="state_later")
    await api.run(thread, first, label="first_later")


def _answers(part: Trace, status: str, name: str) -> None:
    exchange = part.only(f"{status}-{name}")
    allowed = status in TABLE.asks[name].refuses
    good = 200 <= exchange.status < (500 if allowed else 300)
    assert good, (
        f"wanted a 2xx{' or a 4xx' if allowed else ''} of {name} on a thread {status}, got {exchange.status}"
    )


@requirement("STAT-001")
@cases("case", CASES)
def test_operation_answers_in_every_status(case: str, threads_in_every_status: Trace) -> None:
    status, name = CASES[case]
    _answers(threads_in_every_status.part(status), status, name)


@requirement("STAT-009")
@cases("name", TABLE.asks)
def test_operation_answers_after_a_timeout(name: str, thread_after_a_timeout: Trace) -> None:
    part = thread_after_a_timeout.part("timeout")
    assert part.then.object.get("status") == "error"
    _answers(part, "timeout", name)


@requirement("STAT-002")
@cases("status", PLAIN)
def test_status_is_the_same_everywhere(status: str, threads_in_every_status: Trace) -> None:
    part, wanted = threads_in_every_status.part(status), TABLE.statuses[status]
    assert part.run_then.object.get("status") in wanted.run
    shown = part.then.object.get("status")
    assert shown in wanted.thread
    assert [each.get("status") for each in part.by_id.array] == [shown]
    for each in wanted.thread:
        found = [thread.get("status") for thread in part.only(f"by_status_{each}").array]
        assert found == ([shown] if each == shown else [])
    assert len(part.by_metadata.array) == 1


@requirement("STAT-003")
@cases("status", PLAIN)
def test_run_advances_updated_at(status: str, threads_in_every_status: Trace) -> None:
    part = threads_in_every_status.part(status)
    before, after = part.before.object.get("updated_at"), part.then.object.get("updated_at")
    assert after > before, f"wanted an updated_at after {before}, got {after}"


@requirement("STAT-004")
@cases("name", ["graph_id", "assistant_id"])
def test_thread_is_found_by_what_ran(name: str, threads_found_by_their_assistant: Trace) -> None:
    trace = threads_found_by_their_assistant
    wanted = "steps" if name == "graph_id" else trace.note("assistant")
    assert resolve(trace.thread.object, f"/metadata/{name}") == wanted
    assert [each.get("thread_id") for each in trace.only(f"by_{name}").array] == [trace.note("thread")]


@requirement("STAT-005")
def test_busy_thread_is_deleted_or_stays(busy_thread_deleted: Trace) -> None:
    trace = busy_thread_deleted
    deleted = trace.only("delete_thread").status
    assert 200 <= deleted < 500, f"wanted a 2xx or a 4xx, got {deleted}"
    if deleted >= 400:
        assert trace.only("thread_after").ok.object.get("status") == "busy"
        return
    assert (trace.only("thread_after").status, trace.only("run_after").status) == (404, 404)
    assert resolve(trace.only("state_again").object, "/values/log") in (None, [])
    assert trace.only("runs_again").array == []


@requirement("STAT-006")
def test_new_input_clears_old_interrupts(new_input_while_interrupted: Trace) -> None:
    trace = new_input_while_interrupted
    if trace.only("thread_asked").object.get("status") != "interrupted":
        raise Missing(f"{trace.only('thread_asked').where} does not show an interrupt")
    if trace.only("new").status != 200 or trace.thread.object.get("status") == "error":
        raise Missing(f"{trace.only('new').where} did not run to its end")
    interrupts = trace.thread.object.get("interrupts")
    assert not any(interrupts.values() if interrupts else []), "the thread shows an interrupt of before"
    tasks = resolve(trace.state.object, "/tasks")
    assert not any(resolve(task, "/interrupts") for task in tasks), "the state shows an interrupt of before"


@requirement("STAT-007")
@cases("how", ["checkpoint", "checkpoint_id"])
def test_resume_goes_on_from_its_checkpoint(how: str, resumed_at_its_checkpoint: Trace) -> None:
    part = resumed_at_its_checkpoint.part(how)
    if resolve(part.only("state_asked").object, "/next") != ["ask"]:
        raise Missing(f"{part.only('state_asked').where} does not wait at the interrupt")
    assert part.only("resumed").status == 200
    values = resolve(part.state.object, "/values")
    assert (values.get("log"), values.get("answer")) == (["before", "ask", "after"], "yes")


@requirement("STAT-008")
def test_stopped_run_writes_nothing_more(stopped_by_another_run: Trace) -> None:
    trace = stopped_by_another_run
    assert trace.only("second").status == 200
    before, after = (resolve(trace.only(f"state_{when}").object, "/values") for when in ("then", "later"))
    assert before.get("log")[-3:] == STEPS
    difference = first_difference(after, before)
    assert difference is None, f"the run that was stopped has written on: {difference}"
    assert trace.only("first_later").object.get("status") in lifecycle().runs.terminal
