"""One run, whichever entry point starts it: the same values, state, history, statuses, errors, interrupts.

Every judge with the parameters `outcome` and `entry_point` fills that cell of the parity grid. The cell of
`wait` compares wait's answer with the thread that it left; the other cells compare with wait.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from runstone.suite import (
    ENTRY_POINTS,
    GRAPHS,
    THREADED_ENTRY_POINTS,
    Api,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    agree,
    applicable,
    canonical,
    cases,
    has,
    lifecycle,
    requirement,
    row,
    scenario,
    some,
    view,
)

PATIENCE_S = (1.0, 4.0)  # that a run sleeps: longer where the first time was too short
HANG_UPS = ("undisturbed", "wait", "stream")
_MODES = {
    "values": ["values"],
    "updates": ["updates"],
    "many": ["values", "updates", "messages-tuple", "debug"],
}


@scenario
async def attended_and_unattended(api: Api) -> None:
    """The same turn of `steps` with different listeners: several stream modes, and nobody at all."""

    async def turn(part: Api, listener: str) -> None:
        thread = await part.create_thread()
        if listener == "nobody":
            run = await part.create_run(thread, "steps", {"note": "listened to"})
            await part.poll_run(thread, run)
        else:
            await part.stream(thread, "steps", {"note": "listened to"}, stream_mode=_MODES[listener])
        await part.settle(thread)
        await part.history(thread)

    await api.each([*_MODES, "nobody"], turn)


@scenario(Schedule(waits=1.5, thorough=True))
async def hung_up(api: Api) -> None:
    """A client hangs up on wait and on stream, with on_disconnect=continue, while the second node sleeps."""
    for patience in PATIENCE_S:
        if await _hang_up(api, api.with_slack(patience) + 0.5):
            return


async def _hang_up(api: Api, sleep: float) -> bool:
    """Whether the client hung up on each turn but the undisturbed one."""
    given = {"sleep": sleep}
    ended: list[str] = []

    async def turn(part: Api, entry_point: str) -> None:
        thread = await part.create_thread()
        if entry_point == "undisturbed":
            await part.wait(thread, "slow", given, patience=sleep)
        else:
            send = part.stream if entry_point == "stream" else part.wait
            left = await part.hang_up_amid(thread, partial(send, thread, "slow", given, patience=sleep))
            ended.extend([] if left.closed_by_client else [entry_point])
        found = await part.runs(thread, label="runs")
        for run in found.array[:1]:
            await part.poll_run(thread, run["run_id"], patience=sleep)
        await part.settle(thread)
        await part.state(thread)
        await part.history(thread)

    await api.each(HANG_UPS, turn)
    return not ended


@view
def turns(
    success: Trace,
    error: Trace,
    interrupt: Trace,
    static_interrupt: Trace,
    cancel: Trace,
    timeout: Trace,
) -> dict[str, Trace]:
    """The shared traces by outcome; each has a part for every entry point."""
    return {
        "success": success,
        "error": error,
        "interrupt": interrupt,
        "static_interrupt": static_interrupt,
        "cancel": cancel,
        "timeout": timeout,
    }


def _cells(outcomes: list[str], entry_points: tuple[str, ...] = ENTRY_POINTS) -> Callable[[Any], Any]:
    """The cases of a judge; those that read a stateless run's thread need an answer that names it."""

    def wanted(outcome: str, entry_point: str) -> list[str]:
        limit = ["run_time_limit"] if outcome == "timeout" else []
        return [*limit, *(["stateless_threads"] if entry_point.startswith("stateless") else [])]

    return cases(
        "outcome, entry_point",
        [
            row(outcome, entry_point, needs=wanted(outcome, entry_point))
            for outcome in outcomes
            for entry_point in (THREADED_ENTRY_POINTS if outcome == "static_interrupt" else entry_points)
        ],
    )


@requirement("PARITY-001")
@cases("entry_point", ENTRY_POINTS)
@cases("outcome", ["success"])
def test_final_values(
    turns: dict[str, Trace], tool_turn: Trace, outcome: str, entry_point: str, profile: Profile
) -> None:
    for turn in (turns[outcome], *applicable(tool_turn)):
        reference = turn.part("wait")
        if entry_point == "wait":
            assert _values(reference.result, profile) == reference.state.object["values"]
        else:
            part = turn.part(entry_point)
            got = _values(part.result, profile)
            agree(got, _values(reference.result, profile))
            if entry_point in THREADED_ENTRY_POINTS and not has(GRAPHS):
                assert got == part.state.object["values"]


@requirement("PARITY-002")
@_cells(["success", "error", "interrupt", "static_interrupt"], THREADED_ENTRY_POINTS)
def test_state_and_history(turns: dict[str, Trace], outcome: str, entry_point: str) -> None:
    turn, reference = turns[outcome].part(entry_point), turns[outcome].part("wait")
    newest = turn.history.array[:1]
    assert [_shape(turn.state.object)] == [_shape(state) for state in newest]
    if not has(GRAPHS):
        agree(turn.state.object["values"], reference.state.object["values"])
        assert bool(turn.state.object["next"]) == bool(reference.state.object["next"])
    elif entry_point != "wait":
        got = [_shape(state) for state in turn.history.array]
        assert got == [_shape(state) for state in some(reference.history.array, "entry of history")]


