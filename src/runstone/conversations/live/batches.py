"""Batches, played one after the other: what there is to know of each, and who listens to it.

One at a time, because they share the target's capacity, and what one has made there must be gone before the
next.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from runstone.conversations.events import Event
from runstone.conversations.live.log import Log, Memory
from runstone.conversations.live.offer import Prepared, Wanted
from runstone.conversations.thread import Job, Playing
from runstone.errors import ExitCode, RunstoneError

KEPT: Final = 50  # batches that have ended
WAITING: Final = 20  # batches that may wait at a time
State = Literal["queued", "running", "done", "cancelled", "broken"]
_ENDED: Final[frozenset[State]] = frozenset({"done", "cancelled", "broken"})

_log = logging.getLogger(__name__)


class UnknownBatch(Exception):  # noqa: N818 - named as what it reports
    """There is no such batch, or it was forgotten."""


class TooMany(Exception):  # noqa: N818 - named as what it reports
    """So many batches wait already that no further one is taken."""


class Told(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is known of one conversation. `result`: '' until it, or its batch, has ended."""

    conversation: str
    scenario: str
    state: Literal["waiting", "running", "ended", "unplayed"] = "waiting"
    result: str = ""
    score: float | None = None
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class LiveBatch:
    """One batch: what was wanted, how far it is, and its events."""

    id: str
    wanted: Wanted
    prepared: InitVar[Prepared]
    folder: Path
    log: Log
    state: State = "queued"
    created_at: str = field(default_factory=lambda: _now())
    started_at: str | None = None
    ended_at: str | None = None
    stopped: str = ""
    outcome: dict[str, Any] = field(default_factory=dict)
    target: str = field(init=False)
    job: Job | None = field(init=False)  # None at the end: it holds all that was recorded
    conversations: dict[str, Told] = field(init=False)
    reported: bool = False
    playing: Playing | None = None
    cancelled: bool = False

    def __post_init__(self, prepared: Prepared) -> None:
        """Know all conversations before the first one begins."""
        self.target, self.job = prepared.target, prepared.job
        self.conversations = {
            each.conversation: Told(conversation=each.conversation, scenario=each.scenario)
            for each in prepared.conversations
        }

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in _ENDED

    def hear(self, event: Event) -> None:
        """Keep an event, and what follows from it."""
        one = self.conversations.get(event.conversation)
        if one is not None and event.kind == "started":
            one.state = "running"
        if one is not None and event.kind == "completed":
            one.state, one.result, one.reason = "ended", event.data["result"], event.text
            one.score = event.data["score"]
        if not event.conversation and event.kind == "completed":
            cut = self.cancelled and not event.data["complete"]
            event = msgspec.structs.replace(
                event, data={"state": "cancelled" if cut else "done", **event.data}
            )
            self.outcome, self.stopped = event.data, event.text
        self.log.add(msgspec.json.encode(event))

    def broke(self, error: BaseException) -> None:
        """Tell that it ended without a report, and why."""
        known = isinstance(error, RunstoneError)
        if not known:
            _log.error("batch %s", self.id, exc_info=error)
        why = str(error) if known else f"Runstone itself failed: {type(error).__name__}: {error}"
        self.hear(Event(kind="error", text=why))
        code = error.exit_code if isinstance(error, RunstoneError) else ExitCode.HARNESS_ERROR
        self._without_report("cancelled" if self.cancelled else "broken", why, code)

    def drop(self) -> None:
        """Tell that it was cancelled before it began."""
        self._without_report("cancelled", "it was cancelled before it began", ExitCode.HARNESS_ERROR)

    def _without_report(self, state: State, why: str, code: int) -> None:
        data = {
            "result": "fail",
            "accepted": False,
            "complete": False,
            "exit_code": int(code),
            "state": state,
        }
        self.hear(Event(kind="completed", text=why, data=data))

    def close(self) -> None:
        """Nothing more will happen; what was not played to its end is not judged, as in the report."""
        for each in self.conversations.values():
            if each.state != "ended":
                each.state, each.result = "unplayed", "not-judged"
        self.state, self.ended_at, self.job = self.outcome["state"], _now(), None
        self.log.close()

    def summary(self) -> dict[str, Any]:
        """What there is to know of it, but for its conversations."""
        results = Counter(each.result for each in self.conversations.values() if each.result)
        return {
            "id": self.id,
            "state": self.state,
            "target": self.target,
            "wanted": self.wanted,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "of": len(self.conversations),
            "done": sum(each.state == "ended" for each in self.conversations.values()),
            "results": dict(results),
            "accepted": self.outcome.get("accepted"),
            "exit_code": self.outcome.get("exit_code"),
            "stopped": self.stopped,
            "events": {"first": self.log.first, "last": self.log.last},
            "folder": str(self.folder),
            "reported": self.reported,
        }


