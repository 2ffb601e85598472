"""Faults of runs that nobody gave a thread."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_OID, uuid5

import msgspec

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, app, outcome, planning
from runstone.reference.answers import answer
from runstone.reference.assistants import Assistant
from runstone.reference.bodies import Plan, RunBody
from runstone.reference.outcome import SUCCESS, Outcome
from runstone.reference.planning import Checked
from runstone.reference.routing import Call
from runstone.reference.runs import Job, Run
from runstone.reference.runtime import Caller
from runstone.reference.scheduler import Scheduler


@fault("STATELESS-001", "STATELESS-002", "PARITY-003")
def stateless_runs_cannot_pause(seams: Seams) -> None:
    """A stateless run that pauses at interrupt() fails: it has no checkpointer."""
    stateless: set[str] = set()

    @seams.around(api_runs, "start")
    def start(original: Any, call: Caller, checked: Checked) -> Run:
        run: Run = original(call, checked)
        if checked.thread_id is None:
            stateless.add(run.run_id)
        return run

    @seams.around(Scheduler, "_end")
    async def end(original: Any, scheduler: Scheduler, job: Job, ended: Outcome) -> None:
        if ended is SUCCESS and job.run_id in stateless:
            state = await scheduler._checkpoints.state(scheduler._graphs[job.graph_id], job.thread_id)
            ended = outcome.failed(ValueError("No checkpointer set")) if state.interrupts else ended
        await original(scheduler, job, ended)


@fault("STATELESS-002")
def stateless_streams_send_updates_too(seams: Seams) -> None:
    """The stream of a stateless run carries updates beside the modes that were asked for."""

    @seams.around(api_runs, "start")
    def start(original: Any, call: Caller, checked: Checked) -> Any:
        if checked.thread_id is None and "updates" not in checked.plan.stream_mode:
            checked.plan.stream_mode.append("updates")
        return original(call, checked)


@fault("STATELESS-004")
def threads_of_stateless_runs_stay(seams: Seams) -> None:
    """The thread of a stateless run stays, whatever `on_completion` says."""

    @seams.around(planning, "_plan")
    def plan(original: Any, *given: Any, **more: Any) -> Plan:
        made: Plan = original(*given, **more)
        made.temporary = False
        return made


@fault("STATELESS-005")
def threads_of_stateless_runs_always_go(seams: Seams) -> None:
    """The thread of a stateless run goes with it, whatever `on_completion` says."""

    @seams.around(planning, "_plan")
    def plan(original: Any, call: Caller, body: RunBody, *rest: Any, **more: Any) -> Plan:
        made: Plan = original(call, body, *rest, **more)
        made.temporary = made.temporary or body.on_completion == "keep"  # only sent without a thread
        return made


@fault("STATELESS-006")
def stateless_runs_share_a_thread(seams: Seams) -> None:
    """The stateless runs of an assistant that keep their thread keep one for all of them."""

    @seams.around(planning, "_thread")
    def thread(original: Any, call: Caller, checked: Checked) -> Any:
        if checked.thread_id is not None or checked.body.on_completion != "keep":
            return original(call, checked)
        shared = str(uuid5(NAMESPACE_OID, checked.assistant.assistant_id))
        return call.runtime.threads.create(call.owner, shared, if_exists="do_nothing")


@fault("STATELESS-007")
def stateless_runs_can_resume_nothing(seams: Seams) -> None:
    """A stateless run with `command.resume` is accepted, and resumes nothing."""

    @seams.around(planning, "_check_command")
    def check_command(
        original: Any, call: Caller, body: RunBody, assistant: Assistant, thread_id: str | None
    ) -> None:
        if thread_id is not None:
            original(call, body, assistant, thread_id)


@fault("STATELESS-009")
def a_batch_is_answered_backwards(seams: Seams) -> None:
    """A batch of runs is answered with the newest run first, as a list of runs is."""

    @seams.around_operation("POST", "/runs/batch")
    async def create_batch(handler: Any, call: Call) -> Any:
        response = await handler(call)
        return answer(msgspec.json.decode(response.body)[::-1])


@fault("STATELESS-010")
def runs_are_joined_on_their_threads_only(seams: Seams) -> None:
    """A stateless run cannot be joined by its own id: `/runs/{run_id}` has no routes."""
    routed = [each for each in app.OPERATIONS if not each.path.startswith("/runs/{run_id}/")]
    seams.put(app, "OPERATIONS", routed)
