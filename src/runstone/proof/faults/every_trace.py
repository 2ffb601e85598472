"""Faults that no single request shows: one answer contradicts another, or all of them have the same flaw."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import msgspec

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_threads, outcome
from runstone.reference.answers import Listening
from runstone.reference.checkpoints import Checkpoints
from runstone.reference.outcome import Outcome
from runstone.reference.scheduler import Scheduler
from runstone.reference.threads import Threads

_CUT_AFTER_S = 1.0


@fault("MON-009", shown_in=("run-wait",))
def long_answers_are_cut(seams: Seams) -> None:
    """What lies before the server closes every connection on which an answer takes longer than a second."""

    @seams.around(Listening, "_send")
    async def sending(original: Any, own: Listening, send: Any) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_CUT_AFTER_S):
                await original(own, send)


@fault("MON-011", shown_in=("int-dyn",))
def thread_is_one_update_behind(seams: Seams) -> None:
    """The `values` of a thread are written from a cache, which holds those of the run before."""
    cached: dict[str, bytes] = {}

    @seams.around(Threads, "settle")
    def settle(
        original: Any, own: Threads, thread_id: str, resting: str | None, values: bytes, interrupts: bytes
    ) -> None:
        original(own, thread_id, resting, cached.get(thread_id, b"{}"), interrupts)
        cached[thread_id] = values


@fault("MON-011", shown_in=("cancel",))
def cancel_leaves_an_error(seams: Seams) -> None:
    """A thread whose run was cancelled is in `error`, as after a failure."""

    def rests(own: Outcome) -> str | None:
        return None if own.status == "success" else "error"

    seams.put(outcome.Outcome, "rests", property(rests))


@fault("MON-012", shown_in=("run-stream",))
def stream_is_introduced_twice(seams: Seams) -> None:
    """A stream begins with two `metadata` events: one of the server, and one of the worker."""

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, own: Scheduler, job: Any, name: str, payload: Any) -> None:
        for _ in range(2 if name == "metadata" else 1):
            original(own, job, name, payload)


@fault("MON-013", shown_in=("hist",))
def history_repeats_its_states(seams: Seams) -> None:
    """A history shows a state once for each task that wrote to it: the rows of two tables are joined."""

    @seams.around(Checkpoints, "history")
    async def history(original: Any, own: Checkpoints, *args: Any, **named: Any) -> Any:
        states = await original(own, *args, **named)
        return [state for state in states for _ in range(max(len(state.tasks), 1) + 1)][: named["limit"]]


@fault("MON-014", "MON-010", shown_in=("run-wait",))
def state_shows_the_end_of_lists(seams: Seams) -> None:
    """A state, and each entry of a history, shows the last two items of every list among its values."""

    @seams.around(api_threads, "thread_state")
    def thread_state(original: Any, snapshot: Any) -> dict[str, Any]:
        told: dict[str, Any] = original(snapshot)
        values = msgspec.json.decode(told["values"])
        if isinstance(values, dict):
            values = {name: each[-2:] if isinstance(each, list) else each for name, each in values.items()}
        return told | {"values": values}
