"""Who listens to a run: each listener gets each event, and knows when the run has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import TypeVar

from runstone.reference.runs import StoredEvent

# Proxies and clients commonly give up after 15 to 60 s of silence; official servers speak every 5 s.
SIGN_OF_LIFE_AFTER = 5.0
SIGN_OF_LIFE = b": heartbeat\n\n"
_SEPARATORS = [(mark.encode(), b"\\u%04x" % ord(mark)) for mark in "\x85\u2028\u2029"]

_Event = TypeVar("_Event")


class Channel:
    """The live side of one run, from its creation to its end."""

    def __init__(self) -> None:
        self._listeners: list[asyncio.Queue[StoredEvent | None]] = []
        self._ended = asyncio.Event()
        self._output = b"null"

    def publish(self, event: StoredEvent) -> None:
        """Hand an event to everybody who listens. A slow one delays nobody: each has a queue of its own."""
        for listener in self._listeners:
            listener.put_nowait(event)

    def close(self, output: bytes) -> None:
        """End all streams, and answer all who wait with the output."""
        if not self._ended.is_set():
            self._output = output
            self._ended.set()
            for listener in self._listeners:
                listener.put_nowait(None)

    def listen(self) -> asyncio.Queue[StoredEvent | None]:
        """A queue of the events from now on; None ends it."""
        listener: asyncio.Queue[StoredEvent | None] = asyncio.Queue()
        if self._ended.is_set():
            listener.put_nowait(None)
        self._listeners.append(listener)
        return listener

    def leave(self, listener: asyncio.Queue[StoredEvent | None]) -> None:
        """Stop listening."""
        self._listeners.remove(listener)

    async def output(self) -> bytes:
        """Wait for the end of the run; answers what wait and join answer."""
        await self._ended.wait()
        return self._output


async def waited(channel: Channel) -> AsyncIterator[bytes]:
    """The body of wait: a newline per silent interval, which JSON ignores, and the output at the end."""
    while True:
        try:
            async with asyncio.timeout(SIGN_OF_LIFE_AFTER):
                output = await channel.output()
        except TimeoutError:
            yield b"\n"
        else:
            yield output
            return


async def streamed(
    channel: Channel | None, kept: list[StoredEvent], modes: Collection[str] = ()
) -> AsyncIterator[bytes]:
    """The body of a stream: the kept events, then the live ones, filtered by mode; a comment when silent."""
    # Listening begins before the first byte is sent: nothing is published between `kept` and here.
    listener = channel.listen() if channel else None
    return _stream(channel, listener, kept, modes)


async def _stream(
    channel: Channel | None,
    listener: asyncio.Queue[StoredEvent | None] | None,
    kept: list[StoredEvent],
    modes: Collection[str],
) -> AsyncIterator[bytes]:
    for event in kept:
        if _wanted(event.name, modes):
            yield sse(event)
    if channel is None or listener is None:
        return
    try:
        async for live in heard(listener):
            if live is None:
                yield SIGN_OF_LIFE
            elif _wanted(live.name, modes):
                yield sse(live)
    finally:
        channel.leave(listener)


async def heard(listener: asyncio.Queue[_Event | None]) -> AsyncIterator[_Event | None]:
    """What a listener hears until the end; None where it was silent so long that a sign of life is due."""
    while True:
        try:
            async with asyncio.timeout(SIGN_OF_LIFE_AFTER):
                event = await listener.get()
        except TimeoutError:
            yield None
            continue
        if event is None:
            return
        yield event


def sse(event: StoredEvent) -> bytes:
    """One event as text/event-stream. JSON holds no line ends, so its data is one line.

    Not even for clients that take Unicode's line separators for line ends, as httpx's `iter_lines` does.
    """
    data = event.data
    for separator, escaped in _SEPARATORS:
        data = data.replace(separator, escaped)
    number = b"" if event.number is None else b"id: %d\n" % event.number
    return b"%sevent: %s\ndata: %s\n\n" % (number, event.name.encode(), data)


def _wanted(name: str, modes: Collection[str]) -> bool:
    """Whether a stream that asked for these modes gets this event (`messages-tuple` is named `messages`)."""
    if not modes:
        return True
    mode = name.partition("|")[0].partition("/")[0]
    return (
        mode in modes or mode in ("metadata", "error") or (mode == "messages" and "messages-tuple" in modes)
    )
