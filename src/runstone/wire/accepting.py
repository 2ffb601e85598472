"""A listener on this machine whose connections all end with it, those that are just being made too."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any, Final

LOOPBACK: Final = "127.0.0.1"
_TURNS_TO_ARRIVE: Final = 4  # of the loop, from the listener's seeing a connection to its conversation
_TURNS_TO_END: Final = 2  # from the end of a conversation to that of its transport

Converse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def accepting(
    converse: Converse,
    *,
    host: str = LOOPBACK,
    listener: socket.socket | None = None,
    certified: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Leave each connection to `converse` for the time of the block; yields its port, or the listener's.

    A connection is closed when its conversation ends, and what is buffered is still sent. At the end of the
    block every conversation is cancelled, and what broke one, if anything did, is raised.
    """
    conversations: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(converse(reader, writer))
        # Not in a `finally` of the conversation, which one that is cancelled before it began never enters.
        task.add_done_callback(lambda _: writer.close())
        conversations.add(task)

    place: dict[str, Any] = {"host": host, "port": 0} if listener is None else {"sock": listener}
    server = await asyncio.start_server(accept, **place, ssl=certified)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        # asyncio loses a connection that it is accepting while the server closes, and leaves its socket open.
        for each in server.sockets:
            asyncio.get_running_loop().remove_reader(each)
        await _turns(_TURNS_TO_ARRIVE)
        server.close()
        for task in conversations:
            task.cancel()
        ended = await asyncio.gather(*conversations, return_exceptions=True)
        await _turns(_TURNS_TO_END)
        for error in ended:
            if isinstance(error, Exception):  # being cancelled is none
                raise error


def is_loopback(host: str) -> bool:
    """Whether it is an address of a machine for itself, or the name of one."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # the name of another machine
        return False


async def _turns(number: int) -> None:
    """Let the loop do what is ready, so many times over."""
    for _ in range(number):
        await asyncio.sleep(0)
