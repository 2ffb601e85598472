"""Faults of a thread's status: what the outcomes of its runs make of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, outcome, runtime, scheduler, threads
from runstone.reference.outcome import ROLLED_BACK, Outcome
from runstone.reference.routing import Call
from runstone.reference.runs import NewRun, Run
from runstone.reference.scheduler import Scheduler
from runstone.reference.threads import Thread, Threads


def _shown_until_the_next_run(seams: Seams, status: Callable[[Any], Any]) -> set[str]:
    """Ids of threads that show this status of their row until they run again; the caller puts them there."""
    chosen: set[str] = set()

    @seams.around(Scheduler, "submit")
    def submit(original: Any, own: Scheduler, new: NewRun) -> Any:
        chosen.discard(new.thread_id)
        return original(own, new)

    @seams.around(threads, "_thread")
    def thread(original: Any, row: Any) -> Thread:
        shown: Thread = original(row)
        if shown.thread_id in chosen:
            shown.status = status(row)
        return shown

    return chosen


@fault("THR-STATUS-001", "THR-STATUS-003", "THR-STATUS-006")
def a_finished_thread_is_called_success(seams: Seams) -> None:
    """A thread takes over the status of its last run, `success`."""

    @seams.around(outcome, "resting_status")
    def resting_status(original: Any, ended: Outcome, state: Any) -> Any:
        resting = original(ended, state)
        return ended.status if resting == "idle" else resting


@fault("THR-STATUS-002")
def a_thread_is_never_busy(seams: Seams) -> None:
    """A thread shows what its last run left, also while another one is pending or running."""

    @seams.around(threads, "_thread")
    def thread(original: Any, row: Any) -> Thread:
        shown: Thread = original(row)
        shown.status = row["resting"]
        return shown


@fault("THR-STATUS-009")
def the_end_of_a_run_ends_busy(seams: Seams) -> None:
    """A run that ends sets its thread's status for good, whatever is queued behind it."""
    rested = _shown_until_the_next_run(seams, lambda row: row["resting"])

    @seams.around(Scheduler, "_write_end")
    def write_end(original: Any, own: Scheduler, run_id: str, thread_id: str, *rest: Any) -> None:
        original(own, run_id, thread_id, *rest)
        rested.add(thread_id)


@fault("THR-STATUS-004", "STATE-UPD-004")
def a_paused_thread_is_idle(seams: Seams) -> None:
    """A thread whose run stopped at an interrupt is idle."""
    for module in (outcome, runtime):

        @seams.around(module, "resting_status")
        def resting_status(original: Any, ended: Outcome, state: Any) -> Any:
            resting = original(ended, state)
            return "idle" if resting == "interrupted" and ended.status == "success" else resting


@fault("THR-STATUS-005")
def a_failed_thread_is_idle(seams: Seams) -> None:
    """A thread whose run failed is idle."""

    @seams.around(outcome, "resting_status")
    def resting_status(original: Any, ended: Outcome, state: Any) -> Any:
        return "idle" if ended.status == "error" else original(ended, state)


@fault("THR-STATUS-006")
def an_error_outlasts_a_good_run(seams: Seams) -> None:
    """A thread that was in `error` stays so, however well the runs after it end."""

    @seams.around(Threads, "settle")
    def settle(original: Any, rows: Threads, thread_id: str, resting: Any, *rest: Any) -> None:
        row = rows._db.one("SELECT resting FROM threads WHERE thread_id = ?", thread_id)
        sticks = row is not None and row["resting"] == "error" and resting == "idle"
        original(rows, thread_id, "error" if sticks else resting, *rest)


@fault("THR-STATUS-007")
def a_rolled_back_run_leaves_its_thread_busy(seams: Seams) -> None:
    """After its run was rolled back, a thread stays busy until the next one."""
    stuck = _shown_until_the_next_run(seams, lambda _: "busy")

    @seams.around(Scheduler, "_write_end")
    def write_end(
        original: Any, own: Scheduler, run_id: str, thread_id: str, ended: Outcome, *rest: Any
    ) -> None:
        original(own, run_id, thread_id, ended, *rest)
        if ended is ROLLED_BACK:
            stuck.add(thread_id)


@fault("MON-006", shown_in=("cancel",))
def thread_of_a_cancelled_run_stays_busy(seams: Seams) -> None:
    """A thread whose run was cancelled shows `busy` until it runs again."""
    stuck = _shown_until_the_next_run(seams, lambda _: "busy")

    @seams.around(Scheduler, "cancel")
    def cancel(original: Any, own: Scheduler, run: Run, action: Any) -> None:
        stuck.add(run.thread_id)
        original(own, run, action)


@fault("THR-STATUS-008")
def a_cancelled_thread_is_in_error(seams: Seams) -> None:
    """A thread whose run was cancelled is in `error`."""

    @seams.around(outcome, "resting_status")
    def resting_status(original: Any, ended: Outcome, state: Any) -> Any:
        return "error" if ended.status == "interrupted" else original(ended, state)


@fault("THR-STATUS-010")
def a_thread_shows_no_interrupts(seams: Seams) -> None:
    """A thread that is interrupted does not show its interrupts."""

    @seams.around(scheduler, "interrupts_by_task")
    def interrupts_by_task(original: Any, snapshot: Any) -> bytes:  # noqa: ARG001 - it is not asked
        return b"{}"


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
