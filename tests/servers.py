"""Servers that do everything wrong, for the tests of the harness: real sockets on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import Queue
from typing import TypeAlias

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
Answer = Callable[[str, bytes, Writer], Awaitable[None]]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A server that lets `answer(request line, body, writer)` reply; yields its URL."""
    urls: Queue[str] = Queue()
    stops: Queue[Callable[[], object]] = Queue()

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(partial(_converse, answer=answer), "127.0.0.1", 0)
        stops.put(lambda: loop.call_soon_threadsafe(stop.set))
        urls.put(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await stop.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield urls.get(timeout=10)
    finally:
        stops.get(timeout=10)()
        thread.join()


async def _converse(reader: Reader, writer: Writer, answer: Answer) -> None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lengths = [
            line.split(":")[1] for line in head.lower().splitlines() if line.startswith("content-length:")
        ]
        body = await reader.readexactly(int(lengths[0])) if lengths else b""
        await answer(head.splitlines()[0], body, writer)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return  # the client hung up, as it may
    finally:
        writer.close()


def reply(status: str, content_type: str, body: bytes, *headers: str) -> bytes:
    """The bytes of one whole response that closes the connection."""
    lines = [
        f"HTTP/1.1 {status}",
        f"content-type: {content_type}",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def always(status: str, content_type: str, body: bytes, *headers: str) -> Answer:
    """Answer every request alike."""

    async def answer(_line: str, _body: bytes, writer: Writer) -> None:
        writer.write(reply(status, content_type, body, *headers))

    return answer


async def silent(_line: str, _body: bytes, _writer: Writer) -> None:
    """Accept the request and say nothing, for ever."""
    await asyncio.Event().wait()


async def echoing(_line: str, body: bytes, writer: Writer) -> None:
    """Answer 200 with the request's own body."""
    writer.write(reply("200 OK", "application/json", body or b"{}"))


def endless(content_type: str, first: bytes, again: bytes, pause: float = 0.0) -> Answer:
    """Answer 200 with a body that goes on for ever."""

    async def answer(_line: str, _body: bytes, writer: Writer) -> None:
        writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n".encode() + first
        )
        while True:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


async def redirecting(line: str, _body: bytes, writer: Writer) -> None:
    """Send every request back to where it came from."""
    path = line.split(" ")[1]
    writer.write(reply("307 Temporary Redirect", "text/plain", b"", f"location: {path}"))


async def half_a_body(_line: str, _body: bytes, writer: Writer) -> None:
    """Promise more than is sent."""
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"ok":')


LIARS: dict[str, Answer] = {
    "empty object": always("200 OK", "application/json", b"{}"),
    "empty array": always("200 OK", "application/json", b"[]"),
    "null": always("200 OK", "application/json", b"null"),
    "no content": always("204 No Content", "application/json", b""),
    "html": always("200 OK", "text/html", b"<html><body>It works!</body></html>"),
    "500": always("500 Internal Server Error", "application/json", b'{"detail": "sorry"}'),
    "404": always("404 Not Found", "application/json", b'{"detail": "Not Found"}'),
    "422": always("422 Unprocessable Entity", "application/json", b'{"detail": "no"}'),
    "echo": echoing,
    "invalid UTF-8": always("200 OK", "application/json", b'{"ok": true, "text": "\xff\xfe"}'),
    "empty stream": always("200 OK", "text/event-stream", b""),
    "redirect loop": redirecting,
    "half a body": half_a_body,
}
HANGING: dict[str, Answer] = {
    "silent": silent,
    "heartbeats": endless("text/event-stream", b"", b": heartbeat\n\n", 0.1),
    "newlines": endless("application/json", b"", b"\n", 0.1),
}
HUGE: dict[str, Answer] = {
    "huge body": endless("application/json", b'{"ok": "', b"x" * 65536),
    "endless event": endless("text/event-stream", b"event: values\ndata: ", b"x" * 65536),
}
