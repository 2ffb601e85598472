"""Faults of the stream of a run: how it begins, what it holds, and how it ends."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import uuid4

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import outcome, planning
from runstone.reference.bodies import RunBody
from runstone.reference.channels import Channel
from runstone.reference.outcome import CANCELLED, Outcome
from runstone.reference.planning import check
from runstone.reference.routing import Call
from runstone.reference.runs import Job
from runstone.reference.runtime import Caller
from runstone.reference.scheduler import Scheduler

_STREAM = "/threads/{thread_id}/runs/stream"


@fault("RUN-STREAM-001", "EXEC-002", "PARITY-002")
def a_stream_starts_its_run_twice(seams: Seams) -> None:
    """`runs/stream` starts a run for the answer and one for the record, both on the thread."""

    @seams.around_operation("POST", _STREAM)
    async def create_and_stream(handler: Any, call: Call) -> Any:
        await call.request.body()  # kept, so that the handler can read it again
        body = await call.body(RunBody)
        planning.start(call, await check(call, body, call.uuid("thread_id")))
        return await handler(call)


@fault("RUN-STREAM-002")
def a_stream_names_another_run(seams: Seams) -> None:
    """The `run_id` of the `metadata` event is a trace's, and not the run's."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        told = payload | {"run_id": str(uuid4())} if name == "metadata" else payload
        original(scheduler, job, name, told)


@fault("RUN-STREAM-003")
def attempts_are_counted_from_zero(seams: Seams) -> None:
    """The first attempt at a run has the number 0."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        told = payload | {"attempt": payload["attempt"] - 1} if name == "metadata" else payload
        original(scheduler, job, name, told)


@fault("RUN-STREAM-006")
def the_stream_of_a_failed_run_stays_open(seams: Seams) -> None:
    """The stream of a run that failed tells its error, and then comments for ever."""
    _leave_open(seams, lambda ended: ended.status == "error")


@fault("RUN-STREAM-011", "RUN-STREAM-006")
def the_stream_of_a_cancelled_run_stays_open(seams: Seams) -> None:
    """The stream of a run that is cancelled is not closed: nothing but comments follows."""
    _leave_open(seams, lambda ended: ended is CANCELLED)


@fault("RUN-STREAM-007")
def each_superstep_ends_the_stream(seams: Seams) -> None:
    """An event `end` follows each event of the state, not the last one only."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        original(scheduler, job, name, payload)
        if name == "values":
            original(scheduler, job, "end", None)


@fault("RUN-STREAM-008")
def an_error_is_followed_by_values(seams: Seams) -> None:
    """A run that failed still streams the values that it left, after its `error` event."""
    last: dict[str, Any] = {}

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        original(scheduler, job, name, payload)
        if name == "values":
            last[job.run_id] = payload
        elif name == "error":
            original(scheduler, job, "values", last.get(job.run_id, {}))


@fault("RUN-STREAM-008", "JOIN-STREAM-003")
def a_failed_stream_just_ends(seams: Seams) -> None:
    """The stream of a run that failed closes without an `error` event, like that of one that ended well."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        if name != "error":
            original(scheduler, job, name, payload)


@fault("RUN-STREAM-009")
def an_error_event_is_a_text(seams: Seams) -> None:
    """The data of an `error` event is the message alone."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        original(scheduler, job, name, payload["message"] if name == "error" else payload)


@fault("RUN-STREAM-010", "RUN-WAIT-004", "RUN-JOIN-003")
def errors_have_no_message(seams: Seams) -> None:
    """The error of a failed run names its class and has an empty message."""

    @seams.around(outcome, "failed")
    def failed(original: Any, error: BaseException) -> Outcome:
        told: Outcome = original(error)
        return Outcome("error", (told.error or {}) | {"message": ""})


@fault("RUN-STREAM-012")
def streams_send_updates_by_default(seams: Seams) -> None:
    """Without `stream_mode` a stream is one of mode updates."""

    @seams.around(planning, "_plan")
    def plan(original: Any, call: Caller, body: RunBody, *rest: Any, **more: Any) -> Any:
        if body.stream_mode is None:
            body.stream_mode = "updates"
        return original(call, body, *rest, **more)


@fault("RUN-STREAM-015", "MODE-VALUES-001", "RETR-003", "RETR-004", "RETR-005", "EXEC-002", "PARITY-001")
def the_final_values_are_not_streamed(seams: Seams) -> None:
    """A stream of values ends with the state before the last superstep: nobody flushes the last event."""
    kept: dict[str, Any] = {}

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        if name != "values":
            original(scheduler, job, name, payload)
            return
        if job.run_id in kept:
            original(scheduler, job, name, kept[job.run_id])
        kept[job.run_id] = payload


@fault("TURN-002")
def the_first_values_are_the_input(seams: Seams) -> None:
    """The first `values` event of a run is its input, and not the state that the input made."""
    begun: set[str] = set()

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        if name == "values" and job.run_id not in begun:
            begun.add(job.run_id)
            payload = job.plan.input if isinstance(job.plan.input, dict) else payload
        original(scheduler, job, name, payload)


@fault("MODE-VALUES-002", "MODE-UPDATES-002")
def streams_do_not_tell_of_interrupts(seams: Seams) -> None:
    """The stream of a run that pauses at interrupt() shows no `__interrupt__` and just closes."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        if not (isinstance(payload, dict) and "__interrupt__" in payload):
            original(scheduler, job, name, payload)


@fault("RUN-STREAM-005", "JOIN-STREAM-008")
def listeners_share_one_queue(seams: Seams) -> None:
    """Several who listen to one run share its events: each event goes to one of them."""
    turns: dict[Channel, int] = {}

    @seams.around(Channel, "publish")
    def publish(original: Any, channel: Channel, event: Any) -> None:  # noqa: ARG001 - it would tell all
        turns[channel] = turns.get(channel, -1) + 1
        if channel._listeners:
            channel._listeners[turns[channel] % len(channel._listeners)].put_nowait(event)


def _leave_open(seams: Seams, which: Any) -> None:
    """Do not tell those who listen to a run that ended so that there is nothing more to come."""

    @seams.around(Scheduler, "_write_end")
    def write_end(original: Any, scheduler: Scheduler, run_id: str, thread_id: str, *given: Any) -> None:
        ended: Outcome = given[0]
        channel = scheduler.channel(run_id)
        listeners = list(channel._listeners) if channel is not None and which(ended) else []
        original(scheduler, run_id, thread_id, *given)
        for listener in listeners:
            while not listener.empty():
                event = listener.get_nowait()
                if event is None:
                    break
                listener.put_nowait(event)

    @seams.around(Channel, "leave")
    def leave(original: Any, channel: Channel, listener: Any) -> None:
        with suppress(ValueError):
            original(channel, listener)
