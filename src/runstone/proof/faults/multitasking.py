"""Faults of several runs on one thread, of runs that wait for their time, and of many at once."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import (
    api_runs,
    errors,
    execution,
    outcome,
    scheduler,
)
from runstone.reference.answers import Listening
from runstone.reference.bodies import Strategy
from runstone.reference.channels import Channel
from runstone.reference.database import Database
from runstone.reference.errors import Conflict, Invalid
from runstone.reference.outcome import Outcome
from runstone.reference.routing import Call
from runstone.reference.runs import NewRun, Run, StoredEvent
from runstone.reference.scheduler import Scheduler
from runstone.reference.wire import decode

_MOMENT_S = 0.5

_OLDEST_FIRST = "ELSE start_at END, number"
_AT_ONCE = 10


def _submitting(seams: Seams, asked: Strategy, done: Strategy) -> None:
    """Whoever asks for one strategy gets another."""

    @seams.around(Scheduler, "submit")
    def submit(original: Any, own: Scheduler, new: NewRun) -> Any:
        return original(own, new._replace(strategy=done) if new.strategy == asked else new)


@fault("MULTI-001")
def reject_is_the_default(seams: Seams) -> None:
    """A run without a strategy is rejected while its thread is busy."""

    @seams.around(api_runs, "start")
    def start(original: Any, call: Any, checked: Any) -> Any:
        checked.body.multitask_strategy = checked.body.multitask_strategy or "reject"
        return original(call, checked)


@fault("MULTI-REJECT-001")
def reject_enqueues(seams: Seams) -> None:
    """With "reject" a run on a busy thread is enqueued."""
    _submitting(seams, "reject", "enqueue")


@fault("MULTI-ENQ-001", "MULTI-001", "LOAD-003")
def enqueue_interrupts(seams: Seams) -> None:
    """With "enqueue" a run on a busy thread interrupts the one before it."""
    _submitting(seams, "enqueue", "interrupt")


@fault("MULTI-INT-001", "MULTI-INT-002")
def interrupt_enqueues(seams: Seams) -> None:
    """With "interrupt" a run waits until the one before it has ended by itself."""
    _submitting(seams, "interrupt", "enqueue")


@fault("MULTI-RB-001", "MULTI-RB-002")
def rollback_interrupts(seams: Seams) -> None:
    """With "rollback" the run before is interrupted, and all that it did stays."""
    _submitting(seams, "rollback", "interrupt")


@fault("MULTI-INT-001", "MULTI-INT-002")
def interrupted_run_is_an_error(seams: Seams) -> None:
    """A run that its successor or its caller interrupted is recorded as failed."""
    seams.put(outcome, "CANCELLED", Outcome("error", outcome.CANCELLED.error))


@fault("MULTI-005")
def wait_rejects_in_its_own_way(seams: Seams) -> None:
    """`runs/wait` answers 422 where the other entry points answer 409 to a run on a busy thread."""

    @seams.around_operation("POST", "/threads/{thread_id}/runs/wait")
    async def create_and_wait(handler: Any, call: Any) -> Any:
        try:
            return await handler(call)
        except Conflict as conflict:
            raise Invalid(conflict.detail) from None


@fault("MULTI-REJECT-002")
def conflict_is_unprocessable(seams: Seams) -> None:
    """What does not fit the state of a thread is answered with 422."""
    seams.put(errors.Conflict, "status", 422)


@fault("MULTI-REJECT-003")
def rejected_run_is_kept(seams: Seams) -> None:
    """A run is inserted before its strategy is looked at; one that is rejected stays listed, as failed."""

    @seams.around(Scheduler, "submit")
    def submit(original: Any, own: Scheduler, new: NewRun) -> Any:
        try:
            return original(own, new)
        except Conflict:
            own._runs.end(own._runs.create(new).run_id, "error", b"null")
            raise


@fault("MULTI-REJECT-004")
def reject_needs_a_fresh_thread(seams: Seams) -> None:
    """With "reject" a run is refused on any thread that ever had one, be it over or not."""

    @seams.around(Scheduler, "submit")
    def submit(original: Any, own: Scheduler, new: NewRun) -> Any:
        if new.strategy == "reject" and own._runs.page(new.thread_id, None, 1, 0):
            raise Conflict(f"thread {new.thread_id} has a run")
        return original(own, new)


@fault("MULTI-ENQ-002", "LOAD-003")
def queue_is_a_stack(seams: Seams) -> None:
    """Of the runs that wait on a thread the newest is executed first."""

    @seams.around(Database, "one")
    def one(original: Any, own: Database, sql: str, *values: Any) -> Any:
        return original(own, sql.replace(_OLDEST_FIRST, f"{_OLDEST_FIRST} DESC"), *values)


@fault("SCHED-001", "SCHED-002")
def delay_is_ignored(seams: Seams) -> None:
    """A run with `after_seconds` is executed at once."""

    @seams.around(Scheduler, "submit")
    def submit(original: Any, own: Scheduler, new: NewRun) -> Any:
        return original(own, new._replace(after_seconds=0))


@fault("CONC-001")
def one_run_at_a_time(seams: Seams) -> None:
    """The server executes one run after the other, whatever threads they are on."""
    turn = asyncio.Lock()

    @seams.around(scheduler, "execute")
    async def execute(original: Any, *rest: Any) -> None:
        async with turn:
            await original(*rest)


@fault("LOAD-001", "CONC-001")
def inputs_share_a_variable(seams: Seams) -> None:
    """The input of a run lies in a variable of the whole server until the run begins."""
    latest: dict[str, Any] = {}

    @seams.around(execution, "_input")
    async def given(original: Any, graph: Any, job: Any, checkpoints: Any) -> Any:
        own = await original(graph, job, checkpoints)
        if job.graph_id not in ("steps", "slow") or not isinstance(own, dict):
            return own
        latest["input"] = own
        await asyncio.sleep(0.05)  # a look at the database, say
        return latest["input"]


@fault("LOAD-002")
def runs_beyond_ten_are_lost(seams: Seams) -> None:
    """A run that comes while ten are executed is not started, and nothing looks for it later."""

    @seams.around(Scheduler, "_wake")
    def wake(original: Any, own: Scheduler, thread_id: str) -> None:
        if len(own._executions) < _AT_ONCE:
            original(own, thread_id)


@fault("LOAD-005")
def event_goes_to_one_reader(seams: Seams) -> None:
    """The readers of a stream take their events from one queue: each event reaches one of them."""

    @seams.around(Channel, "publish")
    def publish(original: Any, own: Channel, event: StoredEvent) -> None:  # noqa: ARG001 - replaced
        if own._listeners:
            own._listeners.append(own._listeners.pop(0))
            own._listeners[0].put_nowait(event)


@fault("CONC-002")
def one_slow_reader_stalls_all(seams: Seams) -> None:
    """All answers go through one writer, which waits for a client that does not read."""
    writer = asyncio.Lock()

    @seams.around(Listening, "__call__")
    async def answer(original: Any, own: Listening, scope: Any, receive: Any, send: Any) -> None:
        async def send_in_turn(message: Any) -> None:
            async with writer:
                await send(message)

        await original(own, scope, receive, send_in_turn)


@fault("CONC-003")
def thread_is_changed_by_a_look_at_it(seams: Seams) -> None:
    """GET of a thread notes the time of the reading in `updated_at`."""

    @seams.around_operation("GET", "/threads/{thread_id}")
    async def get(handler: Any, call: Any) -> Any:
        call.runtime.threads.touch(call.uuid("thread_id"))
        return await handler(call)


@fault("MON-001", shown_in=("run-status",))
def run_is_running_before_it_is_pending(seams: Seams) -> None:
    """The answer to a new run says `running`, whatever is still before it in the queue."""

    @seams.around(api_runs, "start")
    def start(original: Any, call: Any, checked: Any) -> Run:
        run: Run = original(call, checked)
        run.status = "running"
        return run


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
