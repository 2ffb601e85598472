"""Faults that lie one step beside a promise: on another operation, in another status, after another event."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, app, channels, outcome, routing, runtime
from runstone.reference.assistants import Assistants
from runstone.reference.crons import Crons
from runstone.reference.routing import Call
from runstone.reference.runs import Runs, StoredEvent
from runstone.reference.scheduler import Scheduler
from runstone.reference.threads import Threads
from runstone.reference.wire import decode

_REPLAYED = 500
_POOL = 40
_MINUTE_S, _SWEEP_S = 60.0, 180.0
_MOMENT_S = 0.5

# Isolation


@fault("ISO-001", server="embedded-auth")
def another_user_copies_prunes_and_reads_checkpoints(seams: Seams) -> None:
    """A thread is copied and pruned, and its state at a checkpoint read, by whoever knows its id."""
    for method, path in (
        ("POST", "/threads/{thread_id}/copy"),
        ("POST", "/threads/prune"),
        ("POST", "/threads/{thread_id}/state/checkpoint"),
    ):
        seams.around_operation(method, path)(_as_anybody)


@fault("ISO-002", server="embedded-auth")
def another_user_cancels_many(seams: Seams) -> None:
    """The runs of another user are cancelled by their ids, with an answer that denies it."""

    async def cancel_many(handler: Any, call: Call) -> Any:
        await _as_anybody(handler, call)
        return await handler(call)

    seams.around_operation("POST", "/runs/cancel")(_cached(cancel_many))


@fault("ISO-003", server="embedded-auth")
def the_versions_of_assistants_are_open(seams: Seams) -> None:
    """The versions of an assistant are listed to every user."""
    seams.around_operation("POST", "/assistants/{assistant_id}/versions")(_as_anybody)


@fault("ISO-004", server="embedded-auth")
def crons_are_those_of_all_users(seams: Seams) -> None:
    """Crons are found, counted, read, changed and deleted by every user."""
    for name in ("get", "search", "count", "delete", "change"):

        @seams.around(Crons, name)
        def reached(original: Any, rows: Any, owner: Any, *given: Any, **rest: Any) -> Any:
            del owner
            return original(rows, None, *given, **rest)


@fault("ISO-005", server="embedded-auth")
def a_count_needs_no_credentials(seams: Seams) -> None:
    """The count of assistants asks for no credentials."""
    seams.put(routing, "_OPEN_PATHS", (*routing._OPEN_PATHS, "/assistants/count"))


@fault("ISO-006", server="embedded-auth")
def a_reader_may_copy(seams: Seams) -> None:
    """A token that only allows to read lets its user copy threads."""
    seams.put(routing, "_QUESTIONS", (*routing._QUESTIONS, "copy"))


async def _as_anybody(handler: Any, call: Call) -> Any:
    return await handler(replace(call, owner=None))


def _cached(handler: Any) -> Any:
    """A handler that may read the body of its request twice."""

    async def asked(original: Any, call: Call) -> Any:
        body = await call.request.body()

        class _Again(Call):
            async def body(self, shape: Any) -> Any:
                return decode(body, shape)

        return await handler(original, _Again(call.runtime, call.owner, call.request))

    return asked


# Threads in every status


@fault("STAT-001")
def a_thread_in_error_cannot_be_copied(seams: Seams) -> None:
    """Copying a thread whose last run failed answers 500."""

    async def copy(handler: Any, call: Call) -> Any:
        if call.runtime.threads.get(call.owner, call.uuid("thread_id")).status == "error":
            raise RuntimeError("the state of a failed run has tasks")
        return await handler(call)

    seams.around_operation("POST", "/threads/{thread_id}/copy")(copy)


@fault("STAT-002")
def paused_threads_are_not_found(seams: Seams) -> None:
    """A search by the status interrupted finds nothing."""

    @seams.around(Threads, "search")
    def search(original: Any, rows: Any, owner: Any, query: Any, **rest: Any) -> Any:
        return [] if query.status == "interrupted" else original(rows, owner, query, **rest)


@fault("STAT-003")
def a_run_does_not_advance_the_thread(seams: Seams) -> None:
    """A thread's updated_at stays what it was, whatever runs on it."""

    @seams.around(Threads, "get")
    def get(original: Any, rows: Any, *given: Any) -> Any:
        thread = original(rows, *given)
        return msgspec.structs.replace(thread, updated_at=thread.created_at)


