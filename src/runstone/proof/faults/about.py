"""Faults of what the server says about itself, and of the form in which it refuses a request."""

from __future__ import annotations

import traceback
from typing import Any

import msgspec
from starlette.responses import HTMLResponse, Response

from runstone import __version__
from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import app, routing
from runstone.reference.answers import answer, refusal
from runstone.reference.bodies import RunBody
from runstone.reference.errors import Invalid
from runstone.reference.routing import Call, Operation

_RUNS = "/threads/{thread_id}/runs"
_CHOICES = ("multitask_strategy", "stream_mode", "on_disconnect", "if_not_exists")


@fault("META-001", "META-006")
def health_is_a_status_text(seams: Seams) -> None:
    """`/ok` answers `{"status": "up"}`, as health checks elsewhere do."""

    @seams.around_operation("GET", "/ok")
    async def ok(handler: Any, call: Call) -> Response:  # noqa: ARG001 - it is never asked
        return answer({"status": "up"})


@fault("META-002")
def info_tells_its_version_only(seams: Seams) -> None:
    """`/info` tells the version and no flags."""

    @seams.around_operation("GET", "/info")
    async def info(handler: Any, call: Call) -> Response:  # noqa: ARG001 - it is never asked
        return answer({"version": __version__})


@fault("META-003")
def flagged_crons_are_not_routed(seams: Seams) -> None:
    """`/info` flags crons, whose routes were left out of the table."""
    seams.put(app, "OPERATIONS", [each for each in app.OPERATIONS if "/crons" not in each.path])

    @seams.around_operation("GET", "/info")
    async def info(handler: Any, call: Call) -> Response:
        told = msgspec.json.decode((await handler(call)).body)
        return answer(told | {"flags": told["flags"] | {"crons": True}})


@fault("META-004")
def metrics_are_json(seams: Seams) -> None:
    """`/metrics` answers JSON, which no collector of metrics reads."""

    async def metrics(call: Call) -> Response:
        return answer({"threads": call.runtime.database.count("SELECT count(*) FROM threads")})

    others = [each for each in app.OPERATIONS if each.path != "/metrics"]
    seams.put(app, "OPERATIONS", [*others, Operation("GET", "/metrics", metrics, "Metrics")])


@fault("META-005")
def openapi_document_lists_a_route_that_is_gone(seams: Seams) -> None:
    """The OpenAPI document still lists an operation that is no longer served."""
    gone = Operation("GET", "/exports", app.info, "List exports")

    @seams.around(app, "document")
    def document(original: Any, operations: list[Operation]) -> Any:
        return original([*operations, gone])


@fault("ERR-001", "ERR-002")
def errors_have_no_body(seams: Seams) -> None:
    """A refused request gets a status and an empty body."""
    for module in (routing, app):

        @seams.around(module, "refusal")
        def refused(original: Any, status: int, detail: str, headers: Any = None) -> Response:  # noqa: ARG001
            return Response(status_code=status, headers=headers)


@fault("ERR-012")
def errors_show_a_stack_trace(seams: Seams) -> None:
    """The reason of a refusal ends with the stack trace, left on from development."""

    @seams.around(routing, "refusal")
    def refused(original: Any, status: int, detail: str, headers: Any = None) -> Any:
        return original(status, f"{detail}\n{traceback.format_exc()}", headers)


@fault("ERR-004", "ERR-005")
def misformed_ids_crash(seams: Seams) -> None:
    """An id that is not a UUID raises inside the server, which answers 500."""

    @seams.around(routing, "checked_uuid")
    def checked_uuid(original: Any, text: str, name: str) -> Any:
        try:
            return original(text, name)
        except Invalid as error:
            raise ValueError(error.detail) from None


@fault("ERR-006", "ROB-001", "ROB-005")
def malformed_json_crashes(seams: Seams) -> None:
    """A body that is not JSON raises inside the server, which answers 500."""

    @seams.around(routing, "decode")
    def decode(original: Any, body: bytes, shape: Any) -> Any:
        msgspec.json.decode(body)
        return original(body, shape)


@fault("ERR-007")
def a_run_without_an_assistant_takes_the_first(seams: Seams) -> None:
    """A run that names no assistant runs the first graph there is."""

    @seams.around(routing, "decode")
    def decode(original: Any, body: bytes, shape: Any) -> Any:
        if shape is RunBody and b'"assistant_id"' not in body:
            document = original(body, dict[str, Any])
            body = msgspec.json.encode({"assistant_id": "steps"} | document)
        return original(body, shape)


@fault("ERR-008")
def unknown_choices_fall_back(seams: Seams) -> None:
    """A choice that is none, as of `multitask_strategy`, is taken for the default."""

    @seams.around(routing, "decode")
    def decode(original: Any, body: bytes, shape: Any) -> Any:
        try:
            return original(body, shape)
        except Invalid:
            document = original(body, dict[str, Any])
            kept = {key: value for key, value in document.items() if key not in _CHOICES}
            return original(msgspec.json.encode(kept), shape)


@fault("ERR-009")
def a_refused_run_fails_its_thread(seams: Seams) -> None:
    """A run that is refused for its form leaves its thread in `error`, as if it had run and failed."""

    async def create(handler: Any, call: Call) -> Any:
        try:
            return await handler(call)
        except Invalid:
            sql = "UPDATE threads SET resting = 'error' WHERE thread_id = ?"
            call.runtime.database.run(sql, call.uuid("thread_id"))
            raise

    for path in (_RUNS, f"{_RUNS}/wait", f"{_RUNS}/stream"):
        seams.around_operation("POST", path)(create)


@fault("ERR-010")
def only_application_json_is_read(seams: Seams) -> None:
    """A body is read only where its content type is application/json."""

    @seams.around(Call, "body")
    async def body(original: Any, call: Call, shape: Any) -> Any:
        if call.request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise Invalid("the content type must be application/json")
        return await original(call, shape)


@fault("ERR-011")
def unknown_routes_answer_a_page(seams: Seams) -> None:
    """A route that there is not answers 200 with the page of a web application."""

    @seams.around(app, "_no_route")
    def no_route(original: Any, request: Any, error: Exception) -> Response:  # noqa: ARG001
        return HTMLResponse("<!doctype html><title>Threads</title><div id=app></div>")


@fault("ERR-003", "STATE-007", "THR-PATCH-003", "THR-DEL-004")
def unknown_threads_crash(seams: Seams) -> None:
    """A thread that there is not answers 500: the empty result of the query is not looked at."""

    @seams.around(routing, "refusal")
    def refused(original: Any, status: int, detail: str, headers: Any = None) -> Any:
        if status == 404 and detail.startswith("thread "):
            return refusal(500, "the server failed; its log says why")
        return original(status, detail, headers)
