"""Whether a server on this machine calls webhooks, where nobody has said it: one run tells."""

from __future__ import annotations

import asyncio
from typing import Final

import h11

from runstone.scenario.asking import asked, objects_in
from runstone.scenario.clean_up import Thing, clean_up
from runstone.target.target import Target
from runstone.wire.accepting import LOOPBACK
from runstone.wire.http_server import Connection, Received, serving
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder

_PATIENCE_S: Final = 5.0  # for the run and its call


def calls_webhooks(target: Target) -> bool:
    """Start a run that asks for a webhook, and see whether it is called; leaves nothing behind."""
    return asyncio.run(_calls_webhooks(target))


async def _calls_webhooks(target: Target) -> bool:
    called = asyncio.Event()

    async def take(_: Received, connection: Connection) -> None:
        called.set()
        headers = [("content-length", "0"), ("connection", "close")]
        await connection.send(h11.Response(status_code=200, headers=headers))
        await connection.send(h11.EndOfMessage())

    async with (
        Recorder(target.url, target.headers, Limits(), network=target.network) as way,
        serving(take) as port,
    ):
        created = await asked(way, "POST", "/threads", {})
        thread = next((str(each.get("thread_id")) for each in objects_in(created)), None)
        if thread is None:
            return False
        run = {
            "assistant_id": target.assistant("steps"),
            "input": {"note": "webhook"},
            "webhook": f"http://{LOOPBACK}:{port}/webhook",
        }
        await asked(way, "POST", f"/threads/{thread}/runs/wait", run)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await called.wait()
        except TimeoutError:
            return False
        finally:
            await clean_up(way, [Thing(kind="thread", id=thread)])
        return True
