"""Faults of joining the stream of a run, and of going on after Last-Event-ID."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Collection
from typing import Any

from starlette.responses import Response

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, channels
from runstone.reference.answers import EVENT_STREAM, Listening
from runstone.reference.channels import Channel
from runstone.reference.errors import Conflict, NotFound
from runstone.reference.routing import Call
from runstone.reference.runs import Run, Runs, RunStatus, StoredEvent

_JOIN = "/threads/{thread_id}/runs/{run_id}/stream"
_IDLE_S = 7.0
_MOMENT_S = 0.15


@fault("JOIN-STREAM-001", "JOIN-STREAM-008")
def a_joined_stream_samples_the_events(seams: Seams) -> None:
    """A joined stream looks for an event every half second, and misses those in between."""

    @seams.around_operation("GET", _JOIN)
    async def join_stream(handler: Any, call: Call) -> Any:
        response = await handler(call)
        if isinstance(response, Listening):
            response._body = _sampled(response._body)
        return response


@fault("JOIN-STREAM-002")
def the_stream_of_an_ended_run_idles(seams: Seams) -> None:
    """Joining the stream of a run that has ended waits until an idle time of 7 s is over."""

    @seams.around(api_runs, "streamed")
    async def streamed(original: Any, channel: Channel | None, *given: Any) -> Any:
        body = await original(channel, *given)
        return body if channel is not None else _idle_before_the_end(body)


@fault("JOIN-STREAM-005")
def a_joined_stream_carries_every_mode(seams: Seams) -> None:
    """The `stream_mode` of a joined stream is not read."""

    @seams.around(api_runs, "_asked_modes")
    def asked_modes(original: Any, call: Call) -> list[str]:  # noqa: ARG001 - that is the fault
        return []


@fault("JOIN-STREAM-006")
def a_joined_mode_is_matched_by_its_whole_name(seams: Seams) -> None:
    """A joined stream of one mode leaves out its events of subgraphs, whose names are longer."""

    @seams.around(channels, "_wanted")
    def wanted(original: Any, name: str, modes: Collection[str]) -> bool:
        return bool(original(name, modes)) and (not modes or "|" not in name)


@fault("JOIN-STREAM-007")
def an_unknown_run_streams_nothing(seams: Seams) -> None:
    """Joining the stream of a run that there is not answers an empty stream."""

    @seams.around_operation("GET", _JOIN)
    async def join_stream(handler: Any, call: Call) -> Any:
        try:
            return await handler(call)
        except NotFound:
            return Response(b": no events\n\n", media_type=EVENT_STREAM)


@fault("RESUME-001")
def resumable_events_have_no_ids(seams: Seams) -> None:
    """The events of a resumable run are kept under numbers that no client is told."""

    @seams.around(channels, "sse")
    def sse(original: Any, event: StoredEvent) -> Any:
        return original(event._replace(number=None))


@fault("RESUME-002", "RESUME-005")
def event_ids_repeat(seams: Seams) -> None:
    """Two events that follow each other closely have the same id, and resuming from it skips one."""

    @seams.around(channels, "sse")
    def sse(original: Any, event: StoredEvent) -> Any:
        number = None if event.number is None else event.number // 2
        return original(event._replace(number=number))

    @seams.around(api_runs, "_event_number")
    def event_number(original: Any, last_event_id: str) -> int:
        number: int = original(last_event_id)
        return number if number < 0 else 2 * number + 1


@fault("RESUME-003", "RESUME-005")
def a_resumed_stream_repeats_its_last_event(seams: Seams) -> None:
    """A resumed stream begins with the event of the Last-Event-ID, which the client has seen."""

    @seams.around(Runs, "events_after")
    def events_after(original: Any, rows: Runs, run_id: str, number: int) -> Any:
        return original(rows, run_id, number - 1)


@fault("RESUME-003", "RESUME-004")
def an_event_of_the_moment_comes_twice(seams: Seams) -> None:
    """An event that comes while a client joins is replayed to it, and then sent to it once more."""

    @seams.around(Channel, "publish")
    def publish(original: Any, channel: Channel, event: StoredEvent) -> None:
        channel.last = asyncio.get_running_loop().time(), event  # type: ignore[attr-defined]
        original(channel, event)

    @seams.around(Channel, "listen")
    def listen(original: Any, channel: Channel) -> Any:
        listener = original(channel)
        at, event = getattr(channel, "last", (0.0, None))
        if event is not None and asyncio.get_running_loop().time() - at < _MOMENT_S:
            listener.put_nowait(event)
        return listener


@fault("RESUME-004", "RESUME-005", "RETR-004")
def last_event_id_is_not_read(seams: Seams) -> None:
    """A stream goes on from now, whatever its Last-Event-ID."""

    @seams.around(Runs, "events_after")
    def events_after(original: Any, rows: Runs, *after: Any) -> list[StoredEvent]:  # noqa: ARG001
        return []


@fault("RESUME-004", "RETR-004")
def minus_one_means_from_now(seams: Seams) -> None:
    """The Last-Event-ID "-1" means the end of the stream, counted like an index from behind."""

    @seams.around(api_runs, "_event_number")
    def event_number(original: Any, last_event_id: str) -> int:
        number: int = original(last_event_id)
        return sys.maxsize if number == -1 else number


@fault("RESUME-005", "RETR-004")
def events_go_with_the_end_of_their_run(seams: Seams) -> None:
    """The events of a resumable run are deleted when it ends."""

    @seams.around(Runs, "end")
    def end(original: Any, rows: Runs, run_id: str, status: RunStatus, output: bytes) -> None:
        original(rows, run_id, status, output)
        rows._db.run("DELETE FROM events WHERE run_id = ?", run_id)


@fault("RESUME-006")
def last_event_id_needs_a_resumable_run(seams: Seams) -> None:
    """A Last-Event-ID for a run that keeps no events answers 409."""

    @seams.around(api_runs, "_stream")
    async def stream(original: Any, call: Call, run: Run, *rest: Any) -> Any:
        if "last-event-id" in call.request.headers and not run.plan.stream_resumable:
            raise Conflict(f"run {run.run_id} is not resumable")
        return await original(call, run, *rest)


@fault("RESUME-007")
def a_strange_event_id_crashes(seams: Seams) -> None:
    """A Last-Event-ID that is not a number raises inside the server, which answers 500."""

    @seams.around(api_runs, "_event_number")
    def event_number(original: Any, last_event_id: str) -> int:  # noqa: ARG001 - it would be careful
        return int(last_event_id)


async def _sampled(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop()
    looked_at = -1.0
    async for chunk in body:
        if clock.time() - looked_at >= 0.5:
            looked_at = clock.time()
            yield chunk


async def _idle_before_the_end(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in body:
        yield chunk
    await asyncio.sleep(_IDLE_S)
