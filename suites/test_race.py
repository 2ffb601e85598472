"""The same, several times at once: one wins, none is a 5xx, nothing is done twice.

What is sent at once is data (contracts/cases/races.yaml).
"""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    cases,
    new_id,
    race_table,
    requirement,
    resolve,
    scenario,
    shown,
)

TABLE = race_table()
AT_ONCE = 6
SLEEP_S = 1.0
ONE_OF_ITS_ID = ("assistant", "thread")
BUSY_TURN_S = 5.0  # what a turn of a busy server may take
# What a server without a store need not know.
CASES = [name for name, operation in TABLE.cases.items() if "/store" not in operation]


async def _together(part: Api, requests: list[tuple[str, str, Any]], patience: float = 0.0) -> None:
    async def send(method: str, path: str, body: Any) -> Exchange:
        given = {} if body is None else {"json": body}
        return await part.request(method, path, label="at_once", patience=patience, **given)

    await asyncio.gather(*(send(*each) for each in requests))


@scenario(Schedule(steady=True, runs=2, thorough=True))
async def the_same_at_once(api: Api) -> None:
    """Six requests of each case at once; then what is there is read."""
    await api.each(CASES, _race)


async def _race(part: Api, case: str) -> None:
    method, _, path = TABLE.cases[case].partition(" ")
    if case in ONE_OF_ITS_ID:
        own = new_id()
        body: dict[str, Any] = {f"{case}_id": own, "if_exists": "do_nothing"}
        body |= {"graph_id": "steps"} if case == "assistant" else {}
        await _together(part, [(method, path, body)] * AT_ONCE)
        await part.request("GET", f"{path}/{own}", label="then")
        return
    if "{assistant}" in path:
        made = await part.request("POST", "/assistants", json={"graph_id": "steps"}, label="new_assistant")
        path = path.replace("{assistant}", str(made.object.get("assistant_id")))
        body = {"metadata": {"by": case}}
        await _together(part, [(method, path, body if method == "PATCH" else None)] * AT_ONCE)
        return
    thread, run = await _thread_for(part, case)
    path = path.replace("{thread}", thread).replace("{run}", run)
    # On a bad line they do not arrive at once: the run of the first still has to go on when the last does.
    lasts_s = part.with_slack(SLEEP_S)
    bodies = [_body(case, number, lasts_s) for number in range(AT_ONCE)]
    # Where each starts a run, the last one waits for all others.
    await _together(part, [(method, path, body) for body in bodies], patience=AT_ONCE * BUSY_TURN_S)
    if case not in ("thread_deletion", "run_deletion"):
        await part.settle(thread, patience=lasts_s)
        await part.thread(thread)
        await part.state(thread)
        for each in (await part.runs(thread, limit=20)).array:
            await part.poll_run(thread, str(each["run_id"]), patience=lasts_s)
        await part.settle(thread, patience=lasts_s)
        await part.state(thread, label="state_then")


async def _thread_for(part: Api, case: str) -> tuple[str, str]:
    """A thread on which the requests can be made, and the run that they name, if any."""
    thread = await part.create_thread()
    if case == "cancel":
        run = await part.create_run(thread, "slow", {"sleep": part.with_slack(SLEEP_S) + 20})
        await part.until_logged(thread, "a")
        return thread, run
    graph = "interrupt" if case == "resume" else "steps"
    if case == "reject":
        return thread, ""
    first = await part.wait(thread, graph, {}, label="first")
    await part.settle(thread)
    return thread, first.run_id


def _body(case: str, number: int, lasts_s: float) -> Any:
    run = {"assistant_id": "slow", "input": {"sleep": lasts_s}, "multitask_strategy": "reject"}
    answer = {"assistant_id": "interrupt", "command": {"resume": number}, "multitask_strategy": "enqueue"}
    return {
        "patch": {"metadata": {f"key_{number}": number}},
        "update": {"values": {"note": number}, "as_node": "s3"},
        "reject": run,
        "resume": answer,
    }.get(case)


@requirement("RACE-001")
@cases("case", CASES)
def test_none_is_a_crash(case: str, the_same_at_once: Trace) -> None:
    answers = [each.status for each in the_same_at_once.part(case).all("at_once")]
    assert len(answers) == AT_ONCE
    assert max(answers) < 500, f"wanted no 5xx of {TABLE.cases[case]}, got {answers}"
    assert min(answers) < 300, f"wanted one of {TABLE.cases[case]} accepted, got {answers}"


@requirement("RACE-002")
@cases("case", ONE_OF_ITS_ID)
def test_one_creates_it(case: str, the_same_at_once: Trace) -> None:
    part = the_same_at_once.part(case)
    answers = part.all("at_once")
    assert all(each.status in (200, 409) for each in answers), f"got {[each.status for each in answers]}"
    wanted = part.then.object
    for each in answers:
        if each.status == 200:
            for name in (f"{case}_id", "created_at"):
                assert each.object.get(name) == wanted.get(name), f"two of one id: {name} differs"


@requirement("RACE-003")
def test_no_change_is_lost(the_same_at_once: Trace) -> None:
    part = the_same_at_once.part("patch")
    metadata = resolve(part.thread.object, "/metadata")
    sent = [resolve(each.request_json, "/metadata") for each in part.all("at_once") if each.status == 200]
    lost = [key for each in sent for key in each if key not in metadata]
    assert sent, "no change was accepted"
    assert not lost, f"changes that were accepted are lost: {shown(sorted(lost))}"


@requirement("RACE-004")
def test_one_answer_is_taken(the_same_at_once: Trace) -> None:
    part = the_same_at_once.part("resume")
    values = resolve(part.state_then.object, "/values")
    log = values.get("log")
    if "before" not in log:
        raise Missing(f"{part.state_then.where} does not show the run before the interrupt")
    assert [log.count(node) for node in ("before", "ask", "after")] == [1, 1, 1], f"the log is {shown(log)}"


@requirement("RACE-005")
def test_one_run_is_accepted(the_same_at_once: Trace) -> None:
    answers = [each.status for each in the_same_at_once.part("reject").all("at_once")]
    assert sorted(200 <= each < 300 for each in answers) == [False] * (AT_ONCE - 1) + [True], f"got {answers}"
