"""Faults of cancelling: what is to be stopped goes on, too much or too little is taken back."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, outcome
from runstone.reference.bodies import CancelBody
from runstone.reference.checkpoints import Checkpoints
from runstone.reference.errors import NotFound
from runstone.reference.outcome import Outcome
from runstone.reference.routing import Call
from runstone.reference.runs import Run, Runs
from runstone.reference.scheduler import Execution, Scheduler

_CANCEL = "/threads/{thread_id}/runs/{run_id}/cancel"
_ACCEPTED = 202
WORKERS = 40  # that a server has until it loses them; to measure its capacity takes up to 32 cancels


@fault("CANCEL-001", "CANCEL-003", "CANCEL-010", "CANCEL-013")
def cancel_is_a_no_op(seams: Seams) -> None:
    """Cancelling a running run is accepted and does nothing."""

    @seams.around_operation("POST", _CANCEL)
    async def cancel(handler: Any, call: Call) -> Any:
        running = api_runs._run(call).status == "running"
        return Response(status_code=_ACCEPTED) if running else await handler(call)


@fault("CANCEL-010", "CANCEL-006", "MULTI-RB-001")
def cancel_only_writes_the_status(seams: Seams) -> None:
    """A cancelled run gets its status at once, while its nodes go on and write to the state."""

    @seams.around(Scheduler, "cancel")
    def cancel(original: Any, own: Scheduler, run: Run, action: Any) -> None:
        execution = own._executions.pop(run.thread_id, None)
        original(own, run, action)  # as if nothing executed
        if execution is not None:
            own._executions[run.thread_id] = execution


@fault("CANCEL-001", "CANCEL-011", "CANCEL-014", "MULTI-INT-001", "MULTI-INT-002", "SDK-001", "SDK-010")
def cancelled_run_is_a_success(seams: Seams) -> None:
    """A run that was cancelled is recorded as a success: the graph has returned, after all."""
    seams.put(outcome, "CANCELLED", Outcome("success"))


@fault("CANCEL-002", "CANCEL-004")
def cancel_always_waits(seams: Seams) -> None:
    """Cancel waits for the end of the run, whatever `wait` says."""

    @seams.around(Call, "flag")
    def flag(original: Any, own: Call, name: str) -> bool:
        return name == "wait" or bool(original(own, name))


@fault("CANCEL-004")
def cancel_takes_any_wait_for_true(seams: Seams) -> None:
    """`wait` is read as a text, and "0" is not empty."""

    @seams.around(Call, "flag")
    def flag(original: Any, own: Call, name: str) -> bool:
        return bool(own.text(name)) if name == "wait" else bool(original(own, name))


@fault("CANCEL-003", "CANCEL-004")
def cancel_never_waits(seams: Seams) -> None:
    """Cancel leaves the end to workers that look for it every half second, and does not wait for them."""

    @seams.around(Call, "flag")
    def flag(original: Any, own: Call, name: str) -> bool:
        return name != "wait" and bool(original(own, name))

    @seams.around(Scheduler, "cancel")
    def cancel(original: Any, own: Scheduler, run: Run, action: Any) -> None:
        asyncio.get_running_loop().call_later(0.5, original, own, run, action)


@fault("CANCEL-005", "MULTI-INT-002")
def cancelled_run_is_deleted(seams: Seams) -> None:
    """A run that was interrupted can no longer be read."""

    @seams.around(Scheduler, "_write_end")
    def write_end(original: Any, own: Scheduler, run_id: str, thread_id: str, *rest: Any) -> None:
        original(own, run_id, thread_id, *rest)
        if rest[0] is outcome.CANCELLED:
            own._runs.delete(run_id)


@fault("CANCEL-005", "MULTI-INT-001")
def interrupt_takes_back_the_steps(seams: Seams) -> None:
    """Interrupting a run takes back what it did, as only a rollback should."""

    @seams.around(Scheduler, "_end")
    async def end(original: Any, own: Scheduler, job: Any, ended: Outcome) -> None:
        if ended is outcome.CANCELLED:
            await own._checkpoints.forget(job.thread_id, job.run_id)
        await original(own, job, ended)


@fault("CANCEL-006", "MULTI-RB-001")
def rollback_keeps_checkpoints(seams: Seams) -> None:
    """A rollback deletes the run and leaves its checkpoints, and so the state, as they are."""

    @seams.around(Checkpoints, "forget")
    async def forget(original: Any, own: Checkpoints, thread_id: str, run_id: str, mark: Any = None) -> None:
        if mark is None:  # the deletion of a run
            await original(own, thread_id, run_id)


@fault("CANCEL-006", "MULTI-RB-001")
def rollback_keeps_the_run(seams: Seams) -> None:
    """A run that was rolled back is still there, as interrupted."""
    kept = Outcome("interrupted", outcome.ROLLED_BACK.error)

    @seams.around(Scheduler, "_write_end")
    def write_end(
        original: Any, own: Scheduler, run_id: str, thread_id: str, ended: Outcome, *rest: Any
    ) -> None:
        original(own, run_id, thread_id, kept if ended is outcome.ROLLED_BACK else ended, *rest)


@fault("MULTI-RB-002", "CANCEL-006")
def rollback_empties_the_thread(seams: Seams) -> None:
    """A rollback goes back to the very beginning of the thread, not to that of the run."""

    @seams.around(Checkpoints, "forget")
    async def forget(original: Any, own: Checkpoints, thread_id: str, run_id: str, mark: Any = None) -> None:
        await original(own, thread_id, run_id, mark)
        if mark is not None:
            await own.delete(thread_id)


@fault("CANCEL-007", "CANCEL-011", "CANCEL-014")
def cancel_overlooks_pending_runs(seams: Seams) -> None:
    """Cancel looks for the run among those at work; one that is pending is executed all the same."""

    @seams.around(Scheduler, "cancel")
    def cancel(original: Any, own: Scheduler, run: Run, action: Any) -> None:
        if run.status != "pending":
            original(own, run, action)


@fault("CANCEL-008")
def ended_run_can_be_cancelled(seams: Seams) -> None:
    """Cancelling a run that has ended is accepted."""

    @seams.around_operation("POST", _CANCEL)
    async def cancel(handler: Any, call: Call) -> Any:
        return await handler(call) if api_runs._run(call).active else Response(status_code=_ACCEPTED)


@fault("CANCEL-009")
def unknown_run_can_be_cancelled(seams: Seams) -> None:
    """Cancelling a run that never was is accepted: there is nothing left to do."""

    @seams.around_operation("POST", _CANCEL)
    async def cancel(handler: Any, call: Call) -> Any:
        try:
            return await handler(call)
        except NotFound:
            return Response(status_code=_ACCEPTED)


@fault("CANCEL-011")
def only_the_first_of_several_is_cancelled(seams: Seams) -> None:
    """POST /runs/cancel stops the first of the runs that it is about."""

    @seams.around(api_runs, "_named")
    def named(original: Any, call: Call, body: CancelBody) -> list[Run]:
        return list(original(call, body))[:1]


@fault("CANCEL-012")
def contradictory_choice_is_accepted(seams: Seams) -> None:
    """POST /runs/cancel takes a status beside ids, and goes by the ids."""

    @seams.around(api_runs, "_named")
    def named(original: Any, call: Call, body: CancelBody) -> list[Run]:
        if body.thread_id or body.run_ids:
            body.status = None
        found: list[Run] = original(call, body)
        return found


@fault("CANCEL-014")
def cancel_by_status_hits_every_run(seams: Seams) -> None:
    """POST /runs/cancel with a status stops every run that is not over, of that status or not."""

    @seams.around(Runs, "with_status")
    def with_status(original: Any, own: Runs, statuses: Any, owner: str | None) -> list[Run]:  # noqa: ARG001
        found: list[Run] = original(own, ("pending", "running"), owner)
        return found


@fault("CANCEL-013")
def cancelled_run_blocks_its_thread(seams: Seams) -> None:
    """The lock of a thread is not given back when its run is cancelled: the next one is never started."""

    @seams.around(Scheduler, "_end")
    async def end(original: Any, own: Scheduler, job: Any, ended: Outcome) -> None:
        await original(own, job, ended)
        if ended is outcome.CANCELLED:
            own._held.add(job.thread_id)


@fault("LOAD-004")
def worker_is_lost_per_cancel(seams: Seams) -> None:
    """Each run that is cancelled at work costs one of forty workers for good."""
    lost: list[Execution] = []

    @seams.around(Scheduler, "cancel")
    def cancel(original: Any, own: Scheduler, run: Run, action: Any) -> None:
        if (execution := own._executions.get(run.thread_id)) is not None:
            lost.append(execution)
        original(own, run, action)

    @seams.around(Scheduler, "_wake")
    def wake(original: Any, own: Scheduler, thread_id: str) -> None:
        if len(lost) < WORKERS:
            original(own, thread_id)
