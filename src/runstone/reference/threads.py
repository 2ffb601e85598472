"""The rows of threads."""

from __future__ import annotations

import sqlite3
from typing import Any, Literal
from uuid import uuid4

import msgspec

from runstone.reference.database import Database, Where
from runstone.reference.errors import Conflict, NotFound
from runstone.reference.wire import now

ThreadStatus = Literal["idle", "busy", "interrupted", "error"]
ThreadField = Literal["thread_id", "created_at", "updated_at", "metadata", "status", "values", "interrupts"]


class Thread(msgspec.Struct):
    """A thread on the wire. `values` is null before the first run; `interrupts` is keyed by task id."""

    thread_id: str
    created_at: str
    updated_at: str
    metadata: msgspec.Raw
    status: ThreadStatus
    values: msgspec.Raw
    interrupts: msgspec.Raw

    @property
    def labels(self) -> dict[str, Any]:
        """The metadata, decoded."""
        return msgspec.json.decode(self.metadata, type=dict[str, Any])

    @property
    def graph_id(self) -> str | None:
        """The graph that ran on this thread last; None before the first run."""
        graph_id = self.labels.get("graph_id")
        return graph_id if isinstance(graph_id, str) else None


class ThreadQuery(msgspec.Struct):
    """Which threads a search or a count is about."""

    ids: list[str] | None = None
    metadata: dict[str, Any] | None = None
    values: dict[str, Any] | None = None
    status: ThreadStatus | None = None


class Threads:
    """Threads by owner; an owner of None (no authentication) sees them all."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(
        self,
        owner: str | None,
        thread_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        if_exists: Literal["raise", "do_nothing"] = "raise",
    ) -> Thread:
        """Insert a thread. Raises Conflict when the id is taken, and never shows one of another owner."""
        thread_id = thread_id or str(uuid4())
        taken = self._db.one("SELECT owner FROM threads WHERE thread_id = ?", thread_id)
        if taken is None:
            stamp = now()
            self._db.run(
                "INSERT INTO threads (thread_id, owner, created_at, updated_at, metadata)"
                " VALUES (?, ?, ?, ?, ?)",
                *(thread_id, owner, stamp, stamp, _text(metadata or {})),
            )
        elif if_exists == "raise" or taken["owner"] != owner:
            raise Conflict(f"thread {thread_id} exists")
        return self.get(owner, thread_id)

    def get(self, owner: str | None, thread_id: str) -> Thread:
        """One thread. Raises NotFound."""
        where = _of(owner)
        where.add("thread_id = ?", thread_id)
        row = self._db.one(f"SELECT * FROM thread WHERE {where}", *where.values)  # noqa: S608
        if row is None:
            raise NotFound(f"thread {thread_id} does not exist")
        return _thread(row)

    def merge_metadata(self, thread: Thread, metadata: dict[str, Any]) -> None:
        """Merge keys into the metadata, one level deep."""
        labels = thread.labels
        if labels | metadata != labels:
            self._set(thread.thread_id, "metadata = ?", _text(labels | metadata))

    def touch(self, thread_id: str) -> None:
        """Advance `updated_at`."""
        self._set(thread_id)

    def settle(self, thread_id: str, resting: str | None, values: bytes, interrupts: bytes) -> None:
        """Note the state that a run or an update left; `resting` None keeps the status as it was before."""
        self._set(
            thread_id,
            'resting = coalesce(?, resting), "values" = ?, interrupts = ?',
            *(resting, values.decode(), interrupts.decode()),
        )

    def _set(self, thread_id: str, assignments: str = "thread_id = thread_id", *values: Any) -> None:
        sql = f"UPDATE threads SET updated_at = ?, {assignments} WHERE thread_id = ?"  # noqa: S608
        self._db.run(sql, now(), *values, thread_id)

    def delete(self, thread_id: str) -> None:
        """Delete a thread with its runs and their events (its checkpoints lie elsewhere)."""
        self._db.run("DELETE FROM threads WHERE thread_id = ?", thread_id)

    def count(self, owner: str | None, query: ThreadQuery) -> int:
        """How many threads the query matches."""
        where = _matching(owner, query)
        return self._db.count(f"SELECT count(*) FROM thread WHERE {where}", *where.values)  # noqa: S608

    def search(
        self, owner: str | None, query: ThreadQuery, *, order: str, limit: int, offset: int
    ) -> list[Thread]:
        """One page of the threads that the query matches."""
        where = _matching(owner, query)
        rows = self._db.all(
            f"SELECT * FROM thread WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608
            *(*where.values, limit, offset),
        )
        return [_thread(row) for row in rows]

    def of_assistant(self, owner: str | None, assistant_id: str) -> list[str]:
        """The ids of the threads whose last run was this assistant's."""
        query = ThreadQuery(metadata={"assistant_id": assistant_id})
        return [
            thread.thread_id for thread in self.search(owner, query, order="thread_id", limit=-1, offset=0)
        ]


def _of(owner: str | None) -> Where:
    where = Where()
    if owner is not None:
        where.add("owner = ?", owner)
    return where


def _matching(owner: str | None, query: ThreadQuery) -> Where:
    where = _of(owner)
    if query.ids is not None:
        where.add(
            "thread_id IN (SELECT value FROM json_each(?))", _text([each.lower() for each in query.ids])
        )
    if query.status is not None:
        where.add("status = ?", query.status)
    where.holds("metadata", query.metadata)
    where.holds('"values"', query.values)
    return where


def _thread(row: sqlite3.Row) -> Thread:
    return Thread(
        thread_id=row["thread_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        metadata=msgspec.Raw(row["metadata"]),
        status=row["status"],
        values=msgspec.Raw(row["values"]),
        interrupts=msgspec.Raw(row["interrupts"]),
    )


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