@fault("STAT-004")
def a_thread_does_not_name_its_assistant(seams: Seams) -> None:
    """The metadata of a thread name the graph that ran on it, and not the assistant."""

    @seams.around(Threads, "merge_metadata")
    def merge(original: Any, rows: Any, thread: Any, metadata: Any) -> None:
        original(rows, thread, {key: each for key, each in metadata.items() if key != "assistant_id"})


@fault("STAT-005")
def a_busy_thread_cannot_be_deleted(seams: Seams) -> None:
    """DELETE of a thread whose run is under way answers 500."""

    async def delete(handler: Any, call: Call) -> Any:
        if call.runtime.runs.active(call.uuid("thread_id")):
            raise RuntimeError("a row refers to it")
        return await handler(call)

    seams.around_operation("DELETE", "/threads/{thread_id}")(delete)


@fault("STAT-006")
def a_thread_keeps_the_interrupts_of_before(seams: Seams) -> None:
    """An interrupt is shown by its thread until it is answered, whatever ran to its end meanwhile."""

    @seams.around(Threads, "settle")
    def settle(
        original: Any, rows: Any, thread_id: str, resting: Any, values: bytes, interrupts: bytes
    ) -> None:
        shown = bytes(rows.get(None, thread_id).interrupts)
        original(rows, thread_id, resting, values, shown if interrupts == b"{}" else interrupts)


@fault("STAT-009")
def a_thread_is_idle_after_a_timeout(seams: Seams) -> None:
    """After a run that took too long its thread is idle."""

    @seams.around(outcome, "resting_status")
    def resting(original: Any, ended: Any, state: Any) -> str:
        return "idle" if ended.status == "timeout" else str(original(ended, state))


@fault("STAT-002")
def a_cancelled_run_leaves_its_thread_busy(seams: Seams) -> None:
    """A thread whose run was cancelled is busy for ever."""
    cancelled: set[str] = set()

    @seams.around(Scheduler, "cancel")
    def cancel(original: Any, own: Any, run: Any, action: Any) -> None:
        cancelled.add(run.thread_id)
        original(own, run, action)

    @seams.around(Threads, "get")
    def get(original: Any, rows: Any, owner: Any, thread_id: str) -> Any:
        thread = original(rows, owner, thread_id)
        return msgspec.structs.replace(thread, status="busy") if thread_id in cancelled else thread


@fault("STAT-007")
def a_resume_at_a_checkpoint_starts_a_branch(seams: Seams) -> None:
    """A resume that names a checkpoint goes on from it without the answer."""

    @seams.around(api_runs, "check")
    async def check(original: Any, call: Any, body: Any, thread_id: Any) -> Any:
        checked = await original(call, body, thread_id)
        if checked.plan.checkpoint is not None and checked.plan.command is not None:
            checked.plan.command = None
        return checked


@fault("STAT-008")
def a_stopped_run_writes_on(seams: Seams) -> None:
    """A run that another one has stopped writes its note when its node is through."""
    late: set[asyncio.Task[None]] = set()

    @seams.around(Scheduler, "cancel")
    def cancel(original: Any, own: Any, run: Any, action: Any) -> None:
        execution = own._executions.get(run.thread_id)
        original(own, run, action)
        if execution is not None and action == "interrupt":
            late.add(asyncio.create_task(_write(own, run.thread_id)))

    async def _write(own: Any, thread_id: str) -> None:
        await asyncio.sleep(1.0)
        if not own._runs.active(thread_id):
            graph = own._graphs["steps"]
            await own._checkpoints.update(graph, thread_id, {"note": "late"}, "s3", None)


# The same at once


@fault("RACE-001", "RACE-002")
def a_second_creation_at_once_is_a_crash(seams: Seams) -> None:
    """Of two creations of one assistant at once the second finds no row yet, and answers 500."""

    async def create(handler: Any, call: Call) -> Any:
        body = await call.request.body()
        given = msgspec.json.decode(body) if body else {}
        named = given.get("assistant_id") if isinstance(given, dict) else None
        if named is not None and named in making:
            raise RuntimeError("duplicate key value violates unique constraint")
        making.add(named)
        try:
            await asyncio.sleep(0.05)
            return await handler(_Told(call.runtime, call.owner, call.request))
        finally:
            making.discard(named)

    class _Told(Call):
        async def body(self, shape: Any) -> Any:
            return decode(await self.request.body(), shape)

    making: set[Any] = set()
    seams.around_operation("POST", "/assistants")(create)


