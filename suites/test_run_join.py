"""GET /threads/{thread_id}/runs/{run_id}/join: wait for a run that is there already."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from runstone.suite import (
    GRAPHS,
    OMIT,
    STEPS,
    Api,
    Exchange,
    Inapplicable,
    Missing,
    Options,
    Profile,
    Schedule,
    Trace,
    asked_in,
    assert_ran,
    cases,
    conforms,
    demand_values,
    has,
    log_in,
    needs,
    new_id,
    ran,
    requirement,
    scenario,
    shown,
)

PATIENCE_S = (0.5, 1.5, 4.0)  # a busy target was seen to take 0.5 s to read a request, which is then lost
SLEEP_S = 0.8
# Clients come one after the other, and runs end at different moments between a server's polls: one that deals
# its events out to the clients must not seem right because it dealt all of them to the first.
JOIN_EVERY_S = 0.15
JOINED_SLEEPS_S = {"short": 1.2, "longer": 1.35, "longest": 1.5}
ENDINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "success": ("steps", {"note": "joined"}),
    "error": ("fail", {"message": "the filter is full"}),
    "interrupt": ("interrupt", {"question": "change the filter?"}),
}
by_moment = cases("moment", ["join early", "join late"])


@scenario(Schedule(steady=True), agent=True)
async def joined_while_it_goes_on(api: Api) -> None:
    """A run that goes on is joined."""
    thread = await api.create_thread()
    run = await api.create_run(thread, "slow", {"sleep": SLEEP_S})
    await api.join(thread, run)


@scenario(Schedule(waits=1.5), agent=True)
async def joined_by_four(api: Api) -> None:
    """Each of three runs that go on is joined by four clients, one after the other."""
    await api.each(JOINED_SLEEPS_S, _join_in_turn)


async def _join_in_turn(part: Api, length: str) -> None:
    sleep = part.with_slack(JOINED_SLEEPS_S[length])
    thread = await part.create_thread()
    run = await part.create_run(thread, "slow", {"sleep": sleep})
    await part.until_running(thread, run)

    async def join_after(seconds: float) -> None:
        await asyncio.sleep(seconds)
        await part.join(thread, run, patience=sleep)

    await asyncio.gather(*(join_after(number * JOIN_EVERY_S) for number in range(4)))
    await part.state(thread)


@scenario(agent=True)
async def joined_early_and_late(api: Api) -> None:
    """A run of each ending is joined as soon as it is created, and again when it has ended."""
    api.note(at_once=api.with_slack(3.0))  # official servers look at a finished run every 0.5 s
    await api.each(ENDINGS, _join_twice)


async def _join_twice(part: Api, ending: str) -> None:
    graph, given = ENDINGS[ending]
    thread = await part.create_thread()
    run = await part.create_run(thread, graph, given)
    await part.join(thread, run, label="join early")
    await part.poll_run(thread, run)
    await part.settle(thread)
    await part.join(thread, run, label="join late")
    await part.state(thread)


@scenario(agent=True)
async def older_run_joined(api: Api) -> None:
    """Of two runs on a thread the first is joined again when the second has ended."""
    thread = await api.create_thread()
    first = await api.create_run(thread, "steps", {"note": "first"})
    await api.join(thread, first, label="join first")
    second = await api.create_run(thread, "steps", {"note": "second"})
    await api.join(thread, second, label="join second")
    await api.join(thread, first, label="join first again")
    await api.read_at_rest(thread)


@scenario(agent=True)
async def strange_runs_joined(api: Api) -> None:
    """Runs that are not the thread's are joined beside one that is."""
    thread = await api.create_thread()
    run = await api.create_run(thread, "steps", {"note": "own"})
    await api.join(thread, run, label="own run")
    await api.join(thread, new_id(), label="unknown run")
    other = await api.create_thread(label="create_other")
    await api.join(other, run, label="run of another thread")


@scenario(Schedule(waits=2.0, calm=True))
async def hung_up_joins(api: Api) -> None:
    """The client of a join hangs up while the run goes on, with and without `cancel_on_disconnect`."""
    await api.each(["cancel", "leave"], _hang_up)


async def _hang_up(part: Api, choice: str) -> None:
    cancel = True if choice == "cancel" else OMIT
    for patience in PATIENCE_S:
        # A server may notice the hang-up at its next keep-alive only: 5 s on the slowest known.
        sleep = part.with_slack(patience) + (7.0 if choice == "cancel" else 2.0)
        thread = await part.create_thread()
        run = await part.create_run(thread, "slow", {"sleep": sleep})
        joined = await part.hang_up_amid(thread, partial(_join, part, thread, run, cancel), pause_s=patience)
        if joined.answered and joined.closed_by_client:
            break
    await part.poll_run(thread, run, patience=sleep)


