"""Who listens to a thread: to all of its runs, one after the other, and to updates of its state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any, Literal, NamedTuple

from runstone.reference.channels import SIGN_OF_LIFE, heard, sse
from runstone.reference.database import Database
from runstone.reference.runs import StoredEvent
from runstone.reference.wire import encode

# What a listener may ask for: the events of runs, their beginnings and ends, updates from outside.
FeedMode = Literal["run_modes", "lifecycle", "state_update"]


class FeedEvent(NamedTuple):
    """One event of a thread, and the mode that it belongs to."""

    mode: FeedMode
    event: StoredEvent


class Feeds:
    """The live side of every thread that somebody listens to, and the events that outlast it.

    Kept are the events of resumable runs, and what was told beside them. Their numbers rise over all threads.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._listeners: dict[str, list[asyncio.Queue[FeedEvent | None]]] = {}
        self._closed = False

    def publish(self, thread_id: str, mode: FeedMode, name: str, data: bytes, *, keep: bool = False) -> None:
        """Hand an event to everybody who listens to the thread; `keep` it for those who come back."""
        number = None
        if keep:
            self._db.run("INSERT INTO feed VALUES (NULL, ?, ?, ?, ?)", thread_id, mode, name, data)
            number = self._db.count("SELECT last_insert_rowid()")
        for listener in self._listeners.get(thread_id, ()):
            listener.put_nowait(FeedEvent(mode, StoredEvent(name, data, number)))

    def run_began(self, thread_id: str, run_id: str) -> None:
        """Tell that a run was started."""
        self.publish(thread_id, "lifecycle", "metadata", encode({"run_id": run_id}))

    def run_ended(self, thread_id: str, run_id: str) -> None:
        """Tell that a run is over, however it ended."""
        self.publish(thread_id, "lifecycle", "metadata", encode({"run_id": run_id, "status": "run_done"}))

    def state_updated(self, thread_id: str, update: dict[str, Any]) -> None:
        """Tell of an update of the thread's state that no run made."""
        self.publish(thread_id, "state_update", "state_update", encode(update))

    def kept_after(self, thread_id: str, number: int) -> list[FeedEvent]:
        """The kept events of a thread with a higher number, in order."""
        rows = self._db.all(
            "SELECT mode, name, data, number FROM feed WHERE thread_id = ? AND number > ? ORDER BY number",
            *(thread_id, number),
        )
        return [FeedEvent(row["mode"], StoredEvent(row["name"], row["data"], row["number"])) for row in rows]

    def listen(self, thread_id: str) -> asyncio.Queue[FeedEvent | None]:
        """A queue of the thread's events from now on; None ends it."""
        listener: asyncio.Queue[FeedEvent | None] = asyncio.Queue()
        self._listeners.setdefault(thread_id, []).append(listener)
        if self._closed:
            listener.put_nowait(None)
        return listener

    def leave(self, thread_id: str, listener: asyncio.Queue[FeedEvent | None]) -> None:
        """Stop listening."""
        self._listeners[thread_id].remove(listener)
        if not self._listeners[thread_id]:
            del self._listeners[thread_id]

    def close(self, thread_id: str | None = None) -> None:
        """End the streams of a thread, or of all of them for good."""
        self._closed = self._closed or thread_id is None
        for each in list(self._listeners) if thread_id is None else [thread_id]:
            for listener in self._listeners.get(each, ()):
                listener.put_nowait(None)


async def followed(
    feeds: Feeds, thread_id: str, modes: Collection[FeedMode], after: int | None
) -> AsyncIterator[bytes]:
    """The body of a thread's stream: the kept events after a number, and then the live ones of all runs."""
    # As with the stream of a run: listening begins before anything is read, so nothing falls in between.
    listener = feeds.listen(thread_id)
    kept = feeds.kept_after(thread_id, after) if after is not None else []
    return _followed(feeds, thread_id, modes, kept, listener)


async def _followed(
    feeds: Feeds,
    thread_id: str,
    modes: Collection[FeedMode],
    kept: list[FeedEvent],
    listener: asyncio.Queue[FeedEvent | None],
) -> AsyncIterator[bytes]:
    try:
        for past in kept:
            if past.mode in modes:
                yield sse(past.event)
        async for live in heard(listener):
            if live is None:
                yield SIGN_OF_LIFE
            elif live.mode in modes:
                yield sse(live.event)
    finally:
        feeds.leave(thread_id, listener)
