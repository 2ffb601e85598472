"""Faults of a thread's history, and of runs that begin at an earlier checkpoint of it."""

from __future__ import annotations

from typing import Any

import msgspec

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_threads, planning, scheduler
from runstone.reference.checkpoints import Checkpoints, Graph
from runstone.reference.routing import Call
from runstone.reference.runs import Job


@fault("HIST-001", "HIST-002")
def a_history_begins_with_the_oldest(seams: Seams) -> None:
    """The history of a thread answers the oldest state first."""

    @seams.around(Checkpoints, "history")
    async def history(original: Any, *given: Any, **rest: Any) -> Any:
        return (await original(*given, **rest))[::-1]


@fault("HIST-003")
def a_history_holds_the_last_run_only(seams: Seams) -> None:
    """A run takes the place of the history that runs before it left."""

    @seams.around(Checkpoints, "history")
    async def history(original: Any, *given: Any, **rest: Any) -> Any:
        found = await original(*given, **rest)
        return [each for each in found if each.metadata.get("run_id") == found[0].metadata.get("run_id")]


@fault("HIST-004", "STATE-UPD-003")
def states_have_no_parents(seams: Seams) -> None:
    """No state names the one that it was made from."""

    @seams.around(api_threads, "thread_state")
    def thread_state(original: Any, snapshot: Any) -> Any:
        return original(snapshot) | {"parent_checkpoint": None}


@fault("HIST-005")
def a_history_ignores_its_limit(seams: Seams) -> None:
    """A history answers up to a thousand states, whatever its `limit`."""

    @seams.around(Checkpoints, "history")
    async def history(original: Any, *given: Any, limit: int, **rest: Any) -> Any:
        del limit
        return await original(*given, limit=1000, **rest)


@fault("HIST-005", "HIST-011")
def before_includes_its_checkpoint(seams: Seams) -> None:
    """A history before a checkpoint begins with that checkpoint."""

    @seams.around(Checkpoints, "history")
    async def history(original: Any, *given: Any, limit: int, before: Any, **rest: Any) -> Any:
        found = await original(*given, limit=1000, before=None, **rest)
        ids = [each.config["configurable"]["checkpoint_id"] for each in found]
        return found[ids.index(before) if before in ids else 0 :][:limit]


@fault("HIST-006")
def a_history_answers_one_state_by_default(seams: Seams) -> None:
    """A history that names no `limit` answers one state."""

    @seams.around(api_threads, "_history")
    async def history(original: Any, call: Call, body: Any) -> Any:
        if call.request.method == "GET" and call.text("limit") is None:
            body = msgspec.structs.replace(body, limit=1)
        return await original(call, body)


@fault("HIST-007")
def a_history_ignores_metadata(seams: Seams) -> None:
    """A history ignores the `metadata` that narrows it."""

    @seams.around(Checkpoints, "history")
    async def history(original: Any, *given: Any, metadata: Any, **rest: Any) -> Any:
        del metadata
        return await original(*given, metadata=None, **rest)


@fault("HIST-008")
def a_history_ignores_the_namespace(seams: Seams) -> None:
    """The history of a subgraph is that of its parent."""

    @seams.around(Checkpoints, "history")
    async def history(original: Any, *given: Any, at: Any, **rest: Any) -> Any:
        del at
        return await original(*given, at=None, **rest)


@fault("HIST-010")
def states_do_not_tell_their_source(seams: Seams) -> None:
    """The metadata of a state holds what the client gave, and neither `source` nor `step`."""

    @seams.around(api_threads, "thread_state")
    def thread_state(original: Any, snapshot: Any) -> Any:
        metadata = {
            key: each for key, each in (snapshot.metadata or {}).items() if key not in ("source", "step")
        }
        return original(snapshot._replace(metadata=metadata))


@fault("FORK-001", "FORK-002", "STATE-004")
def a_run_ignores_its_checkpoint(seams: Seams) -> None:
    """A run begins at the newest state, whatever `checkpoint` says."""

    @seams.around(planning, "_checkpoint")
    def checkpoint(original: Any, *given: Any) -> None:  # noqa: ARG001 - it is not asked
        return None


@fault("FORK-001")
def a_branch_drops_the_old_one(seams: Seams) -> None:
    """A run from an earlier checkpoint deletes the states that came after it."""

    @seams.around(scheduler, "execute")
    async def execute(original: Any, graph: Graph, job: Job, kept: Checkpoints, publish: Any) -> None:
        if job.plan.checkpoint is not None:
            sql = "DELETE FROM checkpoints WHERE thread_id = ? AND checkpoint_id > ?"
            await kept._execute((sql, (job.thread_id, job.plan.checkpoint.checkpoint_id)))
        await original(graph, job, kept, publish)


@fault("FORK-003")
def an_unknown_checkpoint_is_an_empty_state(seams: Seams) -> None:
    """A run from a checkpoint that the thread does not have begins with nothing."""

    @seams.around(Checkpoints, "exists")
    async def exists(original: Any, *given: Any) -> bool:  # noqa: ARG001 - it is not asked
        return True
