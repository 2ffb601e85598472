"""The store's file: langgraph's own, with items that keep the time of their creation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

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
