"""Servers that do everything wrong, for the tests of the harness: real sockets on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue
from typing import TypeAlias

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
        connections: dict[asyncio.Task[None], Writer] = {}

        def accept(reader: Reader, writer: Writer) -> None:
            connections[loop.create_task(_close_afterwards(reader, writer, converse))] = writer

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        stops.put(lambda: loop.call_soon_threadsafe(stop.set))
        urls.put(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await stop.wait()
        server.close()
        await asyncio.sleep(0.02)  # a connection that is just being accepted comes to `accept` first
        for task, writer in connections.items():
            task.cancel()
            writer.close()
        await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.sleep(0)  # and the transports end

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


async def _close_afterwards(reader: Reader, writer: Writer, converse: Conversation) -> None:
    try:
        await converse(reader, writer)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return  # the client hung up, as it may
    finally:
        writer.close()


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


def always(status: str, content_type: str, body: bytes, *headers: str) -> Answer:
    """Answer every request alike."""

    async def answer(_line: str, _body: bytes, writer: Writer) -> None:
        writer.write(reply(status, content_type, body, *headers))

    return answer


async def silent(_line: str, _body: bytes, _writer: Writer) -> None:
    """Accept the request and say nothing, for ever."""
    await asyncio.sleep(3600)  # a bare Event would be garbage, and the connection with it


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
