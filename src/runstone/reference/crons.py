"""The rows of crons, and the moments at which they are due."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from runstone.reference.bodies import RunBody
from runstone.reference.database import Database, Where
from runstone.reference.errors import Invalid, NotFound
from runstone.reference.wire import now

OnRunCompleted = Literal["delete", "keep"]

_FIELDS = 5  # minute, hour, day, month, weekday; the library would take seconds too, which no client expects
_COLUMNS = (
    "cron_id, assistant_id, thread_id, schedule, timezone, end_time, next_run_date, payload, enabled,"
    " on_run_completed, created_at, updated_at"
)


class Cron(msgspec.Struct):
    """A cron on the wire: `payload` is the body of the runs that it makes; times are UTC.

    `next_run_date` is null when no run is to come before `end_time`.
    """

    cron_id: str
    assistant_id: str
    thread_id: str | None
    schedule: str
    timezone: str | None
    end_time: str | None
    next_run_date: str | None
    payload: dict[str, Any]
    enabled: bool
    on_run_completed: OnRunCompleted | None
    created_at: str
    updated_at: str
    metadata: dict[str, Any] = {}

    @property
    def body(self) -> RunBody:
        """The request that each of its runs is made of."""
        labels = self.metadata | {"cron_id": self.cron_id}
        kept: dict[str, Any] = {"on_completion": "keep"} if self.on_run_completed == "keep" else {}
        return msgspec.convert(self.payload | {"metadata": labels} | kept, RunBody)


class CronQuery(msgspec.Struct):
    """Which crons a search or a count is about."""

    assistant_id: str | None = None
    thread_id: str | None = None
    enabled: bool | None = None
    metadata: dict[str, Any] | None = None


class Crons:
    """Crons by owner; an owner of None (no authentication) sees them all.

    A cron goes with its thread and with its assistant: the rows refer to theirs. `changed` is set whenever
    the next moment at which one is due may have become another.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self.changed = asyncio.Event()

    def create(self, owner: str | None, cron: Cron) -> Cron:
        """Insert a cron that `drafted` made."""
        self._db.run(
            f"INSERT INTO crons (owner, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            *(owner, *_row(cron)),
        )
        self.changed.set()
        return self.get(owner, cron.cron_id)

    def get(self, owner: str | None, cron_id: str) -> Cron:
        """One cron. Raises NotFound."""
        where = _of(owner)
        where.add("cron_id = ?", cron_id)
        row = self._db.one(f"SELECT {_COLUMNS} FROM crons WHERE {where}", *where.values)  # noqa: S608
        if row is None:
            raise NotFound(f"cron {cron_id} does not exist")
        return _cron(row)

    def change(self, owner: str | None, cron: Cron) -> Cron:
        """Write a cron that was there and was changed; its next run is computed again. Raises Invalid."""
        cron.next_run_date = next_run(cron.schedule, cron.timezone, cron.end_time)
        cron.updated_at = now()
        assignments = ", ".join(f"{name} = ?" for name in _COLUMNS.split(", "))
        self._db.run(f"UPDATE crons SET {assignments} WHERE cron_id = ?", *_row(cron), cron.cron_id)  # noqa: S608
        self.changed.set()
        return self.get(owner, cron.cron_id)

    def delete(self, owner: str | None, cron_id: str) -> None:
        """Delete a cron. Raises NotFound."""
        self._db.run("DELETE FROM crons WHERE cron_id = ?", self.get(owner, cron_id).cron_id)

    def count(self, owner: str | None, query: CronQuery) -> int:
        """How many crons the query matches."""
        where = _matching(owner, query)
        return self._db.count(f"SELECT count(*) FROM crons WHERE {where}", *where.values)  # noqa: S608

    def search(
        self, owner: str | None, query: CronQuery, *, order: str, limit: int, offset: int
    ) -> list[Cron]:
        """One page of the crons that the query matches."""
        where = _matching(owner, query)
        rows = self._db.all(
            f"SELECT {_COLUMNS} FROM crons WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608
            *(*where.values, limit, offset),
        )
        return [_cron(row) for row in rows]

    def due(self) -> list[tuple[str | None, Cron]]:
        """The crons whose moment has come, each after its owner; the longest overdue first."""
        rows = self._db.all(
            f"SELECT owner, {_COLUMNS} FROM crons WHERE enabled AND next_run_date <= ?"  # noqa: S608
            " ORDER BY next_run_date",
            now(),
        )
        return [(row["owner"], _cron(row)) for row in rows]

    def next_due(self) -> datetime | None:
        """The moment at which the next cron is due; None while none will be."""
        row = self._db.one("SELECT min(next_run_date) AS due FROM crons WHERE enabled")
        return datetime.fromisoformat(row["due"]) if row is not None and row["due"] else None

    def claim(self, cron: Cron) -> bool:
        """Move a due cron on to its next moment; False when it was changed or deleted since it was read.

        Moments that passed while no server was up are made up for by one run.
        """
        later = next_run(cron.schedule, cron.timezone, cron.end_time)
        sql = "UPDATE crons SET next_run_date = ? WHERE cron_id = ? AND enabled AND next_run_date = ?"
        return self._db.run(sql, later, cron.cron_id, cron.next_run_date) == 1


