"""Dynamic interrupts: a node that asks the caller something, and the answers that resume it."""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    GRAPHS,
    STEPS,
    THREADED_ENTRY_POINTS,
    Api,
    Blocked,
    Exchange,
    Trace,
    applicable,
    assert_ran,
    cases,
    first_difference,
    has,
    log_of,
    needs,
    requirement,
    resolve,
    row,
    scenario,
    shown,
    some,
    view,
)

QUESTION = {"text": "open the valve?", "choices": ["yes", "no"]}
FALSY: dict[str, Any] = {"false": False, "zero": 0, "empty_text": "", "empty_list": []}
SIDES = ("left", "right")
SEVERAL = [row(case, needs=[GRAPHS]) for case in ("parallel", "sequence")]
CASES = (*THREADED_ENTRY_POINTS, *SEVERAL)
# What `interrupt` asks, and the nodes that are next, by its variant.
ASKED: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "single": ([{"question": QUESTION}], ["ask"]),
    "parallel": ([{"question": QUESTION, "side": side} for side in SIDES], ["ask_left", "ask_right"]),
    "sequence": ([{"question": QUESTION, "turn": 1}], ["ask_twice"]),
}


@scenario(agent=True)
async def asked_and_answered(api: Api) -> None:
    """`interrupt` asks once, and the answer is given by each entry point."""

    async def turn(part: Api, entry_point: str) -> None:
        thread = await part.create_thread()
        await part.turn(entry_point, thread, "interrupt", {"question": QUESTION})
        await _read(part, thread, "asked")
        await part.turn(entry_point, thread, "interrupt", command={"resume": "yes"})
        await _read(part, thread, "answered")

    await api.each(THREADED_ENTRY_POINTS, turn)


@scenario
async def asked_more_than_once(api: Api) -> None:
    """`interrupt` asks twice at once, answered by one map, and twice in sequence, answered in turn."""

    async def turn(part: Api, variant: str) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "interrupt", {"question": QUESTION, "variant": variant})
        asked = await _read(part, thread, "asked")
        answers: list[Any] = ["one", "two"]
        if variant == "parallel":
            answers = [{each["id"]: f"to the {resolve(each, '/value/side')}" for each in _identified(asked)}]
        for answer in answers:
            await part.wait(thread, "interrupt", command={"resume": answer})
        await _read(part, thread, "answered")

    await api.each(["parallel", "sequence"], turn)


@scenario
async def answered_with_nothing(api: Api) -> None:
    """`interrupt` asks once, and the answer is a value that counts as false."""

    async def turn(part: Api, case: str) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "interrupt", {"question": QUESTION})
        await _read(part, thread, "asked")
        await part.wait(thread, "interrupt", command={"resume": FALSY[case]})
        await _read(part, thread, "answered")

    await api.each(FALSY, turn)


@scenario(agent=True)
async def answered_unasked(api: Api) -> None:
    """A resume reaches a thread whose run has ended, and to one that never ran."""

    async def turn(part: Api, thread_is: str) -> None:
        thread = await part.create_thread()
        if thread_is == "finished":
            await part.wait(thread, "steps", {"note": "no question"})
        await _read(part, thread, "state_before")
        await part.wait(thread, "steps", command={"resume": "yes"}, label="resume")
        await _read(part, thread, "state_after")

    await api.each(["finished", "fresh"], turn)


async def _read(part: Api, thread: str, label: str) -> Exchange:
    """The state that the run left."""
    await part.settle(thread)
    return await part.state(thread, label=label)


def _identified(state: Exchange) -> list[dict[str, Any]]:
    """The pending interrupts, each with its id. Raises Blocked when one has none."""
    found = _pending(state)
    if len({each["id"] for each in found if isinstance(each.get("id"), str)}) != len(SIDES):
        raise Blocked(f"{state.where} gives no id of its own for each of two interrupts: {shown(found)}")
    return found


@requirement("INT-DYN-001")
@cases("case", CASES)
def test_state_tells_of_the_interrupt(asked: dict[str, Trace], case: str) -> None:
    state = asked[case].asked
    questions, nodes = ASKED.get(case, ASKED["single"])
    told = _interrupts(state)
    assert told, f"there is no interrupt in the tasks of {state.where}"
    values = [resolve(each, "/value") for each in told]
    if not has(GRAPHS):
        assert resolve(state.object, "/next"), "wanted a next node, got none"
        return
    assert sorted(values, key=shown) == sorted(questions, key=shown)
    following = resolve(state.object, "/next")
    assert (sorted(following, key=str) if isinstance(following, list) else following) == nodes


