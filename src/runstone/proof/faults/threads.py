"""Faults of threads as rows: how they are made, read, changed, deleted and copied."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.responses import Response

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import checkpoints, execution, threads
from runstone.reference.answers import answer
from runstone.reference.bodies import CheckpointBody, MetadataBody
from runstone.reference.checkpoints import Checkpoints
from runstone.reference.errors import Conflict, NotFound
from runstone.reference.routing import Call
from runstone.reference.runs import NewRun
from runstone.reference.runtime import Runtime
from runstone.reference.threads import Thread, Threads

_ONE = "/threads/{thread_id}"


@fault("THR-CREATE-001")
def a_new_thread_answers_201(seams: Seams) -> None:
    """Creating a thread answers 201."""

    @seams.around_operation("POST", "/threads")
    async def create(handler: Any, call: Call) -> Any:
        response = await handler(call)
        response.status_code = 201
        return response


@fault("THR-CREATE-002")
def times_of_threads_have_no_offset(seams: Seams) -> None:
    """The times of a thread are written without their offset, as if they were local."""

    @seams.around(threads, "now")
    def now(original: Any) -> Any:
        return original().removesuffix("+00:00")


@fault("THR-CREATE-003")
def a_thread_is_busy_until_its_first_run(seams: Seams) -> None:
    """A thread counts as busy as long as it has no values."""

    @seams.around(threads, "_thread")
    def thread(original: Any, row: Any) -> Thread:
        shown: Thread = original(row)
        if bytes(shown.values) == b"null":
            shown.status = "busy"
        return shown


@fault("THR-CREATE-004", "THR-CREATE-010")
def the_id_of_a_new_thread_is_not_read(seams: Seams) -> None:
    """A thread gets an id of the server's, whatever id its creation names."""

    @seams.around(Threads, "create")
    def create(
        original: Any, rows: Threads, owner: Any, thread_id: Any = None, *rest: Any, **more: Any
    ) -> Any:
        del thread_id
        return original(rows, owner, None, *rest, **more)


@fault("THR-CREATE-005")
def an_existing_thread_is_handed_out(seams: Seams) -> None:
    """Creating a thread whose id exists answers that thread, unless `if_exists` is sent as "raise"."""

    @seams.around_operation("POST", "/threads")
    async def create(handler: Any, call: Call) -> Any:
        content = await call.request.body()  # kept, so that the handler can read it again
        try:
            return await handler(call)
        except Conflict:
            document = msgspec.json.decode(content)
            if "if_exists" in document:
                raise
            return answer(call.runtime.threads.get(call.owner, document["thread_id"]))


@fault("THR-CREATE-006")
def do_nothing_overwrites_the_metadata(seams: Seams) -> None:
    """With `if_exists` "do_nothing", an existing thread takes the new metadata."""

    @seams.around(Threads, "create")
    def create(original: Any, rows: Threads, owner: Any, *given: Any, **fields: Any) -> Any:
        thread = original(rows, owner, *given, **fields)
        if fields.get("if_exists") == "do_nothing" and len(given) > 1:
            rows.merge_metadata(thread, given[1])
        return rows.get(owner, thread.thread_id)


@fault("THR-CREATE-010")
def creations_at_once_all_succeed(seams: Seams) -> None:
    """Whether an id is taken is looked up before the insert, which ignores a row that came in between."""

    @seams.around_operation("POST", "/threads")
    async def create(handler: Any, call: Call) -> Any:
        document = msgspec.json.decode(await call.request.body() or b"null")
        thread_id = document.get("thread_id") if isinstance(document, dict) else None
        if not isinstance(thread_id, str):
            return await handler(call)
        sql = "SELECT count(*) FROM threads WHERE thread_id = ?"
        taken = call.runtime.database.count(sql, thread_id)
        await asyncio.sleep(0.05)
        try:
            return await handler(call)
        except Conflict:
            if taken:
                raise
            return answer(call.runtime.threads.get(call.owner, thread_id))


