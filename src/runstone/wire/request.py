"""One request as whoever makes it asks for it, and who else may be given its answer."""

from __future__ import annotations

import asyncio
from typing import Protocol

import httpx
import msgspec

from runstone.wire.identity import Identity


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request as a scenario asks for it. Times in seconds after sending."""

    scenario: str
    part: str
    number: int
    label: str
    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    deadline: float
    close_after: float | None = None  # hang up then, whatever is under way: no verdict may rest on that
    close_when: asyncio.Event | None = None  # hang up when this is set, and nothing has come for `quiet_s`
    quiet_s: float = 0.0
    close_after_events: int | None = None  # hang up when so many events have arrived
    unread_until: asyncio.Event | None = None  # read nothing of the body before it is set
    identity: Identity = "first"  # whose headers go with it
    canary: bool = False  # its own deadline is what it is sent for: patience never grows for it


class Relay(Protocol):
    """Somebody else is given the answer while it arrives (the recording proxy).

    `finished`: enough was passed on, and the exchange ends here. `gone`: whoever was given it hung up.
    """

    finished: bool
    gone: bool

    async def begin(self, response: httpx.Response) -> None:
        """Pass on the status and the headers."""

    async def pass_on(self, chunk: bytes) -> bytes:
        """Pass on the next bytes of the body; what was passed on, which is what gets recorded."""
