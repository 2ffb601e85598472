"""Serving batches until somebody ends it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from runstone.conversations.live.app import Application
from runstone.conversations.live.batches import Batches
from runstone.conversations.live.guard import Guard
from runstone.conversations.live.offer import Offer
from runstone.conversations.live.page import Page, page_for
from runstone.report.text import counted
from runstone.serving import Server, listening


def serve(offer: Offer, guard: Guard, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, which cancels what goes on.

    `say` gets a line with the address of the page, and one with what was done. Raises PortTaken, CannotServe,
    and UsageError of the offer.
    """
    target = offer.target
    many = counted(len({each.name for each in offer.cases()}), "scenario")

    def ready(url: str) -> None:
        entrance = url if guard.token is None else f"{url}/?token={guard.token}"
        say(f"{many} on {entrance}, end with Ctrl-C")

    with listening(host, port) as listener:
        asyncio.run(_serve(offer, guard, listener, page_for(target.url or target.name), ready, say))


async def _serve(
    offer: Offer,
    guard: Guard,
    listener: socket.socket,
    page: Page,
    ready: Callable[[str], None],
    say: Callable[[str], None],
) -> None:
    batches = Batches(offer.prepare, offer.folder)

    async def hang_up() -> None:
        if not all(each.ended for each in batches.all()):
            say("ending: what is played is cancelled, and what it made on the target deleted")
        await batches.close()

    app = Application(offer, batches, page).guarded(guard)
    await Server(app, ready=ready, hang_up=hang_up).serve([listener])
    played = len(batches.all())
    say(f"{counted(played, 'batch', 'batches')} kept in {offer.folder}" if played else "nothing was played")
