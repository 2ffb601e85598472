"""Commands: what a caller may order beside an input: an update, a jump, an answer."""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    STEPS,
    Api,
    Exchange,
    Schedule,
    Trace,
    cases,
    log_of,
    requirement,
    resolve,
    scenario,
)

QUESTION = "open the valve?"
UPDATES: dict[str, Any] = {
    "object": {"note": "updated", "log": ["noted"]},
    "pairs": [["note", "updated"], ["log", ["noted"]]],
}
JUMPS: dict[str, Any] = {
    "name": "s3",
    "names": ["s1", "s3"],
    "send": {"node": "s3", "input": {"note": "sent"}},
}
# What a jump from the end of `steps` adds to the log: a node that is not the last one leads to the next ones.
JUMPED = {"name": ["s3"], "names": ["s1", "s2", "s3", "s3"], "send": ["s3"]}


@scenario(Schedule(thorough=True))
async def commanded_after_the_end(api: Api) -> None:
    """`steps` ran to its end; then a command updates its state, or makes it go to a node."""

    async def turn(part: Api, case: str) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "steps", {"note": "first"}, label="first")
        await _read(part, thread, "state_before")
        command = {"update": UPDATES[case]} if case in UPDATES else {"goto": JUMPS[case]}
        await part.wait(thread, "steps", command=command, label="command")
        await _read(part, thread, "state_after")

    await api.each([*UPDATES, *JUMPS], turn)


@scenario
async def commanded_while_asked(api: Api) -> None:
    """`interrupt` asks; then a command does all three at once, or comes together with an input."""

    async def turn(part: Api, case: str) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "interrupt", {"question": QUESTION}, label="first")
        await _read(part, thread, "state_before")
        if case == "all_at_once":
            command = {"resume": "yes", "update": {"variant": "updated"}, "goto": "after"}
            await part.wait(thread, "interrupt", command=command, label="command")
        else:
            given, command = {"question": "something else"}, {"resume": "yes"}
            await part.wait(thread, "interrupt", given, command=command, label="command")
        await _read(part, thread, "state_after")

    await api.each(["all_at_once", "with_input"], turn)


async def _read(part: Api, thread: str, label: str) -> None:
    """The state that the run left."""
    await part.settle(thread)
    await part.state(thread, label=label)


@requirement("CMD-001")
@cases("case", UPDATES)
def test_update_is_applied(commanded_after_the_end: Trace, case: str) -> None:
    turn = commanded_after_the_end.part(case)
    assert _values(turn.state_before) == {"log": STEPS, "note": "first"}
    assert _values(turn.state_after).get("note") == "updated"
    # Nodes may follow the update; the reducer appends it to what was there before.
    assert log_of(turn.state_after)[: len(STEPS) + 1] == [*STEPS, "noted"]


@requirement("CMD-002")
@cases("case", JUMPS)
def test_goto_is_followed(commanded_after_the_end: Trace, case: str) -> None:
    turn = commanded_after_the_end.part(case)
    assert _values(turn.state_before) == {"log": STEPS, "note": "first"}
    log = log_of(turn.state_after)
    # Nodes of one superstep are logged in no promised order.
    assert [log[: len(STEPS)], sorted(log[len(STEPS) :], key=str)] == [STEPS, JUMPED[case]]
    assert _values(turn.state_after).get("note") == "first"


@requirement("CMD-003")
def test_all_of_a_command_is_applied(commanded_while_asked: Trace) -> None:
    turn = commanded_while_asked.part("all_at_once")
    assert resolve(turn.state_before.object, "/next") == ["ask"]
    values = _values(turn.state_after)
    assert [values.get("answer"), values.get("variant")] == ["yes", "updated"]
    # `after` is gone to, and it follows `ask` too: once in each of two supersteps.
    assert sorted(log_of(turn.state_after), key=str) == ["after", "after", "ask", "before"]


@requirement("CMD-004")
def test_input_beside_a_command(commanded_while_asked: Trace) -> None:
    turn = commanded_while_asked.part("with_input")
    assert resolve(turn.state_before.object, "/next") == ["ask"]
    values = _values(turn.state_after)
    assert values.get("question") == QUESTION
    if turn.command.status < 300:
        assert [values.get("answer"), log_of(turn.state_after)] == ["yes", ["before", "ask", "after"]]
    else:
        assert 400 <= turn.command.status < 500, f"wanted a 4xx, got {turn.command.status}"
        assert values == _values(turn.state_before)


def _values(state: Exchange) -> dict[str, Any]:
    values = resolve(state.object, "/values")
    return values if isinstance(values, dict) else {}