@requirement("PARITY-003")
@_cells(["success", "error", "interrupt", "static_interrupt", "cancel", "timeout"])
def test_statuses(turns: dict[str, Trace], outcome: str, entry_point: str) -> None:
    turn, reference = turns[outcome].part(entry_point), turns[outcome].part("wait")
    statuses = _statuses(turn)
    assert statuses["run"] in lifecycle().runs.terminal
    assert statuses == _statuses(reference)


@requirement("PARITY-004")
@cases("listener", ["updates", "many", "nobody"])
def test_checkpoints_do_not_depend_on_listeners(attended_and_unattended: Trace, listener: str) -> None:
    reference = _parents(attended_and_unattended.part("values").history)
    assert _parents(attended_and_unattended.part(listener).history) == reference


@requirement("PARITY-005")
@_cells(["error", "timeout"])
def test_error_names(turns: dict[str, Trace], outcome: str, entry_point: str, profile: Profile) -> None:
    told = _error(turns[outcome].part(entry_point).result, profile)
    assert told, "wanted the error of the run, got none"
    agree(told, _error(turns[outcome].part("wait").result, profile))


@requirement("PARITY-006")
@cases("entry_point", ENTRY_POINTS)
@cases("outcome", ["interrupt"])
def test_interrupts(turns: dict[str, Trace], outcome: str, entry_point: str, profile: Profile) -> None:
    turn, reference = turns[outcome].part(entry_point), turns[outcome].part("wait")
    told = _interrupts(turn.result, profile)
    if entry_point.startswith("stateless"):
        agree(
            [each["value"] for each in told],
            [each["value"] for each in _interrupts(reference.result, profile)],
        )
        return
    asked = [each for task in turn.state.object["tasks"] for each in task["interrupts"]]
    on_thread = turn.last("settle").object.get("interrupts") or {}
    listed = [each for interrupts in on_thread.values() for each in interrupts]
    for other in (asked, *([listed] if listed else [])):
        assert [each["value"] for each in told] == [each["value"] for each in other]
        ids = [(one.get("id"), two.get("id")) for one, two in zip(told, other, strict=True)]
        assert [pair for pair in ids if None not in pair and pair[0] != pair[1]] == []


@requirement("PARITY-007")
@cases("entry_point", ["wait", "stream"])
def test_a_hang_up_leaves_no_trace(hung_up: Trace, entry_point: str) -> None:
    undisturbed, left = hung_up.part("undisturbed"), hung_up.part(entry_point)
    assert left.last("state").object["values"] == undisturbed.last("state").object["values"]
    expected = [_shape(state) for state in some(undisturbed.last("history").array, "entry of history")]
    assert [_shape(state) for state in left.last("history").array] == expected


def _values(exchange: Exchange, profile: Profile) -> Any:
    """The final values as the exchange tells them: the last values event, or the body of wait or join."""
    if not exchange.is_stream:
        return profile.wait.values_in(exchange.object)
    values = exchange.named("values")[-1].json
    return {key: value for key, value in values.items() if key not in profile.wait.reserved}


def _error(exchange: Exchange, profile: Profile) -> str:
    """The name of the error as the exchange tells it."""
    told = exchange.named("error")[-1].json if exchange.is_stream else profile.wait.error_in(exchange.object)
    if not isinstance(told, dict) or not isinstance(told.get("error"), str):
        raise Missing(f"{exchange.where} names no error")
    return str(told["error"])


def _interrupts(exchange: Exchange, profile: Profile) -> list[dict[str, Any]]:
    """The interrupts as the exchange tells them, at least one."""
    if exchange.is_stream:
        told = [event.json.get("__interrupt__") for event in exchange.named("values")]
        found = next((each for each in reversed(told) if each), None)
    else:
        found = profile.wait.interrupts_in(exchange.object)
    if not isinstance(found, list) or not all(isinstance(each, dict) and "value" in each for each in found):
        raise Missing(f"{exchange.where} tells of no interrupt")
    return some(found, f"interrupt in {exchange.where}")


def _shape(state: dict[str, Any]) -> dict[str, Any]:
    """A thread state without what differs between any two runs."""
    metadata = state.get("metadata") or {}
    return {
        "values": canonical(state["values"]),
        "next": state["next"],
        "tasks": sorted(task["name"] for task in state["tasks"]),
        "source": metadata.get("source"),
        "step": metadata.get("step"),
    }


def _statuses(turn: Trace) -> dict[str, str]:
    return {"run": turn.last("poll").object["status"], "thread": turn.last("settle").object["status"]}


def _parents(history: Exchange) -> list[int | None]:
    """For every checkpoint, newest first, the place of its parent in the history; None for none."""
    states = some(history.array, "entry of history")
    places = {state["checkpoint"]["checkpoint_id"]: place for place, state in enumerate(states)}
    parents = [state.get("parent_checkpoint") or {} for state in states]
    return [places.get(parent.get("checkpoint_id")) for parent in parents]
