"""Runs: each entry point starts a run in the same way, and differs only in how it listens to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import get_args

from starlette.responses import Response

from runstone.reference.answers import EVENT_STREAM, JSON, STREAM_HEADERS, Listening, TimedWait, answer
from runstone.reference.bodies import CancelBody, RunBody, StreamMode
from runstone.reference.channels import streamed, waited
from runstone.reference.errors import Conflict, Invalid, NotFound
from runstone.reference.planning import check, start
from runstone.reference.routing import Call, Operation, checked_uuid
from runstone.reference.runs import Run, RunStatus


async def create(call: Call) -> Response:
    """In the background: answer at once."""
    run, _ = await _start(call)
    return answer(run, headers={"Content-Location": run.path})


async def create_and_wait(call: Call) -> Response:
    """Answer with the output when the run has ended."""
    run, body = await _start(call)
    return _wait(call, run, body.on_disconnect == "cancel", body.timeout)


async def create_and_stream(call: Call) -> Response:
    """Answer with the events as they come."""
    run, body = await _start(call)
    return await _stream(call, run, body.on_disconnect == "cancel")


async def create_batch(call: Call) -> Response:
    """Several background runs, each on a thread of its own; all of them or none."""
    bodies = await call.body(list[RunBody])
    checked = [await check(call, body, None) for body in bodies]
    return answer([start(call, each) for each in checked])


async def page(call: Call) -> Response:
    """The runs of a thread, newest first."""
    thread_id = _thread_id(call)
    status = call.text("status", get_args(RunStatus))
    limit, offset = call.number("limit", 10, 1, 1000), call.number("offset", 0, 0, 2**53)
    return answer(call.runtime.runs.page(thread_id, status, limit, offset))


async def get(call: Call) -> Response:
    """One run: its status, never its result."""
    return answer(_run(call))


async def join(call: Call) -> Response:
    """What wait would answer, for a run that exists."""
    return _wait(call, _run(call), call.flag("cancel_on_disconnect"))


async def join_stream(call: Call) -> Response:
    """The events of a run that exists: from now on, or after `Last-Event-ID` if it is resumable."""
    return await _stream(call, _run(call), call.flag("cancel_on_disconnect"))


async def cancel(call: Call) -> Response:
    """Stop a run; `rollback` also takes back what it did. 202, or 200 when it is over (`wait`)."""
    action = call.text("action", ("interrupt", "rollback"))
    wait, run = call.flag("wait"), _run(call)
    if not run.active:
        raise Conflict(f"run {run.run_id} is over: {run.status}")
    call.runtime.scheduler.cancel(run, "rollback" if action == "rollback" else "interrupt")
    if not wait:
        return Response(status_code=202)
    await call.runtime.scheduler.ended(run.run_id)
    return answer({})


async def cancel_many(call: Call) -> Response:
    """Stop the named runs of a thread, or all of the caller's runs in a status."""
    body = await call.body(CancelBody)
    action = call.text("action", ("interrupt", "rollback"))
    runs = [run for run in _named(call, body) if run.active]
    if not runs:
        raise NotFound("no run that is pending or running matches")
    for run in reversed(runs):  # the newest first, so that none of the others is started in between
        call.runtime.scheduler.cancel(run, "rollback" if action == "rollback" else "interrupt")
    return Response(status_code=204)


async def delete(call: Call) -> Response:
    """Delete a run that is over, with its events and checkpoints."""
    runtime, run = call.runtime, _run(call)
    if run.active:
        raise Conflict(f"run {run.run_id} is {run.status}: cancel it first")
    thread = runtime.threads.get(call.owner, run.thread_id)
    async with runtime.scheduler.alone(run.thread_id):
        await runtime.checkpoints.forget(run.thread_id, run.run_id)
        runtime.runs.delete(run.run_id)
        if (graph := runtime.graph_of(thread)) is not None:
            await runtime.settle(thread, graph)
    return Response(status_code=204)


async def _start(call: Call) -> tuple[Run, RunBody]:
    thread_id = call.uuid("thread_id") if "thread_id" in call.request.path_params else None
    body = await call.body(RunBody)
    return start(call, await check(call, body, thread_id)), body


def _wait(call: Call, run: Run, cancel_when_gone: bool, timeout: float | None = None) -> Response:
    headers = {"Content-Location": run.path, "Location": f"{run.path}/join"}
    channel = call.runtime.scheduler.channel(run.run_id)
    if channel is None:
        return Response(call.runtime.runs.output(run.run_id), 200, headers, JSON)
    gone = _canceller(call, run) if cancel_when_gone else None
    if timeout is not None:
        return TimedWait(channel.output(), timeout, headers, gone)
    return Listening(waited(channel), JSON, headers, gone)


