"""The thread-centric protocol: commands to a thread, and one stream of events in channels."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Opened,
    Options,
    Trace,
    canonical,
    conforms,
    first_difference,
    new_id,
    requirement,
    resolve,
    scenario,
    shown,
    some,
)

LISTEN_TURNS = 4  # one run, and three turns of slack for the queue and the polls
REPLAY_S = 1.5  # the events are kept already; what does not arrive in this time was not replayed
UNKNOWN = "no-such-thing"
QUESTION, ANSWER = "open the valve?", "yes"
CHANNELS: dict[str, list[str]] = {
    "steps": ["values", "lifecycle"],
    "fail": ["values", "lifecycle"],
    "interrupt": ["lifecycle", "input"],
    "subgraph": ["values", "lifecycle"],
}
INPUTS: dict[str, dict[str, Any]] = {
    "steps": {"note": "by command"},
    "fail": {"message": "the boiler is cold"},
    "interrupt": {"question": QUESTION},
    "subgraph": {},
}
FILTERS: dict[str, dict[str, Any]] = {
    "events": {},
    "child": {"namespaces": [["child"]]},
    "root": {"namespaces": [[]], "depth": 0},
}
ENDS = {
    "steps": ["begun", "completed"],
    "fail": ["begun", "failed"],
    "interrupt": ["begun", "interrupted", "begun", "completed"],
}
REFUSED_STREAMS: dict[str, Any] = {
    "without_channels": {},
    "no_channel": {"channels": []},
    "unknown_channel": {"channels": [UNKNOWN]},
}
NO_COMMANDS: dict[str, Any] = {"empty_object": {}, "list": [], "without_method": {"id": 3}}


@scenario(needs=["event_streaming"])
async def runs_by_command(api: Api) -> None:
    """A listener, then a run by command: one that ends, one that fails, one that pauses, one with a subgraph."""

    async def drive(part: Api, graph: str) -> None:
        thread = await part.create_thread()
        filters = FILTERS if graph == "subgraph" else {"events": {}}
        listening_s = 2.0 + (LISTEN_TURNS + 2 * (graph == "interrupt")) * part.limits.turn_s
        async with asyncio.TaskGroup() as group:
            opened = []
            listeners = {}
            for label, narrowing in filters.items():
                opened.append(asyncio.get_running_loop().create_future())
                body = {"channels": CHANNELS[graph], **narrowing}
                options: Options = {"label": label, "close_after": listening_s, "opened": opened[-1]}
                listeners[label] = group.create_task(_listen(part, thread, body, options))
            await asyncio.gather(*opened)
            await _run(part, thread, graph)
        if graph == "steps":
            await _listen_again(part, thread, listeners["events"].result())

    await api.each(CHANNELS, drive)


async def _listen(part: Api, thread: str, body: Mapping[str, Any], options: Options) -> Exchange:
    return await part.request("POST", f"/threads/{thread}/stream/events", json=body, **options)


async def _command(part: Api, thread: str, number: int, method: str, **params: Any) -> Exchange:
    body = {"id": number, "method": method, "params": params}
    return await part.request("POST", f"/threads/{thread}/commands", json=body, label=method)


async def _run(part: Api, thread: str, graph: str) -> None:
    assistant = part.target.assistant(graph)
    answer = await _command(part, thread, 7, "run.start", assistant_id=assistant, input=INPUTS[graph])
    run = resolve(_body(answer), "/result/run_id")
    if not isinstance(run, str):
        return
    part.note(run=run)
    await part.poll_run(thread, run)
    await part.settle(thread)
    await part.state(thread)
    if graph == "steps":
        await part.runs(thread, limit=100)
        await part.whole_turn("background", "steps", INPUTS["steps"], on_completion="keep")
    if graph == "interrupt":
        await _respond(part, thread)


async def _respond(part: Api, thread: str) -> None:
    tasks = resolve(_body(part.seen("state")), "/tasks")
    found = resolve(tasks, "/0/interrupts/0/id")
    if isinstance(found, str):
        await _command(part, thread, 8, "input.respond", interrupt_id=UNKNOWN, namespace=[], response=ANSWER)
        await _command(part, thread, 9, "input.respond", interrupt_id=found, namespace=[], response=ANSWER)
        await part.until_logged(thread, "after")


def _body(exchange: Exchange) -> Any:
    try:
        return exchange.json
    except Missing:
        return None
