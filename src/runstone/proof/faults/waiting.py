"""Faults of `runs/wait`: what its caller gets is not the result of the run, or comes in another way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from langgraph.types import Interrupt, StateSnapshot
from starlette.responses import Response

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import answers, api_runs, outcome
from runstone.reference.answers import EVENT_STREAM, answer
from runstone.reference.bodies import RunBody
from runstone.reference.channels import Channel
from runstone.reference.errors import Refused
from runstone.reference.routing import Call
from runstone.reference.runs import Run
from runstone.reference.wire import encode

_WAIT = "/threads/{thread_id}/runs/wait"
_STREAM = "/threads/{thread_id}/runs/stream"
_FOR_EVER = 86_400.0


@fault("RUN-WAIT-001", "EXEC-001", "PARITY-001")
def wait_only_stores_the_input(seams: Seams) -> None:
    """`runs/wait` stores the input and answers with it; the graph never runs."""

    @seams.around_operation("POST", _WAIT)
    async def create_and_wait(handler: Any, call: Any) -> Any:  # noqa: ARG001 - it is never run
        body = await call.body(RunBody)
        return answer(body.input)


@fault("RUN-WAIT-002", "RUN-WAIT-001", "RUN-WAIT-013")
def wait_answers_the_run(seams: Seams) -> None:
    """`runs/wait` starts the run in the background and answers with the Run at once."""

    @seams.around_operation("POST", _WAIT)
    async def create_and_wait(handler: Any, call: Call) -> Response:  # noqa: ARG001 - it is never asked
        run, _ = await api_runs._start(call)
        return answer(run, headers={"Content-Location": run.path})


@fault("RUN-WAIT-003")
def a_failed_run_makes_wait_a_500(seams: Seams) -> None:
    """`runs/wait` holds its headers back, and answers 500 where the run failed."""
    _hold_headers_back(seams)

    @seams.around(answers, "Response")
    def response(original: Any, content: bytes, status: int, *rest: Any) -> Any:
        failed = status == 200 and b'"__error__"' in content
        return original(content, 500 if failed else status, *rest)


@fault("RUN-WAIT-004", "RETR-007")
def failed_run_answers_an_empty_object(seams: Seams) -> None:
    """The wait of a failed run answers `{}`, as if it had ended well with nothing to say."""

    @seams.around(outcome, "output")
    def output(original: Any, ended: outcome.Outcome, *rest: Any) -> bytes:
        return encode({}) if ended.status == "error" else original(ended, *rest)


@fault("RUN-WAIT-004", "RUN-JOIN-003")
def the_error_of_a_run_is_a_text(seams: Seams) -> None:
    """The `__error__` of a failed run is a text, and no object."""

    @seams.around(outcome, "output")
    def output(original: Any, ended: outcome.Outcome, *rest: Any) -> Any:
        if ended.error is None:
            return original(ended, *rest)
        return encode({"__error__": ended.error["message"]})


@fault("RUN-WAIT-005", "PARITY-005")
def wait_calls_every_error_an_error(seams: Seams) -> None:
    """Wait and join call each exception an Error, where the stream names its class."""

    @seams.around(outcome, "output")
    def output(original: Any, ended: outcome.Outcome, *rest: Any) -> Any:
        if ended.error is None:
            return original(ended, *rest)
        return encode({"__error__": ended.error | {"error": "Error"}})


@fault("RUN-WAIT-006", "RUN-WAIT-007", "RUN-JOIN-004")
def wait_leaves_interrupts_out(seams: Seams) -> None:
    """Wait and join answer the bare values of a paused run, which looks as if it had ended."""

    @seams.around(outcome, "_with_interrupts")
    def with_interrupts(original: Any, state: StateSnapshot) -> Any:  # noqa: ARG001 - that is the fault
        return state.values


@fault("RUN-WAIT-007")
def wait_tells_of_the_first_interrupt_only(seams: Seams) -> None:
    """Of several interrupts that were raised in parallel, wait and join answer the first."""

    @seams.around(outcome, "_with_interrupts")
    def with_interrupts(original: Any, state: StateSnapshot) -> Any:
        return original(state._replace(interrupts=state.interrupts[:1]))


@fault("PARITY-006")
def wait_gives_interrupts_ids_of_its_own(seams: Seams) -> None:
    """The ids of interrupts are new in the answer of wait, so that the state knows none of them."""

    @seams.around(outcome, "_with_interrupts")
    def with_interrupts(original: Any, state: StateSnapshot) -> Any:
        renamed = [Interrupt(each.value, id=each.id[::-1]) for each in state.interrupts]
        return original(state._replace(interrupts=tuple(renamed)))


@fault("RUN-WAIT-008")
def a_stopped_run_has_no_values(seams: Seams) -> None:
    """The wait of a run that stopped at interrupt_before or interrupt_after answers `{}`."""

    @seams.around(outcome, "output")
    def output(original: Any, ended: outcome.Outcome, state: StateSnapshot | None, *rest: Any) -> Any:
        stopped = state is not None and state.next and not state.interrupts and not ended.error
        return encode({}) if stopped else original(ended, state, *rest)


@fault("RUN-WAIT-011", "TIME-001")
def wait_sends_no_sign_of_life(seams: Seams) -> None:
    """Wait sends its headers, and then not a byte until the run has ended."""

    @seams.around(api_runs, "waited")
    async def waited(original: Any, channel: Channel) -> AsyncIterator[bytes]:  # noqa: ARG001
        yield await channel.output()


@fault("RUN-WAIT-012", "RUN-WAIT-011", "TIME-001")
def wait_holds_its_headers_back(seams: Seams) -> None:
    """Wait sends nothing at all, not even its headers, before the run has ended."""
    _hold_headers_back(seams)


@fault("RUN-WAIT-014")
def wait_answers_plain_text(seams: Seams) -> None:
    """The JSON of wait and join is labelled text/plain."""
    seams.put(api_runs, "JSON", "text/plain")


@fault("RUN-WAIT-018")
def wait_gives_up_after_ten_seconds(seams: Seams) -> None:
    """Each wait ends after ten seconds, as if it had been sent with a timeout."""

    @seams.around(api_runs, "_wait")
    def wait(original: Any, call: Call, run: Run, gone: bool, timeout: float | None = None) -> Any:
        return original(call, run, gone, 10.0 if timeout is None else timeout)


@fault("RUN-WAIT-019", "RUN-STREAM-016")
def refused_runs_answer_200(seams: Seams) -> None:
    """Wait and stream answer 200 to what they refuse, with the reason as an error of the run."""

    @seams.around_operation("POST", _WAIT)
    async def create_and_wait(handler: Any, call: Call) -> Any:
        try:
            return await handler(call)
        except Refused as refused:
            return answer({"__error__": _told(refused)})

    @seams.around_operation("POST", _STREAM)
    async def create_and_stream(handler: Any, call: Call) -> Any:
        try:
            return await handler(call)
        except Refused as refused:
            event = b"event: error\ndata: %s\n\n" % encode(_told(refused))
            return Response(event, media_type=EVENT_STREAM)


def _told(refused: Refused) -> dict[str, str]:
    return {"error": type(refused).__name__, "message": refused.detail}


def _hold_headers_back(seams: Seams) -> None:
    """Answer each wait as one with a timeout is answered: its status is known at the end only."""

    @seams.around(api_runs, "_wait")
    def wait(original: Any, call: Call, run: Run, gone: bool, timeout: float | None = None) -> Any:
        return original(call, run, gone, _FOR_EVER if timeout is None else timeout)
