"""Faults of clients that hang up, of waits with a timeout, and of long silences."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import answers, api_runs
from runstone.reference.answers import refusal
from runstone.reference.bodies import RunBody
from runstone.reference.routing import Call
from runstone.reference.runs import Run

_DROPPED_AFTER_S = 12.0


@fault("RUN-WAIT-015", "RUN-STREAM-013", "RUN-JOIN-008", "STATELESS-011")
def a_hang_up_never_cancels(seams: Seams) -> None:
    """Nobody looks whether a client is still there, so that `on_disconnect` "cancel" cancels nothing."""

    @seams.around(api_runs, "_canceller")
    def canceller(original: Any, call: Call, run: Run) -> Callable[[], None]:  # noqa: ARG001
        return lambda: None


@fault("RUN-WAIT-016", "RUN-STREAM-014", "TIME-004", "PARITY-007", "STATELESS-011")
def on_disconnect_is_not_read(seams: Seams) -> None:
    """A run goes with the connection that started it, whatever its `on_disconnect` says."""

    @seams.around(api_runs, "_start")
    async def start(original: Any, call: Call) -> tuple[Run, RunBody]:
        run, body = await original(call)
        body.on_disconnect = "cancel"
        return run, body


@fault("RUN-WAIT-017")
def a_hang_up_cancels_by_default(seams: Seams) -> None:
    """Without `on_disconnect` a run goes with the connection of the wait or stream that started it."""

    @seams.around(api_runs, "_start")
    async def start(original: Any, call: Call) -> tuple[Run, RunBody]:
        run, body = await original(call)
        body.on_disconnect = body.on_disconnect or "cancel"
        return run, body


@fault("JOIN-STREAM-004", "RUN-JOIN-008")
def a_hang_up_on_a_join_cancels(seams: Seams) -> None:
    """Hanging up on a join or on a joined stream cancels the run that others may wait for."""
    for name in ("_wait", "_stream"):

        @seams.around(api_runs, name)
        def listening(original: Any, call: Call, run: Run, cancels: bool, *rest: Any) -> Any:
            return original(call, run, cancels or call.request.method == "GET", *rest)


@fault("TIME-002")
def the_timeout_of_a_wait_is_not_read(seams: Seams) -> None:
    """Wait takes as long as the run does, whatever its `timeout` says, which the server claims to know."""

    @seams.around(api_runs, "_wait")
    def wait(original: Any, call: Call, run: Run, gone: bool, timeout: Any = None) -> Any:  # noqa: ARG001
        return original(call, run, gone)


@fault("TIME-003", "TIME-002")
def a_wait_that_times_out_is_a_504(seams: Seams) -> None:
    """A wait whose `timeout` has passed answers 504, like a gateway that lost its server."""

    @seams.around(answers, "refusal")
    def refused(original: Any, status: int, *rest: Any) -> Any:  # noqa: ARG001 - asked by timed waits only
        return refusal(504, *rest)


@fault("TIME-006")
def a_silent_stream_is_dropped(seams: Seams) -> None:
    """A stream on which nothing but comments was sent for 12 s is ended, while its run goes on."""

    @seams.around(api_runs, "streamed")
    async def streamed(original: Any, *given: Any) -> AsyncIterator[bytes]:
        return _ended_in_silence(await original(*given))


async def _ended_in_silence(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop()
    spoken_at = clock.time()
    async for chunk in body:
        if not chunk.startswith(b":"):
            spoken_at = clock.time()
        elif clock.time() - spoken_at > _DROPPED_AFTER_S:
            return
        yield chunk
