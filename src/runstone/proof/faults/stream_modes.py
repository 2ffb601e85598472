"""Faults of the stream modes: which events each of them sends, and with which data."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import msgspec
from langchain_core.messages import BaseMessageChunk

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import execution, planning, routing
from runstone.reference.bodies import Plan, RunBody
from runstone.reference.messages import MessageEvents
from runstone.reference.runs import Job
from runstone.reference.scheduler import Scheduler

_KNOWN = {
    "values",
    "updates",
    "messages",
    "messages-tuple",
    "custom",
    "events",
    "debug",
    "tasks",
    "checkpoints",
}
_THINNED_S = 0.1


@fault("MODE-VALUES-001")
def the_values_after_the_input_are_left_out(seams: Seams) -> None:
    """A stream of values begins after the first superstep, without the state that the input made."""
    begun: set[str] = set()

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        if name == "values" and job.run_id not in begun:
            begun.add(job.run_id)
        else:
            original(scheduler, job, name, payload)


@fault("MODE-UPDATES-001", "MODE-SUB-001")
def updates_do_not_name_their_node(seams: Seams) -> None:
    """An `updates` event holds what the node returned, without the node's name."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        bare = name.partition("|")[0] == "updates" and "__interrupt__" not in payload
        original(scheduler, job, name, next(iter(payload.values())) if bare else payload)


@fault("MODE-UPDATES-001")
def updates_are_sent_twice(seams: Seams) -> None:
    """Each `updates` event is sent again: once when its node ends and once with its superstep."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        original(scheduler, job, name, payload)
        if name == "updates":
            original(scheduler, job, name, payload)


@fault("MODE-MSG-001")
def partial_messages_are_chunks(seams: Seams) -> None:
    """`messages/partial` holds the newest chunk, and not the message so far."""

    @seams.around(MessageEvents, "_grow")
    def grow(original: Any, events: MessageEvents, message_id: str, suffix: str, chunk: Any) -> None:
        publish = events._publish

        def bare(name: str, payload: Any) -> None:
            publish(name, [chunk] if name.startswith("messages/partial") else payload)

        events._publish = bare
        original(events, message_id, suffix, chunk)
        events._publish = publish


@fault("MODE-MSG-002")
def message_tuples_hold_the_text_so_far(seams: Seams) -> None:
    """In mode messages-tuple each chunk repeats the text before it, so that a client shows it twice."""
    grown: dict[str, BaseMessageChunk] = {}

    @seams.around(MessageEvents, "add")
    def add(original: Any, events: MessageEvents, namespace: Any, message: Any, metadata: Any) -> None:
        if events._tuples and isinstance(message, BaseMessageChunk) and message.id is not None:
            before = grown.get(message.id)
            message = grown[message.id] = message if before is None else before + message
        original(events, namespace, message, metadata)


@fault("MODE-MSG-003")
def each_chunk_of_a_message_has_its_own_id(seams: Seams) -> None:
    """The chunks of one message have ids of their own, so that a client takes each for a message."""

    @seams.around(MessageEvents, "add")
    def add(original: Any, events: MessageEvents, namespace: Any, message: Any, metadata: Any) -> None:
        if events._tuples and isinstance(message, BaseMessageChunk):
            message = message.model_copy(update={"id": f"run-{uuid4()}"})
        original(events, namespace, message, metadata)


@fault("MODE-CUSTOM-001")
def custom_events_are_thinned_out(seams: Seams) -> None:
    """Custom events that follow each other within 0.1 s are dropped, to spare the network."""
    sent_at: dict[str, float] = {}

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        if name == "custom":
            if time.monotonic() - sent_at.get(job.run_id, 0.0) < _THINNED_S:
                return
            sent_at[job.run_id] = time.monotonic()
        original(scheduler, job, name, payload)


@fault("MODE-CUSTOM-001", "JOIN-STREAM-001")
def custom_events_overtake_each_other(seams: Seams) -> None:
    """Custom events come in swapped pairs: two workers send them, and the second is faster."""
    kept: dict[str, Any] = {}

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        if name == "custom" and job.run_id not in kept:
            kept[job.run_id] = payload
            return
        original(scheduler, job, name, payload)
        if name in ("custom", "values", "error") and job.run_id in kept:
            original(scheduler, job, "custom", kept.pop(job.run_id))


@fault("MODE-EVENTS-001")
def ends_of_chains_are_not_told(seams: Seams) -> None:
    """Mode events leaves out the events `on_chain_end`, which hold the largest payloads."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        if name != "events" or payload["event"] != "on_chain_end":
            original(scheduler, job, name, payload)


@fault("MODE-DEBUG-001")
def debug_tells_of_no_checkpoint(seams: Seams) -> None:
    """Mode debug tells of tasks and not of checkpoints."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        if name != "debug" or payload["type"] != "checkpoint":
            original(scheduler, job, name, payload)


@fault("MODE-TASKS-001")
def tasks_are_told_when_they_begin_only(seams: Seams) -> None:
    """Mode tasks tells that a task begins and never what came of it."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        if name.partition("|")[0] != "tasks" or "triggers" in payload:
            original(scheduler, job, name, payload)


@fault("MODE-CKPT-001")
def checkpoints_are_told_after_the_input_only(seams: Seams) -> None:
    """Mode checkpoints leaves out the checkpoint of the input, which has step -1."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        if name != "checkpoints" or payload["metadata"]["step"] >= 0:
            original(scheduler, job, name, payload)


@fault("MODE-MULTI-001", "RUN-STREAM-012")
def streams_carry_checkpoints_unasked(seams: Seams) -> None:
    """Each stream carries `checkpoints` events, whether its modes ask for them or not."""

    @seams.around(execution, "_options")
    def options(original: Any, plan: Plan) -> Any:
        chosen = original(plan)
        return chosen | {"stream_mode": sorted({*chosen["stream_mode"], "checkpoints"})}


@fault("MODE-MULTI-002")
def values_leave_messages_to_their_own_mode(seams: Seams) -> None:
    """Where messages-tuple is requested too, `values` events come without the messages."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        if name == "values" and "messages-tuple" in job.plan.stream_mode:
            payload = {key: payload[key] for key in payload if key != "messages"}
        original(scheduler, job, name, payload)


@fault("MODE-SUB-001", "JOIN-STREAM-006")
def events_of_subgraphs_have_no_namespace(seams: Seams) -> None:
    """With `stream_subgraphs` the events of a subgraph are named like those of the root."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Scheduler, job: Job, name: str, payload: Any) -> None:
        original(scheduler, job, name.partition("|")[0], payload)


@fault("MODE-SUB-002")
def subgraphs_are_streamed_unasked(seams: Seams) -> None:
    """The events of subgraphs are streamed whether `stream_subgraphs` is set or not."""

    @seams.around(planning, "_plan")
    def plan(original: Any, *given: Any, **more: Any) -> Plan:
        made: Plan = original(*given, **more)
        made.stream_subgraphs = True
        return made


@fault("MODE-UNSUP-001")
def unknown_stream_modes_are_passed_over(seams: Seams) -> None:
    """A stream mode that there is not is passed over, and the stream lacks its events."""

    @seams.around(routing, "decode")
    def decode(original: Any, body: bytes, shape: Any) -> Any:
        if shape is RunBody:
            document = original(body, dict[str, Any])
            modes = document.get("stream_mode")
            asked = [modes] if isinstance(modes, str) else modes
            if isinstance(asked, list) and not _KNOWN.issuperset(map(str, asked)):
                known = [mode for mode in asked if mode in _KNOWN]
                body = msgspec.json.encode(document | {"stream_mode": known})
        return original(body, shape)
