"""Faults that the official clients stumble over, and such that show in every trace."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from starlette.responses import Response

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, app, outcome, runs
from runstone.reference.answers import Listening, answer
from runstone.reference.runs import Run, Runs
from runstone.reference.scheduler import Scheduler
from runstone.reference.wire import encode, now

_CANCEL = "/threads/{thread_id}/runs/{run_id}/cancel"


def _locating(seams: Seams, change: Any) -> None:
    """The headers of answers that listen to a run, changed by a function of them."""

    @seams.around(Listening, "__init__")
    def init(
        original: Any, own: Listening, body: Any, media_type: str, headers: Any, gone: Any = None
    ) -> None:
        original(own, body, media_type, change(dict(headers)), gone)


@fault("SDK-007", "SDK-001")
def cancel_answers_a_word(seams: Seams) -> None:
    """Cancel answers 202 with a text that is not JSON."""

    @seams.around_operation("POST", _CANCEL)
    async def cancel(handler: Any, call: Any) -> Any:
        done = await handler(call)
        return (
            Response("accepted", done.status_code, media_type="text/plain")
            if done.status_code == 202
            else done
        )


@fault("SDK-002")
def error_of_wait_is_a_text(seams: Seams) -> None:
    """`__error__` in the answer of wait is a text; the clients look for an object there."""

    @seams.around(outcome, "output")
    def output(original: Any, ended: outcome.Outcome, *rest: Any) -> bytes:
        if ended.error is None:
            return bytes(original(ended, *rest))
        return encode({"__error__": f"{ended.error['error']}: {ended.error['message']}"})


@fault("SDK-003", "MON-008")
def background_run_is_told_by_its_body_alone(seams: Seams) -> None:
    """The answer to a background run has no Content-Location, from which the clients read the ids."""

    @seams.around(api_runs, "answer")
    def told(original: Any, value: Any, status: int = 200, headers: Any = None) -> Any:  # noqa: ARG001
        return original(value, status)


@fault("SDK-004", "SDK-001")
def location_names_an_inner_host(seams: Seams) -> None:
    """Location holds the address that the server has behind its proxy."""

    def inner(headers: dict[str, str]) -> dict[str, str]:
        return headers | {"Location": f"http://api.internal:8000{headers['Location']}"}

    _locating(seams, inner)


@fault("SDK-005")
def location_leads_nowhere(seams: Seams) -> None:
    """Location leaves out the thread, and leads to a route that there is not."""

    def short(headers: dict[str, str]) -> dict[str, str]:
        return headers | {"Location": "/runs/" + headers["Location"].partition("/runs/")[2]}

    _locating(seams, short)


@fault("SDK-006", "SDK-010")
def reconnect_tells_all_again(seams: Seams) -> None:
    """A stream that is resumed begins with the first event, whatever `Last-Event-ID` says."""

    @seams.around(Runs, "events_after")
    def events_after(original: Any, own: Runs, run_id: str, number: int) -> Any:  # noqa: ARG001 - ignored
        return original(own, run_id, -1)


@fault("SDK-008")
def update_of_a_state_answers_nothing(seams: Seams) -> None:
    """POST of a state makes the update and answers null instead of the checkpoint."""

    @seams.around_operation("POST", "/threads/{thread_id}/state")
    async def update(handler: Any, call: Any) -> Any:
        await handler(call)
        return answer(None)


@fault("SDK-009")
def headers_are_not_exposed(seams: Seams) -> None:
    """A page of another origin may not read Content-Location and the headers of a page of results."""
    seams.put(app, "_EXPOSED", ())


@fault("MON-002", shown_in=("run-stream",))
def stream_names_another_run(seams: Seams) -> None:
    """The `metadata` event of a stream carries an id of its own, that of a trace, as the run's."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, own: Scheduler, job: Any, name: str, payload: Any) -> None:
        told = payload | {"run_id": str(uuid4())} if name == "metadata" else payload
        original(own, job, name, told)


@fault("MON-003", shown_in=("run-stream",))
def state_follows_an_error(seams: Seams) -> None:
    """A stream tells the last values after its `error`."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, own: Scheduler, job: Any, name: str, payload: Any) -> None:
        original(own, job, name, payload)
        if name == "error":
            original(own, job, "values", {})


@fault("MON-004", "MON-007", shown_in=("run-get",))
def run_is_created_when_it_is_read(seams: Seams) -> None:
    """The `created_at` of a run is the time at which it is read."""

    @seams.around(runs, "_run")
    def run(original: Any, row: Any) -> Run:
        shown: Run = original(row)
        shown.created_at = now()
        return shown


@fault("MON-005", shown_in=("err",))
def keys_of_a_caller_are_kept_with_the_run(seams: Seams) -> None:
    """The headers of a request, its key among them, are kept in the config of the run."""

    @seams.around(api_runs, "start")
    def start(original: Any, call: Any, checked: Any) -> Any:
        headers = {name: value for name, value in call.request.headers.items() if name.startswith("x-")}
        checked.plan.config.configurable |= headers
        return original(call, checked)
