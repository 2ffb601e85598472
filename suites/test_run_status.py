"""The status of a run: which there are, how they follow each other, and which outcome ends in which."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    by_threaded_entry_point,
    cases,
    has,
    lifecycle,
    requirement,
    scenario,
    shown,
    some,
    status_of,
)

WATCHED: dict[str, tuple[str, dict[str, Any]]] = {
    "success": ("slow", {"sleep": 0.4}),
    "error": ("fail", {"message": "the valve is stuck"}),
    "interrupt": ("interrupt", {"question": "close the valve?"}),
    "cancel": ("slow", {"sleep": 30.0}),  # never slept to its end
}
LATER: dict[str, dict[str, Any]] = {
    "success": {"input": {"sleep": 0}},
    "error": {"input": {"message": "the valve is still stuck"}},
    "interrupt": {"command": {"resume": "yes"}},
    "cancel": {"input": {"sleep": 0}},
}
by_watched = cases("ending", WATCHED)


@scenario(agent=True)
async def watched_runs(api: Api) -> None:
    """A run of each ending is read from its creation to its end, and again after a later run."""
    await api.each(WATCHED, _watch)


async def _watch(part: Api, ending: str) -> None:
    if ending == "cancel":
        part.demand_graphs()
    graph, given = WATCHED[ending]
    thread = await part.create_thread()
    run = await part.create_run(thread, graph, given)
    if ending == "cancel":
        await part.until_running(thread, run)
        await part.until_logged(thread, "a")
        await part.cancel(thread, run, action="interrupt", wait=False)
    await part.poll_run(thread, run)
    await part.settle(thread)
    await part.wait(thread, graph, label="later", **LATER[ending])
    await part.run(thread, run, label="again")


@scenario(Schedule(waits=1.0, thorough=True))
async def enqueued_runs(api: Api) -> None:
    """Three runs are enqueued on one thread, whose runs are listed until all have ended."""
    # A busy target was seen to take 0.8 s for a list: short runs then end unseen, and longer ones follow.
    for sleep in (0.4, api.with_slack(2.0)):
        if await _watch_queue(api, sleep):
            return


async def _watch_queue(api: Api, sleep: float) -> bool:
    """Enqueue and list until all have ended; whether a list showed a run at work and another one waiting."""
    thread = await api.create_thread()
    for _ in range(3):
        await api.create_run(thread, "slow", {"sleep": sleep})
    seen_busy = False
    for _ in range(int(3 * (api.limits.settle_s + sleep) / api.limits.poll_s)):
        statuses = _listed_statuses(await api.runs(thread, limit=10, label="list"))
        seen_busy |= {"running", "pending"} <= set(statuses)
        if all(status in lifecycle().runs.terminal for status in statuses):
            break
        await asyncio.sleep(api.limits.poll_s)
    return seen_busy


@scenario
async def recursion_overrun(api: Api) -> None:
    """`steps` needs three supersteps and is allowed one."""
    await api.whole_turn("wait", "steps", {"note": "too deep"}, config={"recursion_limit": 1})


@requirement("RUN-STATUS-001")
@by_watched
def test_status_is_one_of_six(watched_runs: Trace, ending: str) -> None:
    turn = watched_runs.part(ending)
    for reading in [turn.create_run, *turn.all("poll"), turn.again]:
        assert _status_word(reading) in sorted(lifecycle().runs.statuses)
    if has("error_outcome"):
        _tell_apart(watched_runs.part("success"), watched_runs.part("error"))


@requirement("RUN-STATUS-002")
@by_watched
def test_new_run_is_pending_or_running(watched_runs: Trace, ending: str) -> None:
    turn = watched_runs.part(ending)
    _ending(turn)
    created = turn.create_run.object
    assert created.get("status") in ["pending", "running"]
    assert created.get("run_id") == turn.first("poll").object.get("run_id")


@requirement("RUN-STATUS-003")
@by_watched
def test_readings_follow_the_automaton(watched_runs: Trace, ending: str) -> None:
    if has("error_outcome"):
        _tell_apart(watched_runs.part("success"), watched_runs.part("error"))
    turn = watched_runs.part(ending)
    _ending(turn)
    seen = [_status_word(reading) for reading in [turn.create_run, *turn.all("poll"), turn.again]]
    illegal = lifecycle().runs.first_illegal(seen)
    assert illegal is None, f"wanted a legal transition, got {' -> '.join(illegal or ())}"


@requirement("RUN-STATUS-004")
@by_watched
def test_terminal_status_stays(watched_runs: Trace, ending: str) -> None:
    turn = watched_runs.part(ending)
    ended_as = _ending(turn)
    later = turn.later.ok.run_id
    assert turn.again.object.get("run_id") != later, "wanted a later run of its own id, got the same id"
    assert _status_word(turn.again) == ended_as


@requirement("RUN-STATUS-005")
@by_threaded_entry_point
def test_raising_graph_ends_as_error(success: Trace, error: Trace, entry_point: str) -> None:
    assert _ending(error.part(entry_point)) == "error"
    _tell_apart(success.part(entry_point), error.part(entry_point))


@requirement("RUN-STATUS-006")
@by_threaded_entry_point
def test_completed_graph_ends_as_success(success: Trace, error: Trace, entry_point: str) -> None:
    assert _ending(success.part(entry_point)) == "success"
    if has("error_outcome"):
        _tell_apart(success.part(entry_point), error.part(entry_point))


@requirement("RUN-STATUS-007")
@by_threaded_entry_point
def test_cancelled_run_ends_as_interrupted(cancel: Trace, entry_point: str) -> None:
    turn = cancel.part(entry_point)
    accepted = turn.cancel.ok
    assert turn.last("poll").sent_at >= accepted.sent_at
    assert _ending(turn) == "interrupted"


@requirement("RUN-STATUS-008")
@by_threaded_entry_point
@cases("pause", ["dynamic", "static"])
def test_paused_run(interrupt: Trace, static_interrupt: Trace, pause: str, entry_point: str) -> None:
    turn = {"dynamic": interrupt, "static": static_interrupt}[pause].part(entry_point)
    assert _ending(turn) in ["success", "interrupted"]
    assert _status_word(turn.last("settle")) == "interrupted"


@requirement("RUN-STATUS-009")
@by_threaded_entry_point
def test_limited_run_ends_as_timeout(timeout: Trace, entry_point: str) -> None:
    assert _ending(timeout.part(entry_point)) == "timeout"


@requirement("RUN-STATUS-010")
def test_one_run_at_a_time(enqueued_runs: Trace) -> None:
    lists = [_listed_statuses(listed) for listed in enqueued_runs.all("list")]
    most = max(each.count("running") for each in lists)
    assert most <= 1, f"wanted at most one running, got {most} in one list"
    some((each for each in lists if "running" in each and "pending" in each), "list of a busy queue")
    assert lists[-1] == ["success", "success", "success"]


@requirement("RUN-STATUS-011")
def test_recursion_overrun_is_named(recursion_overrun: Trace, profile: Profile) -> None:
    assert _ending(recursion_overrun) == "error"
    told = profile.wait.error_in(recursion_overrun.result.object)
    assert isinstance(told, dict), "wanted an error object, got none"
    named = f"{told.get('error')}: {told.get('message')}"
    assert "GraphRecursionError" in named, f"wanted GraphRecursionError named, got {shown(told)}"


def _status_word(reading: Exchange) -> str:
    """The status that an answer shows, also in words where it shows none."""
    status = status_of(reading)
    return str(status) if isinstance(status, str) else "no status"


def _ending(turn: Trace) -> str:
    """The terminal status of the turn's run. Raises Missing when it was never seen to end."""
    last = turn.last("poll")
    status = _status_word(last)
    if status not in lifecycle().runs.terminal:
        raise Missing(f"the run was not seen to end: {last.where} still shows {status}")
    return status


def _tell_apart(good: Trace, bad: Trace) -> None:
    """Raise Missing when a good and a failing run end alike: such statuses say nothing about either."""
    if _ending(good) == _ending(bad):
        raise Missing(f"a run that completes and one that raises both end as {_ending(good)}")


def _listed_statuses(listed: Exchange) -> list[str]:
    return [str(run.get("status")) for run in listed.array if isinstance(run, dict)]
