"""The recorder against real sockets: whatever a server does becomes an exchange, under deadline and cap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from runstone.contracts import may_last, reads
from runstone.wire.exchange import Exchange
from runstone.wire.limits import Limits
from runstone.wire.recorder import KnownOperations, Recorder
from runstone.wire.request import Request
from tests.servers import (
    Answer,
    always,
)

_Result = TypeVar("_Result")
SECRET = "s3cr3t-t0ken-of-the-user"  # noqa: S105 - nobody has this
HEADERS = {"Authorization": f"Bearer {SECRET}", "X-Short": "abc"}
Talk = Callable[[Recorder, list[Exchange]], Awaitable[_Result]]


def asked(**changes: Any) -> Request:
    fields: dict[str, Any] = {
        "scenario": "talk",
        "part": "",
        "number": 1,
        "label": "it",
        "method": "GET",
        "path": "/threads",
        "deadline": 5.0,
    }
    return Request(**{**fields, **changes})


def recorded(
    url: str, talk: Talk[_Result], secrets: dict[str, str] | None = None, **limits: Any
) -> tuple[_Result, list[Exchange]]:
    """What `talk` returned, and every exchange that was kept."""

    async def session() -> tuple[_Result, list[Exchange]]:
        kept: list[Exchange] = []
        async with Recorder(
            url, secrets or {}, Limits(**limits), known=KnownOperations(may_last=may_last, reads=reads)
        ) as recorder:
            return await talk(recorder, kept), kept

    return asyncio.run(session())


def sent(url: str, secrets: dict[str, str] | None = None, limits: Any = None, **changes: Any) -> Exchange:
    """One exchange, with its `opened` future, which must be resolved however it went."""

    async def talk(recorder: Recorder, kept: list[Exchange]) -> Exchange:
        opened: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
        exchange = await recorder.send(asked(**changes), kept, opened)
        assert opened.done()
        assert opened.result().code == exchange.code
        return exchange

    found, kept = recorded(url, talk, secrets, **(limits or {}))
    assert kept == [found]
    return found


def streaming(*pieces: bytes) -> Answer:
    """Answer with an event stream of these pieces, and end it."""
    return always("200 OK", "text/event-stream", b"".join(pieces))
