"""POST /threads/{thread_id}/runs/wait: block until the run ends, answer with its final values."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from runstone.suite import (
    GRAPHS,
    OMIT,
    STEPS,
    UUID,
    Api,
    Exchange,
    Missing,
    Options,
    Profile,
    Schedule,
    Trace,
    asked_in,
    assert_ran,
    cases,
    conforms,
    demand_values,
    has,
    lifecycle,
    log_in,
    needs,
    new_id,
    requirement,
    scenario,
    shown,
)

ERROR_CLASSES = ("ValueError", "KeyError", "RuntimeError", "CustomError")
ON_DISCONNECT: dict[str, Any] = {"cancel": "cancel", "continue": "continue", "default": OMIT}
PATIENCE_S = (0.5, 1.5, 4.0)  # that a run sleeps: longer where the first time was too short
SLEEP_S = 1.5
REFUSALS = ("unknown assistant", "unknown thread", "no assistant", "malformed JSON", "busy thread")


@scenario(Schedule(waits=1.5), agent=True)
async def slow_wait(api: Api) -> None:
    """A wait on a slow run; the Location of its headers is read while the run goes on."""
    thread = await api.create_thread()
    opened: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
    sleep = api.with_slack(SLEEP_S)
    async with asyncio.TaskGroup() as group:
        options: Options = {"opened": opened}
        group.create_task(api.wait(thread, "slow", {"sleep": sleep}, options=options, patience=sleep))
        location = (await opened).headers.get("location")
        if location is not None:
            await api.request("GET", _path(location, api.target.url), label="located", patience=sleep)
    await api.state(thread)


@scenario(agent=True)
async def failures_by_class(api: Api) -> None:
    """Wait on graphs that raise errors of several classes, and on one that raises none."""

    async def turn(part: Api, name: str) -> None:
        if name in ERROR_CLASSES[1:]:  # an agent of the user's own fails in one way
            part.demand_graphs()
        graph = "fail" if name in ERROR_CLASSES else "steps"
        given = {"message": "the pump is dry", "error": name} if graph == "fail" else {"note": name}
        await part.wait(await part.create_thread(), graph, given, label="result")

    await api.each([*ERROR_CLASSES, "none"], turn)


@scenario
async def parallel_interrupts(api: Api) -> None:
    """Wait on a graph that interrupts in two branches of one superstep."""
    await api.whole_turn("wait", "interrupt", {"variant": "parallel", "question": "which side?"})


@scenario
async def stopped_after_a_node(api: Api) -> None:
    """Wait on `steps`, which shall stop after its second node."""
    await api.whole_turn("wait", "steps", {"note": "stopped"}, interrupt_after=["s2"])


@scenario(Schedule(waits=1.5, thorough=True))
async def hung_up_waits(api: Api) -> None:
    """The client of a wait hangs up while the run goes on, with each `on_disconnect`."""
    await api.each(ON_DISCONNECT, _hang_up)


async def _hang_up(part: Api, choice: str) -> None:
    for patience in PATIENCE_S:
        # A server may notice the hang-up at its next keep-alive only: 5 s on the slowest known.
        sleep = part.with_slack(patience) + (7.0 if choice == "cancel" else 1.0)
        thread = await part.create_thread()
        wait = partial(
            part.wait, thread, "slow", {"sleep": sleep}, patience=sleep, on_disconnect=ON_DISCONNECT[choice]
        )
        waited = await part.hang_up_amid(thread, wait)
        if waited.closed_by_client:
            break
    await part.poll_run(thread, await part.run_hung_up_on(thread), patience=sleep)
    await part.settle(thread)
    await part.state(thread)


@scenario(agent=True)
async def refused_waits(api: Api) -> None:
    """Waits that cannot be accepted, each for one reason, beside one that can."""
    thread = await api.create_thread()
    await api.wait(thread, "steps", {"note": "in order"}, label="accepted")
    await api.wait(thread, "no-such-graph", {}, label="unknown assistant")
    await api.wait(new_id(), "steps", {}, label="unknown thread")
    path = f"/threads/{thread}/runs/wait"
    await api.request("POST", path, json={"input": {}}, label="no assistant")
    typed = {"content-type": "application/json"}
    await api.request("POST", path, content=b'{"assistant_id": ', headers=typed, label="malformed JSON")
    api.demand_graphs()
    run = await api.create_run(thread, "slow", {"sleep": 10.0})  # cancelled when it has been in the way
    await api.until_running(thread, run)
    await api.wait(thread, "steps", {}, multitask_strategy="reject", label="busy thread")
    await api.run(thread, run)
    await api.cancel(thread, run, action="interrupt", wait=False)


@requirement("RUN-WAIT-001")
@needs(GRAPHS)
def test_blocks_until_the_end(slow_wait: Trace, profile: Profile) -> None:
    answer = slow_wait.wait
    assert answer.status == 200
    assert answer.finished_after >= SLEEP_S, f"wanted {SLEEP_S} s of blocking, got {answer.finished_after} s"
    assert log_in(profile.wait.some_values_in(answer.object)) == ["a", "b", "c"]


@requirement("RUN-WAIT-002")
@cases("graph", ["steps", "tools"])
def test_body_is_the_final_values(success: Trace, tool_turn: Trace, graph: str, profile: Profile) -> None:
    turn = {"steps": success, "tools": tool_turn}[graph].part("wait")
    final = turn.state.object.get("values")
    if not final:
        raise Missing(f"{turn.state.where} holds no values to compare with")
    assert profile.wait.values_in(turn.result.object) == final


@requirement("RUN-WAIT-003")
def test_failing_graph_answers_200(success: Trace, error: Trace, profile: Profile) -> None:
    demand_values(success.part("wait").result, profile)
    turn = error.part("wait")
    if turn.last("poll").object.get("status") != "error":
        raise Missing(f"{turn.last('poll').where} does not show that the run failed")
    assert turn.result.status == 200


@requirement("RUN-WAIT-004")
@cases("name", ERROR_CLASSES)
def test_error_object(failures_by_class: Trace, name: str, profile: Profile) -> None:
    demand_values(failures_by_class.part("none").result, profile)
    answer = failures_by_class.part(name).result
    told = _error(answer, profile)
    conforms(answer.json, profile.wait.error_schema, answer)
    assert isinstance(told.get("error"), str), f"wanted a text `error`, got {shown(told)}"
    message = told.get("message")
    assert isinstance(message, str), f"wanted a text `message`, got {shown(told)}"
    assert message.strip(), f"wanted a message, got {shown(told)}"


@requirement("RUN-WAIT-005")
@needs(GRAPHS)
@cases("name", ERROR_CLASSES)
def test_error_names_the_class(failures_by_class: Trace, name: str, profile: Profile) -> None:
    demand_values(failures_by_class.part("none").result, profile)
    assert _error(failures_by_class.part(name).result, profile).get("error") == name


@requirement("RUN-WAIT-006")
def test_interrupt_is_listed(interrupt: Trace, profile: Profile) -> None:
    turn = interrupt.part("wait")
    asked = [{"question": "open the valve?"}] if has(GRAPHS) else asked_in(turn.state)
    assert _interrupt_values(turn.result, profile) == asked


@requirement("RUN-WAIT-007")
def test_parallel_interrupts_are_all_listed(parallel_interrupts: Trace, profile: Profile) -> None:
    values = _interrupt_values(parallel_interrupts.result, profile)
    wanted = [{"question": "which side?", "side": side} for side in ("left", "right")]
    assert sorted(values, key=shown) == sorted(wanted, key=shown)


@requirement("RUN-WAIT-008")
@cases("where, log", [("before", ["s1"]), ("after", ["s1", "s2"])])
def test_static_stop(
    static_interrupt: Trace, stopped_after_a_node: Trace, where: str, log: list[str], profile: Profile
) -> None:
    turn = static_interrupt.part("wait") if where == "before" else stopped_after_a_node
    so_far = turn.state.object.get("values")
    if log_in(so_far) != log:
        raise Missing(f"{turn.state.where} does not show a run that stopped {where} s2: {shown(so_far)}")
    body = turn.result.object
    assert profile.wait.interrupts_in({"__interrupt__": [], "interrupts": [], **body}) == []
    if body != {"__interrupt__": []}:  # tolerated: an empty list of interrupts instead of the values
        assert profile.wait.values_in(body) == so_far


@requirement("RUN-WAIT-009")
@cases("ending", ["success", "error", "interrupt"])
def test_content_location_names_the_run(success: Trace, error: Trace, interrupt: Trace, ending: str) -> None:
    turn = {"success": success, "error": error, "interrupt": interrupt}[ending].part("wait")
    located = turn.result.ok.headers.get("content-location", "no Content-Location")
    found = re.search(rf"/runs/({UUID.pattern})$", located)
    assert found, f"wanted a Content-Location ending in /runs/{{run_id}}, got {located}"
    read = turn.last("poll").object
    assert read.get("run_id") == found[1]
    assert read.get("thread_id") == turn.create_thread.object.get("thread_id")


@requirement("RUN-WAIT-010")
def test_location_joins_the_run(slow_wait: Trace, profile: Profile) -> None:
    answer = slow_wait.wait.ok
    assert "location" in answer.headers, "wanted a Location header, got none"
    values = profile.wait.values_in(answer.object)
    assert_ran(values, ["a", "b", "c"])
    assert slow_wait.located.status == 200
    assert profile.wait.values_in(slow_wait.located.object) == values


@requirement("RUN-WAIT-011")
def test_white_space_in_a_long_silence(silence_by_wait: Trace, profile: Profile) -> None:
    answer = silence_by_wait.result.ok
    assert log_in(profile.wait.some_values_in(answer.object)) == ["a", "b", "c"]
    first = answer.first_byte_after or answer.finished_after
    assert first < _slept(answer), f"wanted a byte while the run slept, got the first one after {first} s"
    assert answer.text[0].isspace(), f"wanted white space first, got {shown(answer.text[0])}"


@requirement("RUN-WAIT-012")
@needs(GRAPHS)
def test_headers_arrive_before_the_end(slow_wait: Trace, profile: Profile) -> None:
    answer = slow_wait.wait.ok
    assert log_in(profile.wait.some_values_in(answer.object)) == ["a", "b", "c"]
    ahead = answer.finished_after - (answer.headers_after or 0.0)
    # Headers that come with the end have next to no lead; a busy target was seen to send them 0.8 s late.
    assert ahead > SLEEP_S / 5, (
        f"wanted the headers while the run slept, got them {ahead:.2f} s before the end"
    )


@requirement("RUN-WAIT-013")
@cases("ending", ["success", "error", "interrupt"])
def test_status_and_state_agree(
    success: Trace, error: Trace, interrupt: Trace, ending: str, profile: Profile
) -> None:
    turn = {"success": success, "error": error, "interrupt": interrupt}[ending].part("wait")
    answer, readings = turn.result.ok, turn.all("poll")
    late = [each for each in readings if each.sent_at - answer.ended_at > 1.0] or readings[-1:]
    for reading in late:
        assert reading.object.get("status") in sorted(lifecycle().runs.terminal)
    told, shown_values = profile.wait.values_in(answer.object), turn.state.object.get("values")
    if ending == "success":
        assert_ran(profile.wait.some_values_in(answer.object), STEPS)
    if not isinstance(shown_values, dict):
        raise Missing(f"{turn.state.where} holds no values: {shown(shown_values)}")
    carried = told if isinstance(told, dict) else {}  # of a failed or paused run the body need not have any
    assert {key: shown_values.get(key) for key in carried} == carried


@requirement("RUN-WAIT-014")
@cases("ending", ["success", "error"])
def test_content_type_is_json(success: Trace, error: Trace, ending: str, profile: Profile) -> None:
    demand_values(success.part("wait").result, profile)
    answer = {"success": success, "error": error}[ending].part("wait").result
    assert answer.object, f"wanted a body, got {shown(answer.json)}"
    assert answer.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


@requirement("RUN-WAIT-015")
def test_hang_up_cancels(hung_up_waits: Trace) -> None:
    assert _after_hang_up(hung_up_waits.part("cancel")) == "interrupted"


@requirement("RUN-WAIT-016")
def test_hang_up_lets_the_run_continue(hung_up_waits: Trace) -> None:
    turn = hung_up_waits.part("continue")
    assert _after_hang_up(turn) == "success"
    assert log_in(turn.state.object.get("values")) == ["a", "b", "c"]


@requirement("RUN-WAIT-017")
def test_hang_up_continues_by_default(hung_up_waits: Trace) -> None:
    turn = hung_up_waits.part("default")
    assert _after_hang_up(turn) == "success"
    assert log_in(turn.state.object.get("values")) == ["a", "b", "c"]


@requirement("RUN-WAIT-018")
def test_slow_run_is_waited_for(silence_by_wait: Trace, profile: Profile) -> None:
    answer = silence_by_wait.result
    assert answer.status == 200
    assert answer.finished_after >= _slept(answer)
    assert log_in(profile.wait.some_values_in(answer.object)) == ["a", "b", "c"]


@requirement("RUN-WAIT-019")
@cases("reason", REFUSALS)
def test_refusal_has_its_status(refused_waits: Trace, reason: str, profile: Profile) -> None:
    demand_values(refused_waits.accepted, profile)
    refused = refused_waits.only(reason)
    if reason == "busy thread" and refused_waits.run.object.get("status") in lifecycle().runs.terminal:
        raise Missing("the thread was no longer busy when the wait was answered")
    assert 400 <= refused.status < 500, f"wanted a 4xx for {reason}, got {refused.status}"


def _path(location: str, base: str) -> str:
    """What to ask the target for, to follow a Location header, be it relative or absolute."""
    parts = urlsplit(location)
    path = parts.path.removeprefix(urlsplit(base).path.rstrip("/"))
    return f"{path}?{parts.query}" if parts.query else path


def _error(answer: Exchange, profile: Profile) -> dict[str, Any]:
    told = profile.wait.error_in(answer.object)
    assert isinstance(told, dict), f"wanted an error object, got {shown(answer.json)}"
    return told


def _interrupt_values(answer: Exchange, profile: Profile) -> list[Any]:
    listed = profile.wait.interrupts_in(answer.object)
    assert isinstance(listed, list), f"wanted a list of interrupts, got {shown(answer.json)}"
    return [each.get("value") if isinstance(each, dict) else each for each in listed]


def _slept(answer: Exchange) -> float:
    """The seconds that the run was asked to sleep."""
    return float(answer.request_json["input"]["sleep"])


def _after_hang_up(turn: Trace) -> Any:
    """The last status read, if the client really hung up on a wait that went on."""
    hung_up = turn.last("wait")
    if not hung_up.closed_by_client:
        raise Missing(f"{hung_up.ok.where} was over before the client hung up")
    return turn.last("poll").object.get("status")
