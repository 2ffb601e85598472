"""A server that plays an API for one run, and what tests ask of it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from runstone.retrieval import (
    ResultRetriever,
    RunResult,
    StatusPoller,
    Strategy,
    StrategyFailed,
)

THREAD = "11111111-1111-4111-8111-111111111111"
RUN = "22222222-2222-4222-8222-abcdefabcdef"
LATER = "33333333-3333-4333-8333-333333333333"
VALUES = {"log": ["s1", "s2", "s3"]}
ALL: tuple[Strategy, ...] = ("stream", "state", "join_stream", "join")

TLS = ssl.create_default_context()  # 18 ms to build: once

Answer = Callable[[Request], Awaitable[Response] | Response]


def answer(body: object, code: int = 200) -> Answer:
    return lambda _: JSONResponse(body, code)


def stream(*parts: str | bytes | Exception | float) -> Answer:
    """An event stream of these bytes; a number is a pause in seconds, an exception cuts the connection."""

    async def body() -> AsyncIterator[bytes]:
        for part in parts:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, float):
                await asyncio.sleep(part)
            else:
                yield part.encode() if isinstance(part, str) else part

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def event(name: str, data: object) -> str:
    return f"event: {name}\r\ndata: {json.dumps(data)}\r\n\r\n"


def state(run_id: str | None = RUN, values: object = VALUES, **members: Any) -> dict[str, Any]:
    metadata = {"source": members.pop("source", "loop"), "step": 3}
    return {
        "values": values,
        "next": [],
        "tasks": [],
        "checkpoint": {"thread_id": THREAD, "checkpoint_ns": "", "checkpoint_id": "c"},
        "metadata": metadata if run_id is None else metadata | {"run_id": run_id},
        "interrupts": [],
        **members,
    }


def task(**members: object) -> dict[str, object]:
    return {"id": "t", "name": "ask", "error": None, "interrupts": [], **members}


def listed(*runs: tuple[str, str, str]) -> Answer:
    return answer([{"run_id": run, "created_at": at, "status": status} for run, at, status in runs])


ALONE = listed((RUN, "2026-11-21T10:00:00+00:00", "success"))
FOLLOWED = listed(
    (RUN, "2026-11-21T10:00:00+00:00", "success"), (LATER, "2026-11-21T10:00:00.500+00:00", "running")
)
QUEUED = listed((LATER, "2026-11-21T10:00:01Z", "pending"), (RUN, "2026-11-21T10:00:00Z", "success"))


class Stage:
    """What the server answers by path, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.requests: list[Request] = []
        self.url = ""
        self.answers: dict[str, Answer] = {
            "status": answer({"run_id": RUN, "thread_id": THREAD, "status": "success"}),
            "stream": stream(event("metadata", {"run_id": RUN}), event("values", VALUES)),
            "state": answer(state()),
            "join_stream": stream(event("values", VALUES)),
            "join": answer(VALUES),
            "history": answer([]),
            "runs": ALONE,
        }

    def says(self, status: str) -> None:
        self.answers["status"] = answer({"run_id": RUN, "status": status})

    async def play(self, name: str, request: Request) -> Response:
        if name == "stream" and "last-event-id" not in request.headers:
            name = "join_stream"
        self.asked.append(name)
        self.requests.append(request)
        played = self.answers[name](request)
        return played if isinstance(played, Response) else await played

    def route(self, path: str, name: str, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            return await self.play(name, request)

        return Route(path, endpoint, methods=[method])

    def app(self) -> Starlette:
        run = "/threads/{thread}/runs/{run}"
        return Starlette(
            routes=[
                self.route(run, "status"),
                self.route(f"{run}/stream", "stream"),
                self.route(f"{run}/join", "join"),
                self.route("/threads/{thread}/runs", "runs"),
                self.route("/threads/{thread}/state", "state"),
                self.route("/threads/{thread}/history", "history", "POST"),
            ]
        )


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    # asyncio switches Nagle's algorithm off (40 ms per request) only where the protocol is named.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1, access_log=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def raw(*answers: bytes | None) -> Iterator[str]:
    """A server that sends each connection's bytes as they stand and hangs up; None: hangs up at once."""

    def serve(listener: socket.socket) -> None:
        for content in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(content or b"")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)  # a client that never comes ends the test, not the session
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def retrieve(url: str, *order: Strategy, times: int = 1, **options: Any) -> list[RunResult]:
    async def go() -> list[RunResult]:
        async with httpx.AsyncClient(verify=TLS, base_url=url, follow_redirects=True) as client:
            retriever = ResultRetriever(client, order=order or ALL[:3], **options)
            return [await retriever.result(THREAD, RUN) for _ in range(times)]

    return asyncio.run(go())


def only(stage: Stage, *order: Strategy, **options: Any) -> RunResult:
    return retrieve(stage.url, *order, **options)[0]


def failure(result: RunResult) -> StrategyFailed:
    """The error of the single strategy that was tried."""
    (attempt,) = result.attempts
    assert attempt.error is not None
    assert result.strategy is None
    assert result.values is None
    assert result.exit_code == 1
    return attempt.error


def poll(url: str, **options: Any) -> list[str]:
    async def go() -> list[str]:
        async with httpx.AsyncClient(verify=TLS, base_url=url) as client:
            poller = StatusPoller(client, **{"interval": 0.01, **options})
            return [seen.status for seen in await poller.until_terminal(THREAD, RUN)]

    return asyncio.run(go())


def in_turn(*answers: Answer) -> Answer:
    """Each answer once, the last for ever."""
    left = list(answers)
    return lambda request: (left.pop(0) if len(left) > 1 else left[0])(request)


async def _heartbeats() -> AsyncIterator[bytes]:
    while True:
        yield b": heartbeat\n\n"
        await asyncio.sleep(0.02)


def heartbeats(_: Request) -> Response:
    return StreamingResponse(_heartbeats(), media_type="text/event-stream")
