"""Acceptance scenarios: a team's own conversations with its agents, as data: played, recorded and judged."""

from __future__ import annotations

from runstone.conversations.events import Event
from runstone.conversations.interface import play, play_sync, stream, stream_sync
from runstone.conversations.model import OpenAITalker
from runstone.conversations.questions import Model
from runstone.conversations.seen import Seen

__all__ = ["Event", "Model", "OpenAITalker", "Seen", "play", "play_sync", "stream", "stream_sync"]
