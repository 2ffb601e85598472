"""The rows of assistants: one for each graph that is there from the start, and those that clients make."""

from __future__ import annotations

import sqlite3
from typing import Any
from uuid import UUID, uuid4, uuid5

import msgspec

from runstone.reference.bodies import AssistantBody, AssistantPatch, ConfigBody
from runstone.reference.database import Database, Where
from runstone.reference.errors import Conflict, Forbidden, Invalid, NotFound
from runstone.reference.wire import now

# The namespace that every server of this API derives its default assistants from.
NAMESPACE = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")

_ROW = "assistant_id, graph_id, name, description, config, context, metadata, version, created_at, updated_at"


def default_assistant_id(graph_id: str) -> str:
    """The id of a graph's default assistant, the same on every server."""
    return str(uuid5(NAMESPACE, graph_id))


class Assistant(msgspec.Struct):
    """A graph with a configuration, as it is on the wire."""

    assistant_id: str
    graph_id: str
    name: str
    description: str | None
    config: dict[str, Any]
    context: dict[str, Any]
    metadata: dict[str, Any]
    version: int
    created_at: str
    updated_at: str


class AssistantQuery(msgspec.Struct):
    """Which assistants a search or a count is about; `name` matches a part, letter case apart."""

    graph_id: str | None = None
    metadata: dict[str, Any] | None = None
    name: str | None = None


