"""Restarts and crashes: what a server keeps when it is stopped or killed and started again."""

from __future__ import annotations

import asyncio

from runstone.suite import (
    Api,
    Missing,
    Schedule,
    Trace,
    cases,
    lifecycle,
    log_of,
    own_server,
    requirement,
    scenario,
    shown,
    some,
)

STARTS_S = 6.0  # two starts of a server and one stop; the fastest takes 1.5 s for each
SLEEP_S = 1.5  # long enough to be killed in, once its node is seen at work on a server that takes no time
ENQUEUED = 2
THREADS = ("single", "queue")
OUTCOMES = {
    "success": ("steps", {"note": "kept"}),
    "error": ("fail", {"message": "the boiler is cold"}),
    "interrupt": ("interrupt", {"question": "open the valve?"}),
}
READ = ("thread", "state", "history", "runs", "run")


@scenario(Schedule(waits=STARTS_S, alone=True, heavy=True), needs=["restart"])
async def restart_with_threads_at_rest(api: Api) -> None:
    """A run of each outcome ends; all is read, the server is stopped and started, and all is read again."""
    async with own_server(api) as server:
        rested: dict[str, tuple[str, str]] = {}

        async def end_a_run(part: Api, outcome: str) -> None:
            graph, given = OUTCOMES[outcome]
            thread = await part.create_thread(metadata={"outcome": outcome})
            run = await part.create_run(thread, graph, given)
            await part.poll_run(thread, run)
            await part.settle(thread)
            await read(part, thread, run, "before")
            rested[outcome] = thread, run

        async def read_again(part: Api, outcome: str) -> None:
            await read(part, *rested[outcome], "after")

        await server.each(OUTCOMES, end_a_run)
        await server.restart()
        await server.each(rested, read_again)


async def read(part: Api, thread: str, run: str, when: str) -> None:
    """Everything that can be read of a thread at rest."""
    await part.thread(thread, label=f"thread {when}")
    await part.state(thread, label=f"state {when}")
    await part.history(thread, label=f"history {when}")
    await part.runs(thread, label=f"runs {when}")
    await part.run(thread, run, label=f"run {when}")


@scenario(Schedule(waits=STARTS_S + SLEEP_S, alone=True, heavy=True), needs=["kill"])
async def kill_in_mid_run(api: Api) -> None:
    """The server is killed while a node sleeps on two threads, one of them with further runs enqueued."""
    async with own_server(api) as server:
        accepted: dict[str, tuple[str, list[str]]] = {}
        sleep = api.with_slack(SLEEP_S) + 2 * api.limits.turn_s

        async def bring_in_the_midst(part: Api, name: str) -> None:
            thread = await part.create_thread()
            first = await part.create_run(thread, "slow", {"sleep": sleep})
            further = range(ENQUEUED if name == "queue" else 0)
            runs = [first, *[await part.create_run(thread, "slow", {"sleep": 0}) for _ in further]]
            await part.until_logged(thread, "a")
            await part.run(thread, first, label="run before")
            await part.state(thread, label="state before")
            accepted[name] = thread, runs

        await server.each(THREADS, bring_in_the_midst)
        await server.kill()
        await server.start()
        await server.each(accepted, lambda part, name: recover(part, *accepted[name], sleep))


async def recover(part: Api, thread: str, runs: list[str], sleep: float) -> None:
    """Wait until every run is terminal, and read what is left."""
    await asyncio.gather(*(part.poll_run(thread, run, patience=sleep) for run in runs))
    await part.settle(thread)
    await part.state(thread)
    for run in runs:
        await part.run(thread, run, label="run after")


@requirement("PERS-001")
@cases("outcome", OUTCOMES)
def test_what_was_at_rest_is_the_same_after_a_restart(
    outcome: str, restart_with_threads_at_rest: Trace
) -> None:
    part = restart_with_threads_at_rest.part(outcome)
    some(part.only("history before").ok.array, "checkpoint before the restart")
    some(part.only("runs before").ok.array, "run before the restart")
    gone = [what for what in READ if part.only(f"{what} after").status == 404]
    assert gone == []
    seen = {what: part.only(f"{what} after").ok.json for what in READ}
    assert seen == {what: part.only(f"{what} before").ok.json for what in READ}


@requirement("PERS-002")
@cases("thread", THREADS)
def test_a_killed_run_comes_to_an_end(thread: str, kill_in_mid_run: Trace) -> None:
    part = _killed_in_the_midst(kill_in_mid_run, thread)
    assert part.first("run after").ok.object.get("status") in lifecycle().runs.terminal
    assert part.last("settle").ok.object.get("status") in lifecycle().threads.statuses - {"busy"}


@requirement("PERS-003")
def test_completed_nodes_are_not_executed_again(kill_in_mid_run: Trace) -> None:
    part = _killed_in_the_midst(kill_in_mid_run, "single")
    resumed = part.only("run after").ok.object.get("status") == "success"
    assert some(log_of(part.state), f"log in {part.state.where}") == (["a", "b", "c"] if resumed else ["a"])


@requirement("PERS-004")
def test_no_accepted_run_is_lost(kill_in_mid_run: Trace) -> None:
    part = _killed_in_the_midst(kill_in_mid_run, "queue")
    statuses = [each.ok.object.get("status") for each in part.all("run after")]
    assert len(statuses) == 1 + ENQUEUED
    assert set(statuses) <= lifecycle().runs.terminal
    # The last node of a run that succeeded has executed exactly once, and that of no other run.
    assert some(log_of(part.state), f"log in {part.state.where}").count("c") == statuses.count("success")


def _killed_in_the_midst(trace: Trace, thread: str) -> Trace:
    """What was seen of the thread. Raises Missing unless its run was at work in node `b` before the kill."""
    part = trace.part(thread)
    status, log = part.only("run before").ok.object.get("status"), log_of(part.only("state before"))
    if (status, log) != ("running", ["a"]):
        raise Missing(
            f"the server was not killed in mid-run: the run was {shown(status)}, its log {shown(log)}"
        )
    return part
