"""Trials: harmless requests that show what a server offers, where nobody has said whether it does."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from runstone.scenario.api import Api
from runstone.wire.trace import Trace
from runstone.wire.webhooks import Sink, named_host, on_loopback

_LISTENING_S: Final = 0.5  # long enough for the headers of a stream that has nothing to tell
_DELIVERY_S: Final = 1.5  # after its run; the slowest of the known servers took 1.1 s
_TAKEN: Final = "webhook_taken"  # the note of a webhook that is called, or accepted where it can be called
TRIED: Final = ("store", "crons", "thread_copy", "thread_stream")


async def try_out(api: Api, run_input: Any) -> None:
    """Ask for all that is not declared, at once. `run_input`: of the graph `steps`; None: start no run."""
    wanted = [name for name in (*TRIED, "webhooks") if name not in api.target.declared]
    if run_input is None and "webhooks" in wanted:
        wanted.remove("webhooks")
    await api.each([f"try.{name}" for name in wanted], lambda part, name: _try(part, name[4:], run_input))


async def _try(api: Api, name: str, run_input: Any) -> None:
    label = f"try {name}"
    if name == "store":
        body = {"namespace_prefix": ["runstone"], "limit": 1}
        await api.request("POST", "/store/items/search", json=body, label=label)
    elif name == "crons":
        await api.request("POST", "/runs/crons/search", json={"limit": 1}, label=label)
    elif name == "thread_copy":
        thread = await api.create_thread()
        await api.request("POST", f"/threads/{thread}/copy", label=label)
    elif name == "thread_stream":
        thread = await api.create_thread()
        await api.request("GET", f"/threads/{thread}/stream", label=label, close_after=_LISTENING_S)
    else:
        await _try_webhook(api, run_input)


async def _try_webhook(api: Api, run_input: Any) -> None:
    """Ask for a delivery where one can arrive: from loopback, or at the host that the user has named.

    A server on loopback that accepts a webhook has promised to call it, whether it does or not. Of another
    only a delivery that arrived shows that one can.
    """
    near = on_loopback(api.target.url)
    if not near and not named_host():
        return
    async with api.webhook_sink() as sink:
        url = sink.address()
        thread = await api.create_thread()
        run = await api.create_run(thread, "steps", run_input, webhook=url)
        await api.poll_run(thread, run)
        delivered = await _delivered(sink, url)  # waited for in any case: the listener goes with this block
        api.note(**{_TAKEN: delivered or near})


async def _delivered(sink: Sink, url: str) -> bool:
    try:
        async with asyncio.timeout(_DELIVERY_S):
            return await sink.delivered(url)
    except TimeoutError:
        return False


def shown_by_trials(trace: Trace) -> dict[str, bool]:
    """Which capabilities the trials of a self-check show; nothing of those that were not tried."""
    found: dict[str, bool] = {}
    for name in TRIED:
        for exchange in trace.find(f"try {name}"):
            found[name] = _served(exchange.code) and (name != "thread_stream" or exchange.is_stream)
    taken = any(value for key, value in trace.notes.items() if key.endswith(_TAKEN))
    if taken or "try.webhooks" in trace.blocked:  # which says that it was refused
        found["webhooks"] = taken
    return found


def _served(code: int | None) -> bool:
    return code is not None and 200 <= code < 300
