"""Faults that strike now and then: no check shows them, thousands of runs do (`runstone load`)."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, execution, scheduler
from runstone.reference.answers import Listening
from runstone.reference.database import Database
from runstone.reference.runs import Job, NewRun, Run, Runs
from runstone.reference.scheduler import Scheduler
from runstone.reference.threads import Threads
from runstone.reference.webhooks import Hook, Webhooks

_POOL = 40
_STUCK = 100  # the run after which a thread stays busy
_KB = {f"field_{number:02}": "a line of a log, of 32 characters" for number in range(20)}


def _every(number: int) -> Callable[[], bool]:
    """Whether this is a time at which the fault strikes: one in so many."""
    times = itertools.count(1)
    return lambda: next(times) % number == 0


@fault("LOAD-101", "LOAD-106")
def one_run_in_500_is_lost(seams: Seams) -> None:
    """One run in 500 is accepted, and no worker is woken to take it up."""
    strikes = _every(500)

    @seams.around(Scheduler, "submit")
    def submit(original: Any, own: Scheduler, new: NewRun) -> Run:
        if not strikes():
            return original(own, new)  # type: ignore[no-any-return]  # a seam's original is not typed
        own._held.add(new.thread_id)
        try:
            return original(own, new)  # type: ignore[no-any-return]
        finally:
            own._held.discard(new.thread_id)


@fault("LOAD-102")
def one_run_in_500_is_executed_twice(seams: Seams) -> None:
    """One run in 500 is taken up by two workers, and executed by one after the other."""
    strikes = _every(500)

    @seams.around(scheduler, "execute")
    async def execute(original: Any, graph: Any, job: Job, *rest: Any) -> None:
        await original(graph, job, *rest)
        if strikes():  # with the same id langgraph would take it for the rest of the first
            await original(graph, job._replace(run_id=str(uuid4())), *rest)


@fault("LOAD-103")
def one_answer_in_200_is_of_before_the_run(seams: Seams) -> None:
    """One wait or join in 200 is answered from a cache that does not yet hold what the run did."""
    strikes = _every(200)

    @seams.around(api_runs, "waited")
    async def waited(original: Any, channel: Any) -> Any:
        async for piece in original(channel):
            yield b'{"log": []}' if strikes() else piece


@fault("LOAD-104")
def one_enqueued_run_in_20_passes_the_others(seams: Seams) -> None:
    """One time in 20 the newest of the runs that wait on a thread is executed first."""
    strikes = _every(20)
    oldest = "ELSE start_at END, number"

    @seams.around(Database, "one")
    def one(original: Any, own: Database, sql: str, *values: Any) -> Any:
        if oldest in sql and _waiting(own, values[0]) > 1 and strikes():
            sql = sql.replace(oldest, f"{oldest} DESC")
        return original(own, sql, *values)


def _waiting(database: Database, thread_id: str) -> int:
    return database.count("SELECT count(*) FROM runs WHERE thread_id = ? AND status = 'pending'", thread_id)


@fault("LOAD-105")
def one_value_in_1000_is_crossed(seams: Seams) -> None:
    """One run in 1,000 is executed with the input of a run of another thread."""
    strikes = _every(1_000)
    latest: dict[str, tuple[str, Any]] = {}  # by graph

    @seams.around(execution, "_input")
    async def given(original: Any, graph: Any, job: Job, checkpoints: Any) -> Any:
        own = await original(graph, job, checkpoints)
        if not isinstance(own, dict):
            return own
        thread_id, other = latest.get(job.graph_id, (job.thread_id, own))
        latest[job.graph_id] = job.thread_id, own
        return other if thread_id != job.thread_id and strikes() else own


@fault("LOAD-106")
def one_thread_stays_busy(seams: Seams) -> None:
    """The end of one run is told to those who listen, and never written: its thread is busy for ever."""
    ended = itertools.count(1)
    stuck: set[str] = set()

    @seams.around(Runs, "end")
    def end(original: Any, own: Runs, run_id: str, *given: Any) -> None:
        if next(ended) == _STUCK:
            stuck.add(own.thread_of(run_id))
        else:
            original(own, run_id, *given)

    @seams.around(Runs, "start_next")
    def start_next(original: Any, own: Runs, thread_id: str) -> Any:
        return None if thread_id in stuck else original(own, thread_id)


@fault("LOAD-107")
def one_thread_in_200_is_made_twice(seams: Seams) -> None:
    """One creation of a thread in 200 is tried again by the server, which leaves the first one behind."""
    strikes = _every(200)

    @seams.around(Threads, "create")
    def create(
        original: Any, own: Threads, owner: Any, thread_id: Any = None, *rest: Any, **named: Any
    ) -> Any:
        if strikes():
            original(own, owner, None, *rest, **named)
        return original(own, owner, thread_id, *rest, **named)


@fault("LOAD-108")
def one_webhook_in_200_is_doubled(seams: Seams) -> None:
    """One webhook in 200 is sent twice."""
    strikes = _every(200)

    @seams.around(Webhooks, "_post")
    async def post(original: Any, own: Webhooks, hook: Hook) -> None:
        await original(own, hook)
        if strikes():
            await original(own, hook)


@fault("LOAD-109")
def each_run_leaves_a_kilobyte(seams: Seams) -> None:
    """Each run leaves 1 KB in a journal, which is read and written as a whole whenever one ends."""
    journal = ["[]"]

    @seams.around(Scheduler, "_end")
    async def end(original: Any, own: Scheduler, job: Job, ended: Any) -> None:
        lines = json.loads(journal.pop())
        journal.append(json.dumps([*lines, _KB | {"run_id": job.run_id}]))
        await original(own, job, ended)


@fault("LOAD-106", "LOAD-101")
def streams_use_up_a_pool_of_forty(seams: Seams) -> None:
    """Streams, waits and runs share forty connections; where the client hangs up, one is never given back."""
    pool = asyncio.Semaphore(_POOL)

    @seams.around(Listening, "__call__")
    async def listen(original: Any, own: Listening, scope: Any, receive: Any, send: Any) -> None:
        sent: Counter[bool] = Counter()

        async def counted(message: Any) -> None:
            await send(message)
            sent[not message.get("more_body", True)] += 1

        await pool.acquire()
        await original(own, scope, receive, counted)
        if sent[True]:
            pool.release()

    @seams.around(scheduler, "execute")
    async def execute(original: Any, *given: Any) -> None:
        async with pool:
            await original(*given)
