"""The rows: threads, runs, assistants, events and crons in one SQLite file.

Called straight from the event loop, on purpose: a statement on a warm WAL database takes 10 to 50 µs, a hop
to another thread and back takes 150, and code without an `await` cannot be interleaved, so each check and
the write that relies on it belong together without a lock. Checkpoints lie in a file of their own, so no
statement here waits for the checkpointer's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from runstone.reference.wire import contains

# A thread is busy exactly while it has a run that is pending or running. The view derives that, so the two
# cannot be seen to disagree; `resting` is what the thread is when no run is under way.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS assistants (
    assistant_id TEXT PRIMARY KEY, owner TEXT, graph_id TEXT NOT NULL, name TEXT NOT NULL, description TEXT,
    config TEXT NOT NULL, context TEXT NOT NULL, metadata TEXT NOT NULL, version INTEGER NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS assistant_versions (
    assistant_id TEXT NOT NULL REFERENCES assistants ON DELETE CASCADE, version INTEGER NOT NULL,
    document TEXT NOT NULL, PRIMARY KEY (assistant_id, version));
CREATE TABLE IF NOT EXISTS threads (
    thread_id TEXT PRIMARY KEY, owner TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    metadata TEXT NOT NULL, resting TEXT NOT NULL DEFAULT 'idle', "values" TEXT NOT NULL DEFAULT 'null',
    interrupts TEXT NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL UNIQUE,
    thread_id TEXT NOT NULL REFERENCES threads ON DELETE CASCADE, assistant_id TEXT NOT NULL,
    graph_id TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, status TEXT NOT NULL,
    metadata TEXT NOT NULL, kwargs TEXT NOT NULL, multitask_strategy TEXT NOT NULL, start_at REAL NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0, output TEXT);
CREATE INDEX IF NOT EXISTS runs_of_thread ON runs (thread_id, number);
CREATE INDEX IF NOT EXISTS active_runs ON runs (thread_id) WHERE status IN ('pending', 'running');
CREATE TABLE IF NOT EXISTS events (
    run_id TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE, number INTEGER NOT NULL,
    name TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (run_id, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS feed (
    number INTEGER PRIMARY KEY AUTOINCREMENT, thread_id TEXT NOT NULL REFERENCES threads ON DELETE CASCADE,
    mode TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS feed_of_thread ON feed (thread_id, number);
CREATE TABLE IF NOT EXISTS crons (
    cron_id TEXT PRIMARY KEY, owner TEXT, assistant_id TEXT NOT NULL REFERENCES assistants ON DELETE CASCADE,
    thread_id TEXT REFERENCES threads ON DELETE CASCADE, schedule TEXT NOT NULL, timezone TEXT, end_time TEXT,
    next_run_date TEXT, payload TEXT NOT NULL, enabled INTEGER NOT NULL, on_run_completed TEXT,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TEMP VIEW thread AS SELECT *, CASE WHEN EXISTS (
        SELECT 1 FROM runs WHERE runs.thread_id = threads.thread_id AND runs.status IN ('pending', 'running'))
    THEN 'busy' ELSE resting END AS status FROM threads;
"""


class Database:
    """One connection to the rows. Statements outside of `transaction` commit by themselves."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        self._connection.row_factory = sqlite3.Row
        # NORMAL survives a kill of the process at any moment; only a power cut can cost the last commits.
        self._connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;" + _SCHEMA
        )
        self._connection.create_function("contains", 2, _contains, deterministic=True)
        self._connection.create_function("folded", 1, str.casefold, deterministic=True)  # lower() knows ASCII

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block's statements, or none. The block must not await."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def run(self, sql: str, *values: Any) -> int:
        """Execute one statement; answers the number of rows that it changed."""
        return self._connection.execute(sql, values).rowcount

    def one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """The first row, or None."""
        row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Every row."""
        return self._connection.execute(sql, values).fetchall()

    def count(self, sql: str, *values: Any) -> int:
        """The single number that a `SELECT count(*)` answers."""
        return int(self._connection.execute(sql, values).fetchone()[0])

    def close(self) -> None:
        """Close the connection; the write-ahead log is folded into the file."""
        self._connection.close()


class Where:
    """Conditions of one query, joined by AND, with their values."""

    def __init__(self) -> None:
        self._conditions = ["1"]
        self.values: list[Any] = []

    def add(self, condition: str, *values: Any) -> None:
        """Add one more condition and the values of its question marks."""
        self._conditions.append(condition)
        self.values.extend(values)

    def holds(self, column: str, wanted: dict[str, Any] | None) -> None:
        """The column's JSON must contain these pairs, if there are any."""
        if wanted:
            self.add(f"contains({column}, ?)", msgspec.json.encode(wanted).decode())

    def __str__(self) -> str:
        return " AND ".join(self._conditions)


def _contains(document: str, wanted: str) -> bool:
    return contains(msgspec.json.decode(document), msgspec.json.decode(wanted))
