"""Requests that are about the session itself: they are in no trace, and nobody judges them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from runstone.wire.documents import Missing, raw
from runstone.wire.exchange import Exchange
from runstone.wire.identity import Identity
from runstone.wire.recorder import Recorder
from runstone.wire.request import Request

BY_ITSELF: Final = "runstone"  # whose requests they are, where those of scenarios name their scenario
DEADLINE_S: Final = 6.0


async def asked(
    recorder: Recorder, method: str, path: str, body: object = None, identity: Identity = "first"
) -> Exchange:
    """Send it, under a deadline of its own, and keep it nowhere."""
    request = Request(
        scenario=BY_ITSELF,
        part="",
        number=1,
        label=BY_ITSELF,
        method=method,
        path=path,
        headers=() if body is None else (("content-type", "application/json"),),
        content=None if body is None else json.dumps(body).encode(),
        deadline=DEADLINE_S,
        identity=identity,
        canary=True,
    )
    return await recorder.send(request, [])


def objects_in(exchange: Exchange) -> Iterator[dict[str, Any]]:
    """The object that a whole 2xx answer is, or each one of a list; none for any other answer."""
    try:
        body = raw(exchange.ok.json)
    except Missing:
        return
    for each in body if isinstance(body, list) else [body]:
        if isinstance(each, dict):
            yield each
