"""Faults of a thread's state: how it is read, and how it is updated by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langgraph.channels import BinaryOperatorAggregate
from langgraph.types import Overwrite

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_threads, checkpoints
from runstone.reference.checkpoints import Checkpoints, Graph
from runstone.reference.errors import NotFound
from runstone.reference.routing import Call
from runstone.reference.runtime import Runtime
from runstone.reference.scheduler import Scheduler


@fault("STATE-001")
def a_state_has_no_time(seams: Seams) -> None:
    """A state does not say when it was made."""

    @seams.around(api_threads, "thread_state")
    def thread_state(original: Any, snapshot: Any) -> Any:
        shown = original(snapshot)
        del shown["created_at"]
        return shown


@fault("STATE-002", "FORK-002")
def the_end_is_a_next_node(seams: Seams) -> None:
    """The state of a finished run names `__end__` as the node that is next."""

    @seams.around(api_threads, "thread_state")
    def thread_state(original: Any, snapshot: Any) -> Any:
        shown = original(snapshot)
        return shown | {"next": shown["next"] or ["__end__"]}


@fault("STATE-003", "HIST-009", "STATE-UPD-006")
def a_thread_without_a_graph_has_no_state(seams: Seams) -> None:
    """The state and the history of a thread on which nothing ran answer 404, and so does an update of it."""

    @seams.around(Runtime, "graph_of")
    def graph_of(original: Any, runtime: Runtime, thread: Any) -> Any:
        graph = original(runtime, thread)
        if graph is None:
            raise NotFound(f"thread {thread.thread_id} has no graph")
        return graph


@fault("STATE-004")
def a_checkpoint_has_no_namespace(seams: Seams) -> None:
    """The checkpoint of a state lacks its `checkpoint_ns` at the root, where it is empty."""

    @seams.around(checkpoints, "checkpoint_json")
    def checkpoint_json(original: Any, config: Any) -> Any:
        shown = original(config)
        return {key: value for key, value in shown.items() if value != ""} if shown else shown


@fault("STATE-005")
def every_reading_answers_the_newest_state(seams: Seams) -> None:
    """Reading the state at a checkpoint answers the newest one."""

    @seams.around(api_threads, "_state")
    async def state(original: Any, call: Call, at: Any, subgraphs: bool) -> Any:
        del at
        return await original(call, None, subgraphs)


@fault("STATE-006")
def states_of_subgraphs_are_left_out(seams: Seams) -> None:
    """The tasks of a state hold no states of subgraphs, whether they are asked for or not."""

    @seams.around(Checkpoints, "state")
    async def state(original: Any, *given: Any, subgraphs: bool = False) -> Any:
        del subgraphs
        return await original(*given)


@fault("STATE-UPD-001", "STATE-UPD-002", "STATE-UPD-003", "STATE-UPD-007")
def an_update_is_lost(seams: Seams) -> None:
    """An update of a state answers the checkpoint that there is, and writes nothing."""

    @seams.around(Checkpoints, "update")
    async def update(original: Any, kept: Checkpoints, graph: Graph, thread_id: str, *_: Any) -> Any:  # noqa: ARG001
        state = await kept.state(graph, thread_id)
        return checkpoints.checkpoint_of(state.config)


@fault("STATE-UPD-001", "STATE-UPD-002")
def an_update_skips_the_reducers(seams: Seams) -> None:
    """The values of an update replace those of the state, where the graph would add them up."""

    @seams.around(Checkpoints, "update")
    async def update(
        original: Any, kept: Checkpoints, graph: Graph, thread_id: str, values: Any, *rest: Any
    ) -> Any:
        if isinstance(values, dict):
            reduced = {
                name for name, each in graph.channels.items() if isinstance(each, BinaryOperatorAggregate)
            }
            values = {key: Overwrite(each) if key in reduced else each for key, each in values.items()}
        return await original(kept, graph, thread_id, values, *rest)


@fault("STATE-UPD-002", "STATE-UPD-007")
def an_update_ignores_its_node(seams: Seams) -> None:
    """An update counts as the output of the last node, whatever `as_node` says."""

    @seams.around(Checkpoints, "update")
    async def update(
        original: Any, kept: Checkpoints, graph: Graph, thread_id: str, values: Any, as_node: Any, at: Any
    ) -> Any:
        del as_node
        return await original(kept, graph, thread_id, values, None, at)


@fault("STATE-UPD-003")
def an_update_ignores_its_checkpoint(seams: Seams) -> None:
    """An update is made to the newest state, whatever `checkpoint` says."""

    @seams.around(Checkpoints, "update")
    async def update(
        original: Any, kept: Checkpoints, graph: Graph, thread_id: str, values: Any, as_node: Any, at: Any
    ) -> Any:
        del at
        return await original(kept, graph, thread_id, values, as_node, None)


@fault("STATE-UPD-005")
def a_busy_thread_can_be_updated(seams: Seams) -> None:
    """The state of a thread is updated while its run is pending or running."""

    @seams.around(Scheduler, "alone")
    @asynccontextmanager
    async def alone(original: Any, own: Scheduler, thread_id: str) -> AsyncIterator[None]:  # noqa: ARG001
        yield
