"""Faults of values: something that was sent, or that a node made, arrives as something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import (
    api_runs,
    api_store,
    channels,
    checkpoints,
    execution,
    planning,
    wire,
)
from runstone.reference.assistants import Assistants
from runstone.reference.scheduler import Scheduler
from runstone.reference.threads import Threads
from runstone.reference.webhooks import Webhooks

_MEGABYTE = 2**20
_LITERAL_ESCAPE = re.compile(rb"\\\\u(00[46][1-9])")


@fault("VALUE-009")
def a_message_loses_its_image_blocks(seams: Seams) -> None:
    """Of the content of a message only the text blocks are shown."""
    _messages(seams, lambda shown: {**shown, "content": _texts_of(shown["content"])})


@fault("VALUE-009")
def a_message_loses_its_name_and_metadata(seams: Seams) -> None:
    """A message is shown without its name, additional_kwargs and response_metadata."""
    lost = ("name", "additional_kwargs", "response_metadata")
    _messages(seams, lambda shown: {key: value for key, value in shown.items() if key not in lost})


@fault("VALUE-001")
def streams_resolve_literal_escapes(seams: Seams) -> None:
    """A text that holds a backslash, a u and four digits is streamed with the character that they name."""

    @seams.around(channels, "sse")
    def sse(original: Any, event: Any) -> Any:
        data = _LITERAL_ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode())[1:], event.data)
        return original(event._replace(data=data))


@fault("VALUE-011")
def a_state_that_is_no_json_cannot_be_read(seams: Seams) -> None:
    """The state and the history of a thread with a set, bytes or NaN in it answer 500."""
    seams.put(checkpoints, "to_json_marked", wire.to_json)


@fault("VALUE-012")
def dates_differ_between_wait_and_state(seams: Seams) -> None:
    """A date is text in a wait and a stream, and a marker in state and history."""

    @seams.around(checkpoints, "to_json_marked")
    def marked(original: Any, value: Any) -> bytes:
        shown: bytes = original(value)
        return shown.replace(b'"2026-01-02T03:04:05+00:00"}', b'{"__not_json__":"datetime"}}')


@fault("VALUE-001", "VALUE-002", "VALUE-004")
def texts_are_stripped(seams: Seams) -> None:
    """White space at the ends of a text in an input or an update is taken away."""
    _of_inputs(seams, lambda value: value.strip() if isinstance(value, str) else value)
    _of_updates(seams, lambda value: value.strip() if isinstance(value, str) else value)


@fault("VALUE-010")
def texts_are_cut_at_a_megabyte(seams: Seams) -> None:
    """Of a text in an input the first megabyte is kept."""
    _of_inputs(seams, lambda value: value[:_MEGABYTE] if isinstance(value, str) else value)


@fault("VALUE-001")
def large_numbers_become_texts(seams: Seams) -> None:
    """An integer past 32 bits in an input becomes a text."""
    _of_inputs(seams, lambda value: str(value) if _is_number(value) and abs(value) > 2**31 else value)


@fault("VALUE-002")
def falsy_custom_events_are_dropped(seams: Seams) -> None:
    """A custom event whose payload is null, false, 0 or empty is not sent."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, scheduler: Any, job: Any, name: str, payload: Any) -> None:
        if name != "custom" or payload:
            original(scheduler, job, name, payload)


@fault("VALUE-003")
def interrupts_lose_empty_members(seams: Seams) -> None:
    """Members of an interrupt's value that are null or empty are left out."""

    @seams.around(wire, "_plain")
    def plain(original: Any, value: Any) -> Any:
        shown = original(value)
        if isinstance(shown, dict) and shown.keys() == {"value", "id"}:
            shown["value"] = _mapped(shown["value"], _without_empty)
        return shown


@fault("VALUE-003")
def answers_lose_their_nulls(seams: Seams) -> None:
    """Members of the answer to an interrupt that are null do not reach the graph."""

    @seams.around(execution, "_resume")
    async def resume(original: Any, graph: Any, job: Any, answer: Any, rest: Any) -> Any:
        return await original(graph, job, _mapped(answer, _without_nulls), rest)


