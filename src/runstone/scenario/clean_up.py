"""Leaving nothing behind: what a session made on the target is deleted at its end, by id and one by one.

Nothing is deleted that was not seen to be made: no filter and no search result is ever trusted with that,
as a server may ignore the filter, and what it then shows belongs to others.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from runstone.contracts import Kind, operation_for, operation_table
from runstone.scenario.asking import BY_ITSELF
from runstone.wire.exchange import Exchange
from runstone.wire.identity import Identity
from runstone.wire.recorder import Recorder
from runstone.wire.request import Request
from runstone.wire.values import raw

# Crons first, so that they make nothing more meanwhile.
_ORDER: Final[tuple[Kind, ...]] = ("cron", "thread", "assistant", "item")
DELETED_AT_ONCE: Final = 64
_FROM_AFAR: Final = 3  # times as many: what travels for long keeps nobody at work
_FAR_S: Final = 0.2
_MOST_UNANSWERED: Final = 4  # in a row
_TRIES: Final = 3  # a thread whose run is just ending may be refused as busy
_PAUSE_S: Final = 0.5
_DEADLINE_S: Final = 6.0
_GONE: Final = frozenset({404, 410})


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a session made: kind and id (of an item namespace and key, as JSON), and who made it."""

    kind: Kind
    id: str
    identity: Identity = "first"
    scenario: str = ""


class Made:
    """What a session has made so far, and not deleted itself. `on_new` is told of each thing, once."""

    def __init__(self, on_new: Callable[[Thing], None] = lambda _: None) -> None:
        self._things: dict[tuple[Kind, str], Thing] = {}
        self._assistants: set[str] = set()  # those that were deleted since too
        self._scheduled: dict[str, Thing] = {}
        self._mark: Thing | None = None
        self._on_new = on_new

    def note(self, identity: Identity, exchange: Exchange) -> None:
        """Take from an exchange what is there since, and what is gone."""
        operation = operation_for(exchange.method, exchange.path)
        if operation is None or exchange.scenario == BY_ITSELF:
            return
        for kind, found in operation.created_by(exchange):
            if kind in _ORDER and (key := _key(found)):
                thing = Thing(kind=kind, id=key, identity=identity, scenario=exchange.scenario)
                if (kind, key) not in self._things:
                    self._on_new(thing)
                self._things[kind, key] = thing
                self._note_scheduled(thing, exchange)
        if exchange.code is not None and 200 <= exchange.code < 300:
            for kind, found in operation.deleted_by(exchange):
                self._things.pop((kind, _key(found)), None)

    def _note_scheduled(self, thing: Thing, exchange: Exchange) -> None:
        if thing.kind == "assistant":
            self._assistants.add(thing.id)
        asked = raw(exchange.request_json)  # which may be wrong on purpose
        named = asked.get("assistant_id") if isinstance(asked, dict) else None
        if thing.kind == "cron" and isinstance(named, str) and named in self._assistants:
            self._scheduled[named] = Thing(kind="assistant", id=named, identity=thing.identity)

    @property
    def scheduled(self) -> list[Thing]:
        """The assistants that it made, and made crons for: these go on to make threads."""
        return list(self._scheduled.values())

    @property
    def mark(self) -> Thing | None:
        """The thread that tells other machines of this session, to be deleted last."""
        return self._mark

    @mark.setter
    def mark(self, thing: Thing | None) -> None:
        self._mark = thing
        if thing is not None:
            self._on_new(thing)

    def forget(self, thing: Thing) -> None:
        """It is gone: what is deleted at the end of one observation is not deleted again after the next."""
        self._things.pop((thing.kind, thing.id), None)

    def things(self) -> list[Thing]:
        """All of it, in the order in which it is to be deleted."""
        return sorted(self._things.values(), key=lambda each: _ORDER.index(each.kind))


def _key(found: Any) -> str:
    """An id as text; an item as the JSON of its namespace and key; '' for what is neither."""
    if isinstance(found, str):
        return found
    if isinstance(found, dict) and isinstance(found.get("key"), str) and "namespace" in found:
        return json.dumps({"namespace": found["namespace"], "key": found["key"]}, sort_keys=True)
    return ""


async def clean_up(
    recorder: Recorder, things: Iterable[Thing], on_gone: Callable[[Thing], None] = lambda _: None
) -> list[str]:
    """Delete them; what could not be deleted, and why, one line each. What is gone already is not trouble.

    A target that has left several deletions without a whole answer is asked for no more. `on_gone` is told of
    each thing that is there no more.
    """
    unanswered = 0
    far = recorder.limits.answer_s >= _FAR_S
    slots = asyncio.Semaphore(DELETED_AT_ONCE * (_FROM_AFAR if far else 1))
    left: list[str] = []
    by_kind: dict[Kind, list[Thing]] = {kind: [] for kind in _ORDER}
    for thing in things:
        by_kind[thing.kind].append(thing)

    async def delete(thing: Thing) -> None:
        nonlocal unanswered
        async with slots:
            if unanswered >= _MOST_UNANSWERED:
                trouble = "the target answers no DELETE any more"
            else:
                trouble, answered = await _delete(recorder, thing)
                unanswered = 0 if answered else unanswered + 1
        if trouble:
            left.append(f"{thing.kind} {thing.id}: {trouble}")
        else:
            on_gone(thing)

    for kind in _ORDER:
        await asyncio.gather(*(delete(each) for each in by_kind[kind]))
    return left


async def _delete(recorder: Recorder, thing: Thing) -> tuple[str, bool]:
    """Why it is still there, '' when it is gone; and whether there was a whole answer."""
    trouble, answered = "", False
    for attempt in range(_TRIES):
        if attempt:
            await asyncio.sleep(_PAUSE_S)
        answer = await recorder.send(_request(thing), [])
        if answer.code is not None and (answer.code < 300 or answer.code in _GONE):
            return "", answer.failure is None
        answered = answer.code is not None and answer.failure is None
        trouble = f"DELETE answered {answer.code}" if answer.code is not None else str(answer.failure)
        if answer.code is not None and answer.code in {401, 403, 405, 501}:
            break  # it is forbidden, or there is no such operation: asking again changes nothing
    return trouble, answered


def _request(thing: Thing) -> Request:
    path, body = _DELETES[thing.kind], None
    if thing.kind == "item":
        body = thing.id.encode()
    return Request(
        scenario="clean_up",
        part=thing.id,  # so that each goes over connections that few others want at the same time
        number=1,
        label="delete",
        method="DELETE",
        path=path.format_map({thing.kind: thing.id}),
        headers=(("content-type", "application/json"),) if body else (),
        content=body,
        deadline=_DEADLINE_S,
        identity=thing.identity,
        canary=True,
    )


def _paths() -> dict[Kind, str]:
    """By kind the path at which DELETE deletes one of it, from the table of operations."""
    found: dict[Kind, str] = {}
    for operation in operation_table().operations:
        if operation.method == "DELETE":
            found |= dict.fromkeys(operation.deletes, operation.path)
    return found


_DELETES: Final = _paths()
