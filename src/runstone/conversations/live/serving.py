"""Serving batches until somebody ends it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from runstone.conversations.live.app import Application
from runstone.conversations.live.batches import Batches
from runstone.conversations.live.guard import Guard
from runstone.conversations.live.offer import Offer
from runstone.conversations.live.page import page_for
from runstone.serving import Server, listening


def serve(offer: Offer, guard: Guard, host: str, port: int, ready: Callable[[str], None]) -> int:
    """Serve until SIGINT or SIGTERM, which cancels what goes on; how many batches there were.

    `ready` gets the address of the page. Raises PortTaken, CannotServe, and UsageError of the offer.
    """
    target = offer.target
    offer.cases()
    with listening(host, port) as listener:
        return asyncio.run(_serve(offer, guard, listener, target.url or target.name, ready))


async def _serve(
    offer: Offer, guard: Guard, listener: socket.socket, target: str, ready: Callable[[str], None]
) -> int:
    batches = Batches(offer.prepare, offer.folder)
    app = Application(offer, batches, page_for(target)).guarded(guard)

    def told(url: str) -> None:
        ready(url if guard.token is None else f"{url}/?token={guard.token}")

    await Server(app, ready=told, hang_up=batches.close).serve([listener])
    return len(batches.all())