@fault("VALUE-004")
def updates_lose_their_nulls(seams: Seams) -> None:
    """Members of an update of the state that are null are left out."""
    _of_updates(seams, _without_nulls)


@fault("VALUE-005")
def metadata_knows_only_texts(seams: Seams) -> None:
    """Numbers in the metadata of a thread become texts."""

    @seams.around(Threads, "create")
    def create(original: Any, rows: Any, owner: Any, id_: Any = None, given: Any = None, **rest: Any) -> Any:
        return original(rows, owner, id_, _mapped(given, _as_text), **rest)


@fault("VALUE-005")
def metadata_of_runs_is_flat(seams: Seams) -> None:
    """Nested metadata of a run become text."""

    @seams.around(planning, "NewRun")
    def new_run(original: Any, **fields: Any) -> Any:
        flat = {
            key: {name: _flat(member) for name, member in value.items()} if isinstance(value, dict) else value
            for key, value in fields["metadata"].items()
        }
        return original(**fields | {"metadata": flat})


@fault("VALUE-006")
def a_configurable_loses_what_is_empty(seams: Seams) -> None:
    """Members of a configurable value that are null, false, 0 or empty do not reach the graph."""

    @seams.around(planning, "_config")
    def config(original: Any, *given: Any) -> Any:
        whole = original(*given)
        whole.configurable = _mapped(whole.configurable, _without_empty)
        return whole


@fault("VALUE-006")
def contexts_are_texts(seams: Seams) -> None:
    """Numbers in the context of an assistant are kept as texts."""

    @seams.around(Assistants, "create")
    def create(original: Any, rows: Any, owner: Any, body: Any) -> Any:
        return original(rows, owner, msgspec.structs.replace(body, context=_mapped(body.context, _as_text)))


@fault("VALUE-007")
def items_are_found_without_their_empty_members(seams: Seams) -> None:
    """An item of the store is shown without members that are null or empty."""

    @seams.around(api_store, "_item")
    def item(original: Any, found: Any) -> Any:
        shown = original(found)
        return shown | {"value": _mapped(shown["value"], _without_empty)}


@fault("VALUE-008")
def webhooks_lose_their_nulls(seams: Seams) -> None:
    """The values in the body of a webhook lack the members that are null."""

    @seams.around(Webhooks, "prepare")
    def prepare(original: Any, *given: Any) -> Any:
        hook = original(*given)
        values = msgspec.json.decode(hook.payload["values"])
        return hook._replace(payload=hook.payload | {"values": _mapped(values, _without_nulls)})


def _of_inputs(seams: Seams, change: Callable[[Any], Any]) -> None:
    @seams.around(api_runs, "check")
    async def check(original: Any, call: Any, body: Any, thread_id: Any) -> Any:
        body.input = _mapped(body.input, change)
        return await original(call, body, thread_id)


def _of_updates(seams: Seams, change: Callable[[Any], Any]) -> None:
    @seams.around(checkpoints.Checkpoints, "update")
    async def update(original: Any, own: Any, graph: Any, thread_id: str, values: Any, *rest: Any) -> Any:
        return await original(own, graph, thread_id, _mapped(values, change), *rest)


def _messages(seams: Seams, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    @seams.around(wire, "_plain")
    def plain(original: Any, value: Any) -> Any:
        shown = original(value)
        return change(shown) if isinstance(shown, dict) and "additional_kwargs" in shown else shown


def _texts_of(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    return [block for block in content if not isinstance(block, dict) or block.get("type") == "text"]


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with every part of it, the innermost first, as `change` makes it."""
    if isinstance(value, dict):
        value = {key: _mapped(member, change) for key, member in value.items()}
    elif isinstance(value, list):
        value = [_mapped(member, change) for member in value]
    return change(value)


def _without_nulls(value: Any) -> Any:
    return {key: one for key, one in value.items() if one is not None} if isinstance(value, dict) else value


def _without_empty(value: Any) -> Any:
    return {key: member for key, member in value.items() if member} if isinstance(value, dict) else value


def _as_text(value: Any) -> Any:
    return str(value) if _is_number(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flat(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value
