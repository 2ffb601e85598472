"""The self-check: does the target answer, and does it serve the conformance graphs, or the user's own agent?

It runs before every other scenario and assigns blame. A target on which *no* path at all shows the known
result of `echo` and `steps` serves no fit graphs; that is one finding, not hundreds of failures. A target
on which some path shows it is fit, however many other paths are broken: those are what is to be judged. Of an
agent of the user's own nothing is known but that its run must end well and leave values.
"""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.scenario.api import Api
from runstone.scenario.fitness import START_MARK, probe_paths
from runstone.scenario.known_results import AGENT, INPUTS, ended_well, is_a_result, shows
from runstone.scenario.trials import try_out
from runstone.wire.exchange import Exchange

SELF_CHECK_PATHS = ("wait", "stream", "background")
AGENT_PATIENCE_S = 60.0  # for a turn of an agent whose speed nobody knows yet: a language model's
_OF_THE_SERVER: dict[str, Any] = {"metadata": {"created_by": "system"}, "limit": 100}
_SERVED = 100  # assistants that are asked for where none of the expected ones can be run


async def greeting(api: Api) -> None:
    """Ask for life signs alone, where the conformance graphs are of no concern."""
    if (await api.server_ok()).answered:
        await api.info()


async def self_check(api: Api) -> None:
    """Ask for life signs, then run `echo` and `steps`, or the agent, by one entry point after another."""
    first = await api.server_ok()
    if not first.answered:
        return
    probes = (_probe(api, name, path) for name, path in probe_paths().items())
    await asyncio.gather(api.info(), _ask_for_start_mark(api), *probes)
    if api.target.without_runs:
        await _ask_what_is_served(api)
        await try_out(api, None)
        return
    if api.target.agent is not None:
        await _agent_check(api)
        if not any(map(is_a_result, api.exchanges)):
            await _ask_what_is_served(api)
        await try_out(api, None)  # a run of an agent may cost money
        return
    missing, threads = set(INPUTS), []

    async def turn(part: Api, name: str) -> None:
        graph, _, entry_point = name.partition(".")
        thread = await part.create_thread()
        threads.append(thread)
        result = await part.turn(entry_point, thread, graph, INPUTS[graph])
        await part.settle(thread)
        state = await part.state(thread)
        if shows(result, graph) or shows(state, graph):
            missing.discard(graph)

    async def by_every_path() -> None:
        for entry_point in SELF_CHECK_PATHS:
            await api.each([f"{graph}.{entry_point}" for graph in sorted(missing)], turn)
            if not threads:
                break  # without threads no entry point is any better, and each may cost a whole deadline

    await asyncio.gather(by_every_path(), try_out(api, INPUTS["steps"]))
    if missing:
        await _bare_check(api, missing)
    if missing:
        await _ask_what_is_served(api)


async def _bare_check(api: Api, missing: set[str]) -> None:
    """Ask once more with nothing but assistant and input, on a thread and without one: servers refuse more.

    Where that works, the note `plain` says how the whole observation has to ask.
    """

    async def turn(part: Api, name: str) -> None:
        graph, _, how = name.partition(".")
        thread = await part.create_thread() if how == "bare" else None
        result = await part.wait(thread, graph, INPUTS[graph], label="result")
        if shows(result, graph):
            missing.discard(graph)

    for how in ("bare", "stateless"):
        await api.plainly().each([f"{graph}.{how}" for graph in sorted(missing)], turn)
    if not missing:
        api.note(plain=True)


async def _agent_check(api: Api) -> None:
    """Run the agent by one entry point after another until a run ended well and left values."""
    readings: list[Exchange] = []

    async def turn(part: Api, name: str) -> None:
        thread = await part.create_thread()
        result = await part.turn(
            name.partition(".")[2], thread, "steps", INPUTS["steps"], patience=AGENT_PATIENCE_S
        )
        if result.found_run_id is not None:
            readings.append(await part.poll_run(thread, result.found_run_id, patience=AGENT_PATIENCE_S))
        await part.settle(thread)
        readings.append(await part.state(thread))

    for entry_point in SELF_CHECK_PATHS:
        await api.each([f"{AGENT}.{entry_point}"], turn)
        if not readings or ended_well(readings):
            return  # without threads no entry point is any better
        readings.clear()


async def _ask_what_is_served(api: Api) -> None:
    """Ask for the server's own assistants, to tell what could be checked instead."""
    await api.search_assistants(label="served", limit=_SERVED)


async def _probe(api: Api, name: str, path: str) -> None:
    await api.request("GET", path, label=f"probe {name}")


async def _ask_for_start_mark(api: Api) -> None:
    """When the server's own assistants were made: servers in memory make them at each start."""
    await api.request("POST", "/assistants/search", json=_OF_THE_SERVER, label=START_MARK)
