"""Commands of the thread-centric protocol, of which there is one here: run.start."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from runstone.reference.answers import answer
from runstone.reference.bodies import ConfigBody, RunBody, Strategy
from runstone.reference.errors import Invalid, Refused
from runstone.reference.planning import check, start
from runstone.reference.routing import Call, Operation

START = "run.start"


class Command(msgspec.Struct):
    """POST /threads/{thread_id}/commands."""

    id: int
    method: str
    params: dict[str, Any] = {}


class StartParams(msgspec.Struct, rename={"multitask_strategy": "multitaskStrategy"}):
    """The params of run.start; as clients spell them. Fields that are not listed are ignored."""

    assistant_id: str
    input: Any = None
    config: ConfigBody | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    multitask_strategy: Strategy = "enqueue"


async def command(call: Call) -> Response:
    """Carry out a command; why it cannot be carried out is told in a 200, as the protocol has it."""
    try:
        asked = await call.body(Command)
    except Invalid as none:
        raise Refused(none.detail) from None
    thread = call.runtime.threads.get(call.owner, call.uuid("thread_id"))
    if asked.method != START:
        return _error(asked, "unknown_command", f"there is no command {asked.method!r}")
    try:
        run = start(call, await check(call, run_body(asked.params), thread.thread_id))
    except (msgspec.ValidationError, Refused) as refused:
        return _error(asked, "invalid_argument", str(refused))
    return answer({"type": "success", "id": asked.id, "result": {"run_id": run.run_id}})


def run_body(params: dict[str, Any]) -> RunBody:
    """The request for a run that the params stand for. Raises ValidationError."""
    given = msgspec.convert(params, StartParams)
    return RunBody(**{name: getattr(given, name) for name in StartParams.__struct_fields__})


def _error(asked: Command, error: str, message: str) -> Response:
    return answer({"type": "error", "id": asked.id, "error": error, "message": message})


OPERATIONS = [
    Operation("POST", "/threads/{thread_id}/commands", command, "Carry out a command", Command),
]
