"""Slow runs and time limits: silence, clients that give up, limits of wait and limits of the server."""

from __future__ import annotations

from functools import partial
from typing import Any

from runstone.suite import (
    Api,
    Missing,
    Profile,
    Schedule,
    Trace,
    by_threaded_entry_point,
    cases,
    lifecycle,
    log_of,
    requirement,
    scenario,
    shown,
)

LONGEST_SILENCE_S = 15.0
PATIENCE_S = (0.5, 1.5, 4.0)  # that a run sleeps: longer where the first time was too short
TIMEOUT_S = 1.0


@scenario(Schedule(waits=2.0))
async def wait_with_timeout(api: Api) -> None:
    """Wait with a `timeout` shorter than the run, beside one without."""
    thread = await api.create_thread()
    await api.wait(thread, "slow", {"sleep": 0}, label="without")
    limited = await api.create_thread(label="create_limited")
    # A second by the promise, and the target's own time for a turn, which the run takes to begin.
    latest = api.with_slack(TIMEOUT_S + 1.0)
    api.note(latest=latest)
    sleep = latest + 0.5  # an answer in time cannot be the run's own end
    await api.wait(limited, "slow", {"sleep": sleep}, timeout=TIMEOUT_S, patience=sleep)
    listed = await api.runs(limited, limit=10)
    runs = [run for run in listed.array if isinstance(run, dict)]
    if runs:
        await api.poll_run(limited, str(runs[0].get("run_id")), patience=sleep)


@scenario(Schedule(waits=1.5, thorough=True))
async def given_up_waiting(api: Api) -> None:
    """The client gives up on a run by wait and by stream, and reads the result later."""
    await api.each(["wait", "stream"], _give_up)


async def _give_up(part: Api, entry_point: str) -> None:
    send = part.wait if entry_point == "wait" else part.stream
    for patience in PATIENCE_S:
        sleep = part.with_slack(patience) + 1.0
        thread = await part.create_thread()
        send_it = partial(send, thread, "slow", {"sleep": sleep}, label="given up", patience=sleep)
        given_up = await part.hang_up_amid(thread, send_it)
        if given_up.closed_by_client:
            break
    run = await part.run_hung_up_on(thread)
    await part.poll_run(thread, run, patience=sleep)
    await part.join(thread, run, patience=sleep)
    await part.state(thread)


@requirement("TIME-001")
@cases("entry_point", ["wait", "stream"])
def test_no_long_silence(silence_by_wait: Trace, silence_by_stream: Trace, entry_point: str) -> None:
    turn = {"wait": silence_by_wait, "stream": silence_by_stream}[entry_point]
    answer = turn.result.ok
    if answer.finished_after < LONGEST_SILENCE_S:
        raise Missing(
            f"{answer.where} ended after {answer.finished_after} s, too early to be silent for long"
        )
    assert log_of(turn.state) == ["a", "b", "c"]
    silence = answer.longest_silence
    assert silence <= LONGEST_SILENCE_S, f"wanted a byte every 15 s, got none for {silence:.1f} s"


@requirement("TIME-002")
def test_wait_ends_at_its_timeout(wait_with_timeout: Trace, profile: Profile) -> None:
    answer = wait_with_timeout.wait
    latest, taken = wait_with_timeout.note("latest"), answer.finished_after
    assert answer.status in [200, 408]
    assert TIMEOUT_S <= taken <= latest, f"wanted {TIMEOUT_S} to {latest:.1f} s, got {taken:.1f} s"
    if answer.status == 200:
        values = profile.wait.values_in(answer.object)
        assert isinstance(values, dict), f"wanted the partial state, got {shown(answer.json)}"
        assert values.get("log", []) in [[], ["a"]]
    assert _terminal(wait_with_timeout) in sorted(lifecycle().runs.terminal)


@requirement("TIME-003")
def test_unknown_timeout_loses_no_run(wait_with_timeout: Trace, profile: Profile) -> None:
    plain = profile.wait.values_in(wait_with_timeout.without.object)
    if not isinstance(plain, dict) or plain.get("log") != ["a", "b", "c"]:
        raise Missing(f"a wait without a timeout did not give its values either: {shown(plain)}")
    answer = wait_with_timeout.wait
    assert answer.complete, f"wanted an answer, got {answer.code}, then {answer.failure}"
    assert answer.status == 200 or 400 <= answer.status < 500, f"wanted 200 or a 4xx, got {answer.status}"
    listed = wait_with_timeout.runs.array
    refused = answer.status not in (200, 408)
    if not (refused and listed == []):  # a refused request need not leave a run; one that is left must end
        assert _terminal(wait_with_timeout) in sorted(lifecycle().runs.terminal)
    if answer.status == 200:
        values = profile.wait.values_in(answer.object)
        assert isinstance(values, dict), f"wanted the state, got {shown(answer.json)}"
        assert values.get("log", []) in [[], ["a"], ["a", "b", "c"]]


@requirement("TIME-004")
@cases("entry_point", ["wait", "stream"])
def test_given_up_run_finishes(given_up_waiting: Trace, entry_point: str, profile: Profile) -> None:
    turn = given_up_waiting.part(entry_point)
    given_up = turn.last("given up")
    if not given_up.closed_by_client:
        raise Missing(f"{given_up.ok.where} was over before the client hung up")
    assert _terminal(turn) == "success"
    assert log_of(turn.state) == ["a", "b", "c"]
    assert profile.wait.values_in(turn.join.object) == turn.state.object.get("values")


@requirement("TIME-005")
@by_threaded_entry_point
def test_limited_run_ends(timeout: Trace, entry_point: str) -> None:
    assert _terminal(timeout.part(entry_point)) in ["timeout", "error"]


@requirement("TIME-006")
def test_silent_stream_is_not_dropped(silence_by_stream: Trace) -> None:
    answer = silence_by_stream.result
    assert answer.complete, f"wanted the stream to its end, got it dropped: {answer.failure}"
    last = answer.named("values")[-1].json
    assert isinstance(last, dict), f"wanted values, got {shown(last)}"
    assert last.get("log") == ["a", "b", "c"]
    if answer.finished_after < LONGEST_SILENCE_S:
        raise Missing(
            f"{answer.where} ended after {answer.finished_after} s, too early to be silent for long"
        )


def _terminal(turn: Trace) -> Any:
    """The last status read of the turn's run."""
    return turn.last("poll").object.get("status")
