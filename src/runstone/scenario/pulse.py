"""The pulse of target and machine: whether a wait is over is never told by a clock alone.

A canary is a small request beside those of the scenarios. While it comes back in its usual time, and this
process is not kept from running, what still does not answer is not merely late. Where the canary is late
too, target or machine are busy, and everybody's patience grows. Canaries without an answer, several in a
row, mean a dead target.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from runstone.errors import TargetError

_CALM: Final = 8  # canaries that tell how long one usually takes
_LATE: Final = 3.0  # times its usual time, and
_LATE_S: Final = (
    0.5  # so much more: a busy machine was seen to answer a GET 0.4 s late while nothing was amiss
)
_UNANSWERED_S: Final = 6.0  # beyond the usual time: then a canary counts as unanswered
_BEAT_S: Final = 0.1  # how often the lag of this process is measured
_LAG_S: Final = 0.5
_WATCHED_S: Final = 2.0  # how often a canary is sent though nobody waits
_DEAD_AFTER: Final = 3  # canaries without an answer, one after the other
_RUNS_GIVEN_UP_AFTER: Final = 2  # the same of canaries that are runs: nothing executes runs any more

Canary = Callable[[], Awaitable[bool]]  # sends it, and says whether it was answered


@dataclass(frozen=True, slots=True)
class Beat:
    """One canary: when it was sent and how long it took, in seconds; whether it was answered at all."""

    sent_at: float
    seconds: float
    answered: bool


class Dead(TargetError):  # noqa: N818 - it ends the observation, it is not an error of the harness
    """The target answered once, and answers nothing any more."""


class Pulse:
    """Sends a canary when somebody's patience ends, and measures the lag of this process all the while.

    Times are those of the running loop's clock.
    """

    def __init__(
        self,
        asks: Canary,
        runs: Canary | None,
        run_s: float,
        clear: Callable[[], Awaitable[None]],
    ) -> None:
        """`asks` is answered at once. `runs` is a run, which takes at most `run_s` if there is room.

        `runs` is to say True as well where there is no room for a run of ours. `clear` returns when the
        target does not want a pause.
        """
        self._asks = asks
        self._runs = runs
        self._run_s = run_s
        self._clear = clear
        self._usual_s = 0.0
        self._beating: asyncio.Task[bool] | None = None
        self._unanswered = 0
        self._runs_unanswered = 0
        self._lagged_at = float("-inf")
        self._busy_until = float("-inf")  # the latest moment at which target or machine were
        self.late = 0
        self.late_runs = 0
        self.sent = 0
        self.dead: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def executes_no_runs(self) -> bool:
        """Whether runs that had a worker to themselves were not executed, while requests were answered."""
        return self._runs_unanswered >= _RUNS_GIVEN_UP_AFTER

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Learn the usual time of a canary, and watch the lag of this process for the time of the block."""
        calm = await asyncio.gather(*(self._beat(self._asks, _UNANSWERED_S) for _ in range(_CALM)))
        self._usual_s = max((each.seconds for each in calm if each.answered), default=_UNANSWERED_S)
        watching = [asyncio.create_task(each) for each in (self._watch_lag(), self._watch_target())]
        try:
            yield
        finally:
            ending = [*watching, *([] if self._beating is None else [self._beating])]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            self.dead.cancel()

    async def grows(self, began: float) -> bool:
        """Whether the patience of a wait that `began` then, and whose time is over, shall grow.

        True when a canary that begins now is late, or when this process lagged meanwhile. All who ask at
        the same moment share one canary.
        """
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._busy())
        return await asyncio.shield(self._beating) or self._lagged_at >= began

    def was_busy(self, since: float) -> bool:
        """Whether a canary was late, or this process lagged, at some time since then."""
        return self._busy_until >= since

    def _is_late(self, beat: Beat) -> bool:
        late = not beat.answered or beat.seconds > _LATE * self._usual_s + _LATE_S
        if late:
            self._busy_until = max(self._busy_until, beat.sent_at + beat.seconds)
        return late

    async def _busy(self) -> bool:
        beat = await self._beat(self._asks, self._usual_s + _UNANSWERED_S)
        self._unanswered = 0 if beat.answered else self._unanswered + 1
        if self._unanswered >= _DEAD_AFTER and not self.dead.done():
            self.dead.set_result("the target stopped answering")
        if self._is_late(beat):
            self.late += 1
            return True
        if self._runs is None or self.executes_no_runs:
            return False
        run = await self._beat(self._runs, self._run_s)
        self._runs_unanswered = 0 if run.answered else self._runs_unanswered + 1
        self.late += not run.answered
        self.late_runs += not run.answered
        return not run.answered

    async def _beat(self, canary: Canary, most_s: float) -> Beat:
        clock = asyncio.get_running_loop().time
        await self._clear()
        sent_at, answered = clock(), False
        self.sent += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                answered = await canary()
        return Beat(sent_at, clock() - sent_at, answered)

    async def _watch_lag(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + _BEAT_S
            await asyncio.sleep(_BEAT_S)
            if clock() - due > _LAG_S:
                self._lagged_at = clock()
                self._busy_until = max(self._busy_until, self._lagged_at)

    async def _watch_target(self) -> None:
        while True:
            await asyncio.sleep(_WATCHED_S)
            self._is_late(await self._beat(self._asks, self._usual_s + _UNANSWERED_S))
