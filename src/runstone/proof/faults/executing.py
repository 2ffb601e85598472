"""Faults of executing a graph: how often, on what, and what of its state reaches clients."""

from __future__ import annotations

import unicodedata
from typing import Any
from uuid import uuid4

from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.errors import InvalidUpdateError

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, execution, outcome, routing, scheduler, wire
from runstone.reference.bodies import RunBody
from runstone.reference.checkpoints import Checkpoints, Graph, config_of
from runstone.reference.outcome import SUCCESS, Outcome
from runstone.reference.routing import Call
from runstone.reference.runs import Job
from runstone.reference.scheduler import Execution, Scheduler


@fault("EXEC-001", "EXEC-002", "MODE-VALUES-001")
def a_run_is_executed_twice(seams: Seams) -> None:
    """A run is executed twice, one time after the other: its queue delivers each at least once."""

    @seams.around(scheduler, "execute")
    async def execute(original: Any, graph: Graph, job: Job, *rest: Any) -> None:
        await original(graph, job, *rest)
        await original(graph, job._replace(run_id=str(uuid4())), *rest)


@fault("EXEC-003", "RUN-CREATE-008")
def an_input_is_cut_to_the_state_of_its_graph(seams: Seams) -> None:
    """Of an input only the keys of the graph's state are passed on; a functional entrypoint declares none."""

    @seams.around(execution, "_input")
    async def given(original: Any, graph: Graph, *rest: Any) -> Any:
        value = await original(graph, *rest)
        if not isinstance(value, dict):
            return value
        return {key: value[key] for key in value if key in graph.channels}


@fault("EXEC-005", "TURN-001")
def tool_calls_are_lost_on_the_wire(seams: Seams) -> None:
    """The messages of a model are answered without their tool calls."""

    @seams.around(wire, "_plain")
    def plain(original: Any, value: Any) -> Any:
        shown = original(value)
        return shown | {"tool_calls": []} if isinstance(value, AIMessage) else shown


@fault("TURN-005", "EXEC-005")
def messages_keep_their_constructor_form(seams: Seams) -> None:
    """Messages are answered in the form in which langchain stores its objects."""

    @seams.around(wire, "_plain")
    def plain(original: Any, value: Any) -> Any:
        return dumpd(value) if isinstance(value, BaseMessage) else original(value)


@fault("TURN-003", "RUN-WAIT-002", "RUN-STREAM-015")
def message_ids_are_made_when_they_are_read(seams: Seams) -> None:
    """A message gets a new id with each answer that holds it."""

    @seams.around(wire, "_plain")
    def plain(original: Any, value: Any) -> Any:
        shown = original(value)
        return shown | {"id": str(uuid4())} if isinstance(value, BaseMessage) else shown


@fault("TURN-001", "EXEC-005", "RUN-STREAM-015")
def states_hold_the_last_two_messages(seams: Seams) -> None:
    """The state of a thread and the result of a run hold the last two messages only."""

    @seams.around(Checkpoints, "state")
    async def state(original: Any, *given: Any, **more: Any) -> Any:
        found = await original(*given, **more)
        if not isinstance(found.values, dict) or "messages" not in found.values:
            return found
        return found._replace(values=found.values | {"messages": found.values["messages"][-2:]})


@fault("TURN-001", "TURN-002")
def a_run_begins_with_an_empty_state(seams: Seams) -> None:
    """A run with an input begins from nothing: what earlier runs left on the thread is cleared."""

    @seams.around(Scheduler, "_execute")
    async def execute(original: Any, server: Scheduler, begun: Execution) -> None:
        if begun.job.plan.input is not None:
            await server._checkpoints.delete(begun.job.thread_id)
        await original(server, begun)


@fault("TURN-004")
def texts_are_normalised(seams: Seams) -> None:
    """The text of a request is brought into Unicode's composed form, as databases may do."""

    @seams.around(routing, "decode")
    def decode(original: Any, body: bytes, shape: Any) -> Any:
        if shape is RunBody:
            body = unicodedata.normalize("NFC", body.decode("utf-8", "surrogateescape")).encode(
                "utf-8", "surrogateescape"
            )
        return original(body, shape)


@fault("PARITY-002", "PARITY-004")
def streams_keep_the_last_checkpoint_only(seams: Seams) -> None:
    """A run that is started by stream writes one checkpoint, when it has ended."""

    @seams.around(api_runs, "check")
    async def check(original: Any, call: Call, *given: Any) -> Any:
        checked = await original(call, *given)
        if call.request.url.path.endswith("/stream"):
            checked.plan.durability = "exit"
        return checked


@fault("BAD-001", "BAD-002")
def an_invalid_update_is_kept_as_text(seams: Seams) -> None:
    """What a node returns instead of an update is put into the state as text, and the run ends well."""

    @seams.around(scheduler, "execute")
    async def execute(original: Any, graph: Graph, job: Job, *rest: Any) -> None:
        try:
            await original(graph, job, *rest)
        except InvalidUpdateError as error:
            await graph.aupdate_state(config_of(job.thread_id), {"value": str(error)}, as_node="bad")


@fault("BAD-003")
def an_unserialisable_value_poisons_its_thread(seams: Seams) -> None:
    """A thread whose run wrote what cannot be serialised answers 500, and so does a search that finds it."""
    poisoned: set[str] = set()

    @seams.around(Scheduler, "_end")
    async def end(original: Any, server: Scheduler, job: Job, ended: Outcome) -> None:
        if ended.error is not None and ended.error["error"] == "TypeError":
            poisoned.add(job.thread_id)
        await original(server, job, ended)

    async def read(handler: Any, call: Call) -> Any:
        response = await handler(call)
        if any(thread_id.encode() in response.body for thread_id in poisoned):
            raise TypeError("cannot pickle '_thread.lock' object")
        return response

    seams.around_operation("GET", "/threads/{thread_id}")(read)
    seams.around_operation("GET", "/threads/{thread_id}/state")(read)
    seams.around_operation("POST", "/threads/search")(read)


@fault("BAD-004")
def an_unserialisable_value_is_passed_over(seams: Seams) -> None:
    """A run that wrote what cannot be serialised ends as `success`, with the values from before."""

    @seams.around(outcome, "failed")
    def failed(original: Any, error: BaseException) -> Any:
        return SUCCESS if isinstance(error, TypeError) else original(error)
