"""Many runs at once, many on one thread, many readers of one stream, and runs after many that were ended."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    STEPS,
    THREADED_ENTRY_POINTS,
    Api,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    lifecycle,
    new_id,
    raw,
    requirement,
    resolve,
    scenario,
    some,
    told_by,
)

ENQUEUED = 8
READERS = 8
ENDED = 12
MEASURED = 4  # runs to measure by; more would say the same
TICKS = 10
STREAM_S = 2.0
# A server that does not stop what it deletes is rid of it after this time.
ENDED_SLEEP_S = 4.0
FACTOR = 3.0  # a loaded machine was seen to take three times as long for the same runs
SLACK_S = 2.0  # workers of the official servers look for runs every 0.5 to 1 s


@scenario(Schedule(heavy=True))
async def many_runs_at_once(api: Api) -> None:
    """Many runs on as many threads by all entry points in turn, each with a text of its own."""

    async def turn(part: Api, name: str) -> None:
        token = new_id()
        part.note(token=token)
        thread = await part.create_thread()
        entry_point = THREADED_ENTRY_POINTS[int(name) % len(THREADED_ENTRY_POINTS)]
        if entry_point == "background":  # its status can be read while it goes on
            run = await part.create_run(thread, "steps", {"note": token}, label="result")
        else:
            run = (await part.turn(entry_point, thread, "steps", {"note": token})).run_id
        await part.poll_run(thread, run)
        await part.state(thread)

    names = [str(number) for number in range(api.limits.concurrent_runs)]
    api.note(runs=names)
    await api.each(names, turn)


@scenario(Schedule(heavy=True))
async def eight_enqueued_runs(api: Api) -> None:
    """Eight runs are enqueued on one thread, each with a text of its own."""
    thread = await api.create_thread()
    notes = [f"run {number} of {ENQUEUED}" for number in range(1, ENQUEUED + 1)]
    api.note(notes=notes)
    runs = [await api.create_run(thread, "steps", {"note": note}) for note in notes]
    for run in (runs[-1], *runs[:-1]):  # the last one first: when it has ended, so have the others
        await api.poll_run(
            thread, run, label=f"poll_{runs.index(run)}", patience=ENQUEUED * api.limits.turn_s
        )
    await api.settle(thread)
    await api.state(thread)
    await api.history(thread, limit=1000)


@scenario(Schedule(alone=True, heavy=True))  # a server that loses its workers executes nothing afterwards
async def runs_after_many_were_ended(api: Api) -> None:
    """Some runs to measure by; runs that are cancelled, then deleted while they run; then as many more.

    More than the target executes at once, so that one worker lost for each run would leave none.
    """
    workers = api.limits.capacity + 2
    names = [str(number) for number in range(min(ENDED, workers))]
    many = min(api.limits.concurrent_runs, workers)
    deleted_ones = [f"deleted {number}" for number in range(many)]

    async def before(part: Api, _name: str) -> None:
        await _short_run(part, "before")

    async def after(part: Api, _name: str) -> None:
        await _short_run(part, "after")

    async def end(part: Api, name: str) -> None:
        thread = await part.create_thread()
        run = await part.create_run(thread, "slow", {"sleep": ENDED_SLEEP_S})
        await part.until_running(thread, run)
        deleted = None
        if name in deleted_ones:
            deleted = await part.request("DELETE", f"/threads/{thread}/runs/{run}", label="end")
        if deleted is None or deleted.code is None or deleted.code >= 300:  # not all delete a run at work
            await part.cancel(thread, run, action="interrupt", wait=True, label="end")

    await api.each(names[:MEASURED], before)
    await api.each(names, end)
    # What still executes a run of another scenario takes one of these as soon as it can: they wait for long.
    await api.each(deleted_ones, end)
    api.note(ended=[*names, *deleted_ones])
    await api.each(names, after)


async def _short_run(part: Api, label: str) -> None:
    thread = await part.create_thread()
    await part.wait(thread, "steps", {"note": label}, label=label, patience=SLACK_S)


@scenario(Schedule(waits=STREAM_S, calm=True, heavy=True))
async def stream_with_eight_readers(api: Api) -> None:
    """Eight clients join the stream of one run while it goes on."""
    thread = await api.create_thread()
    sleep = api.with_slack(STREAM_S)
    given = {"sleep": sleep, "ticks": TICKS}
    run = await api.create_run(thread, "slow", given, stream_mode=["custom", "values"])
    await api.until_running(thread, run)
    async with asyncio.TaskGroup() as group:
        for _ in range(READERS):
            group.create_task(api.join_stream(thread, run, label="reader", patience=sleep))
    await api.state(thread)


def _turns(trace: Trace) -> list[Trace]:
    """The parts of all runs that were to be started at once. Raises Missing when one never began."""
    return [trace.part(name) for name in some(trace.note("runs"), "run")]


def _statuses(part: Trace) -> list[Any]:
    return [reading.object.get("status") for reading in part.all("poll")]


@requirement("LOAD-001")
def test_thread_holds_its_own_input(many_runs_at_once: Trace) -> None:
    turns = _turns(many_runs_at_once)
    wanted = [{"note": turn.note("token"), "log": STEPS} for turn in turns]
    assert [_shown_values(turn.state) for turn in turns] == wanted


def _shown_values(state: Exchange) -> dict[str, Any]:
    values = state.object.get("values")
    return {"note": resolve(values, "/note"), "log": resolve(values, "/log")}


@requirement("LOAD-002")
def test_run_ends_by_legal_statuses(many_runs_at_once: Trace) -> None:
    turns = _turns(many_runs_at_once)
    runs = {turn.result.run_id for turn in turns}
    assert len(runs) == len(turns), f"wanted {len(turns)} runs, got {len(runs)} ids"
    for turn in turns:
        last = turn.last("poll")
        assert last.object.get("run_id") == turn.result.run_id
        assert last.object["status"] in sorted(lifecycle().runs.terminal)
        illegal = lifecycle().runs.first_illegal(_statuses(turn))
        assert illegal is None, f"wanted a legal transition, got {' -> '.join(illegal or ())}"


@requirement("LOAD-003")
def test_enqueued_runs_follow_each_other(eight_enqueued_runs: Trace) -> None:
    trace = eight_enqueued_runs
    ended = [trace.last(f"poll_{number}").object.get("status") for number in range(ENQUEUED)]
    assert ended == ["success"] * ENQUEUED
    assert resolve(trace.state.object, "/values/log") == STEPS * ENQUEUED
    notes = [resolve(each, "/values/note") for each in reversed(some(trace.history.array, "checkpoint"))]
    told = [note for note in notes if raw(note) is not None]
    in_order = [note for place, note in enumerate(told) if place == 0 or told[place - 1] != note]
    assert in_order == trace.note("notes")


@requirement("LOAD-004")
def test_runs_are_as_fast_after_others_were_ended(
    runs_after_many_were_ended: Trace, profile: Profile
) -> None:
    turns = {name: runs_after_many_were_ended.part(name) for name in runs_after_many_were_ended.note("ended")}
    # Of a run that the network lost nobody knows the id.
    heard = {name: part for name, part in turns.items() if not any(each.lost for each in part.exchanges)}
    if 2 * len(heard) < len(turns):
        raise Missing(f"the network cut off {len(turns) - len(heard)} of {len(turns)} runs")
    parts = [part for name, part in heard.items() if not name.startswith("deleted")]
    measured = some((part for part in parts if part.find("before")), "run to measure by")
    before = max(part.before.ok.finished_after for part in measured)
    # Once a server has lost all that executes runs, the last of them do not even begin.
    ended = sum("running" in _statuses(part) for part in heard.values())
    if ended < len(parts):
        raise Missing(f"{ended} of the runs that were to be ended were seen to run, wanted {len(parts)}")
    for part in parts:
        after = part.after
        assert after.complete, f"wanted an answer, got {after.code or 'none'}: {after.failure}"
        assert resolve(profile.wait.some_values_in(after.object), "/log") == STEPS
    slowest = max(part.after.finished_after for part in parts)
    bound = FACTOR * before + SLACK_S
    in_time = slowest <= bound
    assert in_time, f"wanted the slowest within {bound:.1f} s ({before:.1f} s before), got {slowest:.1f} s"


@requirement("LOAD-005")
def test_readers_receive_the_same_events(stream_with_eight_readers: Trace) -> None:
    trace = stream_with_eight_readers
    received = [_received(reader) for reader in trace.all("reader")]
    assert len(received) == READERS
    longest = max(received, key=len)
    for events in received:
        assert events == longest[-len(events) :]
    assert ("custom", {"tick": TICKS}) in longest
    assert longest[-1] == ("values", trace.state.object.get("values"))


def _received(reader: Exchange) -> list[tuple[str, Any]]:
    """The events of the run in order; `metadata`, which greets each reader, is none of them."""
    own = (event for event in reader.stream if event.event not in {"metadata", "end"})
    return some(told_by(own), "event of the run")