@requirement("INT-DYN-002")
@cases("case", CASES)
def test_state_lists_the_same_interrupts(asked: dict[str, Trace], case: str) -> None:
    state = asked[case].asked
    listed = state.object.get("interrupts")
    assert isinstance(listed, list), f"wanted a member `interrupts` that is a list, got {shown(listed)}"
    told = _pending(state)
    assert sorted(listed, key=shown) == sorted(told, key=shown)


@requirement("INT-DYN-003")
@needs(GRAPHS)
@cases("case", [*THREADED_ENTRY_POINTS, "sequence"])
def test_answer_reaches_the_node(asked: dict[str, Trace], case: str) -> None:
    answered = asked[case].answered.object
    assert resolve(answered, "/values/answer") == (["one", "two"] if case == "sequence" else "yes")
    assert resolve(answered, "/next") == []
    assert log_of(asked[case].answered)[-1:] == ["after"]


@requirement("INT-DYN-004")
def test_each_gets_its_own_answer(asked_more_than_once: Trace) -> None:
    answered = asked_more_than_once.part("parallel").answered
    assert resolve(answered.object, "/values/answers") == {side: f"to the {side}" for side in SIDES}
    assert log_of(answered)[-1:] == ["after"]


@requirement("INT-DYN-005")
@cases("case", FALSY)
def test_falsy_answer_is_delivered(answered_with_nothing: Trace, case: str) -> None:
    turn = answered_with_nothing.part(case)
    assert _pending(turn.asked), "wanted a run that waits for an answer"
    values = resolve(turn.answered.object, "/values")
    wanted = {"answer": FALSY[case], "log": ["before", "ask", "after"]}
    got = (
        {key: value for key, value in values.items() if key in wanted} if isinstance(values, dict) else values
    )
    difference = first_difference(got, wanted)  # unlike `==` it tells 0 from false
    assert difference is None, str(difference)


@requirement("INT-DYN-006")
@cases("thread_is", ["finished", "fresh"])
def test_unasked_answer_changes_nothing(answered_unasked: Trace, thread_is: str) -> None:
    assert_ran(resolve(answered_unasked.part("finished").state_before.object, "/values"), STEPS)
    turn = answered_unasked.part(thread_is)
    assert turn.resume.complete, f"the resume did not end: {turn.resume.failure}"
    assert 200 <= turn.resume.status < 500, f"wanted a 2xx or a 4xx, got {turn.resume.status}"
    assert resolve(turn.state_after.object, "/next") == resolve(turn.state_before.object, "/next")
    assert _written(turn.state_after) == _written(turn.state_before)


@requirement("INT-DYN-007")
@needs(GRAPHS)
@cases("case", CASES)
def test_finished_nodes_are_not_run_again(asked: dict[str, Trace], case: str) -> None:
    _, nodes = ASKED.get(case, ASKED["single"])
    assert log_of(asked[case].asked) == ["before"]
    log = log_of(asked[case].answered)
    assert [log[:1], sorted(log[1:-1]), log[-1:]] == [["before"], nodes, ["after"]]


@view
def asked(asked_and_answered: Trace, asked_more_than_once: Trace) -> dict[str, Trace]:
    """The turns by case: one question by each entry point, and several by wait."""
    single = {each: asked_and_answered.part(each) for each in THREADED_ENTRY_POINTS}
    several = applicable(asked_more_than_once)
    return single | {each: trace.part(each) for trace in several for each in ("parallel", "sequence")}


def _pending(state: Exchange) -> list[dict[str, Any]]:
    """The interrupts of the state's tasks, at least one. Raises Missing for none."""
    return some(_interrupts(state), f"interrupt in the tasks of {state.where}")


def _interrupts(state: Exchange) -> list[dict[str, Any]]:
    tasks = resolve(state.object, "/tasks")
    lists = [resolve(task, "/interrupts") for task in tasks] if isinstance(tasks, list) else []
    return [each for told in lists if isinstance(told, list) for each in told if isinstance(each, dict)]


def _written(state: Exchange) -> dict[str, Any]:
    """The values that hold something: a key that was never written may be left out, or be empty."""
    values = resolve(state.object, "/values")
    return {key: value for key, value in values.items() if value} if isinstance(values, dict) else {}
