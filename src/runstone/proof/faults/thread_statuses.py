"""Faults of a thread's status: what the outcomes of its runs make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import outcome, runtime, scheduler, threads
from runstone.reference.outcome import ROLLED_BACK, Outcome
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
