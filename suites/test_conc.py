"""Several clients at once: runs side by side, a client that does not read, reading that changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    STEPS,
    THREADED_ENTRY_POINTS,
    Api,
    Exchange,
    Missing,
    Options,
    Profile,
    Schedule,
    Trace,
    cases,
    new_id,
    requirement,
    resolve,
    scenario,
    shown,
    some,
)

SIDE_BY_SIDE = [f"{entry_point}_{number}" for entry_point in THREADED_ENTRY_POINTS for number in (1, 2)]
SLEEP_S = 1.2
# About 20 events hold the note: together more than the 4 MB that the buffers of a connection may take.
UNREAD_BYTES = 400_000
EVERY_MODE = ["values", "updates", "debug", "tasks", "checkpoints"]
READINGS = ("run", "thread", "state", "history")


@scenario(Schedule(waits=SLEEP_S, calm=True, runs=2))
async def runs_side_by_side(api: Api) -> None:
    """Two runs by each entry point at once, on as many threads, each with a text of its own."""

    async def turn(part: Api, name: str) -> None:
        token = new_id()
        part.note(token=token)
        thread = await part.create_thread()
        entry_point = name.rpartition("_")[0]
        fields: dict[str, Any] = {"stream_mode": ["values", "custom"]} if entry_point == "stream" else {}
        given = {"sleep": SLEEP_S, "ticks": 3, "note": token}
        # A server that executes one run after the other shall be seen to do so, not to hang.
        patience = SLEEP_S * len(SIDE_BY_SIDE)
        await part.turn(entry_point, thread, "slow", given, patience=patience, **fields)
        await part.settle(thread)
        await part.state(thread)
        await part.history(thread)

    await api.each(SIDE_BY_SIDE, turn)


@scenario
async def stream_that_nobody_reads(api: Api) -> None:
    """One client opens a stream of several megabytes and does not read it; others want their answers."""
    thread, others = await api.create_thread(), await api.create_thread()
    await api.wait(others, "steps", {"note": "before"}, label="before")
    released = asyncio.Event()
    opened = asyncio.get_running_loop().create_future()
    # Once the others have their answers, the first event is enough.
    options: Options = {"unread_until": released, "opened": opened, "close_after_events": 1}
    note = "x" * UNREAD_BYTES
    unread = asyncio.create_task(
        api.stream(
            thread,
            "steps",
            {"note": note},
            stream_mode=EVERY_MODE,
            options=options,
            patience=30,
            label="unread",
        )
    )
    try:
        run = (await opened).found_run_id
        await api.alive(label="ok")
        await api.wait(others, "steps", {"note": "meanwhile"})
        await api.stream(others, "steps", {"note": "meanwhile"})
        await api.read_at_rest(others)
        if run is not None:
            await api.join(thread, run)
    finally:
        released.set()
        await unread


@scenario
async def thread_only_read(api: Api) -> None:
    """A thread is read in every way, again and again; then a second run changes it."""
    thread = await api.create_thread()
    first = await api.wait(thread, "steps", {"note": "first"})
    run = first.run_id
    await api.poll_run(thread, run)
    await api.settle(thread)
    for when in ("before", "between", "after"):
        await api.run(thread, run, label=f"run_{when}")
        await api.state(thread, label=f"state_{when}")
        await api.history(thread, label=f"history_{when}")
        await api.thread(thread, label=f"thread_{when}")
    second = await api.wait(thread, "steps", {"note": "second"}, label="second")
    await api.poll_run(thread, second.run_id)
    await api.settle(thread)
    await api.run(thread, second.run_id, label="run_changed")
    await api.state(thread, label="state_changed")
    await api.history(thread, label="history_changed")
    await api.thread(thread, label="thread_changed")


def _result(part: Trace, profile: Profile) -> Any:
    """The final values as the entry point told them."""
    if part.result.is_stream:
        return part.result.named("values")[-1].json
    return profile.wait.some_values_in(part.result.object)


@requirement("CONC-001")
@cases("case", ["at_the_same_time", *SIDE_BY_SIDE])
def test_runs_stay_apart(case: str, runs_side_by_side: Trace, profile: Profile) -> None:
    parts = {name: runs_side_by_side.part(name) for name in SIDE_BY_SIDE}
    if case == "at_the_same_time":
        _assert_overlap(list(parts.values()), profile)
        return
    part = parts.pop(case)
    own = part.note("token")
    for values in (_result(part, profile), part.state.object.get("values")):
        assert resolve(values, "/note") == own
    told = [part.result.text, part.state.text, part.history.ok.text]
    assert own in told[-1], "wanted the history to hold the run's own text"
    foreign = [name for name, other in parts.items() if any(other.note("token") in text for text in told)]
    assert foreign == []


def _assert_overlap(parts: list[Trace], profile: Profile) -> None:
    for part in parts:
        assert resolve(_result(part, profile), "/log") == ["a", "b", "c"]
    began = min(part.result.sent_at for part in parts)
    together = max(part.result.ended_at for part in parts) - began
    alone = SLEEP_S * len(parts)
    overlap = together < alone
    assert overlap, f"wanted less than the {alone:g} s of one after the other, got {together:.1f} s"


@requirement("CONC-002")
@cases("other", ["ok", "wait", "stream", "join"])
def test_others_are_answered(other: str, stream_that_nobody_reads: Trace, profile: Profile) -> None:
    trace = stream_that_nobody_reads
    assert resolve(profile.wait.some_values_in(trace.before.object), "/log") == STEPS
    if not trace.unread.ok.is_stream:
        raise Missing(f"{trace.unread.where} opened no stream that could have been left unread")
    answer = trace.only(other)
    assert answer.complete, f"wanted an answer, got {answer.code or 'none'}: {answer.failure}"
    assert _proof(answer, profile) == {"ok": True, "join": "x" * UNREAD_BYTES}.get(other, "meanwhile")


def _proof(answer: Exchange, profile: Profile) -> Any:
    """What an answer says that only the right one can say."""
    if answer.is_stream:
        return resolve(answer.named("values")[-1].json, "/note")
    if answer.label == "ok":
        return answer.ok.complete
    return resolve(profile.wait.some_values_in(answer.object), "/note")


@requirement("CONC-003")
@cases("reading", READINGS)
def test_reading_changes_nothing(reading: str, thread_only_read: Trace) -> None:
    trace = thread_only_read
    before, between, after, changed = (
        _trail(trace.only(f"{reading}_{when}")) for when in ("before", "between", "after", "changed")
    )
    if changed == before:
        raise Missing(f"{reading} shows the same after a second run, so it shows no change: {shown(before)}")
    assert between == before
    assert after == before


def _trail(exchange: Exchange) -> Any:
    """What would show that something was written: the time of the last change, or the checkpoints."""
    body = exchange.ok.json
    if isinstance(body, list):
        return [
            resolve(each, "/checkpoint/checkpoint_id") for each in some(body, "checkpoint in the history")
        ]
    found = exchange.object.get("updated_at") or resolve(body, "/checkpoint/checkpoint_id")
    if not isinstance(found, str):
        raise Missing(f"{exchange.where} tells neither updated_at nor a checkpoint: {shown(body)}")
    return found
