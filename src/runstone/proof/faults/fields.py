"""Faults of fields: one that is ignored, mistaken or not expected, on one operation or entry point."""

from __future__ import annotations

from typing import Any

import msgspec

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, execution, routing
from runstone.reference.assistants import Assistants
from runstone.reference.bodies import ConfigBody, RunBody
from runstone.reference.routing import Call

_INDEXED = 2700  # bytes that a row of a B-tree takes


@fault("FIELD-011", "FIELD-001")
def a_null_configurable_is_a_crash(seams: Seams) -> None:
    """A run whose `config.configurable` is null, or not an object, answers 500."""
    _crashing(seams, '"configurable":null', '"configurable":true', '"configurable":-7')


@fault("FIELD-001")
def a_number_as_status_is_a_crash(seams: Seams) -> None:
    """A search of threads by a status that is not a text answers 500."""
    _crashing(seams, '"status":-7')


@fault("FIELD-009")
def a_key_that_is_no_text_is_a_crash(seams: Seams) -> None:
    """An item of the store with a key that is not a text answers 500."""
    _crashing(seams, '"key":-7', '"key":[[7]]')


@fault("FIELD-010")
def a_schedule_that_is_no_text_is_a_crash(seams: Seams) -> None:
    """A cron with a schedule that is not a text answers 500."""
    _crashing(seams, '"schedule":true')


@fault("FIELD-002")
def a_batch_ignores_interrupts(seams: Seams) -> None:
    """The runs of a batch do not stop where interrupt_before says."""

    async def batch(handler: Any, call: Call) -> Any:
        return await handler(_Changed(call.runtime, call.owner, call.request))

    seams.around_operation("POST", "/runs/batch")(batch)


class _Changed(Call):
    async def body(self, shape: Any) -> Any:
        given = await super().body(shape)
        return [msgspec.structs.replace(each, interrupt_before=None) for each in given]


@fault("FIELD-002")
def a_stateless_run_has_no_metadata(seams: Seams) -> None:
    """A run without a thread is made without its metadata."""

    @seams.around(api_runs, "check")
    async def check(original: Any, call: Any, body: Any, thread_id: Any) -> Any:
        body.metadata = body.metadata if thread_id else None
        return await original(call, body, thread_id)


@fault("FIELD-002")
def a_background_run_has_no_context(seams: Seams) -> None:
    """The context of a run in the background does not reach the graph."""

    async def create(handler: Any, call: Call) -> Any:
        return await handler(_WithoutContext(call.runtime, call.owner, call.request))

    seams.around_operation("POST", "/threads/{thread_id}/runs")(create)


class _WithoutContext(Call):
    async def body(self, shape: Any) -> Any:
        return msgspec.structs.replace(await super().body(shape), context=None)


@fault("FIELD-003")
def a_body_decides_where_a_run_executes(seams: Seams) -> None:
    """A thread_id in the configurable of a request's body is where its run executes."""

    @seams.around(api_runs, "check")
    async def check(original: Any, call: Any, body: Any, thread_id: Any) -> Any:
        named = (body.config or ConfigBody()).configurable.get("thread_id")
        return await original(call, body, named or thread_id)


@fault("FIELD-004")
def a_context_is_kept_in_metadata(seams: Seams) -> None:
    """The context of a run is in the metadata of its checkpoints."""

    @seams.around(execution, "config_for")
    def config_for(original: Any, job: Any, *rest: Any) -> Any:
        config = original(job, *rest)
        config["metadata"] |= {f"context_{key}": value for key, value in job.plan.context.items()}
        return config


@fault("FIELD-005")
def a_run_needs_an_input(seams: Seams) -> None:
    """A run whose body has neither input nor command is refused."""

    class Demanding(RunBody, kw_only=True):
        input: Any

    @seams.around(routing, "decode")
    def decode(original: Any, body: bytes, shape: Any) -> Any:
        if shape is RunBody and b'"command"' not in body:
            original(body, Demanding)
        return original(body, shape)


@fault("FIELD-006")
def a_graph_is_not_told_its_ids(seams: Seams) -> None:
    """The configurable that a graph sees names neither its run nor its assistant."""

    @seams.around(execution, "config_for")
    def config_for(original: Any, job: Any, *rest: Any) -> Any:
        config = original(job, *rest)
        for name in ("run_id", "assistant_id", "graph_id"):
            config["configurable"].pop(name, None)
        return config


@fault("FIELD-007")
def a_default_replaces_the_graphs_own_limit(seams: Seams) -> None:
    """Each run has the recursion limit of the server, whatever its graph brings."""

    @seams.around(execution, "_limit_of")
    def limit_of(original: Any, graph: Any) -> int:  # noqa: ARG001 - the seam's own form
        return execution.DEFAULT_RECURSION_LIMIT


@fault("FIELD-008")
def a_long_prompt_fits_no_index(seams: Seams) -> None:
    """An assistant whose config is longer than 2.7 KB answers 500."""

    @seams.around(Assistants, "create")
    def create(original: Any, rows: Any, owner: Any, body: Any) -> Any:
        if len(msgspec.json.encode(body.config or {})) > _INDEXED:
            raise RuntimeError("index row size exceeds maximum 2704")
        return original(rows, owner, body)


def _crashing(seams: Seams, *wrong: str) -> None:
    """Answer 500 to a body that holds one of these."""

    @seams.around(routing, "decode")
    def decode(original: Any, body: bytes, shape: Any) -> Any:
        if any(each.encode() in body for each in wrong):
            raise RuntimeError("the server did not expect this")
        return original(body, shape)
