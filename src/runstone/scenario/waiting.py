"""Reading until something has happened: a run has ended, a thread has left busy, a node has run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from runstone.scenario.requests import Blocked
from runstone.wire.attempts import ATTEMPTS
from runstone.wire.documents import Missing
from runstone.wire.exchange import Exchange, excerpt
from runstone.wire.limits import Limits
from runstone.wire.patience import Grows, Patience, grown, step

# Ids are UUIDs nearly everywhere; elsewhere whatever stands in a path without being taken for more.
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:~-]*")
Read = Callable[[], Awaitable[Exchange]]


class Until:
    """Reading again and again, under the limits and with the patience of one session."""

    def __init__(self, limits: Limits, grows: Grows | None) -> None:
        self._limits = limits
        self._grows = grows

    async def status(self, read: Read, done: Callable[[str], bool], patience: float = 0.0) -> Exchange:
        """Read until the answer's `status` satisfies `done`; the last reading, whatever it says."""

        def settled(body: dict[str, Any]) -> bool:
            status = body.get("status")
            return not isinstance(status, str) or done(status)  # what is not a status will never become one

        return await self.body(read, settled, patience)

    async def body(
        self, read: Read, done: Callable[[dict[str, Any]], bool], patience: float = 0.0
    ) -> Exchange:
        """Read until the answer satisfies `done` or is not a 2xx object, or the limit has passed.

        The limit is not a clock's alone: while target or machine are busy it grows.
        """
        clock = asyncio.get_running_loop().time
        seconds = self._limits.settle_s + patience
        began, deadline = clock(), clock() + seconds
        interval, grew = self._limits.poll_s, Patience()
        while True:
            exchange = await read()
            body = object_in(exchange)
            if body is None or done(body):
                return exchange
            if clock() > deadline:
                if self._grows is None or not await grown(grew, began, self._grows):
                    return exchange
                began, deadline = clock(), clock() + step(seconds)
            await asyncio.sleep(interval)
            # A change is most likely soon; a quarter more each time spares the server many polls.
            interval = min(interval * 1.25, self._limits.longest_poll_s)


async def until_heard(send: Read) -> Exchange:
    """Send what may be done twice, and under the same label once more each time that the network lost it."""
    for _ in range(ATTEMPTS):
        answer = await send()
        if not answer.lost:
            break
    return answer


def id_in(exchange: Exchange, key: str) -> str:
    """The id that the answer gives under this key. Raises Blocked where it gives none."""
    body = object_in(exchange)
    found = body.get(key) if body else None
    if not isinstance(found, str) or not _ID.fullmatch(found):
        shown = (
            f"{exchange.code}: {excerpt(exchange.content)}"
            if exchange.code
            else f"nothing: {exchange.failure}"
        )
        raise Blocked(f"{exchange.where} gave no {key}, but {shown}")
    return str(found)


def object_in(exchange: Exchange) -> dict[str, Any] | None:
    """The JSON object that a 2xx answer holds; None for any other answer."""
    try:
        return exchange.object
    except Missing:
        return None
