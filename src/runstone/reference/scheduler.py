"""The one path of execution: every run, whoever asked and however they listen, is started and ended here.

A request inserts a row and wakes the thread. At most one run executes per thread; a run that ends wakes it
again. Nothing polls. Methods that do not await are atomic: there is one event loop and it owns the rows.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from langgraph.types import StateSnapshot

from runstone.reference import outcome as outcomes
from runstone.reference.channels import Channel
from runstone.reference.checkpoints import Checkpoints, Graph, interrupts_by_task
from runstone.reference.database import Database
from runstone.reference.errors import Conflict
from runstone.reference.execution import execute
from runstone.reference.feeds import Feeds
from runstone.reference.outcome import Outcome
from runstone.reference.runs import Job, NewRun, Run, Runs, StoredEvent
from runstone.reference.settings import Settings
from runstone.reference.threads import Threads
from runstone.reference.webhooks import Webhooks
from runstone.reference.wire import encode, to_json, to_json_marked

CancelAction = Literal["interrupt", "rollback"]

_STOP_WITHIN_S = (
    1.0  # a node that does not let go is left behind; its run is taken up again at the next start
)
_log = logging.getLogger(__name__)
_STOPPED = {"error": "ServerStopped", "message": "the server stopped; the run goes on when it starts again"}


@dataclass
class Execution:
    """A run that a worker has in hand."""

    job: Job
    graph_task: asyncio.Task[None] = field(init=False)
    worker: asyncio.Task[None] = field(init=False)
    cancelled_by: CancelAction | Literal["shutdown"] | None = None
    ending: bool = False  # the graph is through, the end is being written down
    last_write: int = sys.maxsize  # of the checkpointer, before a run that goes on where another stopped


class Scheduler:
    """Starts, cancels and ends runs, and holds the channel of each that is not over."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        threads: Threads,
        runs: Runs,
        checkpoints: Checkpoints,
        graphs: Mapping[str, Graph],
        feeds: Feeds,
    ) -> None:
        self._settings = settings
        self._db = database
        self._threads = threads
        self._runs = runs
        self._checkpoints = checkpoints
        self._graphs = graphs
        self._feeds = feeds
        self._channels: dict[str, Channel] = {}  # by run, while it is pending or running
        self._executions: dict[str, Execution] = {}  # by thread
        self._held: set[str] = set()  # threads that are changed from outside just now
        self._webhooks = Webhooks()
        self._stopping = False

    # Asking for runs

    def submit(self, new: NewRun) -> Run:
        """Insert a run and start it as soon as its thread and its delay allow. Raises Conflict."""
        others = self._runs.active(new.thread_id)
        if others and new.strategy == "reject":
            raise Conflict(f"thread {new.thread_id} is busy with run {others[0].run_id}")
        run = self._runs.create(new)
        self._channels[run.run_id] = Channel()
        for other in others:
            if new.strategy == "interrupt" or new.strategy == "rollback":
                self.cancel(other, new.strategy)
        self._wake(new.thread_id)
        return run

    def cancel(self, run: Run, action: CancelAction) -> None:
        """Stop a run that is not over: at once when it is pending, else as soon as its node lets go."""
        execution = self._executions.get(run.thread_id)
        if execution is None or execution.job.run_id != run.run_id:
            outcome = outcomes.ROLLED_BACK if action == "rollback" else outcomes.CANCELLED
            self._write_end(
                run.run_id, run.thread_id, outcome, outcomes.output(outcome, None, self._settings.profile)
            )
        elif not execution.ending and execution.cancelled_by is None:
            execution.cancelled_by = action
            execution.graph_task.cancel()

    def channel(self, run_id: str) -> Channel | None:
        """The live side of a run; None when it is over."""
        return self._channels.get(run_id)

    async def ended(self, run_id: str) -> None:
        """Wait until a run is over, and what it leaves behind is written or removed."""
        channel = self._channels.get(run_id)
        if channel is not None:
            await channel.output()

    @asynccontextmanager
    async def cleared(self, thread_id: str) -> AsyncIterator[None]:
        """Stop all that runs on a thread, and start nothing while it is being deleted."""
        self._held.add(thread_id)
        try:
            self._cancel_all(thread_id)
            if (execution := self._executions.get(thread_id)) is not None:
                await asyncio.wait({execution.worker})
            self._cancel_all(thread_id)  # what was asked for in the meantime
            yield
        finally:
            self._held.discard(thread_id)

    @asynccontextmanager
    async def alone(self, thread_id: str) -> AsyncIterator[None]:
        """Keep runs off a thread while its state is changed from outside. Raises Conflict when it is busy."""
        if thread_id in self._held or self._runs.active(thread_id):
            raise Conflict(
                f"thread {thread_id} is busy: its state cannot be changed while a run is under way"
            )
        self._held.add(thread_id)
        try:
            yield
        finally:
            self._held.discard(thread_id)
            self._wake(thread_id)

    def _cancel_all(self, thread_id: str) -> None:
        for run in self._runs.active(thread_id):
            self.cancel(run, "interrupt")

    # The life of the server

    def recover(self) -> None:
        """Take up the runs that an earlier server left pending or running."""
        for thread_id in self._runs.threads_with_work():
            for run in self._runs.active(thread_id):
                self._channels[run.run_id] = Channel()
            self._wake(thread_id)

    def hang_up(self) -> None:
        """Begin to stop: start nothing more, and end every stream and every wait."""
        self._stopping = True
        for channel in self._channels.values():
            channel.close(encode({"__error__": _STOPPED}))
        self._feeds.close()

    async def stop(self) -> None:
        """Stop all workers. Their rows stay as they are, for `recover` to find."""
        self.hang_up()
        for execution in self._executions.values():
            if not execution.ending:
                execution.cancelled_by = "shutdown"
                execution.graph_task.cancel()
        if self._executions:
            workers = [execution.worker for execution in self._executions.values()]
            await asyncio.wait(workers, timeout=_STOP_WITHIN_S)
        await self._webhooks.close()

    # Executing

    def _wake(self, thread_id: str) -> None:
        if self._stopping or thread_id in self._executions or thread_id in self._held:
            return
        job = self._runs.start_next(thread_id)
        if isinstance(job, Job):
            # Nothing has awaited since the row said `pending`, so nobody can have started it too.
            execution = self._executions[thread_id] = Execution(job)
            self._feeds.run_began(thread_id, job.run_id)
            execution.graph_task = asyncio.create_task(self._execute(execution))
            execution.worker = asyncio.create_task(self._work(execution))
        elif job is not None:
            asyncio.get_running_loop().call_later(job, self._wake, thread_id)

    async def _execute(self, execution: Execution) -> None:
        job = execution.job
        if job.plan.command is not None or job.plan.input is None:
            execution.last_write = await self._checkpoints.last_write()
        graph = self._graphs[job.graph_id]
        await execute(graph, job, self._checkpoints, lambda *event: self._publish(job, *event))

    async def _work(self, execution: Execution) -> None:
        job = execution.job
        try:
            limit = self._settings.time_limit(job.graph_id)
            done, _ = await asyncio.wait({execution.graph_task}, timeout=limit)
            if not done:
                execution.graph_task.cancel()
                await asyncio.wait({execution.graph_task})
            execution.ending = True
            if execution.cancelled_by == "shutdown":
                return
            outcome = _outcome(execution, None if done else limit)
            if outcome is outcomes.ROLLED_BACK:
                await self._checkpoints.forget(job.thread_id, job.run_id, execution.last_write)
            if outcome.status == "error" and job.graph_id in self._graphs:
                graph = self._graphs[job.graph_id]
                await self._checkpoints.drop_unfit_writes(graph, job.thread_id)
            await self._end(job, outcome)
        finally:
            del self._executions[job.thread_id]
            self._wake(job.thread_id)

    async def _end(self, job: Job, outcome: Outcome) -> None:
        state: StateSnapshot | None = None
        try:
            state = await self._checkpoints.state(self._graphs[job.graph_id], job.thread_id)
            output = outcomes.output(outcome, state, self._settings.profile)
        except Exception as error:
            # A result that cannot be read back or carried is a failure of the run, and must end it.
            _log.warning("run %s has no result: %s", job.run_id, error)
            outcome = outcome if outcome.error else outcomes.failed(error)
            output = outcomes.output(outcome, state, self._settings.profile)
        hook = self._webhooks.prepare(job, self._runs, outcome, state) if job.plan.webhook else None
        self._write_end(job.run_id, job.thread_id, outcome, output, job, state)
        if job.plan.temporary:
            self._threads.delete(job.thread_id)
            await self._checkpoints.delete(job.thread_id)
        if hook is not None:
            self._webhooks.send(hook)

    def _write_end(
        self,
        run_id: str,
        thread_id: str,
        outcome: Outcome,
        output: bytes,
        job: Job | None = None,
        state: StateSnapshot | None = None,
    ) -> None:
        """All that tells that the run is over, in one transaction; only then do its listeners hear it."""
        rolled_back = outcome is outcomes.ROLLED_BACK
        with self._db.transaction():
            if job is not None and outcome.error:
                self._publish(job, "error", outcome.error)
            self._runs.end(run_id, outcome.status, output)
            if rolled_back:
                self._runs.delete(run_id)
            if state is not None:
                resting = None if rolled_back else outcomes.resting_status(outcome, state)
                self._threads.settle(
                    thread_id, resting, to_json_marked(state.values), interrupts_by_task(state)
                )
            else:
                self._threads.touch(thread_id)
        if (channel := self._channels.pop(run_id, None)) is not None:
            channel.close(output)
        self._feeds.run_ended(thread_id, run_id)

    def _publish(self, job: Job, name: str, payload: Any) -> None:
        # `events` are langchain's diagnostics: they may hold whatever a node was given.
        data = to_json_marked(payload) if name == "events" else to_json(payload)
        number = None
        if job.plan.stream_resumable:
            number = self._runs.last_event(job.run_id) + 1
        event = StoredEvent(name, data, number)
        if number is not None:
            self._runs.keep_event(job.run_id, event)
        if (channel := self._channels.get(job.run_id)) is not None:
            channel.publish(event)
        self._feeds.publish(job.thread_id, "run_modes", name, data, keep=number is not None)


def _outcome(execution: Execution, passed_limit: float | None) -> Outcome:
    task = execution.graph_task
    if execution.cancelled_by == "rollback":
        return outcomes.ROLLED_BACK
    if task.cancelled() and execution.cancelled_by is not None:
        return outcomes.CANCELLED
    if passed_limit is not None:
        return outcomes.timed_out(passed_limit)
    if task.cancelled():
        return outcomes.failed(asyncio.CancelledError("the graph cancelled itself"))
    error = task.exception()
    return outcomes.SUCCESS if error is None else outcomes.failed(error)
