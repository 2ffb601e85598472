"""Faults of `runs/wait`: what its caller gets is not the result of the run."""

from __future__ import annotations

from typing import Any

from runstone.faults.fault import fault
from runstone.faults.seams import Seams
from runstone.reference import outcome
from runstone.reference.answers import answer
from runstone.reference.bodies import RunBody
from runstone.reference.wire import encode


@fault("RUN-WAIT-001", "RUN-WAIT-002")
def wait_only_stores_the_input(seams: Seams) -> None:
    """`runs/wait` stores the input and answers with it; the graph never runs."""

    @seams.around_operation("POST", "/threads/{thread_id}/runs/wait")
    async def create_and_wait(handler: Any, call: Any) -> Any:  # noqa: ARG001 - it is never run
        body = await call.body(RunBody)
        return answer(body.input)


@fault("RUN-WAIT-005")
def failed_run_answers_an_empty_object(seams: Seams) -> None:
    """The wait of a failed run answers `{}`, as if it had ended well with nothing to say."""

    @seams.around(outcome, "output")
    def output(original: Any, ended: outcome.Outcome, *rest: Any) -> bytes:
        return encode({}) if ended.status == "error" else original(ended, *rest)