@fault("RACE-003")
def changes_at_once_are_lost(seams: Seams) -> None:
    """A PATCH writes the metadata that it read a moment before, over what others wrote."""

    async def patch(handler: Any, call: Call) -> Any:
        thread = call.runtime.threads.get(call.owner, call.uuid("thread_id"))
        before = thread.metadata
        await asyncio.sleep(0.05)
        answered = await handler(call)
        seen = msgspec.json.decode(call.runtime.threads.get(call.owner, thread.thread_id).metadata)
        mine = {key: each for key, each in seen.items() if key in msgspec.json.decode(before)}
        if len(seen) > len(mine) + 1:
            call.runtime.threads._set(thread.thread_id, "metadata = ?", msgspec.json.encode(mine).decode())
        return answered

    seams.around_operation("PATCH", "/threads/{thread_id}")(patch)


@fault("RACE-004")
def every_answer_at_once_is_taken(seams: Seams) -> None:
    """Each of several answers at once to one interrupt runs the nodes that follow it."""

    @seams.around(api_runs, "check")
    async def check(original: Any, call: Any, body: Any, thread_id: Any) -> Any:
        checked = await original(call, body, thread_id)
        if checked.plan.command is not None and checked.plan.command.resumes and thread_id:
            state = await call.runtime.checkpoints.state(call.runtime.graphs["interrupt"], thread_id)
            config = state.config["configurable"].get("checkpoint_id")
            if state.interrupts and config:
                checked.plan.command.goto = "after"
        return checked


@fault("RACE-005")
def two_runs_at_once_are_both_accepted(seams: Seams) -> None:
    """Whether a thread is busy is read from what was known of it a moment before."""
    first: dict[str, float] = {}

    @seams.around(Scheduler, "submit")
    def submit(original: Any, own: Any, new: Any) -> Any:
        since = time.monotonic() - first.setdefault(new.thread_id, time.monotonic())
        return original(own, new._replace(strategy="enqueue") if since < _MOMENT_S else new)


# Restarts


@fault("RESTART-001")
def a_run_under_way_at_a_stop_stays_running(seams: Seams) -> None:
    """A run that was under way at a stop in good order is running for ever."""
    seams.around(Scheduler, "recover")(lambda _original, _own: None)


@fault("RESTART-002")
def a_stream_of_before_the_restart_never_ends(seams: Seams) -> None:
    """Joining the stream of a run that ended before the restart waits for more events."""
    made: set[str] = set()

    @seams.around(Runs, "create")
    def create(original: Any, rows: Any, new: Any) -> Any:
        run = original(rows, new)
        made.add(run.run_id)
        return run

    @seams.around(Scheduler, "channel")
    def channel(original: Any, own: Any, run_id: str) -> Any:
        return original(own, run_id) if run_id in made else channels.Channel()


@fault("RESTART-003")
def assistants_are_kept_in_memory(seams: Seams) -> None:
    """Assistants that clients made are gone after a restart."""

    @seams.around(Assistants, "install_defaults")
    def install(original: Any, rows: Any) -> None:
        rows._db.run("DELETE FROM assistants")
        original(rows)


@fault("RESTART-004")
def items_are_kept_in_memory(seams: Seams) -> None:
    """The items of the store are gone after a restart."""

    @seams.around(runtime, "open_store")
    @asynccontextmanager
    async def open_store(original: Any, path: Any) -> Any:
        async with original(path) as store:
            await store.conn.execute("DELETE FROM store")
            await store.conn.commit()
            yield store


# Many and long


@fault("SCALE-001")
def a_replay_ends_after_500_events(seams: Seams) -> None:
    """A replay holds no more than 500 events."""

    @seams.around(Runs, "events_after")
    def events_after(original: Any, rows: Any, run_id: str, number: int) -> list[StoredEvent]:
        found: list[StoredEvent] = original(rows, run_id, number)
        return found[:_REPLAYED]