async def _join(part: Api, thread: str, run: str, cancel: Any, options: Options) -> Exchange:
    return await part.join(thread, run, cancel_on_disconnect=cancel, **options)


@requirement("RUN-JOIN-001")
@needs(GRAPHS)
def test_blocks_until_the_end(joined_while_it_goes_on: Trace, profile: Profile) -> None:
    answer = joined_while_it_goes_on.join
    assert answer.status == 200
    conforms(answer.object, profile.wait.schema, answer)
    passed = answer.ended_at - joined_while_it_goes_on.create_run.sent_at
    assert passed >= SLEEP_S, f"wanted an answer after the run's {SLEEP_S} s, got it after {passed:.2f} s"
    assert log_in(profile.wait.some_values_in(answer.object)) == ["a", "b", "c"]


@requirement("RUN-JOIN-002")
def test_ended_run_is_answered_at_once(joined_early_and_late: Trace, profile: Profile) -> None:
    turn = joined_early_and_late.part("success")
    answer = turn.only("join late")
    final = turn.state.object.get("values")
    assert_ran(final, STEPS)
    assert profile.wait.values_in(answer.object) == final
    at_once = joined_early_and_late.note("at_once")
    assert answer.finished_after < at_once, (
        f"wanted it in {at_once:.1f} s, got it in {answer.finished_after:.1f} s"
    )


@requirement("RUN-JOIN-003")
@by_moment
def test_error_of_a_failed_run(joined_early_and_late: Trace, moment: str, profile: Profile) -> None:
    demand_values(joined_early_and_late.part("success").only(moment), profile)
    answer = joined_early_and_late.part("error").only(moment)
    told = profile.wait.error_in(answer.object)
    assert isinstance(told, dict), f"wanted an error object, got {shown(answer.json)}"
    conforms(answer.json, profile.wait.error_schema, answer)
    assert told.get("message"), f"wanted a message, got {shown(told)}"


@requirement("RUN-JOIN-004")
@by_moment
def test_interrupts_of_a_paused_run(joined_early_and_late: Trace, moment: str, profile: Profile) -> None:
    demand_values(joined_early_and_late.part("success").only(moment), profile)
    turn = joined_early_and_late.part("interrupt")
    answer = turn.only(moment)
    listed = profile.wait.interrupts_in(answer.object)
    assert isinstance(listed, list), f"wanted a list of interrupts, got {shown(answer.json)}"
    values = [each.get("value") if isinstance(each, dict) else each for each in listed]
    assert values == ([{"question": "change the filter?"}] if has(GRAPHS) else asked_in(turn.state))


@requirement("RUN-JOIN-005")
def test_older_run_keeps_its_output(older_run_joined: Trace, profile: Profile) -> None:
    first, second, again = (
        profile.wait.values_in(older_run_joined.only(label).object)
        for label in ("join first", "join second", "join first again")
    )
    if not has(GRAPHS) and second == first:
        raise Inapplicable("the agent said the same in both runs, so that nothing tells their outputs apart")
    if not ran(first, STEPS) or second == first:
        raise Missing(f"the two runs had no outputs to tell apart: {shown(first)} and {shown(second)}")
    assert again == first


@requirement("RUN-JOIN-006")
@cases("which", ["unknown run", "run of another thread"])
def test_strange_run_is_an_error(strange_runs_joined: Trace, which: str, profile: Profile) -> None:
    demand_values(strange_runs_joined.only("own run"), profile)
    answer = strange_runs_joined.only(which)
    assert answer.complete, f"wanted an answer, got {answer.code}, then {answer.failure}"
    if not 400 <= answer.status < 500:
        told = profile.wait.error_in(answer.object)
        assert isinstance(told, dict), (
            f"wanted 404 or an error body, got {answer.status} {shown(answer.json)}"
        )


@requirement("RUN-JOIN-007")
def test_every_join_gets_the_values(joined_by_four: Trace, profile: Profile) -> None:
    for length in JOINED_SLEEPS_S:
        turn = joined_by_four.part(length)
        final = turn.state.object.get("values")
        assert_ran(final, ["a", "b", "c"])
        for answer in turn.all("join"):
            assert profile.wait.values_in(answer.object) == final


@requirement("RUN-JOIN-008")
@cases("choice, ending", [("cancel", "interrupted"), ("leave", "success")])
def test_hang_up(hung_up_joins: Trace, choice: str, ending: str) -> None:
    turn = hung_up_joins.part(choice)
    hung_up = turn.last("join")
    if not hung_up.closed_by_client:
        raise Missing(f"{hung_up.ok.where} was over before the client hung up")
    assert turn.last("poll").object.get("status") == ending
