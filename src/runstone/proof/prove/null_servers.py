"""Null servers: they keep no promise, so no judge may pass one of them.

Each answers every request alike, or not at all; the last one is the reference runtime, of whose every answer
half is lost on the way.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from runstone.proof.prove.processes import forked, reference_server
from runstone.proof.sockets import Answer, Reader, Writer, conversing, read_request, reply, serving
from runstone.target import recipes

# They claim to have everything but a restart, so that the judges of what a server may lack look at them too.
BOASTFUL: Final = """
run_time_limit = {assistant = "limited", seconds = 1}
[second_identity]
headers = {authorization = "second"}
[restricted_identity]
headers = {authorization = "restricted"}
[capabilities]
stateless_threads = true
wait_timeout = true
headers_in_config = true
store = true
crons = true
metrics = true
openapi = true
thread_copy = true
webhooks = true
auth = true
exclusive = true
thread_stream = true
event_streaming = true
commands = true
"""
TRUNCATING: Final = "truncating"
CLOSED: Final = "closed"


@dataclass(frozen=True, slots=True)
class NullServer:
    """One of them. `answer`: how it replies; None for the closed port and for the truncating proxy."""

    name: str
    answer: Answer | None

    @property
    def prompt(self) -> bool:
        """Whether it answers each request at once and to its end, so that there is something to judge."""
        return self.name in LIARS or self.name == TRUNCATING

    @property
    def busy(self) -> bool:
        """Whether its answers keep the CPU busy for as long as somebody reads them."""
        return self.name in HUGE

    @contextmanager
    def up(self, folder: Path) -> Iterator[str]:
        """The server, up for the time of the block, in a forked process; yields its URL."""
        if self.name == CLOSED:
            with closed_port() as url:
                yield url
            return
        upstream = reference_server(recipes.load("embedded")) if self.answer is None else nullcontext("")
        with upstream as whole, forked(lambda: self._serve(whole), folder / "server.log") as url:
            yield url

    def _serve(self, whole: str) -> None:
        with truncating(whole) if self.answer is None else serving(self.answer) as url:
            print(f"{self.name} on {url}", flush=True)  # noqa: T201 - what the process that forked this one reads
            signal.pause()


@contextmanager
def closed_port() -> Iterator[str]:
    """A port that nobody listens on, and that nobody else gets meanwhile."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@contextmanager
def truncating(upstream: str) -> Iterator[str]:
    """A proxy that sends half of each body of a real server, in answers that look whole; yields its URL."""
    client = httpx.AsyncClient(
        trust_env=False,
        timeout=None,  # noqa: S113 - who asks has a deadline of his own
        limits=httpx.Limits(max_keepalive_connections=0),  # so that none is left to be closed
    )

    async def converse(reader: Reader, writer: Writer) -> None:
        heard = await read_request(reader)
        url, headers = upstream + heard.target, heard.headers
        answer = await client.request(heard.method, url, headers=headers, content=heard.body)
        kept = [
            f"{name}: {value}"
            for name, value in answer.headers.items()
            if name not in {"content-length", "content-type", "transfer-encoding", "connection"}
        ]
        kind, half = answer.headers.get("content-type", "text/plain"), len(answer.content) // 2
        status = f"{answer.status_code} {answer.reason_phrase}"
        writer.write(reply(status, kind, answer.content[:half], *kept))

    with conversing(converse) as url:
        yield url


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

# Those that answer at once, that never end an answer, and whose answers never end.
NULL_SERVERS: Final = tuple(
    NullServer(name, answer)
    for name, answer in {
        CLOSED: None, "silent": silent, **LIARS, **HANGING, **HUGE, TRUNCATING: None
    }.items()
)  # fmt: skip
