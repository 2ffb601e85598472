"""The state of threads: snapshots of a graph's checkpoints, and how they look on the wire."""

from __future__ import annotations

import logging
import sys
from typing import Any

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.pregel import Pregel
from langgraph.types import PregelTask, StateSnapshot, StateUpdate
from msgspec import Raw

from runstone.reference.bodies import CheckpointBody, Superstep
from runstone.reference.errors import Conflict, Invalid, NotFound
from runstone.reference.wire import encode, to_json_marked

Graph = Pregel[Any, Any, Any, Any]

_log = logging.getLogger(__name__)

# The checkpointer's columns beside the thread; langgraph copies a run's metadata to each of its checkpoints.
_CHECKPOINT = "checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
_WRITE = "checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value"
_RUN_ID = "json_extract(CAST(metadata AS TEXT), '$.run_id')"


class Checkpoints:
    """What the checkpointer keeps, thread by thread."""

    def __init__(self, saver: AsyncSqliteSaver) -> None:
        self.saver = saver

    async def state(
        self, graph: Graph, thread_id: str, at: CheckpointBody | None = None, *, subgraphs: bool = False
    ) -> StateSnapshot:
        """The state at a checkpoint, or the newest. Raises NotFound for one that the thread lacks."""
        config = config_of(thread_id, at)
        if at is not None and at.checkpoint_id and await self.saver.aget_tuple(config) is None:
            raise NotFound(f"checkpoint {at.checkpoint_id} does not exist on thread {thread_id}")
        try:
            return await graph.aget_state(config, subgraphs=subgraphs)
        except Exception as error:  # langgraph's for a namespace, or a reducer's for a write that is waiting
            if at is not None and at.checkpoint_ns:
                raise NotFound(f"no such state: {error}") from error
        # A node that is through wrote what its reducer does not take: the state is as before that write.
        saved = await self.saver.aget_tuple(config)
        try:
            return await graph.aget_state(saved.config if saved else config, subgraphs=subgraphs)
        except Exception as error:
            raise _misfit(thread_id, error) from error

    async def history(
        self,
        graph: Graph,
        thread_id: str,
        *,
        limit: int,
        before: str | None,
        metadata: dict[str, Any] | None,
        at: CheckpointBody | None,
    ) -> list[StateSnapshot]:
        """States, newest first; `before` is a checkpoint id, and only older ones are answered."""
        config = config_of(thread_id, at)
        older = config_of(thread_id, CheckpointBody(checkpoint_id=before)) if before else None
        try:
            states = graph.aget_state_history(config, filter=metadata, before=older, limit=limit)
            return [state async for state in states]
        except (ValueError, OverflowError) as error:  # a namespace, a key or a number that is none
            raise Invalid(f"no such history: {error}") from None
        except Exception as error:
            raise _misfit(thread_id, error) from error

    async def update(
        self, graph: Graph, thread_id: str, values: Any, as_node: str | None, at: CheckpointBody | None
    ) -> CheckpointBody:
        """Write one update through the graph's reducers; answers the checkpoint that it made."""
        await self.state(graph, thread_id, at)
        try:
            config = await graph.aupdate_state(config_of(thread_id, at), values, as_node)
        except Exception as error:  # reducers and branches of the graph raise what they like about a value
            raise Invalid(f"the update does not fit: {error}") from error
        return checkpoint_of(config) or CheckpointBody()

    async def replay(self, graph: Graph, thread_id: str, supersteps: list[Superstep]) -> None:
        """Build a history out of recorded updates."""
        steps = [[StateUpdate(each.values, each.as_node) for each in step.updates] for step in supersteps]
        try:
            await graph.abulk_update_state(config_of(thread_id), steps)
        except Exception as error:  # as in `update`
            raise Invalid(f"the supersteps do not fit: {error}") from error

    async def exists(self, thread_id: str, at: CheckpointBody) -> bool:
        """Whether the thread has this checkpoint."""
        return await self.saver.aget_tuple(config_of(thread_id, at)) is not None

    async def written_by(self, thread_id: str, run_id: str) -> bool:
        """Whether a run left a checkpoint of its own, from which it can go on."""
        sql = (
            "SELECT 1 FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''"  # noqa: S608
            f" AND {_RUN_ID} = ? LIMIT 1"
        )
        async with self.saver.lock, self.saver.conn.execute(sql, (thread_id, run_id)) as cursor:
            return await cursor.fetchone() is not None

    async def last_write(self) -> int:
        """A mark for `forget`: what is written to older checkpoints after it can be told apart."""
        async with self.saver.lock, self.saver.conn.execute("SELECT max(rowid) FROM writes") as cursor:
            row = await cursor.fetchone()
            return int(row[0] or 0) if row else 0

    async def drop_unfit_writes(self, graph: Graph, thread_id: str) -> None:
        """Drop the writes that wait on a thread if a reducer refuses one: its state could not be read."""
        try:
            await graph.aget_state(config_of(thread_id))
        except Exception as error:  # whatever the reducer raises
            _log.warning("thread %s: writes that do not fit are dropped (%s)", thread_id, error)
            head = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?1 AND checkpoint_ns = ''"
            sql = f"DELETE FROM writes WHERE thread_id = ?1 AND checkpoint_id = ({head})"  # noqa: S608
            await self._execute((sql, (thread_id,)))

    async def forget(self, thread_id: str, run_id: str, mark: int | None = None) -> None:
        """Delete the checkpoints of one run, and what it wrote to older ones after the mark."""
        own = f"SELECT checkpoint_id FROM checkpoints WHERE thread_id = ?1 AND {_RUN_ID} = ?2"  # noqa: S608
        writes = f"DELETE FROM writes WHERE thread_id = ?1 AND (rowid > ?3 OR checkpoint_id IN ({own}))"  # noqa: S608
        checkpoints = f"DELETE FROM checkpoints WHERE thread_id = ?1 AND {_RUN_ID} = ?2"  # noqa: S608
        after = mark if mark is not None else sys.maxsize
        await self._execute(
            (writes, (thread_id, run_id, after)),
            (checkpoints, (thread_id, run_id)),
        )

    async def copy(self, source: str, target: str) -> None:
        """Give the target thread a copy of all that the source has."""
        tables = (("checkpoints", _CHECKPOINT), ("writes", _WRITE))
        sql = "INSERT INTO {0} (thread_id, {1}) SELECT ?, {1} FROM {0} WHERE thread_id = ?"
        await self._execute(*((sql.format(table, rest), (target, source)) for table, rest in tables))

    async def delete(self, thread_id: str) -> None:
        """Delete all that a thread has."""
        await self.saver.adelete_thread(thread_id)

    async def _execute(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        async with self.saver.lock:
            for sql, values in statements:
                await self.saver.conn.execute(sql, values)
            await self.saver.conn.commit()


def _misfit(thread_id: str, error: Exception) -> Conflict:
    return Conflict(f"thread {thread_id} holds writes of another graph that this one does not take: {error}")


async def open_saver(connection: aiosqlite.Connection) -> AsyncSqliteSaver:
    """Prepare the checkpointer's file; see Database for why NORMAL is enough."""
    saver = AsyncSqliteSaver(connection)
    await saver.setup()
    await connection.execute("PRAGMA synchronous=NORMAL")
    return saver


def config_of(thread_id: str, at: CheckpointBody | None = None) -> RunnableConfig:
    """The config that names a thread, or one checkpoint of it."""
    configurable: dict[str, Any] = {"thread_id": thread_id}
    if at is not None:
        if at.checkpoint_id:
            configurable["checkpoint_id"] = at.checkpoint_id
        if at.checkpoint_id or at.checkpoint_ns:
            configurable["checkpoint_ns"] = at.checkpoint_ns
        if at.checkpoint_map:
            configurable["checkpoint_map"] = at.checkpoint_map
    return {"configurable": configurable}


def checkpoint_of(config: RunnableConfig | None) -> CheckpointBody | None:
    """The checkpoint that a config names, as it is handed to clients; None when it names none."""
    configurable = (config or {}).get("configurable", {})
    if not configurable.get("checkpoint_id"):
        return None
    return CheckpointBody(
        thread_id=configurable["thread_id"],
        checkpoint_ns=configurable.get("checkpoint_ns", ""),
        checkpoint_id=configurable["checkpoint_id"],
        checkpoint_map=configurable.get("checkpoint_map"),
    )


def checkpoint_json(config: RunnableConfig | None) -> dict[str, Any] | None:
    """`{thread_id, checkpoint_ns, checkpoint_id}` (and `checkpoint_map` in a subgraph), or None."""
    checkpoint = checkpoint_of(config)
    if checkpoint is None:
        return None
    shown = {
        "thread_id": checkpoint.thread_id,
        "checkpoint_ns": checkpoint.checkpoint_ns,
        "checkpoint_id": checkpoint.checkpoint_id,
    }
    return shown | ({"checkpoint_map": checkpoint.checkpoint_map} if checkpoint.checkpoint_map else {})


def thread_state(snapshot: StateSnapshot) -> dict[str, Any]:
    """A snapshot as the wire's ThreadState, ready for `encode`."""
    return {
        "values": Raw(to_json_marked(snapshot.values)),
        "next": list(snapshot.next),
        "tasks": [_task(task) for task in snapshot.tasks],
        "metadata": Raw(to_json_marked(snapshot.metadata or {})),
        "created_at": snapshot.created_at,
        "checkpoint": checkpoint_json(snapshot.config),
        "parent_checkpoint": checkpoint_json(snapshot.parent_config),
        "interrupts": Raw(to_json_marked(snapshot.interrupts)),
    }


def _task(task: PregelTask) -> dict[str, Any]:
    nested = task.state if isinstance(task.state, StateSnapshot) else None
    named = task.state if isinstance(task.state, dict) else {}
    return {
        "id": task.id,
        "name": task.name,
        "path": Raw(to_json_marked(task.path)),
        "error": None if task.error is None else str(task.error),
        "interrupts": Raw(to_json_marked(task.interrupts)),
        "checkpoint": named.get("configurable"),
        "state": thread_state(nested) if nested else None,
        "result": Raw(to_json_marked(task.result)),
    }


def empty_state() -> dict[str, Any]:
    """The ThreadState of a thread on which nothing ran yet."""
    return {
        "values": {},
        "next": [],
        "tasks": [],
        "metadata": {},
        "created_at": None,
        "checkpoint": None,
        "parent_checkpoint": None,
        "interrupts": [],
    }


def interrupts_by_task(snapshot: StateSnapshot) -> bytes:
    """What a thread shows as `interrupts`: task id → its open interrupts."""
    return encode(
        {task.id: Raw(to_json_marked(task.interrupts)) for task in snapshot.tasks if task.interrupts}
    )
