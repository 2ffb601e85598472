"""Faults that show only with many events, many clients, long lists or long runs."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, channels
from runstone.reference.routing import Call
from runstone.reference.runs import Runs, StoredEvent
from runstone.reference.scheduler import Scheduler
from runstone.reference.threads import Threads

_REPLAYED = 500
_POOL = 40
_MINUTE_S, _SWEEP_S = 60.0, 180.0


@fault("SCALE-001")
def a_replay_ends_after_500_events(seams: Seams) -> None:
    """A replay holds no more than 500 events."""

    @seams.around(Runs, "events_after")
    def events_after(original: Any, rows: Any, run_id: str, number: int) -> list[StoredEvent]:
        found: list[StoredEvent] = original(rows, run_id, number)
        return found[:_REPLAYED]


@fault("SCALE-002")
def waits_use_up_the_pool(seams: Seams) -> None:
    """With 40 waits and streams open nobody else is answered."""
    pool = asyncio.Semaphore(_POOL)

    async def kept(original: Any, *given: Any, **rest: Any) -> Any:
        async with pool:
            async for piece in original(*given, **rest):
                yield piece

    async def asked(handler: Any, call: Call) -> Any:
        async with pool:
            return await handler(call)

    seams.around(channels, "_stream")(kept)
    seams.around(api_runs, "waited")(kept)
    seams.around_operation("GET", "/ok")(asked)


@fault("SCALE-003")
def an_event_waits_for_the_next(seams: Seams) -> None:
    """A custom event is kept back until another event follows."""
    waiting: dict[str, tuple[Any, ...]] = {}

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, own: Any, job: Any, *event: Any) -> None:
        before = waiting.pop(job.run_id, None)
        if before is not None:
            original(own, job, *before)
        elif event[0] == "custom":
            waiting[job.run_id] = event
            return
        original(own, job, *event)


@fault("SCALE-004", patient=True)
def a_wait_ends_after_a_minute(seams: Seams) -> None:
    """A wait that takes longer than 60 s is answered with an error."""

    @seams.around(api_runs, "waited")
    async def waited(original: Any, channel: Any) -> Any:  # noqa: ARG001 - the seam's own form
        try:
            async with asyncio.timeout(_MINUTE_S):
                yield await channel.output()
        except TimeoutError:
            yield b'{"__error__":{"error":"TimeoutError","message":"the gateway gave up"}}'


@fault("SCALE-005", patient=True)
def a_sweeper_starts_long_runs_anew(seams: Seams) -> None:
    """A run of more than 180 s is taken for lost, and its first node executed again."""

    @seams.around(Scheduler, "_end")
    async def end(original: Any, own: Any, job: Any, ended: Any) -> None:
        if job.graph_id == "slow" and (job.plan.input or {}).get("sleep", 0) > _SWEEP_S:
            graph = own._graphs["slow"]
            await own._checkpoints.update(graph, job.thread_id, {"log": ["a"]}, "c", None)
        await original(own, job, ended)


@fault("SCALE-006")
def an_end_event_always_tells_of_success(seams: Seams) -> None:
    """A stream ends with an event `end` that carries the status success, whatever the run's is."""

    @seams.around(channels, "_stream")
    async def stream(original: Any, *given: Any) -> Any:
        async for piece in original(*given):
            yield piece
        yield b'event: end\ndata: {"status":"success"}\n\n'


@fault("SCALE-007")
def a_search_ends_at_a_hundred(seams: Seams) -> None:
    """A search of threads answers the first hundred, whatever its offset."""

    @seams.around(Threads, "search")
    def search(original: Any, rows: Any, *given: Any, limit: int, offset: int, **rest: Any) -> Any:
        return original(rows, *given, limit=max(0, min(limit, 100 - offset)), offset=offset, **rest)
