"""Variants that refuse: what another correct server need not take, and by which status it says so."""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.responses import Response

from runstone.proof.faults.fault import variant
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, routing
from runstone.reference.errors import Conflict, Invalid, NotFound, TooLarge
from runstone.reference.routing import Call

_BYTES = 50_000  # of a body; a long prompt (5 KB) is nothing unusual
_LEVELS = 40
_MEMBERS = 800  # the 600 numbers of many_events are to be taken
_EXACT = 2**53
_UUID = re.compile(r"[0-9a-f-]{36}", re.IGNORECASE)
_ODD = frozenset(map(chr, range(32))) - set("\t\n\r")


@variant(part="refusals")
def unusual_values_are_refused(seams: Seams) -> None:
    """Bodies of 50 KB, of 40 levels, of 800 members, with control characters or past 2^53 are refused."""

    @seams.around(routing, "decode")
    def decode(original: Any, body: bytes, shape: Any) -> Any:
        if len(body) > _BYTES:
            raise TooLarge(f"the body is larger than {_BYTES} bytes")
        decoded = original(body, shape)
        if (unusual := _unusual(json.loads(body))) is not None:
            raise Invalid(f"the body holds {unusual}")
        return decoded


def _unusual(value: Any, level: int = 0) -> str | None:
    """What of the value is refused, in words."""
    if level > _LEVELS:
        return f"more than {_LEVELS} levels"
    if isinstance(value, str):
        return "control characters" if _ODD & set(value) else None
    if isinstance(value, int | float):
        return "a number past 2^53" if abs(value) > _EXACT else None
    if not isinstance(value, dict | list):
        return None
    if len(value) > _MEMBERS:
        return f"more than {_MEMBERS} members"
    inner = [*value, *value.values()] if isinstance(value, dict) else value
    return next((found for each in inner if (found := _unusual(each, level + 1)) is not None), None)


@variant(part="refusals")
def nothing_busy_is_deleted(seams: Seams) -> None:
    """A thread on which a run is pending or running is not deleted: 409, and the run goes on."""

    @seams.around_operation("DELETE", "/threads/{thread_id}")
    async def delete(handler: Any, call: Call) -> Response:
        thread = call.runtime.threads.get(call.owner, call.uuid("thread_id"))
        if call.runtime.runs.active(thread.thread_id):
            raise Conflict(f"thread {thread.thread_id} is busy: cancel its runs first")
        deleted: Response = await handler(call)
        return deleted


@variant(part="refusals")
def refusals_take_the_other_status(seams: Seams) -> None:
    """Runs of unknown graphs and cancels of ended runs answer 422, copies of unknown threads 409."""

    @seams.around(api_runs, "check")
    async def check(original: Any, call: Any, body: Any, thread_id: Any) -> Any:
        try:
            call.runtime.assistants.resolve(call.owner, body.assistant_id)
        except NotFound as unknown:
            if _UUID.fullmatch(body.assistant_id):  # an id that is unknown is 404
                raise
            raise Invalid(unknown.detail) from None
        return await original(call, body, thread_id)

    @seams.around_operation("POST", "/threads/{thread_id}/runs/{run_id}/cancel")
    async def cancel(handler: Any, call: Call) -> Response:
        try:
            cancelled: Response = await handler(call)
        except Conflict as over:
            raise Invalid(over.detail) from None
        return cancelled

    @seams.around_operation("POST", "/threads/{thread_id}/copy")
    async def copy(handler: Any, call: Call) -> Response:
        try:
            copied: Response = await handler(call)
        except NotFound as unknown:
            raise Conflict(unknown.detail) from None
        return copied