class Batches:
    """All batches since the server runs, the newest of them in full. To be used in one event loop."""

    def __init__(
        self, prepare: Callable[[Wanted, Path], Prepared], folder: Path, memory: Memory | None = None
    ) -> None:
        """`prepare` makes a batch of what is wanted; its results go into a folder of its own in `folder`."""
        self._prepare = prepare
        self._folder = folder
        self._memory = memory or Memory()
        self._batches: dict[str, LiveBatch] = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def add(self, wanted: Wanted) -> LiveBatch:
        """Play what is wanted, when it is its turn. Raises UsageError and TooMany."""
        name = f"{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        folder = self._folder / name
        prepared = await asyncio.to_thread(self._prepare, wanted, folder)
        if self._closing:
            raise TooMany("the server is ending")
        if sum(not each.ended for each in self._batches.values()) > WAITING:
            raise TooMany(f"{WAITING} batches wait already; cancel one, or come back later")
        batch = LiveBatch(
            id=name, wanted=wanted, prepared=prepared, folder=folder, log=self._memory.new_log()
        )
        self._batches[name] = batch
        self._forget()
        task = asyncio.create_task(self._play_in_turn(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return batch

    def get(self, name: str) -> LiveBatch:
        """The batch of this id. Raises UnknownBatch."""
        if name not in self._batches:
            raise UnknownBatch(f"there is no batch {name[:80]!r}; GET /batches lists those that are known")
        return self._batches[name]

    def all(self) -> list[LiveBatch]:
        """All that are known, the newest first."""
        return [*reversed(self._batches.values())]

    def cancel(self, batch: LiveBatch) -> None:
        """Have it end soon; what was played is kept. Of one that has ended, nothing is changed."""
        if batch.ended:
            return
        batch.cancelled = True
        if batch.playing is None:
            batch.drop()
            batch.close()
        else:
            batch.playing.end()

    async def close(self) -> None:
        """Cancel all that goes on, and wait until it has cleaned up."""
        self._closing = True
        for each in self._batches.values():
            self.cancel(each)
        await asyncio.gather(*self._tasks)

    async def _play_in_turn(self, batch: LiveBatch) -> None:
        async with self._turn:
            if batch.job is None:  # it was cancelled meanwhile
                return
            batch.state, batch.started_at = "running", _now()
            error = await self._play(batch, batch.job)
            if error is not None:
                batch.broke(error)
            batch.reported = error is None
            batch.close()

    async def _play(self, batch: LiveBatch, job: Job) -> BaseException | None:
        """Play it in a thread; what it raised."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[BaseException | None] = loop.create_future()

        def put(told: Event | BaseException | None) -> None:
            if isinstance(told, Event):
                loop.call_soon_threadsafe(batch.hear, told)
            else:
                loop.call_soon_threadsafe(over.set_result, told)

        batch.playing = Playing(job, put)
        error = await over
        await asyncio.to_thread(batch.playing.stop)
        batch.playing = None
        return error

    def _forget(self) -> None:
        """Forget the oldest that have ended, where there are too many; their results stay on disk."""
        ended = [each.id for each in self._batches.values() if each.ended]
        for name in ended[: max(0, len(ended) - KEPT)]:
            self._memory.drop(self._batches.pop(name).log)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
