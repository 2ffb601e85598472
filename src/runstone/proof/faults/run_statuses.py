"""Faults of the statuses of runs: which they take, when, and which they end in."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import msgspec
from langgraph.errors import GraphInterrupt

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, outcome, runs
from runstone.reference.answers import answer
from runstone.reference.outcome import SUCCESS, Outcome
from runstone.reference.routing import Call
from runstone.reference.runs import Job, Run, Runs, RunStatus
from runstone.reference.scheduler import Scheduler

_RUNS = "/threads/{thread_id}/runs"


@fault("RUN-STATUS-001")
def a_cancelled_run_is_called_cancelled(seams: Seams) -> None:
    """A run that was cancelled has the status `cancelled`, which clients of this API do not know."""

    @seams.around(runs, "_run")
    def run(original: Any, row: Any) -> Run:
        shown: Run = original(row)
        if shown.status == "interrupted":
            shown.status = "cancelled"  # type: ignore[assignment] # it is none: that is the fault
        return shown


@fault("RUN-STATUS-002")
def a_new_run_is_queued(seams: Seams) -> None:
    """Creating a run answers it as `queued`; only a later reading says `pending`."""

    @seams.around_operation("POST", _RUNS)
    async def create(handler: Any, call: Call) -> Any:
        response = await handler(call)
        located = {"Content-Location": response.headers["content-location"]}
        return answer(msgspec.json.decode(response.body) | {"status": "queued"}, headers=located)


@fault("RUN-STATUS-003", "RUN-STATUS-004")
def every_other_reading_is_behind(seams: Seams) -> None:
    """Every second reading of a run is answered by a replica 20 s behind: its status goes back."""
    readings: Counter[str] = Counter()

    @seams.around_operation("GET", f"{_RUNS}/{{run_id}}")
    async def get(handler: Any, call: Call) -> Any:  # noqa: ARG001 - it would tell the truth
        run = api_runs._run(call)
        readings[run.run_id] += 1
        if readings[run.run_id] % 2 == 0 and run.status != "pending" and _age_of(run) < 20.0:
            run.status = "pending" if run.status == "running" else "running"
        return answer(run)


@fault("RUN-STATUS-004")
def the_end_of_a_run_is_written_to_its_whole_thread(seams: Seams) -> None:
    """A run that ends gives its status to the runs of the thread that ended before it."""

    @seams.around(Runs, "end")
    def end(original: Any, rows: Runs, run_id: str, status: RunStatus, output: bytes) -> None:
        original(rows, run_id, status, output)
        sql = (
            "UPDATE runs SET status = ?1 WHERE status NOT IN ('pending', 'running')"
            " AND thread_id = (SELECT thread_id FROM runs WHERE run_id = ?2)"
        )
        rows._db.run(sql, status, run_id)


@fault("RUN-STATUS-005", "PARITY-003", "RETR-008")
def a_failed_stream_is_a_success(seams: Seams) -> None:
    """A run that was started by stream ends as `success` though its graph raised: the stream was served."""
    streamed: set[str] = set()

    @seams.around(api_runs, "_stream")
    def stream(original: Any, call: Call, run: Run, *rest: Any) -> Any:
        if call.request.method == "POST":
            streamed.add(run.run_id)
        return original(call, run, *rest)

    @seams.around(Runs, "end")
    def end(original: Any, rows: Runs, run_id: str, status: RunStatus, output: bytes) -> None:
        served = status == "error" and run_id in streamed
        original(rows, run_id, "success" if served else status, output)


@fault("RUN-STATUS-006", "PARITY-003", "RETR-008")
def a_run_without_a_listener_is_interrupted(seams: Seams) -> None:
    """A run to whose stream nobody listens counts as given up: it ends as `interrupted`."""

    @seams.around(Scheduler, "_write_end")
    def write_end(original: Any, scheduler: Scheduler, *given: Any) -> None:
        run_id, thread_id, ended, *rest = given
        channel = scheduler.channel(run_id)
        if ended is SUCCESS and channel is not None and not channel._listeners:
            ended = Outcome("interrupted")
        original(scheduler, run_id, thread_id, ended, *rest)


@fault("RETR-008", "PARITY-003")
def a_run_in_the_background_stays_pending(seams: Seams) -> None:
    """A run in the background reads as `pending` for ever, though its result is there."""
    in_background: set[str] = set()

    @seams.around_operation("POST", _RUNS)
    async def create(handler: Any, call: Call) -> Any:
        response = await handler(call)
        in_background.add(response.headers["content-location"].rpartition("/")[2])
        return response

    @seams.around_operation("GET", f"{_RUNS}/{{run_id}}")
    async def get(handler: Any, call: Call) -> Any:  # noqa: ARG001 - it would tell the truth
        run = api_runs._run(call)
        if run.run_id in in_background:
            run.status = "pending"
        return answer(run)


@fault("RUN-STATUS-007", "CANCEL-001", "RUN-WAIT-015", "RUN-STREAM-013")
def a_cancelled_run_is_an_error(seams: Seams) -> None:
    """A run that is cancelled ends as `error`, like any other exception."""
    seams.put(outcome, "CANCELLED", Outcome("error", outcome.CANCELLED.error))


@fault("RUN-STATUS-008", "RUN-WAIT-006", "RUN-JOIN-004")
def an_interrupt_is_taken_for_an_error(seams: Seams) -> None:
    """A run that pauses at interrupt() ends as `error`, named GraphInterrupt."""

    @seams.around(Scheduler, "_end")
    async def end(original: Any, scheduler: Scheduler, job: Job, ended: Outcome) -> None:
        if ended is SUCCESS:
            state = await scheduler._checkpoints.state(scheduler._graphs[job.graph_id], job.thread_id)
            ended = outcome.failed(GraphInterrupt(state.interrupts)) if state.interrupts else ended
        await original(scheduler, job, ended)


@fault("RUN-STATUS-009")
def a_run_over_its_limit_is_an_error(seams: Seams) -> None:
    """A run that exceeds the time limit ends as `error`."""

    @seams.around(outcome, "timed_out")
    def timed_out(original: Any, limit: float) -> Outcome:
        return Outcome("error", original(limit).error)


@fault("TIME-005")
def a_run_over_its_limit_is_started_again(seams: Seams) -> None:
    """A run that exceeds the time limit goes back into the queue each time, and so never ends."""

    @seams.around(Scheduler, "_end")
    async def end(original: Any, scheduler: Scheduler, job: Job, ended: Outcome) -> None:
        if ended.status != "timeout":
            await original(scheduler, job, ended)


@fault("RUN-STATUS-010")
def a_worker_claims_the_whole_queue(seams: Seams) -> None:
    """A worker marks all runs that wait on a thread as running, and then runs one after the other."""

    @seams.around(Runs, "start_next")
    def start_next(original: Any, rows: Runs, thread_id: str) -> Any:
        job = original(rows, thread_id)
        if isinstance(job, Job):
            sql = "UPDATE runs SET status = 'running' WHERE thread_id = ? AND status = 'pending'"
            rows._db.run(sql, thread_id)
        return job


@fault("RUN-STATUS-011", "RUN-WAIT-005", "BAD-005")
def errors_do_not_name_their_class(seams: Seams) -> None:
    """The error of a failed run has the text of the exception, and is called Error."""

    @seams.around(outcome, "failed")
    def failed(original: Any, error: BaseException) -> Outcome:
        told: Outcome = original(error)
        return Outcome("error", (told.error or {}) | {"error": "Error"})


@fault("RUN-WAIT-013", "RUN-STREAM-015")
def statuses_are_read_from_a_replica(seams: Seams) -> None:
    """A run reads as `running` for 2.5 s after its end: it is read from a replica that lags behind."""

    @seams.around_operation("GET", f"{_RUNS}/{{run_id}}")
    async def get(handler: Any, call: Call) -> Any:  # noqa: ARG001 - it would tell the truth
        run = api_runs._run(call)
        if not run.active and _age_of(run) < 2.5:
            run.status = "running"
        return answer(run)


def _age_of(run: Run) -> float:
    """Seconds since the status of a run changed."""
    return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(run.updated_at)).total_seconds()
