"""Executing a graph: from a job to the events of its stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END
from langgraph.types import Command, Send

from runstone.reference.bodies import CommandBody, Goto, Plan
from runstone.reference.checkpoints import Checkpoints, Graph, checkpoint_json, config_of
from runstone.reference.messages import MessageEvents
from runstone.reference.runs import CALLER, Job
from runstone.reference.store import part_of

# Called with an event's name and payload.
Publish = Callable[[str, Any], None]
Chunk = tuple[tuple[str, ...], str, Any]  # namespace of the subgraph, langgraph's stream mode, payload

DEFAULT_RECURSION_LIMIT = 25


async def execute(graph: Graph, job: Job, checkpoints: Checkpoints, publish: Publish) -> None:
    """Run the graph to its end or its next interrupt, publishing what the plan's stream modes ask for.

    Whatever the graph raises is raised here; what it leaves behind is in the checkpoints.
    """
    publish("metadata", {"run_id": job.run_id, "attempt": job.attempt})
    graph = _with_own_store(graph, job)
    given = await _input(graph, job, checkpoints)
    wanted = set(job.plan.stream_mode)
    messages = MessageEvents(publish, partial="messages" in wanted, tuples="messages-tuple" in wanted)
    async for namespace, mode, payload in _chunks(graph, given, job, publish):
        if mode == "messages":
            messages.add(namespace, *payload)
        elif mode == "updates" and "updates" not in wanted:
            continue
        else:
            publish("|".join((mode, *namespace)), _presentable(mode, payload))
    messages.finish()


def config_for(job: Job, limit: int = DEFAULT_RECURSION_LIMIT) -> RunnableConfig:
    """The config of a run. Its ids are metadata, which langgraph copies to each checkpoint, and configurable.

    `limit`: of the steps of a run that names none.
    """
    plan = job.plan
    ids = {"run_id": job.run_id, "assistant_id": job.assistant_id, "graph_id": job.graph_id}
    config: RunnableConfig = {
        "configurable": plan.config.configurable
        | ids
        | config_of(job.thread_id, plan.checkpoint)["configurable"],
        "metadata": plan.config.metadata | job.metadata | ids,
        "tags": plan.config.tags,
        "recursion_limit": plan.config.recursion_limit or limit,
        "run_id": UUID(job.run_id),
        "run_name": job.graph_id,
    }
    return config


def _limit_of(graph: Graph) -> int:
    """The recursion limit that a graph brings itself (`with_config`), else the server's."""
    return (graph.config or {}).get("recursion_limit", DEFAULT_RECURSION_LIMIT)


def _with_own_store(graph: Graph, job: Job) -> Graph:
    """The graph as its caller may use it: the store holds the caller's own items and no others."""
    caller = job.plan.config.configurable.get(CALLER)
    if caller is None or graph.store is None:
        return graph
    return graph.copy(update={"store": part_of(graph.store, caller)})


async def _input(graph: Graph, job: Job, checkpoints: Checkpoints) -> Any:
    if job.attempt > 1 and await checkpoints.written_by(job.thread_id, job.run_id):
        job.plan.checkpoint = None
        return None  # a killed server left it half done: go on from its last checkpoint
    if job.plan.command is None:
        return job.plan.input
    return await _command(graph, job, job.plan.command, checkpoints)


async def _command(graph: Graph, job: Job, command: CommandBody, checkpoints: Checkpoints) -> Any:
    update = (
        [(key, value) for key, value in command.update]
        if isinstance(command.update, list)
        else command.update
    )
    goto = [Send(each.node, each.input) if isinstance(each, Goto) else each for each in command.nodes]
    if command.resumes:
        resume = await _resume(graph, job, command.resume, checkpoints)
        if resume is None and not goto and update is None:
            return None  # nothing asks for an answer: just go on
        return Command(resume=resume, update=update, goto=goto)
    if goto:
        await _leave_pending_nodes(graph, job, checkpoints)
    return Command(update=update, goto=goto)


async def _resume(graph: Graph, job: Job, answer: Any, checkpoints: Checkpoints) -> Any:
    """The answer under the id of the one open interrupt: bare, langgraph would not deliver null or `{}`."""
    state = await checkpoints.state(graph, job.thread_id, job.plan.checkpoint)
    open_ids = {interrupt.id for interrupt in state.interrupts}
    if isinstance(answer, dict) and answer and answer.keys() <= open_ids:
        return answer
    return {open_ids.pop(): answer} if len(open_ids) == 1 else answer


async def _leave_pending_nodes(graph: Graph, job: Job, checkpoints: Checkpoints) -> None:
    """A goto leaves the nodes that were to run next; langgraph by itself would run them beside it."""
    state = await checkpoints.state(graph, job.thread_id, job.plan.checkpoint)
    if state.next:
        await graph.aupdate_state(config_for(job), None, END)
        job.plan.checkpoint = None


async def _chunks(graph: Graph, given: Any, job: Job, publish: Publish) -> AsyncIterator[Chunk]:
    options = _options(job.plan)
    config = config_for(job, _limit_of(graph))
    subgraphs = job.plan.stream_subgraphs
    if "events" not in job.plan.stream_mode:
        async for chunk in graph.astream(given, config, **options):
            yield _chunk(chunk, subgraphs)
        return
    # langgraph streams events of every runnable; those of the root carry the chunks of the other modes.
    async for event in graph.astream_events(given, config, version="v2", **options):
        publish("events", event)
        if event["event"] == "on_chain_stream" and event["run_id"] == job.run_id:
            yield _chunk(event["data"]["chunk"], subgraphs)


def _options(plan: Plan) -> dict[str, Any]:
    modes = {"messages" if mode == "messages-tuple" else mode for mode in plan.stream_mode} - {"events"}
    return {
        "context": plan.context or None,
        "stream_mode": sorted(modes) or ["updates"],  # langgraph needs one; `updates` costs least
        "subgraphs": plan.stream_subgraphs,
        "interrupt_before": plan.interrupt_before,
        "interrupt_after": plan.interrupt_after,
        "durability": plan.durability,
    }


def _chunk(chunk: Any, subgraphs: bool) -> Chunk:
    if subgraphs:
        namespace, mode, payload = chunk
        return tuple(namespace), mode, payload
    mode, payload = chunk
    return (), mode, payload


def _presentable(mode: str, payload: Any) -> Any:
    """Checkpoints name themselves and their parent as the rest of the API does, not by a config."""
    if mode == "checkpoints":
        return _checkpoint_payload(payload)
    if mode == "debug" and payload["type"] == "checkpoint":
        return {**payload, "payload": _checkpoint_payload(payload["payload"])}
    return payload


def _checkpoint_payload(payload: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in payload.items() if key not in ("config", "parent_config", "tasks")}
    return shown | {
        "checkpoint": checkpoint_json(payload["config"]),
        "parent_checkpoint": checkpoint_json(payload.get("parent_config")),
        "tasks": [_task_payload(task) for task in payload.get("tasks", ())],
    }


def _task_payload(task: dict[str, Any]) -> dict[str, Any]:
    state = task.get("state") or {}
    shown = {key: value for key, value in task.items() if key != "state"}
    return shown | {"checkpoint": state.get("configurable"), "state": None}
