"""From the body of a run request to a run: resolve the assistant, fill in defaults, refuse what cannot be."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import uuid4

import msgspec

from runstone.reference.assistants import Assistant
from runstone.reference.bodies import CheckpointBody, ConfigBody, Goto, Plan, RunBody
from runstone.reference.errors import Invalid, NotFound, Refused
from runstone.reference.runs import CALLER, NewRun, Run
from runstone.reference.runtime import Caller
from runstone.reference.threads import Thread

# Keys of `configurable` that name a place in the checkpoints: a run's own thread and plan decide these.
_PLACES = ("thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map")


class Checked(NamedTuple):
    """A request for a run that can be carried out; nothing was written yet."""

    body: RunBody
    assistant: Assistant
    plan: Plan
    thread_id: str | None  # None: a thread of its own


async def check(call: Caller, body: RunBody, thread_id: str | None) -> Checked:
    """Everything that can refuse a run and has no side effect. Raises Refused."""
    assistant = call.runtime.assistants.resolve(call.owner, body.assistant_id)
    plan = _plan(call, body, assistant, temporary=thread_id is None and body.on_completion != "keep")
    _check_command(call, body, assistant, thread_id)
    if plan.checkpoint is not None:
        if thread_id is None:
            raise Refused("a checkpoint needs the thread that it is on")
        call.runtime.threads.get(call.owner, thread_id)
        if plan.checkpoint.checkpoint_id and not await call.runtime.checkpoints.exists(
            thread_id, plan.checkpoint
        ):
            raise NotFound(f"checkpoint {plan.checkpoint.checkpoint_id} does not exist on thread {thread_id}")
    return Checked(body, assistant, plan, thread_id)


def start(call: Caller, checked: Checked) -> Run:
    """Insert the run, and its thread where it is to be made. Does not await: nothing can come between."""
    body, assistant, runtime = checked.body, checked.assistant, call.runtime
    thread = _thread(call, checked)
    labels = {"graph_id": assistant.graph_id, "assistant_id": assistant.assistant_id}
    run = runtime.scheduler.submit(
        NewRun(
            thread_id=thread.thread_id,
            assistant_id=assistant.assistant_id,
            graph_id=assistant.graph_id,
            metadata=assistant.metadata | thread.labels | (body.metadata or {}) | labels,
            plan=checked.plan,
            strategy=body.multitask_strategy or "enqueue",
            after_seconds=body.after_seconds or 0,
        )
    )
    runtime.threads.merge_metadata(thread, labels)
    return run


def _thread(call: Caller, checked: Checked) -> Thread:
    threads = call.runtime.threads
    if checked.thread_id is None:
        return threads.create(call.owner, str(uuid4()))
    try:
        thread = threads.get(call.owner, checked.thread_id)
    except NotFound:
        if checked.body.if_not_exists != "create":
            raise
        return threads.create(call.owner, checked.thread_id)
    command = checked.plan.command
    if (
        command is not None
        and command.resumes
        and thread.status == "idle"
        and bytes(thread.interrupts) == b"{}"
    ):
        raise Refused(f"thread {thread.thread_id} is not interrupted: there is nothing to resume")
    return thread


def _plan(call: Caller, body: RunBody, assistant: Assistant, *, temporary: bool) -> Plan:
    config = body.config or ConfigBody()
    if body.context and config.configurable:
        raise Refused("context and config.configurable exclude each other: send one of them")
    modes = body.stream_mode if body.stream_mode is not None else "values"
    return Plan(
        input=None if body.command else body.input,  # a command wins over an input
        command=body.command,
        config=_config(call, config, assistant),
        context=assistant.context | (body.context or {}),
        stream_mode=list(dict.fromkeys([modes] if isinstance(modes, str) else modes)),
        stream_subgraphs=body.stream_subgraphs,
        stream_resumable=body.stream_resumable,
        interrupt_before=body.interrupt_before,
        interrupt_after=body.interrupt_after,
        durability=body.durability or ("exit" if body.checkpoint_during is False else "async"),
        checkpoint=_checkpoint(body, config),
        webhook=body.webhook,
        temporary=temporary,
    )


def _config(call: Caller, config: ConfigBody, assistant: Assistant) -> ConfigBody:
    """The assistant's config under the run's, without what a client must not set, with who is calling."""
    defaults = msgspec.convert(assistant.config, ConfigBody)
    configurable = {
        key: value
        for key, value in (defaults.configurable | config.configurable).items()
        # langgraph keeps its own machinery under `__`, a server what it knows of the caller under the other.
        if not key.startswith(("__", "langgraph_auth_")) and key not in _PLACES
    }
    if call.owner is not None:
        configurable[CALLER] = call.owner
    return ConfigBody(
        configurable=configurable,
        metadata=defaults.metadata | config.metadata,
        tags=defaults.tags + config.tags,
        recursion_limit=config.recursion_limit or defaults.recursion_limit,
    )


def _checkpoint(body: RunBody, config: ConfigBody) -> CheckpointBody | None:
    if body.checkpoint is not None and body.checkpoint.checkpoint_id:
        return body.checkpoint
    checkpoint_id: Any = body.checkpoint_id or config.configurable.get("checkpoint_id")
    return CheckpointBody(checkpoint_id=str(checkpoint_id)) if checkpoint_id else None


def _check_command(call: Caller, body: RunBody, assistant: Assistant, thread_id: str | None) -> None:
    if body.command is None:
        return
    if body.command.resumes and thread_id is None:
        raise Refused("a command that resumes needs a thread")
    nodes = call.runtime.graphs[assistant.graph_id].nodes
    for each in body.command.nodes:
        name = each.node if isinstance(each, Goto) else each
        if name not in nodes and name != "__end__":
            raise Invalid(f"goto: graph {assistant.graph_id} has no node {name!r}")
