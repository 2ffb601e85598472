"""The rows of runs and of the events that resumable runs keep."""

from __future__ import annotations

import sqlite3
import time
from typing import Any, Literal, NamedTuple
from uuid import uuid4

import msgspec

from runstone.reference.bodies import Plan, Strategy
from runstone.reference.database import Database
from runstone.reference.errors import NotFound
from runstone.reference.wire import at, now

RunStatus = Literal["pending", "running", "success", "error", "timeout", "interrupted"]
CALLER = (
    "langgraph_auth_user_id"  # the configurable value that tells a graph who is calling; the server sets it
)
ACTIVE: tuple[RunStatus, ...] = ("pending", "running")

_COLUMNS = (
    "run_id, thread_id, assistant_id, created_at, updated_at, status, metadata, kwargs, multitask_strategy"
)


class Run(msgspec.Struct):
    """A run on the wire: what was asked for and how far it is, never its result."""

    run_id: str
    thread_id: str
    assistant_id: str
    created_at: str
    updated_at: str
    status: RunStatus
    metadata: msgspec.Raw
    kwargs: msgspec.Raw
    multitask_strategy: Strategy

    @property
    def active(self) -> bool:
        """Whether it is still to end."""
        return self.status in ACTIVE

    @property
    def path(self) -> str:
        """Where it can be read."""
        return f"/threads/{self.thread_id}/runs/{self.run_id}"

    @property
    def plan(self) -> Plan:
        """The kwargs, decoded."""
        return msgspec.json.decode(self.kwargs, type=Plan)


class Job(NamedTuple):
    """What a worker needs to know to execute a run."""

    run_id: str
    thread_id: str
    assistant_id: str
    graph_id: str
    metadata: dict[str, Any]
    plan: Plan
    attempt: int


class NewRun(NamedTuple):
    """A run that was validated and not yet inserted."""

    thread_id: str
    assistant_id: str
    graph_id: str
    metadata: dict[str, Any]
    plan: Plan
    strategy: Strategy
    after_seconds: float


class StoredEvent(NamedTuple):
    """One event of a stream: its name, its data as JSON, and its number where the run is resumable."""

    name: str
    data: bytes
    number: int | None


