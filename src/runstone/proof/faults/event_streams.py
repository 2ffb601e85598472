"""Faults of event streams on the wire: their headers, their lines, their comments, and when they are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, channels
from runstone.reference.runs import StoredEvent

_COMMENT = b": heartbeat\n\n"


@fault("SSE-001")
def streams_are_labelled_as_text(seams: Seams) -> None:
    """A stream is answered with Content-Type text/plain."""
    seams.put(api_runs, "EVENT_STREAM", "text/plain")


@fault("SSE-002", "SSE-003")
def indented_data_breaks_the_lines(seams: Seams) -> None:
    """The data of an event is indented JSON, of which only the first line is marked as data."""

    @seams.around(channels, "sse")
    def sse(original: Any, event: StoredEvent) -> bytes:
        frame: bytes = original(event._replace(data=b"null"))
        return frame.replace(b"data: null\n", b"data: %s\n" % msgspec.json.format(event.data))


@fault("SSE-004")
def data_stands_on_many_lines(seams: Seams) -> None:
    """The data of an event is indented JSON, one data line for each of its lines."""

    @seams.around(channels, "sse")
    def sse(original: Any, event: StoredEvent) -> bytes:
        frame: bytes = original(event._replace(data=b"null"))
        lines = [b"data: %s\n" % line for line in msgspec.json.format(event.data).split(b"\n")]
        return frame.replace(b"data: null\n", b"".join(lines))


@fault("SSE-003")
def events_are_named_in_their_data_only(seams: Seams) -> None:
    """The `metadata` event has no name: what it is stands in its data."""

    @seams.around(channels, "sse")
    def sse(original: Any, event: StoredEvent) -> bytes:
        frame: bytes = original(event)
        return frame.replace(b"event: metadata\n", b"") if event.name == "metadata" else frame


@fault("SSE-005", "TIME-001")
def streams_send_no_sign_of_life(seams: Seams) -> None:
    """A stream sends nothing while its graph is silent."""

    @seams.around(api_runs, "streamed")
    async def streamed(original: Any, *given: Any) -> AsyncIterator[bytes]:
        return _without_comments(await original(*given))


@fault("SSE-006")
def comments_stand_within_events(seams: Seams) -> None:
    """A sign of life may be sent between the name of an event and its data."""

    @seams.around(channels, "sse")
    def sse(original: Any, event: StoredEvent) -> bytes:
        frame: bytes = original(event)
        return frame.replace(b"\ndata: ", b"\n: heartbeat\ndata: ", 1)


@fault("SSE-007")
def streams_may_be_cached_and_buffered(seams: Seams) -> None:
    """The headers of a stream forbid neither caching nor buffering."""
    seams.put(api_runs, "STREAM_HEADERS", {})


@fault("SSE-008")
def streams_are_buffered(seams: Seams) -> None:
    """All events of a stream are sent at the end of the run."""

    @seams.around(api_runs, "streamed")
    async def streamed(original: Any, *given: Any) -> AsyncIterator[bytes]:
        return _at_the_end(await original(*given))


@fault("SSE-009", "TURN-004")
def streams_are_latin_1(seams: Seams) -> None:
    """The text of a stream is encoded as Latin-1, with a question mark for what that lacks."""

    @seams.around(channels, "sse")
    def sse(original: Any, event: StoredEvent) -> bytes:
        frame: bytes = original(event)
        return frame.decode().encode("latin-1", "replace")


async def _without_comments(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in body:
        if chunk != _COMMENT:
            yield chunk


async def _at_the_end(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b"".join([chunk async for chunk in body if chunk != _COMMENT])
