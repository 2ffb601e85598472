"""Nodes that return no state update, or one that cannot be carried: the run fails, the server does not."""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    ENTRY_POINTS,
    Api,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    by_entry_point,
    cases,
    new_id,
    raw,
    requirement,
    scenario,
    sent,
    shown,
)

NO_UPDATES = ("str", "list", "int")


@scenario(Schedule(thorough=True))
async def no_updates(api: Api) -> None:
    """A node returns a text, a list or a number, over every entry point; then a run in order."""

    async def turn(part: Api, name: str) -> None:
        kind, _, entry_point = name.partition(".")
        await _bad_turn(part, entry_point, kind)

    await api.each([f"{kind}.{entry_point}" for kind in NO_UPDATES for entry_point in ENTRY_POINTS], turn)
    thread = await api.create_thread(label="create_last")
    await api.wait(thread, "bad_update", {"kind": "ok"}, label="afterwards")


@scenario
async def unresolved_update(api: Api) -> None:
    """A node returns a future that nobody resolves."""
    await api.whole_turn("wait", "bad_update", {"kind": "future"})


@scenario
async def unserialisable_update(api: Api) -> None:
    """A node writes a value that no serialiser can carry; then its thread is read and searched for."""
    mark = new_id()
    thread = await api.create_thread(metadata={"mark": mark})
    await api.wait(thread, "bad_update", {"kind": "ok"}, label="wait before")
    await api.thread(thread, label="thread before")
    await api.state(thread, label="state before")
    await api.search_threads(metadata={"mark": mark}, limit=10, label="search before")
    result = await api.wait(thread, "bad_update", {"kind": "unserialisable"})
    if result.found_run_id is not None:
        await api.poll_run(thread, result.found_run_id)
    await api.settle(thread)
    await api.thread(thread, label="thread after")
    await api.state(thread, label="state after")
    await api.search_threads(metadata={"mark": mark}, limit=10, label="search after")


async def _bad_turn(part: Api, entry_point: str, kind: str) -> None:
    thread = None if entry_point.startswith("stateless") else await part.create_thread()
    result = await part.turn(entry_point, thread, "bad_update", {"kind": kind})
    if thread is not None and result.found_run_id is not None:
        await part.poll_run(thread, result.found_run_id)


@requirement("BAD-001")
@by_entry_point
@cases("kind", NO_UPDATES)
def test_no_update_is_an_error(no_updates: Trace, kind: str, entry_point: str, profile: Profile) -> None:
    turn = no_updates.part(f"{kind}.{entry_point}")
    told = _error_told(turn.result, entry_point, profile)
    assert told.get("error") or told.get("message"), f"wanted an error that says something, got {shown(told)}"
    if not entry_point.startswith("stateless"):
        assert turn.last("poll").object.get("status") == "error"
    served = profile.wait.values_in(no_updates.afterwards.object)
    assert served == {"log": ["bad"], "kind": "ok", "value": "fine"}


@requirement("BAD-005")
@by_entry_point
@cases("kind", NO_UPDATES)
def test_no_update_is_named(no_updates: Trace, kind: str, entry_point: str, profile: Profile) -> None:
    told = _error_told(no_updates.part(f"{kind}.{entry_point}").result, entry_point, profile)
    named = f"{told.get('error')}: {told.get('message')}"
    assert "InvalidUpdateError" in named, f"wanted InvalidUpdateError named, got {shown(told)}"


@requirement("BAD-002")
def test_future_is_not_left_in_the_state(unresolved_update: Trace) -> None:
    status = unresolved_update.last("poll").object.get("status")
    assert status in ["error", "success"]
    values = unresolved_update.state.object.get("values")
    if not isinstance(values, dict):
        raise Missing(f"{unresolved_update.state.where} holds no values: {shown(values)}")
    # Nobody resolves this future, so whatever stands for it in the state is an unresolved object.
    assert raw(values.get("value")) is None, f"wanted no value of the future, got {shown(values)}"
    assert values.get("kind") == "future"


@requirement("BAD-003")
@cases("reading", ["thread", "state", "search"])
def test_thread_can_still_be_read(unserialisable_update: Trace, reading: str, profile: Profile) -> None:
    _demand_update(unserialisable_update.only("wait before"), profile)
    before = unserialisable_update.only(f"{reading} before").ok
    if not (before.array if reading == "search" else before.object):
        raise Missing(f"{before.where} answered nothing even before the bad update")
    assert unserialisable_update.wait.complete, "wanted an answer of the run, got none"
    after = unserialisable_update.only(f"{reading} after")
    assert after.status < 500, f"wanted a status below 500, got {after.status}"
    assert after.complete, f"wanted an answer to its end, got {after.failure}"


@requirement("BAD-004")
def test_unserialisable_value_is_an_error(unserialisable_update: Trace, profile: Profile) -> None:
    _demand_update(unserialisable_update.only("wait before"), profile)
    answer = unserialisable_update.wait
    assert answer.text.strip() not in ["", "{}", "null"], (
        f"wanted an error, got {answer.status} and an empty body"
    )
    assert unserialisable_update.last("poll").object.get("status") == "error"


def _demand_update(answer: Exchange, profile: Profile) -> None:
    """Raise Missing when not even an update in order was made: nothing was then written, good or bad."""
    values = profile.wait.values_in(answer.object)
    if values != {"log": ["bad"], "kind": "ok", "value": "fine"}:
        raise Missing(f"{answer.where}, an update in order, gave {shown(answer.json)}")


def _error_told(result: Exchange, entry_point: str, profile: Profile) -> dict[str, Any]:
    """The error object that the entry point answered with."""
    if entry_point.endswith("stream"):
        told = sent(result, "error")[-1].json
    else:
        told = profile.wait.error_in(result.object)
    assert isinstance(told, dict), f"wanted an error object, got {shown(result.content)}"
    return told