async def _stream(call: Call, run: Run, cancel_when_gone: bool) -> Response:
    headers = {"Content-Location": run.path, "Location": f"{run.path}/stream"} | STREAM_HEADERS
    modes = _asked_modes(call)
    kept = []
    last_event_id = call.request.headers.get("last-event-id")
    if last_event_id is not None and run.plan.stream_resumable:
        kept = call.runtime.runs.events_after(run.run_id, _event_number(last_event_id))
    channel = call.runtime.scheduler.channel(run.run_id)
    gone = _canceller(call, run) if cancel_when_gone else None
    return Listening(await streamed(channel, kept, modes), EVENT_STREAM, headers, gone)


def _canceller(call: Call, run: Run) -> Callable[[], None]:
    scheduler = call.runtime.scheduler
    return lambda: scheduler.cancel(run, "interrupt") if scheduler.channel(run.run_id) else None


def _thread_id(call: Call) -> str:
    return call.runtime.threads.get(call.owner, call.uuid("thread_id")).thread_id


def _run(call: Call) -> Run:
    run_id = call.uuid("run_id")
    if "thread_id" in call.request.path_params:
        thread_id = _thread_id(call)
    else:
        thread_id = call.runtime.threads.get(call.owner, call.runtime.runs.thread_of(run_id)).thread_id
    return call.runtime.runs.get(run_id, thread_id)


def _named(call: Call, body: CancelBody) -> list[Run]:
    if body.status is not None:
        if body.thread_id or body.run_ids:
            raise Invalid("status excludes thread_id and run_ids")
        statuses = ("pending", "running") if body.status == "all" else (body.status,)
        return call.runtime.runs.with_status(statuses, call.owner)
    if not body.thread_id or not body.run_ids:
        raise Invalid("either status, or both thread_id and run_ids")
    thread = call.runtime.threads.get(call.owner, checked_uuid(body.thread_id, "thread_id"))
    run_ids = [checked_uuid(run_id, "run_ids") for run_id in body.run_ids]
    return [run for run in call.runtime.runs.active(thread.thread_id) if run.run_id in run_ids]


def _asked_modes(call: Call) -> list[str]:
    """`stream_mode` of the query: one, repeated, or a JSON array; without it, all that the run streams."""
    asked: list[str] = []
    for value in call.request.query_params.getlist("stream_mode"):
        if value.startswith("["):
            try:
                asked.extend(map(str, json.loads(value)))
            except ValueError:
                raise Invalid("stream_mode is neither a mode nor a JSON array of modes") from None
        elif value:  # the Python SDK sends it empty when it asks for all
            asked.append(value)
    if unknown := sorted(set(asked) - set(get_args(StreamMode))):
        raise Invalid(f"unknown stream_mode: {', '.join(unknown)[:80]}")
    return asked


def _event_number(last_event_id: str) -> int:
    try:
        return max(int(last_event_id[:18]), -1)
    except ValueError:
        raise Invalid(
            f"Last-Event-ID must be a number that this server gave, not {last_event_id[:40]!r}"
        ) from None


_THREAD = "/threads/{thread_id}/runs"
_RUN = "/threads/{thread_id}/runs/{run_id}"
_JOIN_QUERY = ("cancel_on_disconnect",)
_STREAM_QUERY = ("stream_mode", *_JOIN_QUERY)
_CANCEL_QUERY = ("action", "wait")

OPERATIONS = [
    Operation("POST", _THREAD, create, "Start a run in the background", RunBody, Run),
    Operation("POST", f"{_THREAD}/wait", create_and_wait, "Start a run and wait for its output", RunBody),
    Operation(
        "POST", f"{_THREAD}/stream", create_and_stream, "Start a run and stream its events", RunBody, str
    ),
    Operation(
        "GET",
        _THREAD,
        page,
        "List the runs of a thread",
        None,
        list[Run],
        query=("status", "limit", "offset"),
    ),
    Operation("GET", _RUN, get, "Read a run", None, Run),
    Operation("DELETE", _RUN, delete, "Delete a run that is over", None, None, 204),
    Operation("GET", f"{_RUN}/join", join, "Wait for the output of a run", query=_JOIN_QUERY),
    Operation(
        "GET", f"{_RUN}/stream", join_stream, "Stream the events of a run", None, str, query=_STREAM_QUERY
    ),
    Operation("POST", f"{_RUN}/cancel", cancel, "Cancel a run", None, None, 202, query=_CANCEL_QUERY),
    Operation("POST", "/runs", create, "Start a run on a thread of its own", RunBody, Run),
    Operation("POST", "/runs/wait", create_and_wait, "Run on a thread of its own and wait", RunBody),
    Operation(
        "POST", "/runs/stream", create_and_stream, "Run on a thread of its own and stream", RunBody, str
    ),
    Operation("POST", "/runs/batch", create_batch, "Start several runs", list[RunBody], list[Run]),
    Operation(
        "POST", "/runs/cancel", cancel_many, "Cancel several runs", CancelBody, None, 204, query=("action",)
    ),
    Operation("GET", "/runs/{run_id}/wait", join, "Wait for the output of a run", query=_JOIN_QUERY),
    Operation(
        "GET",
        "/runs/{run_id}/stream",
        join_stream,
        "Stream the events of a run",
        None,
        str,
        query=_STREAM_QUERY,
    ),
]