class Runs:
    """Runs of all threads; who may see a thread is settled before."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(self, new: NewRun) -> Run:
        """Insert a pending run."""
        run_id, stamp, start_at = str(uuid4()), now(), time.time() + new.after_seconds
        # A delayed run counts as created when its time comes; both official servers have it so.
        created_at = at(start_at) if new.after_seconds else stamp
        self._db.run(
            f"INSERT INTO runs ({_COLUMNS}, graph_id, start_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            *(run_id, new.thread_id, new.assistant_id, created_at, stamp, "pending"),
            *(msgspec.json.encode(new.metadata).decode(), msgspec.json.encode(new.plan).decode()),
            *(new.strategy, new.graph_id, start_at),
        )
        return self.get(run_id, new.thread_id)

    def get(self, run_id: str, thread_id: str) -> Run:
        """One run of one thread. Raises NotFound."""
        row = self._db.one(
            f"SELECT {_COLUMNS} FROM runs WHERE run_id = ? AND thread_id = ?",  # noqa: S608
            *(run_id, thread_id),
        )
        if row is None:
            raise NotFound(f"run {run_id} does not exist on thread {thread_id}")
        return _run(row)

    def thread_of(self, run_id: str) -> str:
        """The thread that a run is on. Raises NotFound."""
        row = self._db.one("SELECT thread_id FROM runs WHERE run_id = ?", run_id)
        if row is None:
            raise NotFound(f"run {run_id} does not exist")
        return str(row["thread_id"])

    def page(self, thread_id: str, status: str | None, limit: int, offset: int) -> list[Run]:
        """The runs of a thread, newest first."""
        rows = self._db.all(
            f"SELECT {_COLUMNS} FROM runs WHERE thread_id = ?1 AND (?2 IS NULL OR status = ?2)"  # noqa: S608
            " ORDER BY number DESC LIMIT ?3 OFFSET ?4",
            *(thread_id, status, limit, offset),
        )
        return [_run(row) for row in rows]

    def active(self, thread_id: str) -> list[Run]:
        """The runs of a thread that are pending or running, oldest first."""
        rows = self._db.all(
            f"SELECT {_COLUMNS} FROM runs WHERE thread_id = ? AND status IN ('pending', 'running')"  # noqa: S608
            " ORDER BY number",
            thread_id,
        )
        return [_run(row) for row in rows]

    def with_status(self, statuses: tuple[str, ...], owner: str | None) -> list[Run]:
        """All runs of an owner in one of these statuses."""
        rows = self._db.all(
            f"SELECT {_COLUMNS} FROM runs WHERE status IN (SELECT value FROM json_each(?1)) AND "  # noqa: S608
            "(?2 IS NULL OR thread_id IN (SELECT thread_id FROM threads WHERE owner = ?2)) ORDER BY number",
            *(msgspec.json.encode(statuses).decode(), owner),
        )
        return [_run(row) for row in rows]

    def threads_with_work(self) -> list[str]:
        """The threads that have a run which is pending or running."""
        rows = self._db.all("SELECT DISTINCT thread_id FROM runs WHERE status IN ('pending', 'running')")
        return [row["thread_id"] for row in rows]

    def start_next(self, thread_id: str) -> Job | float | None:
        """Mark the thread's next run as running and answer it, or the seconds until one is due, or None.

        To be called while nothing executes on the thread: a row that says `running` is then one that a killed
        server left behind, and comes first. Otherwise the oldest run that is due.
        """
        row = self._db.one(
            # The number first: a row may hold megabytes, which the sorter would copy.
            "SELECT run_id, thread_id, assistant_id, graph_id, metadata, kwargs, attempt, start_at FROM runs"
            " WHERE number ="
            " (SELECT number FROM runs WHERE thread_id = ?1 AND status IN ('pending', 'running')"
            " ORDER BY status = 'running' DESC, CASE WHEN start_at <= ?2 THEN 0 ELSE start_at END, number"
            " LIMIT 1)",
            *(thread_id, time.time()),
        )
        if row is None:
            return None
        if (seconds := row["start_at"] - time.time()) > 0:
            return float(seconds)
        attempt = row["attempt"] + 1
        self._db.run(
            "UPDATE runs SET status = 'running', attempt = ?, updated_at = ? WHERE run_id = ?",
            *(attempt, now(), row["run_id"]),
        )
        plan = msgspec.json.decode(row["kwargs"], type=Plan)
        metadata = msgspec.json.decode(row["metadata"])
        return Job(row["run_id"], thread_id, row["assistant_id"], row["graph_id"], metadata, plan, attempt)

    def end(self, run_id: str, status: RunStatus, output: bytes) -> None:
        """Note how a run ended and what it answers from now on. A terminal status is never overwritten."""
        self._db.run(
            "UPDATE runs SET status = ?, output = ?, updated_at = ?"
            " WHERE run_id = ? AND status IN ('pending', 'running')",
            *(status, output.decode(), now(), run_id),
        )

    def output(self, run_id: str) -> bytes:
        """What wait and join answer for a run that ended."""
        row = self._db.one("SELECT output FROM runs WHERE run_id = ?", run_id)
        if row is None or row["output"] is None:
            raise NotFound(f"run {run_id} has no output")
        return str(row["output"]).encode()

    def delete(self, run_id: str) -> None:
        """Delete a run and its events."""
        self._db.run("DELETE FROM runs WHERE run_id = ?", run_id)

    def keep_event(self, run_id: str, event: StoredEvent) -> None:
        """Keep an event of a resumable run."""
        self._db.run("INSERT INTO events VALUES (?, ?, ?, ?)", run_id, event.number, event.name, event.data)

    def last_event(self, run_id: str) -> int:
        """The number of the last event kept; -1 when there is none."""
        return self._db.count("SELECT coalesce(max(number), -1) FROM events WHERE run_id = ?", run_id)

    def events_after(self, run_id: str, number: int) -> list[StoredEvent]:
        """The kept events with a higher number, in order."""
        rows = self._db.all(
            "SELECT name, data, number FROM events WHERE run_id = ? AND number > ? ORDER BY number",
            *(run_id, number),
        )
        return [StoredEvent(*row) for row in rows]


def _run(row: sqlite3.Row) -> Run:
    return Run(
        run_id=row["run_id"],
        thread_id=row["thread_id"],
        assistant_id=row["assistant_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        status=row["status"],
        metadata=msgspec.Raw(row["metadata"]),
        kwargs=msgspec.Raw(row["kwargs"]),
        multitask_strategy=row["multitask_strategy"],
    )
