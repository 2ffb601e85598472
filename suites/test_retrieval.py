"""Getting the result of a run: every path that answers agrees, and a failure is not an empty result."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    GRAPHS,
    STEPS,
    Api,
    Blocked,
    Exchange,
    Missing,
    Profile,
    Trace,
    assert_ran,
    cases,
    has,
    lifecycle,
    needs,
    ran,
    requirement,
    row,
    scenario,
    shown,
    some,
)

DELAY_S = 1  # of a run that is joined before it begins
TIMED = 5  # readings of which the fastest is judged: the others show the load as well
OTHER_MODES: dict[str, Any] = {
    "updates": "updates",
    "custom": "custom",
    "messages-tuple": "messages-tuple",
    "none": [],
}


@scenario(agent=True)
async def result_by_every_path(api: Api) -> None:
    """A result is fetched by every path: of a run that is joined at work or before it, and of a stream."""
    await api.each(["background", "joined_early", "stream"], _fetch_by_every_path)


async def _fetch_by_every_path(part: Api, way: str) -> None:
    thread = await part.create_thread()
    sleep = part.with_slack(0.8)
    given = {"sleep": sleep, "note": way}
    if way == "stream":
        live = await part.stream(
            thread, "slow", given, label="live stream", stream_resumable=True, patience=sleep
        )
        run = live.found_run_id
        if run is None:
            raise Blocked(f"{live.where} names no run")
    else:
        fields: dict[str, Any] = {"stream_mode": "values", "stream_resumable": True}
        if way == "joined_early":
            run = await part.create_run_later(thread, "slow", given, DELAY_S, **fields)
        else:
            run = await part.create_run(thread, "slow", given, **fields)
            await part.until_running(thread, run)
        await part.join_stream(thread, run, label="live stream", patience=DELAY_S + sleep)
    await part.poll_run(thread, run)
    await part.settle(thread)
    await part.state(thread)
    await part.join(thread, run)
    await part.history(thread)
    await part.join_stream(thread, run, last_event_id="-1", label="replay")


@scenario(agent=True)
async def retrievals_timed(api: Api) -> None:
    """The result of a finished run is fetched five times by each path, in turn with the plainest GET."""
    thread = await api.create_thread()
    run = await api.create_run(thread, "steps", {"note": "timed"})
    await api.poll_run(thread, run)
    await api.settle(thread)
    for _ in range(TIMED):
        await api.alive(label="ok")
        await api.state(thread)
        await api.join(thread, run)


@scenario(agent=True)
async def stateless_runs_kept(api: Api) -> None:
    """Stateless background runs, told to keep their threads, are read until they have ended."""

    async def turn(part: Api, graph: str) -> None:
        created = await part.send_run(None, graph, {}, on_completion="keep")
        thread, run = created.found_thread_id, created.found_run_id
        if thread is None or run is None:
            raise Blocked(f"{created.where} names no thread and run to read")
        await part.poll_run(thread, run)

    await api.each(["steps", "fail"], turn)


@scenario(agent=True)
async def results_of_other_stream_modes(api: Api) -> None:
    """Runs with a stream mode that carries no values, by wait and by join."""

    async def turn(part: Api, mode: str) -> None:
        fields = {"stream_mode": OTHER_MODES[mode]}
        thread, other = await asyncio.gather(part.create_thread(), part.create_thread())
        run = await part.create_run(other, "steps", {"note": mode}, **fields)
        await asyncio.gather(part.wait(thread, "steps", {"note": mode}, **fields), part.join(other, run))

    await api.each(OTHER_MODES, turn)


@requirement("RETR-001")
def test_state_holds_the_result(result_by_every_path: Trace) -> None:
    turn = result_by_every_path.part("background")
    assert turn.last("poll").object.get("status") == "success"
    assert _is_the_result(turn.state.object.get("values"), "background")


@requirement("RETR-002")
def test_join_answers_the_result(result_by_every_path: Trace, profile: Profile) -> None:
    turn = result_by_every_path.part("background")
    assert turn.last("poll").object.get("status") == "success"
    assert _is_the_result(profile.wait.values_in(turn.join.object), "background")


@requirement("RETR-003")
@needs(GRAPHS)
def test_joined_stream_ends_with_the_result(result_by_every_path: Trace) -> None:
    turn = result_by_every_path.part("background")
    assert _is_the_result(turn.only("live stream").named("values")[-1].json, "background")


@requirement("RETR-004")
@cases("way", ["background", "joined_early", "stream"])
def test_replay_ends_with_the_result(result_by_every_path: Trace, way: str) -> None:
    turn = result_by_every_path.part(way)
    values = [event.json for event in turn.replay.ok.events if event.event == "values"]
    assert values, "wanted the values replayed, got a stream without any"
    replayed = values[-1]
    assert _is_the_result(replayed, way)
    if not has(GRAPHS):
        assert replayed == turn.state.object.get("values")


@requirement("RETR-005")
@cases("way", ["background", "joined_early", "stream"])
def test_all_paths_agree(result_by_every_path: Trace, way: str, profile: Profile) -> None:
    turn = result_by_every_path.part(way)
    final = turn.state.object.get("values")
    assert _is_the_result(final, way)
    if has(GRAPHS) or way == "stream":  # who joins an agent of any speed may come too late
        assert turn.only("live stream").named("values")[-1].json == final
    assert profile.wait.values_in(turn.join.object) == final
    newest = some(turn.history.array, "entry of the history")[0]
    assert newest.get("values") == final
    replayed = [event.json for event in turn.replay.events if event.event == "values"]
    assert replayed[-1:] in ([], [final]), f"wanted {shown(final)} or no replay, got {shown(replayed[-1:])}"


@requirement("RETR-006")
@cases("path", ["state", "join"])
def test_finished_result_is_at_hand(retrievals_timed: Trace, path: str) -> None:
    for answer in retrievals_timed.all(path):
        assert ("s3" if has(GRAPHS) else ":") in answer.ok.text
    round_trips = sorted(answer.ok.finished_after for answer in retrievals_timed.all("ok"))
    extra = _fastest_s(retrievals_timed.all(path)) - round_trips[0]
    # Of a line whose round trips differ, the fastest of a few may be that much apart by chance.
    unsteady = round_trips[len(round_trips) // 2] - round_trips[0]
    assert extra < 0.4 + unsteady, f"wanted less than 400 ms beyond the round trip, got {1000 * extra:.0f} ms"


@requirement("RETR-007")
@cases("path", ["wait", "background"])
@cases("ending", ["error", "interrupt", "cancel", row("timeout", needs=["run_time_limit"])])
def test_failure_is_no_empty_result(
    success: Trace,
    error: Trace,
    interrupt: Trace,
    cancel: Trace,
    timeout: Trace,
    ending: str,
    path: str,
    profile: Profile,
) -> None:
    good = success.part(path).result
    values = profile.wait.values_in(good.object)
    if not ran(values, STEPS):
        raise Missing(f"{good.where}, a run that succeeded, gave no values either: {shown(good.json)}")
    traces = {"error": error, "interrupt": interrupt, "cancel": cancel, "timeout": timeout}
    turn = traces[ending].part(path)
    if turn.last("poll").object.get("status") not in lifecycle().runs.terminal:
        raise Missing(f"{turn.last('poll').where} does not show that the run ended")
    assert turn.result.ok.json not in [{}, [], "", None]


@requirement("RETR-008")
@cases("entry_point", ["wait", "stream", "background", "stateless"])
def test_status_tells_the_end(
    success: Trace, error: Trace, stateless_runs_kept: Trace, entry_point: str
) -> None:
    if entry_point == "stateless":
        good, bad = stateless_runs_kept.part("steps"), stateless_runs_kept.part("fail")
    else:
        good, bad = success.part(entry_point), error.part(entry_point)
    assert good.last("poll").object.get("status") == "success"
    assert bad.last("poll").object.get("status") == "error"


@requirement("RETR-009")
@cases("mode", OTHER_MODES)
@cases("path", ["wait", "join"])
def test_values_whatever_the_stream_mode(
    results_of_other_stream_modes: Trace, mode: str, path: str, profile: Profile
) -> None:
    answer = results_of_other_stream_modes.part(mode).only(path)
    values = profile.wait.values_in(answer.object)
    assert_ran(values, STEPS)
    if has(GRAPHS):
        assert values == {"log": STEPS, "note": mode}


def _is_the_result(values: Any, note: str) -> bool:
    assert isinstance(values, dict), f"wanted the final values, got {shown(values)}"
    assert_ran(values, ["a", "b", "c"])
    assert not has(GRAPHS) or values.get("note") == note, f"wanted note {note!r}, got {shown(values)}"
    return True


def _fastest_s(answers: list[Exchange]) -> float:
    return min(answer.ok.finished_after for answer in answers)