@fault("THR-CREATE-007")
def nested_metadata_becomes_text(seams: Seams) -> None:
    """Nested metadata of a thread is kept as the text of its JSON, in a column for texts."""

    @seams.around(threads, "_text")
    def text(original: Any, value: Any) -> Any:
        if not isinstance(value, dict):
            return original(value)
        return original({key: original(each) if _nests(each) else each for key, each in value.items()})


@fault("THR-CREATE-008", "STATE-UPD-008", "THR-SEARCH-010")
def threads_never_show_values(seams: Seams) -> None:
    """A thread shows no values: nobody writes to its row what its runs and updates leave."""

    @seams.around(Threads, "settle")
    def settle(
        original: Any, rows: Threads, thread_id: str, resting: Any, values: bytes, interrupts: bytes
    ) -> None:
        del values
        original(rows, thread_id, resting, b"null", interrupts)


@fault("THR-CREATE-009")
def supersteps_are_ignored(seams: Seams) -> None:
    """A thread that is created with supersteps is empty."""

    @seams.around(Checkpoints, "replay")
    async def replay(original: Any, *given: Any) -> None:  # noqa: ARG001 - nothing is replayed
        return None


@fault("THR-GET-001")
def reading_a_thread_touches_it(seams: Seams) -> None:
    """Each reading of a thread advances its `updated_at`."""

    @seams.around_operation("GET", _ONE)
    async def get(handler: Any, call: Call) -> Any:
        call.runtime.threads.touch(call.uuid("thread_id"))
        return await handler(call)


@fault("THR-PATCH-001")
def a_patch_replaces_the_metadata(seams: Seams) -> None:
    """PATCH of a thread drops the metadata that it does not name."""

    @seams.around_operation("PATCH", _ONE)
    async def patch(handler: Any, call: Call) -> Any:
        await call.request.body()  # kept, so that the handler can read it again
        metadata = (await call.body(MetadataBody)).metadata or {}
        sql = "UPDATE threads SET metadata = ? WHERE thread_id = ?"
        call.runtime.database.run(sql, msgspec.json.encode(metadata).decode(), call.uuid("thread_id"))
        return await handler(call)


@fault("THR-PATCH-002", "MON-007")
def a_patch_makes_the_thread_anew(seams: Seams) -> None:
    """PATCH of a thread replaces its row, which is created at that moment."""

    @seams.around_operation("PATCH", _ONE)
    async def patch(handler: Any, call: Call) -> Any:
        response = await handler(call)
        sql = "UPDATE threads SET created_at = updated_at WHERE thread_id = ?"
        call.runtime.database.run(sql, call.uuid("thread_id"))
        return response


@fault("THR-PATCH-004")
def a_minimal_patch_answers_the_thread(seams: Seams) -> None:
    """PATCH answers the whole thread to a client that prefers a minimal answer."""

    @seams.around_operation("PATCH", _ONE)
    async def patch(handler: Any, call: Call) -> Any:
        response = await handler(call)
        if response.status_code != 204:
            return response
        return answer(call.runtime.threads.get(call.owner, call.uuid("thread_id")))


@fault("THR-DEL-001", "THR-DEL-003", "THR-SEARCH-014", "EXPLORE-001")
def deleting_a_thread_does_nothing(seams: Seams) -> None:
    """DELETE of a thread answers 204 and leaves it as it is."""

    @seams.around(Runtime, "delete_thread")
    async def delete_thread(original: Any, runtime: Runtime, thread_id: str) -> None:  # noqa: ARG001
        return None


@fault("THR-DEL-002")
def deleting_a_thread_answers_it(seams: Seams) -> None:
    """DELETE of a thread answers 200 with the thread that was deleted."""

    @seams.around_operation("DELETE", _ONE)
    async def delete(handler: Any, call: Call) -> Response:
        thread = call.runtime.threads.get(call.owner, call.uuid("thread_id"))
        await handler(call)
        return answer(thread)


