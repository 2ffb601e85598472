"""What a load must have left behind as a whole: nobody busy, and exactly the threads that were acknowledged.

The server is asked by the metadata that everything of the load carries. What it shows is believed only where
it shows that metadata: a server that ignores the filter shows things of others.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from runstone.load.invariants import CONSERVED, NOBODY_STUCK, NOTE, Finding
from runstone.load.model import Broken, Invariant
from runstone.load.tokens import METADATA
from runstone.wire.exchange import Exchange
from runstone.wire.recorder import Recorder
from runstone.wire.request import Request
from runstone.wire.trace import Trace

NAME: Final = "load-sweep"
_PATIENCE_S: Final = 15.0  # for a thread that is just becoming idle
_DEADLINE_S: Final = 20.0
_SHOWN: Final = 10  # of those that are stuck, with their runs


class Sweep:
    """Asks, and keeps what came."""

    def __init__(self, recorder: Recorder, session: str) -> None:
        self._recorder = recorder
        self._session = session
        self._exchanges: list[Exchange] = []

    async def run(self, made: int | None, unsure: int = 0) -> Trace:
        """Look until nobody is busy, or for as long as that can take.

        `made`: threads acknowledged, None where a worker did not tell its own; `unsure`: creates without an
        answer.
        """
        began = self._recorder.clock
        wanted = {"metadata": {METADATA: self._session}, "status": "busy", "limit": 100}
        while True:
            busy = await self._ask("busy", "POST", "/threads/search", wanted)
            stuck = list(_threads(busy))
            if not stuck or self._recorder.clock - began > _PATIENCE_S:
                break
            self._exchanges.pop()  # only the last look counts
            await asyncio.sleep(0.5)
        for thread in stuck[:_SHOWN]:
            await self._ask("thread", "GET", f"/threads/{thread}")
            await self._ask("runs", "GET", f"/threads/{thread}/runs?limit=100")
        await self._ask("count", "POST", "/threads/count", {"metadata": {METADATA: self._session}})
        return Trace(
            scenario=NAME,
            exchanges=tuple(self._exchanges),
            notes={NOTE: {"kind": "sweep", "session": self._session, "made": made, "unsure": unsure}},
            started_at=began,
            finished_at=self._recorder.clock,
        )

    async def _ask(self, label: str, method: str, path: str, body: object = None) -> Exchange:
        request = Request(
            scenario=NAME,
            part="",
            number=len(self._exchanges) + 1,
            label=label,
            method=method,
            path=path,
            headers=() if body is None else (("content-type", "application/json"),),
            content=None if body is None else json.dumps(body).encode(),
            deadline=_DEADLINE_S,
            canary=True,
        )
        return await self._recorder.send(request, self._exchanges)


def judged_sweep(trace: Trace) -> list[Finding]:
    """Whether nobody was stuck, and nothing was lost or made too often."""
    return [*_nobody_stuck(trace), _conserved(trace)]


def invariants_of(trace: Trace | None, made: int, at: float) -> tuple[Invariant, Invariant]:
    """What the sweep shows of both promises. `made`: threads acknowledged; `at`: when the load was over."""
    findings = judged_sweep(trace) if trace is not None else []
    return (
        _invariant(NOBODY_STUCK, "threads", made, [each for each in findings if each.id == NOBODY_STUCK], at),
        _invariant(CONSERVED, "counts", 1, [each for each in findings if each.id == CONSERVED], at),
    )


def _invariant(name: str, of: str, counted: int, found: Sequence[Finding], at: float) -> Invariant:
    broken = [each for each in found if each.verdict == "broken"]
    untested = not found or any(each.verdict == "not-tested" for each in found)
    return Invariant(
        id=name,
        of=of,
        kept=0 if untested else max(0, counted - len(broken)),
        broken=len(broken),
        not_tested=int(untested and not broken),
        samples=tuple(
            Broken(token="", kind="sweep", at=at, reason=each.reason, trace=NAME) for each in broken
        ),
        why_not_tested={each.reason: 1 for each in found if each.verdict == "not-tested"},
    )


def stuck_in(trace: Trace) -> list[str]:
    """The threads of this load that were busy after the drain."""
    session = trace.notes[NOTE]["session"]
    return [
        str(thread.get("thread_id"))
        for exchange in trace.find("busy")[-1:]
        for thread in _listed(exchange) or []
        if _carries(thread, session) and thread.get("status") == "busy"
    ]


def _nobody_stuck(trace: Trace) -> Iterator[Finding]:
    busy = trace.find("busy")[-1:]
    shown = _listed(busy[0]) if busy else None
    if shown is None:
        yield Finding(NOBODY_STUCK, "not-tested", "the search for busy threads was not answered")
        return
    stuck = stuck_in(trace)
    for thread in stuck:
        yield Finding(NOBODY_STUCK, "broken", f"thread {thread} is busy after the drain")
    if others := len(shown) - len(stuck):
        reason = (
            f"the search for busy threads of this load found {others} others: it ignores what it is asked"
        )
        yield Finding(NOBODY_STUCK, "not-tested", reason)
    elif not shown:
        yield Finding(NOBODY_STUCK, "kept")


def _conserved(trace: Trace) -> Finding:
    made, unsure = trace.notes[NOTE]["made"], trace.notes[NOTE]["unsure"]
    if made is None:
        return Finding(CONSERVED, "not-tested", "a worker did not tell how many threads it made")
    asked = trace.find("count")[-1:]
    counted = _body(asked[0]) if asked else None
    if not isinstance(counted, int) or isinstance(counted, bool):
        return Finding(CONSERVED, "not-tested", "the threads could not be counted by metadata")
    if made <= counted <= made + unsure:
        return Finding(CONSERVED, "kept")
    return Finding(CONSERVED, "broken", f"{made} threads were acknowledged, and there are {counted}")


def _threads(exchange: Exchange) -> Iterator[str]:
    for thread in _listed(exchange) or []:
        if isinstance(found := thread.get("thread_id"), str):
            yield found


def _listed(exchange: Exchange) -> list[dict[str, Any]] | None:
    body = _body(exchange)
    return [each for each in body if isinstance(each, dict)] if isinstance(body, list) else None


def _body(exchange: Exchange) -> Any:
    if exchange.code is None or exchange.code >= 300 or exchange.failure:
        return None
    try:
        return json.loads(exchange.content)
    except ValueError:
        return None


def _carries(thread: dict[str, Any], session: str) -> bool:
    metadata = thread.get("metadata")
    return isinstance(metadata, dict) and metadata.get(METADATA) == session
