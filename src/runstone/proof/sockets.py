"""Small servers on real sockets, for what no HTTP library would send: each answers as it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue
from typing import TypeAlias

from runstone.wire.accepting import LOOPBACK, accepting

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
Answer = Callable[[str, bytes, Writer], Awaitable[None]]
Conversation = Callable[[Reader, Writer], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Heard:
    """One request as it arrived; names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@contextmanager
def conversing(converse: Conversation) -> Iterator[str]:
    """A server that leaves every connection to `converse(reader, writer)`; yields its URL."""
    urls: Queue[str] = Queue()
    stops: Queue[Callable[[], object]] = Queue()

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with accepting(lambda reader, writer: _unless_gone(converse, reader, writer)) as port:
            stops.put(lambda: loop.call_soon_threadsafe(stop.set))
            urls.put(f"http://{LOOPBACK}:{port}")
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield urls.get(timeout=10)
    finally:
        stops.get(timeout=10)()
        thread.join()


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A server that lets `answer(request line, body, writer)` reply; yields its URL."""

    async def converse(reader: Reader, writer: Writer) -> None:
        heard = await read_request(reader)
        await answer(f"{heard.method} {heard.target} HTTP/1.1", heard.body, writer)

    with conversing(converse) as url:
        yield url


async def _unless_gone(converse: Conversation, reader: Reader, writer: Writer) -> None:
    try:
        await converse(reader, writer)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return  # the client hung up, as it may


async def read_request(reader: Reader) -> Heard:
    """The next request of a connection. Raises IncompleteReadError when the client has hung up."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Heard(method, target, headers, body)


def reply(status: str, content_type: str, body: bytes, *headers: str) -> bytes:
    """The bytes of one whole response that closes the connection."""
    lines = [
        f"HTTP/1.1 {status}",
        f"content-type: {content_type}",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body
