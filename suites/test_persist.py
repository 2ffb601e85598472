"""Restarts and crashes: what a server keeps when it is stopped or killed and started again."""

from __future__ import annotations

import asyncio

from runstone.suite import Api, OwnServer, Trace, lifecycle, requirement, scenario, some

STARTS_S = 6.0  # two starts of a server and one stop; the fastest takes 1.5 s for each
SLEEP_S = 1.5  # long enough to be killed in, once its node is seen at work
ENQUEUED = 2
OUTCOMES = {
    "success": ("steps", {"note": "kept"}),
    "error": ("fail", {"message": "the boiler is cold"}),
    "interrupt": ("interrupt", {"question": "open the valve?"}),
}
READ = ("thread", "state", "history", "runs", "run")


@scenario(needs=["restart"], waits=STARTS_S, alone=True)
async def restart_with_threads_at_rest(api: Api) -> None:
    """A run of each outcome ends; all is read, the server is stopped in good order and started, all is read again."""
    async with api.own_server() as server:
        rested: dict[str, tuple[str, str]] = {}

        async def end_a_run(part: Api, outcome: str) -> None:
            graph, given = OUTCOMES[outcome]
            thread = await part.create_thread(metadata={"outcome": outcome})
            run = await part.create_run(thread, graph, given)
            await part.poll_run(thread, run)
            await part.settle(thread)
            await read(part, outcome, thread, run, "before")
            rested[outcome] = thread, run

        async def read_again(part: Api, outcome: str) -> None:
            await read(part, outcome, *rested[outcome], "after")

        await server.each(OUTCOMES, end_a_run)
        await server.restart()
        await server.each(rested, read_again)


async def read(part: Api, outcome: str, thread: str, run: str, when: str) -> None:
    """Everything that can be read of a thread at rest."""
    part.note(outcome=outcome)
    await part.thread(thread, label=f"thread {when}")
    await part.state(thread, label=f"state {when}")
    await part.history(thread, label=f"history {when}")
    await part.runs(thread, label=f"runs {when}")
    await part.run(thread, run, label=f"run {when}")


@scenario(needs=["kill"], waits=STARTS_S + SLEEP_S, alone=True)
async def kill_in_mid_run(api: Api) -> None:
    """The server is killed while a node sleeps on two threads, one of them with further runs enqueued."""
    async with api.own_server() as server:
        accepted: dict[str, tuple[str, list[str]]] = {}

        async def bring_in_the_midst(part: Api, name: str) -> None:
            thread = await part.create_thread()
            first = await part.create_run(thread, "slow", {"sleep": SLEEP_S})
            further = range(ENQUEUED if name == "queue" else 0)
            runs = [first, *[await part.create_run(thread, "slow", {"sleep": 0}) for _ in further]]
            await part.until_logged(thread, "a")
            await part.run(thread, first, label="run before")
            await part.state(thread, label="state before")
            accepted[name] = thread, runs

        await server.each(["single", "queue"], bring_in_the_midst)
        await server.kill()
        await server.start()
        await server.each(accepted, lambda part, name: recover(part, *accepted[name]))


async def recover(part: Api, thread: str, runs: list[str]) -> None:
    """Wait until every run is terminal, and read what is left."""
    await asyncio.gather(*(part.poll_run(thread, run, patience=SLEEP_S) for run in runs))
    await part.settle(thread)
    await part.state(thread)
    for run in runs:
        await part.run(thread, run, label="run after")


def _statuses_after(trace: Trace) -> list[object]:
    return [each.ok.object.get("status") for each in some(trace.find("run after"), "run after the kill")]


def _was_in_the_midst(trace: Trace) -> bool:
    """Whether the server was killed while the first run's node `b` slept."""
    before = trace.only("state before").ok.object
    return (
        trace.only("run before").ok.object.get("status") == "running"
        and before["values"].get("log") == ["a"]
        and bool(trace.notes)
    )
