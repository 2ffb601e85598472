"""A small honest server of the run API, in memory: the graphs echo and steps, for the tests of the plugin."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from runstone.wire.exchange import UUID

Json = dict[str, Any]


@contextmanager
def uvicorn_serving(app: Any) -> Iterator[str]:
    """An ASGI application behind uvicorn in a thread of its own, on a free port; yields its URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline, "uvicorn did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


class Honest:
    """An ASGI application: threads and runs in memory, requests counted by method and path (ids as `*`)."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self._threads: dict[str, Json] = {}
        self._runs: dict[str, Json] = {}
        thread = "/threads/{thread}"
        self._app = Starlette(
            routes=[
                Route("/ok", _ok),
                Route("/info", _info),
                Route("/threads", self._create_thread, methods=["POST"]),
                Route(thread, self._thread),
                Route(f"{thread}/state", self._state),
                Route(f"{thread}/runs", self._create_run, methods=["POST"]),
                Route(f"{thread}/runs/wait", self._wait, methods=["POST"]),
                Route(f"{thread}/runs/stream", self._stream, methods=["POST"]),
                Route(f"{thread}/runs/{{run}}", self._run),
                Route(f"{thread}/runs/{{run}}/join", self._join),
            ]
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests[f"{scope['method']} {UUID.sub('*', scope['path'])}"] += 1
        await self._app(scope, receive, send)

    async def _create_thread(self, _request: Request) -> Response:
        thread: Json = {"thread_id": str(uuid4()), "status": "idle", "values": {}, "metadata": {}}
        thread |= {"created_at": _now(), "updated_at": _now()}
        self._threads[thread["thread_id"]] = thread
        return JSONResponse(thread)

    def _found(self, request: Request) -> Json | None:
        return self._threads.get(request.path_params["thread"])

    async def _thread(self, request: Request) -> Response:
        found = self._found(request)
        return _NOT_FOUND if found is None else JSONResponse(found)

    async def _state(self, request: Request) -> Response:
        found = self._found(request)
        return _NOT_FOUND if found is None else JSONResponse({"values": found["values"], "next": []})

    async def _join(self, request: Request) -> Response:
        found = self._found(request)
        return _NOT_FOUND if found is None else JSONResponse(found["values"])

    async def _execute(self, request: Request) -> Json:
        """Run the graph to its end; the run, or an empty one where thread or graph is unknown."""
        body, thread = await request.json(), self._found(request)
        if thread is None or body.get("assistant_id") not in {"echo", "steps"}:
            return {}
        values = dict(thread["values"])
        if body["assistant_id"] == "echo":
            text = body["input"]["messages"][-1]["content"]
            said = [{"type": "human", "content": text}, {"type": "ai", "content": text}]
            values["messages"] = values.get("messages", []) + said
        else:
            values |= body.get("input") or {}
            values["log"] = [*values.get("log", []), "s1", "s2", "s3"]
        await asyncio.sleep(0.01)
        thread["values"] = values
        run = {"run_id": str(uuid4()), "thread_id": thread["thread_id"], "status": "success"}
        self._runs[run["run_id"]] = run
        if "webhook" in body:
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.post(body["webhook"], json=run | {"values": values})
        return run

    async def _create_run(self, request: Request) -> Response:
        run = await self._execute(request)
        return JSONResponse(run, headers=_location(run)) if run else _NOT_FOUND

    async def _wait(self, request: Request) -> Response:
        run = await self._execute(request)
        if not run:
            return _NOT_FOUND
        return JSONResponse(self._threads[run["thread_id"]]["values"], headers=_location(run))

    async def _stream(self, request: Request) -> Response:
        run = await self._execute(request)
        if not run:
            return _NOT_FOUND
        values = self._threads[run["thread_id"]]["values"]

        async def events() -> AsyncIterator[str]:
            yield f"event: metadata\ndata: {json.dumps({'run_id': run['run_id']})}\n\n"
            yield f"event: values\ndata: {json.dumps(values)}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream", headers=_location(run))

    async def _run(self, request: Request) -> Response:
        run = self._runs.get(request.path_params["run"])
        return _NOT_FOUND if run is None else JSONResponse(run)


async def _ok(_request: Request) -> Response:
    return JSONResponse({"ok": True})


async def _info(_request: Request) -> Response:
    return JSONResponse({"name": "honest", "version": "1.0", "flags": {"crons": False}})


_NOT_FOUND = JSONResponse({"detail": "Not Found"}, status_code=404)


def _location(run: Json) -> dict[str, str]:
    return {"content-location": f"/threads/{run['thread_id']}/runs/{run['run_id']}"}


def _now() -> str:
    return datetime.now(UTC).isoformat()
