"""Faults of asking for a run: what of the request is not heeded, and where the answer says the run is."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, planning
from runstone.reference.answers import answer
from runstone.reference.assistants import Assistant, Assistants
from runstone.reference.bodies import ConfigBody, Plan, RunBody
from runstone.reference.errors import Invalid, NotFound
from runstone.reference.planning import Checked
from runstone.reference.routing import Call
from runstone.reference.runs import CALLER, Run
from runstone.reference.runtime import Caller

_CREATIONS = ("/threads/{thread_id}/runs", "/runs")


@fault("RUN-CREATE-001", "STATELESS-003")
def creating_a_run_waits_for_it(seams: Seams) -> None:
    """A run in the background is answered when it has ended."""

    async def create(handler: Any, call: Call) -> Response:  # noqa: ARG001 - it is never asked
        run, _ = await api_runs._start(call)
        await call.runtime.scheduler.ended(run.run_id)
        return answer(run, headers={"Content-Location": run.path})

    for path in _CREATIONS:
        seams.around_operation("POST", path)(create)


@fault("RUN-WAIT-009", "RUN-STREAM-004", "RUN-CREATE-002", "STATELESS-008")
def answers_do_not_say_where_their_run_is(seams: Seams) -> None:
    """The answers that create a run have no Content-Location."""

    async def create(handler: Any, call: Call) -> Any:
        return _without(await handler(call), "content-location")

    for path in _CREATIONS:
        for way in ("", "/wait", "/stream"):
            seams.around_operation("POST", path + way)(create)


@fault("RUN-WAIT-010", "RUN-STREAM-005")
def locations_lead_to_the_run_itself(seams: Seams) -> None:
    """The Location of a wait or of a stream is the Run, and not what would join it."""

    def relocated(response: Any) -> Any:
        response.headers["location"] = response.headers["content-location"]
        return response

    @seams.around(api_runs, "_wait")
    def wait(original: Any, *given: Any) -> Any:
        return relocated(original(*given))

    @seams.around(api_runs, "_stream")
    async def stream(original: Any, *given: Any) -> Any:
        return relocated(await original(*given))


@fault("RUN-CREATE-003")
def unknown_assistants_are_invalid(seams: Seams) -> None:
    """An assistant that there is not answers 422, as if its id were misformed."""

    @seams.around(Assistants, "resolve")
    def resolve(original: Any, rows: Assistants, owner: str | None, name: str) -> Any:
        try:
            return original(rows, owner, name)
        except NotFound as error:
            raise Invalid(error.detail) from None


@fault("RUN-CREATE-004", "RUN-CREATE-003")
def an_unknown_assistant_is_the_first_one(seams: Seams) -> None:
    """A run of an assistant that there is not runs the first graph there is."""

    @seams.around(Assistants, "resolve")
    def resolve(original: Any, rows: Assistants, owner: str | None, name: str) -> Any:
        try:
            return original(rows, owner, name)
        except NotFound:
            return original(rows, owner, rows._graph_ids[0])


@fault("RUN-CREATE-005", "RUN-CREATE-007")
def unknown_threads_are_always_created(seams: Seams) -> None:
    """A run on a thread that there is not creates it, whatever `if_not_exists` says."""

    @seams.around(planning, "_thread")
    def thread(original: Any, call: Caller, checked: Checked) -> Any:
        checked.body.if_not_exists = "create"
        return original(call, checked)


@fault("RUN-CREATE-007")
def unknown_threads_are_created_by_default(seams: Seams) -> None:
    """A run on a thread that there is not creates it, unless `if_not_exists` is sent as "reject"."""

    @seams.around(planning, "_thread")
    def thread(original: Any, call: Caller, checked: Checked) -> Any:
        checked.body.if_not_exists = checked.body.if_not_exists or "create"
        return original(call, checked)


@fault("RUN-CREATE-006")
def unknown_threads_are_never_created(seams: Seams) -> None:
    """A run on a thread that there is not is refused, whatever `if_not_exists` says."""

    @seams.around(planning, "_thread")
    def thread(original: Any, call: Caller, checked: Checked) -> Any:
        checked.body.if_not_exists = "reject"
        return original(call, checked)


@fault("RUN-CREATE-008", "RUN-CREATE-014")
def an_input_that_is_no_object_crashes(seams: Seams) -> None:
    """An input that is an array, a text, a number or a boolean raises inside the server."""

    @seams.around(planning, "_plan")
    def plan(original: Any, call: Caller, body: RunBody, *rest: Any, **more: Any) -> Any:
        if body.input is not None:
            body.input = dict(body.input.items())
        return original(call, body, *rest, **more)


@fault("RUN-CREATE-014")
def only_objects_are_taken_as_input(seams: Seams) -> None:
    """An input that is an array, a text, a number or a boolean is refused with 422."""

    @seams.around(planning, "_plan")
    def plan(original: Any, call: Caller, body: RunBody, *rest: Any, **more: Any) -> Any:
        if body.input is not None and not isinstance(body.input, dict):
            raise Invalid("input must be an object")
        return original(call, body, *rest, **more)


@fault("RUN-CREATE-009", "RUN-CREATE-011")
def configurable_values_are_dropped(seams: Seams) -> None:
    """No configurable value reaches the graph, neither of the run nor of its assistant."""

    @seams.around(planning, "_config")
    def config(original: Any, *given: Any) -> ConfigBody:
        merged: ConfigBody = original(*given)
        merged.configurable = {
            key: merged.configurable[key] for key in (CALLER,) if key in merged.configurable
        }
        return merged


@fault("RUN-CREATE-010", "RUN-CREATE-011")
def the_context_is_dropped(seams: Seams) -> None:
    """No context reaches the graph."""

    @seams.around(planning, "_plan")
    def plan(original: Any, *given: Any, **more: Any) -> Plan:
        made: Plan = original(*given, **more)
        made.context = {}
        return made


@fault("RUN-CREATE-011")
def the_config_of_an_assistant_wins(seams: Seams) -> None:
    """Where a run and its assistant both give a configurable value, the graph sees the assistant's."""

    @seams.around(planning, "_config")
    def config(original: Any, call: Caller, sent: ConfigBody, assistant: Assistant) -> ConfigBody:
        merged: ConfigBody = original(call, sent, assistant)
        merged.configurable |= assistant.config.get("configurable") or {}
        return merged


@fault("RUN-CREATE-012", "RUN-STATUS-011")
def the_recursion_limit_is_not_read(seams: Seams) -> None:
    """`config.recursion_limit` is accepted, and the default limit applies."""

    @seams.around(planning, "_config")
    def config(original: Any, *given: Any) -> ConfigBody:
        merged: ConfigBody = original(*given)
        merged.recursion_limit = None
        return merged


@fault("RUN-SCHEMA-005", "RUN-SCHEMA-006")
def the_metadata_of_a_run_is_lost(seams: Seams) -> None:
    """The metadata that a run is sent with is not kept."""

    @seams.around(api_runs, "start")
    def start(original: Any, call: Caller, checked: Checked) -> Run:
        checked.body.metadata = None
        run: Run = original(call, checked)
        return run


@fault("RUN-SCHEMA-006")
def the_metadata_of_an_assistant_wins(seams: Seams) -> None:
    """Where a run and its assistant both have a key of metadata, the run shows the assistant's."""

    @seams.around(api_runs, "start")
    def start(original: Any, call: Caller, checked: Checked) -> Run:
        checked.body.metadata = (checked.body.metadata or {}) | checked.assistant.metadata
        run: Run = original(call, checked)
        return run


def _without(response: Response, header: str) -> Response:
    del response.headers[header]
    return response
