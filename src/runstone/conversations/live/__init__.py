"""Scenarios live: batches that are started over HTTP, and watched while they are played.

Data flows one way: `offer` makes jobs of what is wanted, `batches` plays them and keeps their `log`, `app`
tells it over HTTP to those whom `guard` lets in, and `page` shows it.
"""

from runstone.conversations.live.guard import Guard, NotGuarded
from runstone.conversations.live.offer import Offer
from runstone.conversations.live.serving import serve

__all__ = ["Guard", "NotGuarded", "Offer", "serve"]
