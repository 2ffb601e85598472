"""durability: when a run writes its checkpoints."""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    STEPS,
    Api,
    Exchange,
    Missing,
    Profile,
    Trace,
    cases,
    requirement,
    resolve,
    scenario,
    shown,
    some,
)

CHOICES: dict[str, dict[str, Any]] = {
    "none": {},
    "sync": {"durability": "sync"},
    "async": {"durability": "async"},
    "exit": {"durability": "exit"},
    "unknown": {"durability": "sometimes"},
    "checkpoint_during": {"checkpoint_during": False},
}


@scenario
async def runs_of_each_durability(api: Api) -> None:
    """`steps` runs to its end with each durability, with one that there is not, and with none."""

    async def turn(part: Api, choice: str) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "steps", {"note": "durable"}, **CHOICES[choice])
        await part.settle(thread)
        await part.state(thread)
        await part.history(thread)

    await api.each(CHOICES, turn)


@requirement("DUR-001")
@cases("choice", ["sync", "async", "exit", "unknown"])
def test_durability_is_checked(runs_of_each_durability: Trace, choice: str, profile: Profile) -> None:
    _assert_ended_well(runs_of_each_durability.part("none"), profile)
    turn = runs_of_each_durability.part(choice)
    if choice == "unknown":
        assert 400 <= turn.wait.status < 500, f"wanted a 4xx, got {turn.wait.status}"
    else:
        assert turn.wait.status == 200
        _assert_ended_well(turn, profile)


@requirement("DUR-002")
def test_exit_writes_one_checkpoint(runs_of_each_durability: Trace, profile: Profile) -> None:
    _assert_one_checkpoint(runs_of_each_durability, "exit", profile)


@requirement("DUR-003")
def test_sync_and_async_leave_the_same_history(runs_of_each_durability: Trace, profile: Profile) -> None:
    turns = [runs_of_each_durability.part(choice) for choice in ("sync", "async")]
    for turn in turns:
        _assert_ended_well(turn, profile)
    sync, asynchronous = (_history(turn.history) for turn in turns)
    assert asynchronous == sync


@requirement("DUR-004")
def test_checkpoint_during_is_durability(runs_of_each_durability: Trace, profile: Profile) -> None:
    _assert_one_checkpoint(runs_of_each_durability, "checkpoint_during", profile)


def _assert_ended_well(turn: Trace, profile: Profile) -> None:
    for values in (profile.wait.some_values_in(turn.wait.object), turn.state.object.get("values")):
        assert resolve(values, "/log") == STEPS
        assert resolve(values, "/note") == "durable"


def _assert_one_checkpoint(trace: Trace, choice: str, profile: Profile) -> None:
    turn, reference = trace.part(choice), trace.part("none")
    if len(_history(reference.history)) < 2:
        raise Missing(f"{reference.history.where} has one entry for a run without durability too")
    _assert_ended_well(turn, profile)
    assert profile.wait.values_in(turn.wait.object) == profile.wait.values_in(reference.wait.object)
    entries = _history(turn.history)
    assert len(entries) == 1, f"wanted one checkpoint, got {shown(entries)}"
    assert entries[0]["values"] == turn.state.object.get("values")
    assert entries[0]["next"] == []


def _history(history: Exchange) -> list[dict[str, Any]]:
    return [
        {
            "values": resolve(entry, "/values"),
            "next": resolve(entry, "/next"),
            "step": resolve(entry, "/metadata/step"),
        }
        for entry in some(history.array, "entry of history")
    ]
