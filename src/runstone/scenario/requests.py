"""The words of a request: entry points, options, and how bodies, queries and labels are written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, TypedDict
from uuid import uuid4

from runstone.wire.exchange import Exchange
from runstone.wire.request import Relay

ENTRY_POINTS = ("wait", "stream", "background", "stateless_wait", "stateless_stream")
THREADED_ENTRY_POINTS = ENTRY_POINTS[:3]
NEVER_SLEPT_S: Final = 25.0  # for a run that is ended as soon as it sleeps

Opened = asyncio.Future[Exchange]


class Omitted:
    """What `OMIT` is."""

    def __repr__(self) -> str:
        return "OMIT"


OMIT: Final = Omitted()  # a field of the body that shall not be sent at all


class Blocked(Exception):  # noqa: N818 - it ends a scenario, it is not an error of the harness
    """The target gave no id to go on with; the scenario ends here."""


class Options(TypedDict, total=False):
    """How to send a request, apart from what it says."""

    label: str  # how judges find the exchange; default: the operation
    patience: float  # seconds that the answer may take beyond an ordinary one
    close_after: float  # hang up so many seconds after sending; no verdict may rest on that
    close_when: asyncio.Event  # hang up when this is set, and nothing has come for `quiet_s`
    quiet_s: float
    close_after_events: int  # hang up when so many events have arrived
    unread_until: asyncio.Event  # read nothing of the body before it is set
    opened: Opened  # is given the exchange as soon as its headers have arrived
    headers: Mapping[str, str]
    relay: Relay  # is given the answer while it arrives


def new_id() -> str:
    """A fresh UUID, for ids that no server knows."""
    return str(uuid4())


def ask(text: str) -> dict[str, Any]:
    """The input of a message graph: one human message."""
    return {"messages": [{"role": "user", "content": text}]}


def run_body(
    assistant: str,
    input: Any,  # noqa: A002
    fields: Mapping[str, Any],
    *,
    plain: bool,
) -> dict[str, Any]:
    """The body of a request that creates a run; a plain one says nothing that its scenario is not about."""
    # Servers differ in their default strategy, so it is always sent unless a scenario omits it.
    usual = {} if plain else {"multitask_strategy": "enqueue"}
    return given({"assistant_id": assistant, "input": input, **usual, **fields})


def runs_path(thread: str | None) -> str:
    """Where runs of this thread, or without one, are created and listed."""
    return "/runs" if thread is None else f"/threads/{thread}/runs"


def labelled(label: str, options: Options) -> Options:
    """The options, with this label unless they name another."""
    return {**options, "label": options.get("label", label)}


def given(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that shall be sent."""
    return {key: value for key, value in body.items() if value is not OMIT}


def query_text(value: Any) -> str:
    """A query parameter as clients write it."""
    return str(value).lower() if isinstance(value, bool) else well_formed(str(value))


def well_formed(text: str) -> str:
    """Without lone surrogates, which an id that a target made up may hold and no request can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")