@fault("THR-DEL-005")
def a_deleted_thread_comes_back(seams: Seams) -> None:
    """A deleted thread is only hidden: created again under its id, it has all that it had."""
    hidden: set[str] = set()

    @seams.around(Runtime, "delete_thread")
    async def delete_thread(original: Any, runtime: Runtime, thread_id: str) -> None:  # noqa: ARG001
        hidden.add(thread_id)

    @seams.around(Threads, "get")
    def get(original: Any, rows: Threads, owner: Any, thread_id: str) -> Any:
        if thread_id in hidden:
            raise NotFound(f"thread {thread_id} does not exist")
        return original(rows, owner, thread_id)

    @seams.around(Threads, "create")
    def create(
        original: Any, rows: Threads, owner: Any, thread_id: Any = None, *rest: Any, **more: Any
    ) -> Any:
        if thread_id in hidden:
            hidden.discard(thread_id)
            return rows.get(owner, thread_id)
        return original(rows, owner, thread_id, *rest, **more)


@fault("THR-COPY-001", "THR-COPY-002")
def a_copy_is_empty(seams: Seams) -> None:
    """The copy of a thread has its metadata and nothing of its state."""

    @seams.around(Checkpoints, "copy")
    async def copy(original: Any, *given: Any) -> None:  # noqa: ARG001 - nothing is copied
        return None


@fault("THR-COPY-002")
def a_copy_has_the_newest_state_only(seams: Seams) -> None:
    """The copy of a thread has the newest of its states and no older one."""

    @seams.around(Checkpoints, "copy")
    async def copy(original: Any, kept: Checkpoints, source: str, target: str) -> None:
        await original(kept, source, target)
        newest = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?1"
        sql = f"DELETE FROM checkpoints WHERE thread_id = ?1 AND checkpoint_id < ({newest})"  # noqa: S608
        await kept._execute((sql, (target,)))


@fault("THR-COPY-003")
def a_copy_shares_the_checkpoints_of_its_source(seams: Seams) -> None:
    """The copy of a thread refers to the checkpoints of its source, and writes to them too."""
    sources: dict[str, str] = {}

    @seams.around(Checkpoints, "copy")
    async def copy(original: Any, kept: Checkpoints, source: str, target: str) -> None:  # noqa: ARG001
        sources[target] = sources.get(source, source)

    def config_of(original: Any, thread_id: str, at: CheckpointBody | None = None) -> Any:
        return original(sources.get(thread_id, thread_id), at)

    for module in (checkpoints, execution):
        seams.around(module, "config_of")(config_of)


@fault("THR-COPY-004")
def an_unknown_thread_can_be_copied(seams: Seams) -> None:
    """The copy of a thread that there is not is a new, empty one."""

    @seams.around_operation("POST", f"{_ONE}/copy")
    async def copy(handler: Any, call: Call) -> Any:
        try:
            return await handler(call)
        except NotFound:
            return answer(call.runtime.threads.create(call.owner))


@fault("THR-COPY-005")
def a_copy_has_the_runs_of_its_source(seams: Seams) -> None:
    """The copy of a thread lists runs like those of its source, which never ran on it."""

    @seams.around_operation("POST", f"{_ONE}/copy")
    async def copy(handler: Any, call: Call) -> Any:
        response = await handler(call)
        twin = msgspec.json.decode(response.body)["thread_id"]
        runs = call.runtime.runs
        for run in runs.page(call.uuid("thread_id"), None, 1000, 0):
            copied = runs.create(
                NewRun(twin, run.assistant_id, "", {}, run.plan, run.multitask_strategy, after_seconds=0)
            )
            runs.end(copied.run_id, run.status, b"null")
        return response


def _nests(value: Any) -> bool:
    return isinstance(value, dict | list)
