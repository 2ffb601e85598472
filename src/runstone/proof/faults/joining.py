"""Faults of join, and of getting the result of a run that is there already."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakSet

import msgspec
from langgraph.types import StateSnapshot
from starlette.responses import Response

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, outcome
from runstone.reference.answers import JSON, answer
from runstone.reference.channels import Channel
from runstone.reference.checkpoints import Checkpoints
from runstone.reference.errors import NotFound
from runstone.reference.outcome import SUCCESS, Outcome
from runstone.reference.routing import Call
from runstone.reference.runs import Job, NewRun, Runs
from runstone.reference.scheduler import Scheduler
from runstone.reference.wire import encode

_RUNS = "/threads/{thread_id}/runs"
_JOIN = f"{_RUNS}/{{run_id}}/join"


@fault("RUN-JOIN-001", "RUN-JOIN-007")
def join_does_not_wait(seams: Seams) -> None:
    """Join answers at once with the values of the moment, whether the run has ended or not."""

    @seams.around_operation("GET", _JOIN)
    async def join(handler: Any, call: Call) -> Any:
        run, runtime = api_runs._run(call), call.runtime
        graph = runtime.graph_of(runtime.threads.get(call.owner, run.thread_id))
        if not run.active or graph is None:
            return await handler(call)
        state = await runtime.checkpoints.state(graph, run.thread_id)
        return Response(outcome.output(SUCCESS, state, runtime.settings.profile), media_type=JSON)


@fault("RUN-JOIN-002", "RETR-002")
def outputs_are_not_kept(seams: Seams) -> None:
    """Joining a run that has ended answers `{}`: its output was for those who waited for it."""

    @seams.around(Runs, "output")
    def output(original: Any, rows: Runs, run_id: str) -> bytes:  # noqa: ARG001 - that is the fault
        return encode({})


@fault("RUN-JOIN-005", "RUN-JOIN-003", "RUN-JOIN-004")
def a_late_join_answers_the_present_values(seams: Seams) -> None:
    """Joining a run that has ended answers the values that its thread has now, however the run ended."""

    @seams.around(Runs, "output")
    def output(original: Any, rows: Runs, run_id: str) -> Any:
        sql = 'SELECT "values" FROM threads WHERE thread_id = ?'
        row = rows._db.one(sql, rows.thread_of(run_id))
        return original(rows, run_id) if row is None else str(row["values"]).encode()


@fault("RUN-JOIN-006")
def an_unknown_run_joins_to_an_empty_object(seams: Seams) -> None:
    """Joining a run that there is not answers 200 and `{}`."""

    @seams.around_operation("GET", _JOIN)
    async def join(handler: Any, call: Call) -> Any:
        try:
            return await handler(call)
        except NotFound:
            return answer({})


@fault("RUN-JOIN-007")
def the_first_join_takes_the_result(seams: Seams) -> None:
    """Of several who wait for one run the first takes its result out of a queue, and the others get `{}`."""
    taken: WeakSet[Channel] = WeakSet()

    @seams.around(Channel, "output")
    async def output(original: Any, channel: Channel) -> Any:
        result = await original(channel)
        if channel in taken:
            return encode({})
        taken.add(channel)
        return result


@fault("RETR-006")
def join_looks_every_half_second(seams: Seams) -> None:
    """Join looks whether the run has ended every half second, for the first time after half a second."""

    @seams.around_operation("GET", _JOIN)
    async def join(handler: Any, call: Call) -> Any:
        await asyncio.sleep(0.5)
        return await handler(call)


@fault("EXEC-004")
def joining_an_ended_run_runs_it_again(seams: Seams) -> None:
    """Joining a run that has ended starts it once more, and answers what it gives this time."""

    @seams.around_operation("GET", _JOIN)
    async def join(handler: Any, call: Call) -> Any:
        run, scheduler = api_runs._run(call), call.runtime.scheduler
        if run.active:
            return await handler(call)
        labels = msgspec.json.decode(run.metadata)
        names = (run.thread_id, run.assistant_id, labels["graph_id"])
        again = scheduler.submit(NewRun(*names, labels, run.plan, run.multitask_strategy, 0))
        await scheduler.ended(again.run_id)
        return Response(call.runtime.runs.output(again.run_id), media_type=JSON)


@fault("RETR-009")
def results_follow_the_stream_mode(seams: Seams) -> None:
    """Wait and join answer the last `values` event, hence `{}` where the run streams another mode."""

    @seams.around(Scheduler, "_write_end")
    def write_end(original: Any, scheduler: Scheduler, *given: Any) -> None:
        run_id, thread_id, ended, output, *rest = given
        job: Job | None = rest[0] if rest else None
        if job is not None and "values" not in job.plan.stream_mode and not ended.error:
            output = encode({})
        original(scheduler, run_id, thread_id, ended, output, *rest)


@fault("RETR-001", "RETR-005", "PARITY-002")
def background_runs_leave_no_state(seams: Seams) -> None:
    """A run in the background leaves no checkpoint: only wait and stream write them."""
    in_background: set[str] = set()
    last_seen: dict[str, StateSnapshot] = {}

    @seams.around_operation("POST", _RUNS)
    async def create(handler: Any, call: Call) -> Any:
        response = await handler(call)
        in_background.add(response.headers["content-location"].rpartition("/")[2])
        return response

    @seams.around(Scheduler, "_end")
    async def end(original: Any, scheduler: Scheduler, job: Job, ended: Outcome) -> None:
        if job.run_id in in_background:
            graph = scheduler._graphs[job.graph_id]
            last_seen[job.thread_id] = await scheduler._checkpoints.state(graph, job.thread_id)
            await scheduler._checkpoints.forget(job.thread_id, job.run_id)
        await original(scheduler, job, ended)

    @seams.around(Checkpoints, "state")
    async def state(
        original: Any, kept: Checkpoints, graph: Any, thread_id: str, *at: Any, **more: Any
    ) -> Any:
        if thread_id in last_seen:  # what its end is written down from, before it is gone for good
            return last_seen.pop(thread_id)
        return await original(kept, graph, thread_id, *at, **more)
