"""A run executes its graph: every node exactly once, over every entry point, however the graph is written."""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    ENTRY_POINTS,
    GRAPHS,
    STEPS,
    Api,
    Missing,
    Profile,
    Schedule,
    Trace,
    assert_ran,
    by_entry_point,
    canonical,
    cases,
    final_values,
    log_in,
    needs,
    requirement,
    scenario,
    shown,
)

TWINS = ("sync_steps", "functional")


@scenario(Schedule(thorough=True))
async def twins(api: Api) -> None:
    """The synchronous and the functional twin of `steps` run over every entry point."""

    async def turn(part: Api, name: str) -> None:
        graph, _, entry_point = name.partition(".")
        await part.whole_turn(entry_point, graph, {"note": "success"})

    await api.each([f"{graph}.{entry_point}" for graph in TWINS for entry_point in ENTRY_POINTS], turn)


@scenario(agent=True)
async def read_again_and_again(api: Api) -> None:
    """A finished run is read twice by every path, between two readings of what it left."""
    thread = await api.create_thread()
    run = await api.create_run(thread, "steps", {"note": "read"})
    await api.poll_run(thread, run)
    await api.settle(thread)
    await _take_stock(api, thread, "before")
    for _ in range(2):
        await api.join(thread, run, label="read")
        await api.join_stream(thread, run, label="read")
        await api.state(thread, label="read")
        await api.history(thread, label="read")
    await _take_stock(api, thread, "after")


async def _take_stock(api: Api, thread: str, when: str) -> None:
    await api.state(thread, label=f"state {when}")
    await api.history(thread, label=f"history {when}")
    await api.runs(thread, limit=10, label=f"runs {when}")


@requirement("EXEC-001")
@needs(GRAPHS)
def test_wait_executes_every_node_once(success: Trace, profile: Profile) -> None:
    turn = success.part("wait")
    told = profile.wait.values_in(turn.result.object)
    assert told == {} or log_in(told) == STEPS, f"wanted {shown(STEPS)}, got {shown(log_in(told))}"
    assert log_in(turn.state.object.get("values")) == STEPS
    profile.wait.some_values_in(turn.result.object)  # a wait that shows nothing is not a proof


@requirement("EXEC-002")
@needs(GRAPHS)
@cases("entry_point", ENTRY_POINTS[1:])
def test_other_entry_points_execute_every_node_once(
    success: Trace, entry_point: str, profile: Profile
) -> None:
    turn = success.part(entry_point)
    if not entry_point.startswith("stateless"):  # where a stateless run leaves its state is not promised
        assert log_in(turn.state.object.get("values")) == STEPS
    assert log_in(final_values(turn.result, profile)) == STEPS


@requirement("EXEC-003")
@by_entry_point
@cases("graph", TWINS)
def test_twins_agree(success: Trace, twins: Trace, graph: str, entry_point: str, profile: Profile) -> None:
    original, twin = success.part(entry_point), twins.part(f"{graph}.{entry_point}")
    wanted = final_values(original.result, profile)
    if log_in(wanted) != STEPS:
        raise Missing(f"{original.result.where} gave no values to compare with: {shown(wanted)}")
    assert canonical(final_values(twin.result, profile)) == canonical(wanted)
    if not entry_point.startswith("stateless"):
        assert twin.last("poll").object.get("status") == original.last("poll").object.get("status")
        assert canonical(twin.state.object.get("values")) == canonical(original.state.object.get("values"))


@requirement("EXEC-004")
def test_reading_executes_nothing(read_again_and_again: Trace) -> None:
    trace = read_again_and_again
    for reading in trace.all("read"):
        assert reading.ok
    before, after = (trace.only(f"state {when}").object.get("values") for when in ("before", "after"))
    for values in (before, after):
        assert_ran(values, STEPS)
    assert after == before
    assert len(trace.only("history after").array) == len(trace.only("history before").array)
    assert len(trace.only("runs after").array) == 1


@requirement("EXEC-005")
@cases("path", ["wait", "stream", "join", "state"])
def test_tool_turn_has_four_messages(tool_turn: Trace, path: str, profile: Profile) -> None:
    human, call, found, answer = _four_messages(_values_by(tool_turn, path, profile))
    question = "When was the heating serviced?"
    assert [each.get("type") for each in (human, call, found, answer)] == ["human", "ai", "tool", "ai"]
    assert human.get("content") == question
    calls = call.get("tool_calls")
    assert isinstance(calls, list), f"wanted tool_calls, got {shown(call)}"
    assert [(each.get("name"), each.get("args")) for each in calls] == [("lookup", {"query": question})]
    assert found.get("tool_call_id") == calls[0].get("id")
    assert found.get("content") == f"found: {question}"
    assert answer.get("content") == f"answer: {question}"


def _values_by(trace: Trace, path: str, profile: Profile) -> Any:
    match path:
        case "state":
            return trace.part("wait").state.object.get("values")
        case "join":
            return final_values(trace.part("background").result, profile)
        case entry_point:
            return final_values(trace.part(entry_point).result, profile)


def _four_messages(values: Any) -> list[dict[str, Any]]:
    messages = values.get("messages") if isinstance(values, dict) else None
    assert isinstance(messages, list), f"wanted messages, got {shown(values)}"
    assert len(messages) == 4, f"wanted 4 messages, got {len(messages)}"
    assert all(isinstance(each, dict) for each in messages), f"wanted objects, got {shown(messages)}"
    return messages
