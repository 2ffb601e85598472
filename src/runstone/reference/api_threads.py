"""Threads, their state and their history."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args
from uuid import uuid4

import msgspec
from msgspec import Meta
from starlette.responses import Response

from runstone.reference.answers import EVENT_STREAM, STREAM_HEADERS, Listening, answer, page
from runstone.reference.bodies import (
    CheckpointBody,
    HistoryBody,
    Limit,
    MetadataBody,
    Offset,
    PruneBody,
    StateAtBody,
    StateUpdateBody,
    ThreadBody,
)
from runstone.reference.checkpoints import Graph, empty_state, thread_state
from runstone.reference.errors import Invalid, NotFound, Refused
from runstone.reference.feeds import FeedMode, followed
from runstone.reference.routing import Call, Operation, checked_uuid
from runstone.reference.threads import Thread, ThreadField, ThreadQuery


class SearchBody(ThreadQuery):
    """POST /threads/search."""

    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal["thread_id", "status", "created_at", "updated_at"] = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    select: Annotated[list[ThreadField], Meta(min_length=1)] | None = None


async def create(call: Call) -> Response:
    """Make a thread; with `supersteps`, one that has the history that these updates make."""
    body, threads = await call.body(ThreadBody), call.runtime.threads
    thread_id = checked_uuid(body.thread_id, "thread_id") if body.thread_id else None
    metadata = (body.metadata or {}) | ({"graph_id": body.graph_id} if body.graph_id else {})
    graph = call.runtime.graphs.get(str(metadata.get("graph_id")))
    if body.supersteps and graph is None:
        raise Invalid("supersteps need a graph: name it in metadata.graph_id")
    thread = threads.create(call.owner, thread_id, metadata, if_exists=body.if_exists or "raise")
    if body.supersteps and graph is not None:
        try:
            await call.runtime.checkpoints.replay(graph, thread.thread_id, body.supersteps)
        except Refused:
            await call.runtime.delete_thread(thread.thread_id)
            raise
        thread = await _settled(call, thread, graph)
    return answer(thread)


async def get(call: Call) -> Response:
    """One thread."""
    return answer(_thread(call))


async def patch(call: Call) -> Response:
    """Merge metadata; a client that asks for `return=minimal` gets no body."""
    body, thread = await call.body(MetadataBody), _thread(call)
    call.runtime.threads.merge_metadata(thread, body.metadata or {})
    call.runtime.threads.touch(thread.thread_id)
    if call.request.headers.get("prefer") == "return=minimal":
        return Response(status_code=204)
    return answer(_thread(call))


async def delete(call: Call) -> Response:
    """Delete a thread with its runs, state and history; a run that is under way is stopped first."""
    await call.runtime.delete_thread(_thread(call).thread_id)
    return Response(status_code=204)


async def search(call: Call) -> Response:
    """Find threads."""
    body, threads = await call.body(SearchBody), call.runtime.threads
    order = f"{body.sort_by} {body.sort_order}, thread_id"
    found = threads.search(call.owner, body, order=order, limit=body.limit, offset=body.offset)
    shown = (
        [{name: getattr(thread, name) for name in body.select} for thread in found] if body.select else found
    )
    return page(list(shown), threads.count(call.owner, body), body.limit, body.offset)


async def count(call: Call) -> Response:
    """How many threads there are."""
    return answer(call.runtime.threads.count(call.owner, await call.body(ThreadQuery)))


async def copy(call: Call) -> Response:
    """A new thread with the state and history of this one, and no runs."""
    source, runtime = _thread(call), call.runtime
    twin = runtime.threads.create(call.owner, str(uuid4()), source.labels)
    await runtime.checkpoints.copy(source.thread_id, twin.thread_id)
    graph = runtime.graph_of(source)
    return answer(twin if graph is None else await _settled(call, twin, graph, resting="idle"))


async def prune(call: Call) -> Response:
    """Delete the listed threads; those that do not exist are passed over."""
    body, pruned = await call.body(PruneBody), 0
    for thread_id in [checked_uuid(each, "thread_ids") for each in body.thread_ids]:
        try:
            call.runtime.threads.get(call.owner, thread_id)
        except NotFound:
            continue
        await call.runtime.delete_thread(thread_id)
        pruned += 1
    return answer({"pruned_count": pruned})


async def state(call: Call) -> Response:
    """The newest state, or the one at the checkpoint that the path names."""
    checkpoint_id = call.request.path_params.get("checkpoint_id")
    at = CheckpointBody(checkpoint_id=checkpoint_id) if checkpoint_id else None
    return await _state(call, at, call.flag("subgraphs"))


async def state_at(call: Call) -> Response:
    """The state at a checkpoint, of a subgraph too."""
    body = await call.body(StateAtBody)
    return await _state(call, body.checkpoint, body.subgraphs)


async def update_state(call: Call) -> Response:
    """Write an update as if a node had made it. Refused while a run is under way."""
    body, thread, runtime = await call.body(StateUpdateBody), _thread(call), call.runtime
    graph = runtime.graph_of(thread)
    if graph is None:
        raise Refused(f"thread {thread.thread_id} has no graph yet: run one on it first")
    at = body.checkpoint or (CheckpointBody(checkpoint_id=body.checkpoint_id) if body.checkpoint_id else None)
    async with runtime.scheduler.alone(thread.thread_id):
        made = await runtime.checkpoints.update(graph, thread.thread_id, body.values, body.as_node, at)
        await _settled(call, thread, graph)
    runtime.feeds.state_updated(thread.thread_id, {"as_node": body.as_node, "values": body.values})
    shown = msgspec.structs.asdict(made)
    if not made.checkpoint_map:
        del shown["checkpoint_map"]
    return answer({"checkpoint": shown})


async def history(call: Call) -> Response:
    """Past states, newest first."""
    if call.request.method == "POST":
        return await _history(call, await call.body(HistoryBody))
    limit = call.number("limit", 10, 1, 1000)
    return await _history(call, HistoryBody(limit=limit, before=call.text("before")))


async def stream(call: Call) -> Response:
    """What happens on the thread from now on, or after the event that `Last-Event-ID` names ("-": all)."""
    thread = _thread(call)
    asked = [each for value in call.request.query_params.getlist("stream_modes") for each in value.split(",")]
    if unknown := sorted(set(asked) - set(get_args(FeedMode))):
        raise Invalid(f"unknown stream_modes: {', '.join(unknown)[:80]}")
    modes = [mode for mode in get_args(FeedMode) if mode in (asked or ["run_modes"])]
    body = await followed(call.runtime.feeds, thread.thread_id, modes, _after(call))
    return Listening(body, EVENT_STREAM, STREAM_HEADERS)


def _after(call: Call) -> int | None:
    told = call.request.headers.get("last-event-id")
    if told is None or told == "-":
        return None if told is None else -1
    if not (told.isascii() and told.isdigit() and len(told) < 19):
        raise Invalid(f"Last-Event-ID must be a number that this server gave, or -, not {told[:40]!r}")
    return int(told)


async def _history(call: Call, body: HistoryBody) -> Response:
    thread, before = _thread(call), _checkpoint_id(body.before)
    graph = call.runtime.graph_of(thread)
    if graph is None:
        return answer([])
    states = await call.runtime.checkpoints.history(
        graph,
        thread.thread_id,
        limit=body.limit,
        before=before,
        metadata=body.metadata,
        at=body.checkpoint,
    )
    return answer([thread_state(each) for each in states])


def _checkpoint_id(before: Any) -> str | None:
    """`before` as an id, a checkpoint, or a config that names one."""
    if isinstance(before, dict):
        before = before.get("configurable", before)
        before = before.get("checkpoint_id") if isinstance(before, dict) else None
        if not isinstance(before, str):
            raise Invalid("before names no checkpoint_id")
    return before or None


async def _state(call: Call, at: CheckpointBody | None, subgraphs: bool) -> Response:
    thread = _thread(call)
    graph = call.runtime.graph_of(thread)
    if graph is None:
        if at is not None and at.checkpoint_id:
            raise NotFound(f"thread {thread.thread_id} has no checkpoints yet")
        return answer(empty_state())
    snapshot = await call.runtime.checkpoints.state(graph, thread.thread_id, at, subgraphs=subgraphs)
    return answer(thread_state(snapshot))


async def _settled(call: Call, thread: Thread, graph: Graph, resting: str | None = None) -> Thread:
    await call.runtime.settle(thread, graph, resting)
    return call.runtime.threads.get(call.owner, thread.thread_id)


def _thread(call: Call) -> Thread:
    return call.runtime.threads.get(call.owner, call.uuid("thread_id"))


_ONE = "/threads/{thread_id}"
_STATE = f"{_ONE}/state"

OPERATIONS = [
    Operation("POST", "/threads", create, "Create a thread", ThreadBody, Thread),
    Operation("POST", "/threads/search", search, "Search threads", SearchBody, list[Thread]),
    Operation("POST", "/threads/count", count, "Count threads", ThreadQuery, int),
    Operation("POST", "/threads/prune", prune, "Delete several threads", PruneBody),
    Operation("GET", _ONE, get, "Read a thread", None, Thread),
    Operation("PATCH", _ONE, patch, "Merge metadata into a thread", MetadataBody, Thread),
    Operation("DELETE", _ONE, delete, "Delete a thread and all it has", None, None, 204),
    Operation("POST", f"{_ONE}/copy", copy, "Copy a thread", None, Thread),
    Operation("GET", _STATE, state, "Read the newest state", query=("subgraphs",)),
    Operation("POST", _STATE, update_state, "Update the state", StateUpdateBody),
    Operation("POST", f"{_STATE}/checkpoint", state_at, "Read the state at a checkpoint", StateAtBody),
    Operation(
        "GET", f"{_STATE}/{{checkpoint_id}}", state, "Read the state at a checkpoint", query=("subgraphs",)
    ),
    Operation("GET", f"{_ONE}/stream", stream, "Follow a thread", None, str, query=("stream_modes",)),
    Operation("GET", f"{_ONE}/history", history, "List past states", query=("limit", "before")),
    Operation("POST", f"{_ONE}/history", history, "Search past states", HistoryBody),
]
