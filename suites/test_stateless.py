"""POST /runs, /runs/wait, /runs/stream and /runs/batch: runs that nobody gave a thread."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from runstone.suite import (
    GRAPHS,
    OMIT,
    STEPS,
    UUID,
    Api,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    agree,
    assert_ran,
    canonical,
    cases,
    conforms,
    needs,
    ran,
    raw,
    requirement,
    resolve,
    scenario,
    shown,
    some,
    told_by,
)

SLEEP_S = 1.0
ACTIVE = {"pending", "running"}
GONE_WITHIN_S = 5.0
ON_COMPLETION: dict[str, Any] = {"delete": "delete", "default": OMIT, "keep": "keep"}
JOINS = ("stream", "wait")
ROUTES = ("/runs", "/runs/wait", "/runs/stream")
BATCH = [("steps", "first"), ("slow", "second"), ("steps", "third")]
by_outcome = cases("outcome", ["success", "error", "interrupt"])


@scenario(Schedule(waits=1.0, calm=True))
async def stateless_in_the_background(api: Api) -> None:
    """A stateless run that takes a while is joined by its own id, by two clients."""
    sleep = api.with_slack(SLEEP_S)
    created = await api.send_run(None, "slow", {"sleep": sleep})
    run = created.run_id
    reading = [api.request("GET", f"/runs/{run}/{how}", label=how, patience=sleep) for how in JOINS]
    if created.found_thread_id is not None:
        reading.append(api.run(created.thread_id, run))
    await asyncio.gather(*reading)


@scenario(Schedule(waits=1.0, calm=True))
async def stateless_completions(api: Api) -> None:
    """Runs with each `on_completion` are joined on the threads that they name, which are then read."""

    async def turn(part: Api, choice: str) -> None:
        sleep = part.with_slack(SLEEP_S)
        created = await part.send_run(None, "slow", {"sleep": sleep}, on_completion=ON_COMPLETION[choice])
        thread, run = created.thread_id, created.run_id
        await asyncio.gather(part.run(thread, run, label="meanwhile"), part.join(thread, run, patience=sleep))
        if choice == "keep":
            await part.settle(thread)
            await part.state(thread)
            return
        for _ in range(int(part.limits.settle_s / part.limits.poll_s)):
            if (await part.thread(thread)).code == 404:
                return
            await asyncio.sleep(part.limits.poll_s)

    await api.each(ON_COMPLETION, turn)


@scenario
async def stateless_twice(api: Api) -> None:
    """The same graph runs twice without a thread; the second input says nothing."""
    await api.wait(None, "steps", {"note": "first"}, label="earlier", on_completion="keep")
    await api.wait(None, "steps", {}, label="later", on_completion="keep")


@scenario
async def stateless_resumes(api: Api) -> None:
    """Stateless runs with `command.resume`, beside one without."""
    await api.wait(None, "interrupt", {}, label="without")
    for route in ROUTES:
        body = {"assistant_id": "interrupt", "command": {"resume": "yes"}, "on_disconnect": "cancel"}
        await api.request("POST", route, json=body, label=route)


@scenario
async def stateless_batch(api: Api) -> None:
    """Several runs in one request."""
    body = [
        {"assistant_id": graph, "input": {"note": place}, "metadata": {"place": place}}
        for graph, place in BATCH
    ]
    await api.request("POST", "/runs/batch", json=body, label="batch")


@scenario(Schedule(steady=True), needs=["stateless_threads"])
async def stateless_hang_ups(api: Api) -> None:
    """The stream of a stateless run is closed while the run goes on, with each `on_disconnect`."""

    async def turn(part: Api, choice: str) -> None:
        answer = await part.stream(
            None,
            "slow",
            {"sleep": SLEEP_S if choice == "continue" else api.never_slept_s},
            on_disconnect=choice,
            on_completion="keep",
            options={"close_after_events": 2},
        )
        await part.join(answer.thread_id, answer.run_id, patience=SLEEP_S)
        await part.poll_run(answer.thread_id, answer.run_id)

    await api.each(["cancel", "continue"], turn)


@requirement("STATELESS-001")
@by_outcome
def test_wait_answers_like_one_on_a_thread(
    success: Trace, error: Trace, interrupt: Trace, outcome: str, profile: Profile
) -> None:
    turn = {"success": success, "error": error, "interrupt": interrupt}[outcome]
    answer, reference = (turn.part(name).result for name in ("stateless_wait", "wait"))
    body = reference.object
    if outcome == "success" and not ran(profile.wait.values_in(body), STEPS):
        raise Missing(f"{reference.where} does not hold the values of a run")
    told = {"error": profile.wait.error_in, "interrupt": profile.wait.interrupts_in}.get(outcome)
    if told is not None and not told(body):
        raise Missing(f"{reference.where} does not tell of the {outcome}")
    assert answer.status == 200
    assert told is None or told(answer.object), f"wanted to be told of the {outcome}, got {answer.text}"
    agree(answer.object, body)


@requirement("STATELESS-002")
@needs(GRAPHS)
@by_outcome
def test_stream_is_like_one_on_a_thread(success: Trace, error: Trace, interrupt: Trace, outcome: str) -> None:
    turn = {"success": success, "error": error, "interrupt": interrupt}[outcome]
    answer, reference = (turn.part(name).result for name in ("stateless_stream", "stream"))
    assert reference.named("values")
    assert _canonical_events(answer) == _canonical_events(reference)
    if outcome == "error":
        assert reference.named("error")


def _canonical_events(stream: Exchange) -> list[tuple[str, Any]]:
    return [(name, canonical(data)) for name, data in told_by(stream.stream)]


@requirement("STATELESS-003")
def test_run_is_answered_before_its_end(stateless_in_the_background: Trace) -> None:
    created = stateless_in_the_background.create_run
    assert created.status == 200
    conforms(created.object, "run", created)
    assert created.object.get("status") in ACTIVE
    if created.finished_after < SLEEP_S:
        return  # the run cannot have ended by then
    # Later, the run must be seen to go on; it may also be gone with its thread, and then it had ended.
    goes_on = [
        reading.code != 404 and reading.object.get("status") in ACTIVE
        for reading in stateless_in_the_background.find("run")
    ]
    assert goes_on == [True], (
        f"wanted an answer before the run's end, got it after {created.finished_after} s"
    )


@requirement("STATELESS-004")
@cases("choice", ["delete", "default"])
def test_thread_goes_with_the_run(stateless_completions: Trace, choice: str, profile: Profile) -> None:
    # The join of a run whose thread goes may find nothing; the kept one shows that runs are executed.
    turn = _seen_on_its_thread(stateless_completions, choice)
    kept = _completed(stateless_completions, "keep", profile)
    assert turn.join.complete, f"the join did not end: {turn.join.failure}"
    assert kept.create_run.thread_id != turn.create_run.thread_id
    gone = turn.last("thread")
    assert gone.status == 404
    assert gone.sent_at - turn.join.ended_at <= GONE_WITHIN_S


@requirement("STATELESS-005")
def test_kept_thread_holds_the_values(stateless_completions: Trace, profile: Profile) -> None:
    turn = _completed(stateless_completions, "keep", profile)
    assert turn.last("settle").status == 200
    assert turn.last("settle").object.get("thread_id") == turn.create_run.thread_id
    assert turn.state.object.get("values") == profile.wait.values_in(turn.join.object)


def _seen_on_its_thread(trace: Trace, choice: str) -> Trace:
    """The part of this choice. Raises Missing unless its run could be read on the thread that it named."""
    turn = trace.part(choice)
    if turn.meanwhile.object.get("run_id") != turn.create_run.run_id:
        raise Missing(f"{turn.meanwhile.where} does not show the run on the thread that it named")
    return turn


def _completed(trace: Trace, choice: str, profile: Profile) -> Trace:
    """The part of this choice. Raises Missing unless its run could be read on its thread, and ended well."""
    turn = _seen_on_its_thread(trace, choice)
    values = profile.wait.some_values_in(turn.join.object)
    if resolve(values, "/log") != ["a", "b", "c"]:
        raise Missing(f"{turn.join.where} does not show that the run ended well: {shown(values)}")
    return turn


@requirement("STATELESS-006")
def test_run_sees_nothing_of_an_earlier_one(stateless_twice: Trace, profile: Profile) -> None:
    answers = (stateless_twice.earlier, stateless_twice.later)
    first, second = (profile.wait.some_values_in(answer.object) for answer in answers)
    if resolve(first, "/note") != "first":
        raise Missing(f"the earlier run does not show what it was given: {shown(first)}")
    assert resolve(second, "/log") == STEPS
    assert raw(resolve(second, "/note")) is None, f"wanted no note, got {shown(second)}"


@requirement("STATELESS-007")
@cases("route", ROUTES)
def test_nothing_can_be_resumed(stateless_resumes: Trace, route: str) -> None:
    if not stateless_resumes.without.object:
        raise Missing(f"{stateless_resumes.without.where} shows no result of the run that resumes nothing")
    answer = stateless_resumes.only(route)
    assert 400 <= answer.status < 500, f"wanted a 4xx, got {answer.status}"


@requirement("STATELESS-008")
@cases("route", ROUTES)
def test_content_location_names_the_run(
    stateless_in_the_background: Trace, success: Trace, route: str, profile: Profile
) -> None:
    if route == "/runs":
        answer = stateless_in_the_background.create_run
        run = resolve(answer.object, "/run_id")
    elif route == "/runs/stream":
        answer = success.part("stateless_stream").result
        run = resolve(answer.named("metadata")[0].json, "/run_id")
    else:
        answer = success.part("stateless_wait").result
        assert_ran(profile.wait.some_values_in(answer.object), STEPS)
        run = None  # the body names none
    location = answer.headers.get("content-location", "nothing")
    found = re.search(rf"/runs/({UUID.pattern})$", location)
    assert found, f"wanted a Content-Location that ends in /runs/{{run_id}}, got {location}"
    assert raw(run) is None or found[1].lower() == str(run).lower(), f"wanted run {run}, got {location}"


@requirement("STATELESS-009")
def test_batch_answers_its_runs_in_order(stateless_batch: Trace) -> None:
    answer = stateless_batch.batch
    assert answer.status == 200
    runs = some(answer.array, "run in the answer")
    for run in runs:
        conforms(run, "run", answer)
    assert [resolve(run, "/metadata/place") for run in runs] == [place for _, place in BATCH]
    assert len({resolve(run, "/run_id") for run in runs}) == len(BATCH)
    assert resolve(runs[0], "/assistant_id") == resolve(runs[2], "/assistant_id")
    assert resolve(runs[0], "/assistant_id") != resolve(runs[1], "/assistant_id")


@requirement("STATELESS-010")
@cases("how", JOINS)
def test_run_is_joined_by_its_own_id(stateless_in_the_background: Trace, how: str, profile: Profile) -> None:
    answer = stateless_in_the_background.only(how)
    assert stateless_in_the_background.create_run.ok
    assert answer.status == 200
    values = (
        answer.named("values")[-1].json if how == "stream" else profile.wait.some_values_in(answer.object)
    )
    assert resolve(values, "/log") == ["a", "b", "c"]


@requirement("STATELESS-011")
@cases("choice, status", [("cancel", "interrupted"), ("continue", "success")])
def test_hang_up_decides(stateless_hang_ups: Trace, choice: str, status: str) -> None:
    turn = stateless_hang_ups.part(choice)
    if not turn.stream.closed_by_client:
        raise Missing(f"{turn.stream.ok.where} was over before the client hung up")
    assert turn.stream.named("values")
    assert turn.last("poll").object.get("status") == status