@fault("SCALE-002")
def waits_use_up_the_pool(seams: Seams) -> None:
    """With 40 waits and streams open nobody else is answered."""
    pool = asyncio.Semaphore(_POOL)

    async def kept(original: Any, *given: Any, **rest: Any) -> Any:
        async with pool:
            async for piece in original(*given, **rest):
                yield piece

    async def asked(handler: Any, call: Call) -> Any:
        async with pool:
            return await handler(call)

    seams.around(channels, "_stream")(kept)
    seams.around(api_runs, "waited")(kept)
    seams.around_operation("GET", "/ok")(asked)


@fault("SCALE-003")
def an_event_waits_for_the_next(seams: Seams) -> None:
    """A custom event is kept back until another event follows."""
    waiting: dict[str, tuple[Any, ...]] = {}

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, own: Any, job: Any, *event: Any) -> None:
        before = waiting.pop(job.run_id, None)
        if before is not None:
            original(own, job, *before)
        elif event[0] == "custom":
            waiting[job.run_id] = event
            return
        original(own, job, *event)


@fault("SCALE-004", patient=True)
def a_wait_ends_after_a_minute(seams: Seams) -> None:
    """A wait that takes longer than 60 s is answered with an error."""

    @seams.around(api_runs, "waited")
    async def waited(original: Any, channel: Any) -> Any:  # noqa: ARG001 - the seam's own form
        try:
            async with asyncio.timeout(_MINUTE_S):
                yield await channel.output()
        except TimeoutError:
            yield b'{"__error__":{"error":"TimeoutError","message":"the gateway gave up"}}'


@fault("SCALE-005", patient=True)
def a_sweeper_starts_long_runs_anew(seams: Seams) -> None:
    """A run of more than 180 s is taken for lost, and its first node executed again."""

    @seams.around(Scheduler, "_end")
    async def end(original: Any, own: Any, job: Any, ended: Any) -> None:
        if job.graph_id == "slow" and (job.plan.input or {}).get("sleep", 0) > _SWEEP_S:
            graph = own._graphs["slow"]
            await own._checkpoints.update(graph, job.thread_id, {"log": ["a"]}, "c", None)
        await original(own, job, ended)


@fault("SCALE-006")
def an_end_event_always_tells_of_success(seams: Seams) -> None:
    """A stream ends with an event `end` that carries the status success, whatever the run's is."""

    @seams.around(channels, "_stream")
    async def stream(original: Any, *given: Any) -> Any:
        async for piece in original(*given):
            yield piece
        yield b'event: end\ndata: {"status":"success"}\n\n'


@fault("SCALE-007")
def a_search_ends_at_a_hundred(seams: Seams) -> None:
    """A search of threads answers the first hundred, whatever its offset."""

    @seams.around(Threads, "search")
    def search(original: Any, rows: Any, *given: Any, limit: int, offset: int, **rest: Any) -> Any:
        return original(rows, *given, limit=max(0, min(limit, 100 - offset)), offset=offset, **rest)


# Browsers


@fault("CORS-001")
def a_preflight_refuses_patch(seams: Seams) -> None:
    """The methods that another origin may use lack PATCH."""
    _cors(seams, allow_methods=["GET", "POST", "PUT", "DELETE"])


@fault("CORS-002")
def errors_are_hidden_from_browsers(seams: Seams) -> None:
    """An answer that is a 4xx does not allow the origin that asked."""

    @seams.around(CORSMiddleware, "send")
    async def send(original: Any, own: Any, message: Any, *given: Any, **rest: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            await rest["send"](message)
        else:
            await original(own, message, *given, **rest)


@fault("CORS-003")
def every_origin_may_send_credentials(seams: Seams) -> None:
    """Any origin is mirrored, with credentials allowed."""
    _cors(seams, allow_credentials=True)


def _cors(seams: Seams, **changes: Any) -> None:
    def middleware(original: Any, kind: Any, *given: Any, **options: Any) -> Middleware:
        made: Middleware = original(
            kind, *given, **(options | changes if kind is CORSMiddleware else options)
        )
        return made

    seams.around(app, "Middleware")(middleware)
