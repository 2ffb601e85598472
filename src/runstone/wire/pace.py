"""Obeying a target that asks for a pause: 429 and 503 with Retry-After say that a request was refused.

What was refused was not executed, so that it may be sent again. While one request waits for that, no other is
sent: the whole session goes as slowly as the target wants.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from runstone.errors import TargetError
from runstone.wire.exchange import Exchange, Refusal, excerpt
from runstone.wire.patience import Grows, patient

MOST_PAUSES: Final = 5  # for one request, while nobody else sends any; refused once more, that is its answer
_CODES: Final = frozenset({429, 503})
_SHORTEST_S: Final = 0.1
_ACCEPTED_S: Final = 1.0  # after sending: refusals come at once, what is accepted may take as long as a run
_UNREADABLE_S: Final = 1.0  # where Retry-After is neither seconds nor a date


class AskedToWait(TargetError):  # noqa: N818 - named as what it reports
    """The target asks for a pause that is longer than the session may wait."""

    @classmethod
    def too_long(cls, url: str, refused: Refusal, pause_s: float) -> AskedToWait:
        """Of these seconds no request waits for more."""
        return cls(
            f"{url} asks for a pause of {refused.pause_s:.0f} s ({refused.code}, Retry-After: "
            f"{excerpt(refused.retry_after, 40)}), and no request waits for more than {pause_s:g} s in all; "
            "try again later, or allow more by pause_s under [limits] in runstone.toml"
        )


def refusal(response: httpx.Response, at: float) -> Refusal | None:
    """What an answer refuses and for how long; None for an answer that does not ask for a pause.

    `at`: seconds after the session began.
    """
    said = response.headers.get("retry-after")
    if response.status_code not in _CODES or said is None:
        return None
    seconds = _seconds(said.strip(), response.headers.get("date"))
    pause_s = _UNREADABLE_S if seconds is None else max(seconds, _SHORTEST_S)
    return Refusal(
        at=round(at, 4),
        code=response.status_code,
        retry_after=said,
        pause_s=round(pause_s, 1),
        unreadable=seconds is None,
    )


def _seconds(said: str, date: str | None) -> float | None:
    """How long from now, by the clock of the server where it tells it."""
    if said.isascii() and said.isdigit():
        return float(said)
    try:
        until = parsedate_to_datetime(said)
        now = parsedate_to_datetime(date) if date else dt.datetime.now(dt.UTC)
        return (until - now).total_seconds()
    except (ValueError, TypeError):  # the latter: one of the two has no timezone
        return None


def put_off(exchanges: Iterable[Exchange]) -> str:
    """What was refused for a while and sent again, in a few words; '' for nothing."""
    refusals = [each for exchange in exchanges for each in exchange.refused]
    if not refusals:
        return ""
    codes = ", ".join(sorted({str(each.code) for each in refusals}))
    pauses_s = sum(each.pause_s for each in refusals)
    odd = sorted({each.retry_after for each in refusals if each.unreadable})
    nonsense = f"; Retry-After {excerpt(odd[0], 40)!r} is neither seconds nor a date" if odd else ""
    return f"put off {len(refusals)} times by the target ({codes}), for {pauses_s:.1f} s in all{nonsense}"


class Pace:
    """Lets all requests through, or one at a time (see `alone`)."""

    def __init__(self) -> None:
        self._slow = asyncio.Lock()
        self._paused_s = 0.0
        self._since: float | None = None  # when the pause under way began, by the loop's clock

    async def clear(self) -> None:
        """Return when requests may be sent; who came first is let through first."""
        while self._slow.locked():
            async with self._slow:
                pass

    async def alone(self) -> Alone:
        """Wait until nobody else is let through; give the right back whatever happens."""
        await self._slow.acquire()
        return Alone(self._slow)

    @property
    def paused_s(self) -> float:
        """Seconds of all pauses so far; they count for no deadline."""
        under_way = 0.0 if self._since is None else asyncio.get_running_loop().time() - self._since
        return self._paused_s + under_way

    def put_off(self, seconds: float) -> None:
        """Let so much time count for no deadline: it was not the target's."""
        self._paused_s += seconds

    @asynccontextmanager
    async def within(
        self, seconds: float, grows: Grows | None = None, elapsed: Callable[[], float] | None = None
    ) -> AsyncIterator[None]:
        """As `patient`, but pauses count for nothing. Raises TimeoutError."""
        clock = asyncio.get_running_loop().time
        began, paused_s = clock(), self.paused_s
        own = elapsed or (lambda: clock() - began)
        async with patient(seconds, grows, lambda: own() - (self.paused_s - paused_s)):
            yield

    async def pause(self, seconds: float) -> None:
        """Wait so long."""
        clock = asyncio.get_running_loop().time
        self._since = clock()
        try:
            await asyncio.sleep(max(0.0, seconds))
        finally:
            self._paused_s += clock() - self._since
            self._since = None


class Alone:
    """The right to send while nobody else does."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._held: asyncio.Lock | None = lock
        self._timer: asyncio.TimerHandle | None = None

    @property
    def given_back(self) -> bool:
        """Whether others are let through again."""
        return self._held is None

    def send(self) -> None:
        """It is sent now. What is not refused soon is accepted, however long its answer takes."""
        self.keep()
        self._timer = asyncio.get_running_loop().call_later(_ACCEPTED_S, self.give_back)

    def keep(self) -> None:
        """It was refused once more."""
        if self._timer is not None:
            self._timer.cancel()

    def give_back(self) -> None:
        """Let others through, if that is not so already."""
        self.keep()
        if self._held is not None:
            self._held.release()
            self._held = None
