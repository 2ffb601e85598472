"""The parts of one reference runtime, opened and closed together."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import aiosqlite
from filelock import FileLock, Timeout
from langgraph.store.sqlite.aio import AsyncSqliteStore

from runstone.reference.assistants import Assistants
from runstone.reference.checkpoints import Checkpoints, Graph, interrupts_by_task, open_saver
from runstone.reference.crons import Crons
from runstone.reference.database import Database
from runstone.reference.errors import FolderInUse
from runstone.reference.feeds import Feeds
from runstone.reference.graphs import equip, load_graphs
from runstone.reference.outcome import SUCCESS, resting_status
from runstone.reference.runs import Runs
from runstone.reference.scheduler import Scheduler
from runstone.reference.settings import Settings
from runstone.reference.store import open_store
from runstone.reference.threads import Thread, Threads
from runstone.reference.wire import to_json_marked
from runstone.serving import CannotServe


@dataclass(frozen=True)
class Runtime:
    """What a request can reach."""

    settings: Settings
    database: Database
    threads: Threads
    runs: Runs
    assistants: Assistants
    crons: Crons
    checkpoints: Checkpoints
    store: AsyncSqliteStore
    graphs: Mapping[str, Graph]
    scheduler: Scheduler
    feeds: Feeds

    def graph_of(self, thread: Thread) -> Graph | None:
        """The graph that ran on the thread last; None before the first run."""
        return self.graphs.get(thread.graph_id or "")

    async def settle(self, thread: Thread, graph: Graph, resting: str | None = None) -> None:
        """Bring a thread's row in line with its state after a change from outside."""
        state = await self.checkpoints.state(graph, thread.thread_id)
        self.threads.settle(
            thread.thread_id,
            resting or resting_status(SUCCESS, state),
            to_json_marked(state.values),
            interrupts_by_task(state),
        )

    async def delete_thread(self, thread_id: str) -> None:
        """Delete a thread with its runs, state and history; a run that is under way is stopped first."""
        async with self.scheduler.cleared(thread_id):
            self.threads.delete(thread_id)
            await self.checkpoints.delete(thread_id)
        self.feeds.close(thread_id)


@dataclass(frozen=True)
class Caller:
    """Who wants something of the runtime: the owner of what is made (None without authentication)."""

    runtime: Runtime
    owner: str | None


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Open the folder, load the graphs, take up unfinished runs; close all of it at the end.

    Raises CannotServe when the folder is in use or cannot be written, or a graph cannot be loaded.
    """
    async with AsyncExitStack() as stack:
        folder = _folder(settings.db, stack)
        rows = stack.enter_context(closing(Database(folder / "runstone.sqlite")))
        saver = await open_saver(
            await stack.enter_async_context(aiosqlite.connect(folder / "checkpoints.sqlite"))
        )
        store = await stack.enter_async_context(open_store(folder / "store.sqlite"))
        graphs = {
            graph_id: equip(graph, saver, store) for graph_id, graph in load_graphs(*settings.graphs).items()
        }
        threads, runs, checkpoints = Threads(rows), Runs(rows), Checkpoints(saver)
        assistants = Assistants(rows, list(graphs))
        assistants.install_defaults()
        feeds = Feeds(rows)
        scheduler = Scheduler(settings, rows, threads, runs, checkpoints, graphs, feeds)
        stack.push_async_callback(scheduler.stop)
        scheduler.recover()
        yield Runtime(
            *(settings, rows, threads, runs, assistants, Crons(rows)),
            *(checkpoints, store, graphs, scheduler, feeds),
        )


def _folder(wanted: Path | None, stack: AsyncExitStack) -> Path:
    if wanted is None:
        temporary = tempfile.TemporaryDirectory(prefix="runstone-", ignore_cleanup_errors=True)
        return Path(stack.enter_context(temporary))
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        stack.enter_context(FileLock(wanted / "lock").acquire(timeout=0))
    except Timeout:
        raise FolderInUse(f"another server keeps its data in {wanted}; name another folder") from None
    except OSError as error:
        raise CannotServe(f"the folder {wanted} cannot be used ({error.strerror or error})") from None
    return wanted
