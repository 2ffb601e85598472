"""Static interrupts: a run that stops before or after nodes which the caller named, and goes on later."""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    STEPS,
    THREADED_ENTRY_POINTS,
    Api,
    Exchange,
    Schedule,
    Trace,
    by_threaded_entry_point,
    cases,
    requirement,
    resolve,
    scenario,
)

SIDES = ("before", "after")
CASES = tuple(f"{side}_{entry_point}" for side in SIDES for entry_point in THREADED_ENTRY_POINTS)
# What each of the runs leaves that stop at every node: the log, and the nodes that are next.
STOPS = {
    "before": [([], ["s1"]), (["s1"], ["s2"]), (["s1", "s2"], ["s3"]), (STEPS, [])],
    "after": [(["s1"], ["s2"]), (["s1", "s2"], ["s3"]), (STEPS, [])],
}


@scenario(Schedule(thorough=True))
async def stopped_at_a_node(api: Api) -> None:
    """`steps` stops before or after its second node, by each entry point, and then goes on."""

    async def turn(part: Api, case: str) -> None:
        side, _, entry_point = case.partition("_")
        thread = await part.create_thread()
        stop: dict[str, Any] = {f"interrupt_{side}": ["s2"]}
        await _run(part, entry_point, thread, {"note": "kept"}, "stopped", **stop)
        await _run(part, entry_point, thread, None, "continued")

    await api.each(CASES, turn)


@scenario
async def stopped_at_every_node(api: Api) -> None:
    """`steps` stops before or after every node, until it has ended."""

    async def turn(part: Api, side: str) -> None:
        thread = await part.create_thread()
        given: dict[str, Any] | None = {"note": "kept"}
        stop: dict[str, Any] = {f"interrupt_{side}": "*"}
        for _ in STOPS[side]:
            await _run(part, "wait", thread, given, "stopped", **stop)
            given = None

    await api.each(SIDES, turn)


async def _run(
    part: Api, entry_point: str, thread: str, given: dict[str, Any] | None, label: str, **fields: Any
) -> None:
    """One run of `steps` to where it stops; the state that it leaves gets the label."""
    await part.turn(entry_point, thread, "steps", given, **fields)
    await part.settle(thread)
    await part.state(thread, label=label)


@requirement("INT-STATIC-001")
@by_threaded_entry_point
def test_stops_before_the_node(stopped_at_a_node: Trace, entry_point: str) -> None:
    stopped = stopped_at_a_node.part(f"before_{entry_point}").stopped
    assert _place(stopped) == (["s1"], ["s2"])


@requirement("INT-STATIC-002")
@by_threaded_entry_point
def test_stops_after_the_node(stopped_at_a_node: Trace, entry_point: str) -> None:
    stopped = stopped_at_a_node.part(f"after_{entry_point}").stopped
    assert _place(stopped) == (["s1", "s2"], ["s3"])


@requirement("INT-STATIC-003")
@cases("side", SIDES)
def test_stops_at_every_node(stopped_at_every_node: Trace, side: str) -> None:
    stops = stopped_at_every_node.part(side).all("stopped")
    assert [_place(stop) for stop in stops] == STOPS[side]


@requirement("INT-STATIC-004")
@cases("case", CASES)
def test_null_continues(stopped_at_a_node: Trace, case: str) -> None:
    turn = stopped_at_a_node.part(case)
    assert resolve(turn.stopped.object, "/next") in (["s2"], ["s3"])
    assert _place(turn.continued) == (STEPS, [])
    assert resolve(turn.continued.object, "/values/note") == "kept"


def _place(state: Exchange) -> tuple[Any, Any]:
    """Where the thread stands: the nodes that were executed, and the nodes that are next."""
    return resolve(state.object, "/values/log") or [], resolve(state.object, "/next")