def drafted(
    body: RunBody,
    *,
    assistant_id: str,
    thread_id: str | None,
    schedule: str,
    timezone: str | None,
    end_time: datetime | None,
    enabled: bool,
    on_run_completed: OnRunCompleted | None,
) -> Cron:
    """A new cron, not yet written. Raises Invalid for a schedule, a timezone or an end that is none."""
    payload = {name: getattr(body, name) for name in RunBody.__struct_fields__}
    given = {name: value for name, value in payload.items() if value is not None and name != "metadata"}
    end, stamp = in_utc(end_time), now()
    return Cron(
        cron_id=str(uuid4()),
        assistant_id=assistant_id,
        thread_id=thread_id,
        schedule=schedule,
        timezone=timezone,
        end_time=end,
        next_run_date=next_run(schedule, timezone, end),
        payload=msgspec.to_builtins(given),
        enabled=enabled,
        on_run_completed=on_run_completed or ("delete" if thread_id is None else None),
        created_at=stamp,
        updated_at=stamp,
        metadata=body.metadata or {},
    )


def next_run(schedule: str, timezone: str | None, end: str | None) -> str | None:
    """The next moment that matches the schedule in the timezone; None if it comes after the end.

    Times are kept as `in_utc` writes them. Raises Invalid.
    """
    try:
        zone = ZoneInfo(timezone or "UTC")
    except (KeyError, ValueError, OSError):  # unknown; no name at all; a folder of names, like "America"
        raise Invalid(f"there is no timezone {timezone!r}") from None
    if len(schedule.split()) != _FIELDS:
        raise Invalid(f"a schedule has {_FIELDS} fields (minute hour day month weekday), not {schedule!r}")
    try:
        moment = next(CronSim(schedule, datetime.now(zone)), None)
    except CronSimError as error:
        raise Invalid(f"the schedule {schedule!r} is not a cron expression: {error}") from None
    if moment is None:
        raise Invalid(f"the schedule {schedule!r} never comes")
    due = in_utc(moment)
    return None if due is None or (end is not None and due > end) else due


def in_utc(time: datetime | None) -> str | None:
    """A time as it is kept: UTC, which one without a zone is taken for. Raises Invalid."""
    if time is None:
        return None
    try:
        moved = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError:
        raise Invalid(f"{time.isoformat()} is out of range") from None
    return moved.isoformat(timespec="microseconds")


def _of(owner: str | None) -> Where:
    where = Where()
    if owner is not None:
        where.add("owner = ?", owner)
    return where


def _matching(owner: str | None, query: CronQuery) -> Where:
    where = _of(owner)
    for column in ("assistant_id", "thread_id"):
        if (wanted := getattr(query, column)) is not None:
            where.add(f"{column} = ?", wanted.lower())
    if query.enabled is not None:
        where.add("enabled = ?", query.enabled)
    where.holds("json_extract(payload, '$.metadata')", query.metadata)
    return where


def _row(cron: Cron) -> tuple[Any, ...]:
    payload = msgspec.json.encode(cron.payload | {"metadata": cron.metadata}).decode()
    return (
        *(cron.cron_id, cron.assistant_id, cron.thread_id, cron.schedule, cron.timezone, cron.end_time),
        *(cron.next_run_date, payload, cron.enabled, cron.on_run_completed, cron.created_at, cron.updated_at),
    )


def _cron(row: sqlite3.Row) -> Cron:
    shown = {name: row[name] for name in _COLUMNS.split(", ")}
    payload = msgspec.json.decode(row["payload"])
    decoded = {"payload": payload, "metadata": payload["metadata"], "enabled": bool(row["enabled"])}
    return Cron(**(shown | decoded))
