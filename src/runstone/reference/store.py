"""The store: langgraph's own, with items that keep the time of their creation, and a part for each owner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langgraph.store.base import BaseStore, Item, ListNamespacesOp, MatchCondition, Op, Result, SearchOp
from langgraph.store.sqlite.aio import AsyncSqliteStore

# langgraph replaces the row of an item that is written again, and with it both of its times, which it counts
# in whole seconds. `made` carries the creation over from the old row to the new one, within one statement.
_TIMES = """
CREATE TABLE IF NOT EXISTS made (prefix TEXT, key TEXT, at TEXT NOT NULL, PRIMARY KEY (prefix, key));
CREATE TRIGGER IF NOT EXISTS before_put BEFORE INSERT ON store BEGIN
    INSERT OR REPLACE INTO made
        SELECT prefix, key, created_at FROM store WHERE prefix = NEW.prefix AND key = NEW.key;
END;
CREATE TRIGGER IF NOT EXISTS after_put AFTER INSERT ON store BEGIN
    UPDATE store SET
        updated_at = strftime('%Y-%m-%d %H:%M:%f'),
        created_at = coalesce((SELECT at FROM made WHERE prefix = NEW.prefix AND key = NEW.key),
                              strftime('%Y-%m-%d %H:%M:%f'))
        WHERE prefix = NEW.prefix AND key = NEW.key;
    DELETE FROM made WHERE prefix = NEW.prefix AND key = NEW.key;
END;
"""


@asynccontextmanager
async def open_store(path: Path) -> AsyncIterator[AsyncSqliteStore]:
    """The store in this file, which is made if it is not there."""
    async with AsyncSqliteStore.from_conn_string(str(path)) as store:
        await store.setup()
        await store.conn.executescript(_TIMES)
        yield store


def part_of(store: BaseStore, owner: str | None) -> BaseStore:
    """What an owner can reach of the store; without one (no authentication) all of it."""
    return store if owner is None else _Part(store, owner)


class _Part(BaseStore):
    """The namespaces of one owner, below a label that is put before theirs and never shown."""

    def __init__(self, whole: BaseStore, owner: str) -> None:
        self._whole = whole
        self._root = owner.encode().hex()  # a label holds no dot; a name may

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        return [_shown(result) for result in self._whole.batch([self._rooted(op) for op in ops])]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return [_shown(result) for result in await self._whole.abatch([self._rooted(op) for op in ops])]

    def _rooted(self, op: Op) -> Op:
        if isinstance(op, SearchOp):
            return op._replace(namespace_prefix=(self._root, *op.namespace_prefix))
        if not isinstance(op, ListNamespacesOp):
            return op._replace(namespace=(self._root, *op.namespace))
        prefixes = [each.path for each in op.match_conditions or () if each.match_type == "prefix"] or [()]
        others = [each for each in op.match_conditions or () if each.match_type != "prefix"]
        return op._replace(
            match_conditions=(*(MatchCondition("prefix", (self._root, *path)) for path in prefixes), *others),
            max_depth=None if op.max_depth is None else op.max_depth + 1,
        )


def _shown(result: Result) -> Result:
    if isinstance(result, Item):
        result.namespace = result.namespace[1:]
    elif isinstance(result, list):  # of items, or of namespaces
        shown: list[Any] = [_shown(each) if isinstance(each, Item) else each[1:] for each in result]
        return shown
    return result
