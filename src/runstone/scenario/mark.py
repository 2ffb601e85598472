"""The mark of a session on the target: it tells a session on another machine what a killed one has left.

It is a thread whose metadata lists what the session has made and not deleted. It is renewed again and again;
one that is old by the server's own clock is that of a dead session. What it lists is deleted only where its
own GET says that it was made while that session lived.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from runstone.contracts import Kind
from runstone.scenario.asking import asked, objects_in
from runstone.scenario.clean_up import Made, Thing
from runstone.wire.exchange import Exchange
from runstone.wire.recorder import Recorder

MARK: Final = "runstone"  # the key in the metadata of the thread, and
SESSION: Final = "session"  # its value
MADE: Final = "runstone_made"  # the things, as JSON: a text is kept as it is by every server
_RENEWED_S: Final = 20.0
_DEAD_S: Final = 120.0
_MOST: Final = 100  # marks
_SLACK: Final = dt.timedelta(seconds=60)  # what is made shortly before the mark, or after it was last renewed
_READ_AT: Final[dict[Kind, str]] = {
    "thread": "/threads/{id}",
    "assistant": "/assistants/{id}",
    "cron": "/runs/crons/{id}",
}


_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:~-]*")


class _Place(msgspec.Struct, frozen=True):
    """What the id of an item says, as JSON."""

    namespace: list[str]
    key: str


@asynccontextmanager
async def marking(recorder: Recorder, made: Made | None) -> AsyncIterator[None]:
    """Keep a mark for the time of the block. A target on which that cannot be done goes without."""
    if made is None:
        yield
        return
    answer = await asked(recorder, "POST", "/threads", {"metadata": _metadata(made)})
    thread = next((each.get("thread_id") for each in objects_in(answer)), None)
    if not isinstance(thread, str):
        yield
        return

    async def renew() -> None:
        while True:
            await asyncio.sleep(_RENEWED_S)
            await asked(recorder, "PATCH", f"/threads/{thread}", {"metadata": _metadata(made)})

    made.mark = Thing(kind="thread", id=thread)
    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def left_behind(recorder: Recorder) -> list[tuple[Thing, list[Thing]]]:
    """The marks of dead sessions, each with what its session has left."""
    found: list[tuple[Thing, list[Thing]]] = []
    wanted = {"metadata": {MARK: SESSION}, "limit": _MOST}
    for shown in objects_in(await asked(recorder, "POST", "/threads/search", wanted)):
        thread = shown.get("thread_id")
        if isinstance(thread, str) and _listed(shown) is not None:
            answer = await asked(recorder, "GET", f"/threads/{thread}")
            for mark in objects_in(answer):
                if (things := _listed(mark)) is not None and _is_dead(mark, answer):
                    left = [each for each in things if await _is_of(recorder, each, mark)]
                    found.append((Thing(kind="thread", id=thread), left))
    return found


def _metadata(made: Made) -> dict[str, str]:
    return {MARK: SESSION, MADE: msgspec.json.encode(made.things()).decode()}


def _listed(thread: dict[str, Any]) -> list[Thing] | None:
    """What a mark lists; None for a thread that is not a mark."""
    metadata = thread.get("metadata")
    if not isinstance(metadata, dict) or metadata.get(MARK) != SESSION:
        return None
    try:
        return msgspec.json.decode(str(metadata.get(MADE)), type=list[Thing])
    except msgspec.DecodeError:
        return None


def _is_dead(mark: dict[str, Any], answer: Exchange) -> bool:
    renewed, now = _time(mark.get("updated_at")), _date(answer)
    return renewed is not None and now is not None and (now - renewed).total_seconds() > _DEAD_S


async def _is_of(recorder: Recorder, thing: Thing, mark: dict[str, Any]) -> bool:
    """Whether it is there, and was made while the session of the mark lived."""
    began, renewed = _time(mark.get("created_at")), _time(mark.get("updated_at"))
    path = _path_of(thing)
    if path is None or began is None or renewed is None:
        return False
    for shown in objects_in(await asked(recorder, "GET", path, identity=thing.identity)):
        created = _time(shown.get("created_at"))
        return created is not None and began - _SLACK <= created <= renewed + _SLACK
    return False


def _path_of(thing: Thing) -> str | None:
    """Where it is read; None for what is not an id: a mark may say anything."""
    if thing.kind != "item":
        path = _READ_AT.get(thing.kind)
        return path and path.format(id=thing.id) if _ID.fullmatch(thing.id) else None
    try:
        place = msgspec.json.decode(thing.id, type=_Place)
    except msgspec.DecodeError:
        return None
    return "/store/items?" + urlencode({"namespace": ".".join(place.namespace), "key": place.key})


def _time(text: object) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _date(answer: Exchange) -> dt.datetime | None:
    try:
        found = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
