"""What has arrived so far of an answer, and what happened to its request on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from runstone.wire.exchange import CUT, Refusal
from runstone.wire.sse import EventReader

_HANDED_OVER: Final = "http11.send_request_body.complete"  # httpcore's name for it in its trace
_NOTICEABLE_S: Final = 0.25  # a request that had to wait so long for others came later than was meant
_ONE_MOMENT_S: Final = 0.002  # chunks so close count as one: bodies in chunks of a byte would fill the memory


class Answer:
    """The answer to one request: at most `cap` bytes and `most_events` events, whichever attempt it is of."""

    def __init__(self, cap: int, most_events: int, at: float) -> None:
        self.cap = cap
        self.most_events = most_events
        self.refusals: list[Refusal] = []
        self.retried = False
        self.url: str | None = None  # as it was sent; None for one that never was
        self.held_s = 0.0
        self.begin(at)

    def begin(self, at: float) -> None:
        """Forget what has arrived: the request is sent now, perhaps once more."""
        self.sent_at = at
        self.refusal: Refusal | None = None
        self.response: httpx.Response | None = None
        self.sent_after: float | None = None
        self.headers_after: float | None = None
        self.body = bytearray()
        self.chunks: list[tuple[float, int]] = []
        self.reader: EventReader | None = None
        self.truncated = False
        self.failure: str | None = None
        self.closed_by_client = False
        self.ended = False
        self.cut = False
        self.busy = False  # not finished in time, while target or machine were busy
        self.put_off_s = 0.0  # of the time since sending: no deadline counts it
        self._told_s = 0.0  # of it, what passed from one event to the next
        self.happened_at: float | None = None  # what the client listened for until then
        self.handed_over = False  # all of the request: the target may have got it

    async def note_step(self, step: str, _details: Mapping[str, Any]) -> None:
        """Told by httpcore of every step of the request."""
        self.handed_over = self.handed_over or step == _HANDED_OVER

    @property
    def disturbed(self) -> str | None:
        """What of it may be the doing of the network; None for nothing."""
        if self.cut:
            return f"{CUT} ({self.failure})"
        if self.busy:
            return f"the target or this machine was busy ({self.failure})"
        if self.retried:
            return "sent again, as the network had cut the connection"
        if self.refusals:
            return f"sent again, as the target had put it off ({self.refusals[-1].code})"
        if self.held_s > _NOTICEABLE_S:
            return f"put off for {self.held_s:.1f} s, as the target had asked for a pause"
        return None

    @property
    def heard_after(self) -> float | None:
        """When the client last heard something: an event, or the headers. Comments are mere signs of life."""
        if self.reader is not None and self.reader.events:
            return self.reader.events[-1].at
        return self.headers_after

    def goes_on(self, before_s: float, most_s: float) -> None:
        """An event has come. What tells hangs not: no deadline counts the time since the one before, up to
        `most_s` in all. `before_s`: when that was heard, in seconds after sending.
        """
        assert self.heard_after is not None  # the event
        granted = min(self.heard_after - before_s, most_s - self._told_s)
        self._told_s += granted
        self.put_off_s += granted

    def listened_s(self, now: float) -> float:
        """How long the open answer has been listened to until what the client waited for had happened."""
        if self.headers_after is None:
            return 0.0
        return max(0.0, (self.happened_at or now) - self.sent_at - self.headers_after)

    def may_be_asked_for_again(self, *, reads: bool, passed_on: bool) -> bool:
        """Whether sending its request twice does nothing twice: it reads, or the target cannot have got it.

        What was passed on cannot be taken back, and a stream that breaks off is never the same again.
        """
        if self.response is None:
            return reads or not self.handed_over
        return reads and not passed_on and self.reader is None

    def take(self, chunk: bytes, at: float) -> None:
        """Keep the next bytes of the body, which came so many seconds after sending."""
        room = self.cap - len(self.body)
        self.truncated = len(chunk) > room
        kept = chunk[:room]
        self.body += kept
        at = round(at, 4)
        if self.chunks and at - self.chunks[-1][0] < _ONE_MOMENT_S:
            began, size = self.chunks[-1]
            self.chunks[-1] = (began, size + len(kept))
        else:
            self.chunks.append((at, len(kept)))
        if self.reader is not None:
            self.reader.feed(kept, at)
            decoded = len(self.reader.events) + len(self.reader.comments)
            self.truncated = self.truncated or decoded > self.most_events
