"""The two stream modes for messages, made of the chunks that langgraph streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.messages import BaseMessage, BaseMessageChunk


class MessageEvents:
    """Turns message chunks into events.

    tuples: `messages` events, `[chunk, metadata]`, as they come.
    partial: `messages/metadata` once per message, `messages/partial` with what has come so far, and
    `messages/complete` when the message is whole.
    """

    def __init__(self, publish: Callable[[str, Any], None], *, partial: bool, tuples: bool) -> None:
        self._publish = publish
        self._partial = partial
        self._tuples = tuples
        self._growing: dict[str, tuple[str, BaseMessageChunk]] = {}
        self._announced: set[str] = set()

    def add(self, namespace: tuple[str, ...], message: BaseMessage, metadata: dict[str, Any]) -> None:
        """Publish what this chunk, or whole message, brings."""
        suffix = "".join(f"|{part}" for part in namespace)
        if self._tuples:
            self._publish("messages" + suffix, [message, metadata])
        if not self._partial:
            return
        if message.id is not None and message.id not in self._announced:
            self._announced.add(message.id)
            self._publish("messages/metadata" + suffix, {message.id: {"metadata": metadata}})
        if isinstance(message, BaseMessageChunk) and message.id is not None:
            self._grow(message.id, suffix, message)
        else:
            self._publish("messages/complete" + suffix, [message])

    def _grow(self, message_id: str, suffix: str, chunk: BaseMessageChunk) -> None:
        before = self._growing.get(message_id)
        whole = chunk if before is None else before[1] + chunk
        self._growing[message_id] = (suffix, whole)
        self._publish("messages/partial" + suffix, [whole])
        if getattr(chunk, "chunk_position", None) == "last":
            self._complete(message_id)

    def finish(self) -> None:
        """Complete what no last chunk completed."""
        for message_id in list(self._growing):
            self._complete(message_id)

    def _complete(self, message_id: str) -> None:
        suffix, whole = self._growing.pop(message_id)
        self._publish("messages/complete" + suffix, [whole])