class Assistants:
    """Assistants by owner. The default ones belong to nobody and are seen by everybody."""

    def __init__(self, database: Database, graph_ids: list[str]) -> None:
        self._db = database
        self._graph_ids = graph_ids
        self._defaults = {default_assistant_id(graph_id): graph_id for graph_id in graph_ids}

    def install_defaults(self) -> None:
        """Make sure that each graph has its default assistant."""
        for assistant_id, graph_id in self._defaults.items():
            if self._row(None, assistant_id) is None:
                self._insert(
                    assistant_id, None, AssistantBody(graph_id, name=graph_id), {"created_by": "system"}
                )

    def resolve(self, owner: str | None, name: str) -> Assistant:
        """The assistant of this id, or the default one of the graph of this name. Raises NotFound."""
        return self.get(owner, default_assistant_id(name) if name in self._graph_ids else name)

    def get(self, owner: str | None, assistant_id: str) -> Assistant:
        """One assistant. Raises NotFound."""
        row = self._row(owner, assistant_id.lower())
        if row is None or row["graph_id"] not in self._graph_ids:
            known = ", ".join(self._graph_ids)
            raise NotFound(f"there is no assistant {assistant_id!r}; the graphs are {known}")
        return _assistant(row)

    def create(self, owner: str | None, body: AssistantBody) -> Assistant:
        """Insert an assistant with version 1. Raises Conflict when the id is taken."""
        if body.graph_id not in self._graph_ids:
            raise NotFound(f"there is no graph {body.graph_id!r}")
        _check_config(body.config)
        assistant_id = body.assistant_id or str(uuid4())
        taken = self._db.one("SELECT owner FROM assistants WHERE assistant_id = ?", assistant_id)
        if taken is None:
            self._insert(assistant_id, owner, body, body.metadata or {})
        elif body.if_exists != "do_nothing" or taken["owner"] not in (owner, None):
            raise Conflict(f"assistant {assistant_id} exists")
        return self.get(owner, assistant_id)

    def patch(self, owner: str | None, assistant_id: str, patch: AssistantPatch) -> Assistant:
        """Make a new version: metadata is merged, the rest replaced. Raises NotFound."""
        old = self._own(owner, assistant_id)
        changes = {
            key: value for key, value in msgspec.structs.asdict(patch).items() if value is not msgspec.UNSET
        }
        if changes.get("graph_id", old.graph_id) not in self._graph_ids:
            raise NotFound(f"there is no graph {changes['graph_id']!r}")
        _check_config(changes.get("config"))
        if "metadata" in changes:
            changes["metadata"] = old.metadata | changes["metadata"]
        latest = self._db.count(
            "SELECT max(version) FROM assistant_versions WHERE assistant_id = ?", old.assistant_id
        )
        with self._db.transaction():
            self._activate(msgspec.structs.replace(old, **changes, version=latest + 1, updated_at=now()))
        return self.get(owner, assistant_id)

    def versions(
        self, owner: str | None, assistant_id: str, metadata: dict[str, Any] | None, limit: int, offset: int
    ) -> list[Assistant]:
        """All versions of an assistant, newest first."""
        where = Where()
        where.add("assistant_id = ?", self.get(owner, assistant_id).assistant_id)
        where.holds("json_extract(document, '$.metadata')", metadata)
        rows = self._db.all(
            f"SELECT document FROM assistant_versions WHERE {where} ORDER BY version DESC LIMIT ? OFFSET ?",  # noqa: S608
            *(*where.values, limit, offset),
        )
        return [msgspec.json.decode(row["document"], type=Assistant) for row in rows]

    def set_latest(self, owner: str | None, assistant_id: str, version: int) -> Assistant:
        """Bring an older version back. Raises NotFound."""
        own = self._own(owner, assistant_id)
        row = self._db.one(
            "SELECT document FROM assistant_versions WHERE assistant_id = ? AND version = ?",
            *(own.assistant_id, version),
        )
        if row is None:
            raise NotFound(f"assistant {assistant_id} has no version {version}")
        document = msgspec.json.decode(row["document"], type=Assistant)
        with self._db.transaction():
            self._activate(msgspec.structs.replace(document, updated_at=now()))
        return self.get(owner, assistant_id)

    def delete(self, owner: str | None, assistant_id: str) -> None:
        """Delete an assistant with its versions. Raises NotFound, and Conflict for a default one."""
        assistant = self._own(owner, assistant_id)
        if assistant.assistant_id in self._defaults:
            raise Conflict(f"assistant {assistant_id} is the default one of its graph and stays")
        self._db.run("DELETE FROM assistants WHERE assistant_id = ?", assistant.assistant_id)

    def count(self, owner: str | None, query: AssistantQuery) -> int:
        """How many assistants the query matches."""
        where = self._matching(owner, query)
        return self._db.count(f"SELECT count(*) FROM assistants WHERE {where}", *where.values)  # noqa: S608

    def search(
        self, owner: str | None, query: AssistantQuery, *, order: str, limit: int, offset: int
    ) -> list[Assistant]:
        """One page of the assistants that the query matches."""
        where = self._matching(owner, query)
        rows = self._db.all(
            f"SELECT {_ROW} FROM assistants WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608
            *(*where.values, limit, offset),
        )
        return [_assistant(row) for row in rows]

    def _matching(self, owner: str | None, query: AssistantQuery) -> Where:
        where = _visible_to(owner)
        where.add(
            "graph_id IN (SELECT value FROM json_each(?))", msgspec.json.encode(self._graph_ids).decode()
        )
        if query.graph_id is not None:
            where.add("graph_id = ?", query.graph_id)
        if query.name is not None:
            where.add("instr(folded(name), folded(?)) > 0", query.name)
        where.holds("metadata", query.metadata)
        return where

    def _row(self, owner: str | None, assistant_id: str) -> sqlite3.Row | None:
        where = _visible_to(owner)
        where.add("assistant_id = ?", assistant_id)
        return self._db.one(f"SELECT {_ROW} FROM assistants WHERE {where}", *where.values)  # noqa: S608

    def _own(self, owner: str | None, assistant_id: str) -> Assistant:
        assistant = self.get(owner, assistant_id)
        if assistant.assistant_id in self._defaults and owner is not None:
            raise Forbidden(f"assistant {assistant_id} belongs to the server")
        return assistant

    def _insert(
        self, assistant_id: str, owner: str | None, body: AssistantBody, metadata: dict[str, Any]
    ) -> None:
        stamp = now()
        assistant = Assistant(
            *(assistant_id, body.graph_id, body.name or "Untitled", body.description, body.config or {}),
            *(body.context or {}, metadata, 1, stamp, stamp),
        )
        with self._db.transaction():
            self._db.run(
                "INSERT INTO assistants (assistant_id, owner, graph_id, name, config, context, metadata,"
                " version, created_at, updated_at) VALUES (?, ?, ?, '', '{}', '{}', '{}', 0, ?, ?)",
                *(assistant_id, owner, body.graph_id, stamp, stamp),
            )
            self._activate(assistant)

    def _activate(self, assistant: Assistant) -> None:
        config, context, metadata = (
            msgspec.json.encode(each).decode()
            for each in (assistant.config, assistant.context, assistant.metadata)
        )
        self._db.run(
            "UPDATE assistants SET graph_id = ?, name = ?, description = ?, config = ?, context = ?,"
            " metadata = ?, version = ?, updated_at = ? WHERE assistant_id = ?",
            *(assistant.graph_id, assistant.name, assistant.description, config, context, metadata),
            *(assistant.version, assistant.updated_at, assistant.assistant_id),
        )
        self._db.run(
            "INSERT OR REPLACE INTO assistant_versions VALUES (?, ?, ?)",
            *(assistant.assistant_id, assistant.version, msgspec.json.encode(assistant).decode()),
        )


def _visible_to(owner: str | None) -> Where:
    where = Where()
    if owner is not None:
        where.add("(owner = ? OR owner IS NULL)", owner)
    return where


def _assistant(row: sqlite3.Row) -> Assistant:
    decoded = {key: msgspec.json.decode(row[key]) for key in ("config", "context", "metadata")}
    return Assistant(**(dict(row) | decoded))


def _check_config(config: dict[str, Any] | None) -> None:
    try:
        msgspec.convert(config or {}, ConfigBody)
    except msgspec.ValidationError as error:
        raise Invalid(f"the config does not fit: {error}") from None
