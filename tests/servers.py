"""Servers for the tests of the harness: those that lie, and one that keeps what it hears."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runstone.proof.prove.null_servers import HANGING, HUGE, LIARS, always, echoing, endless, silent
from runstone.proof.sockets import (
    Answer,
    Conversation,
    Heard,
    Reader,
    Writer,
    conversing,
    read_request,
    reply,
    serving,
)

__all__ = [
    "HANGING",
    "HUGE",
    "LIARS",
    "Answer",
    "Conversation",
    "Heard",
    "Reader",
    "Writer",
    "always",
    "conversing",
    "echoing",
    "endless",
    "heard_by",
    "read_request",
    "reply",
    "serving",
    "silent",
]


@contextmanager
def heard_by(answer: Callable[[Heard], bytes] | None = None) -> Iterator[tuple[str, list[Heard]]]:
    """A server that keeps what it hears; yields its URL and the requests. It answers `{}` unless told."""
    requests: list[Heard] = []

    async def converse(reader: Reader, writer: Writer) -> None:
        heard = await read_request(reader)
        requests.append(heard)
        writer.write(reply("200 OK", "application/json", b"{}") if answer is None else answer(heard))

    with conversing(converse) as url:
        yield url, requests
