"""A proxy in front of a server that makes one thing right, and passes everything else on as it is."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import h11
import httpx

from runstone.wire.http_server import Connection, Received, serving

Repair = Callable[[Any], Any]  # of the JSON body of a request
_NOT_PASSED_ON: Final = {"host", "content-length", "connection", "transfer-encoding", "accept-encoding"}
_READY_S: Final = 10.0


def in_a_list(body: Any) -> Any:
    """A `stream_mode` that is a text becomes a list of one, for who reads lists only."""
    if isinstance(body, dict) and isinstance(body.get("stream_mode"), str):
        return {**body, "stream_mode": [body["stream_mode"]]}
    return body


@contextmanager
def repairing(to: str, repair: Repair) -> Iterator[str]:
    """The URL of a proxy in a thread of its own, for the time of the block."""
    up, stop, found = threading.Event(), threading.Event(), [""]

    async def serve() -> None:
        async with (
            httpx.AsyncClient(base_url=to, trust_env=False, timeout=None) as client,  # noqa: S113 - its client's
            serving(lambda received, connection: _answer(received, connection, client, repair)) as port,
        ):
            found[0] = f"http://127.0.0.1:{port}"
            up.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        if not up.wait(_READY_S):
            raise RuntimeError("the proxy did not start")
        yield found[0]
    finally:
        stop.set()
        thread.join()


async def _answer(
    received: Received, connection: Connection, client: httpx.AsyncClient, repair: Repair
) -> None:
    """Pass one exchange on until either side hangs up."""
    passing = asyncio.create_task(_pass_on(received, connection, client, repair))
    watching = asyncio.create_task(connection.until_gone())
    await asyncio.wait({passing, watching}, return_when=asyncio.FIRST_COMPLETED)
    for task in (passing, watching):
        task.cancel()
    for ended in await asyncio.gather(passing, watching, return_exceptions=True):
        if isinstance(ended, Exception) and not isinstance(ended, ConnectionError | httpx.TransportError):
            raise ended


async def _pass_on(
    received: Received, connection: Connection, client: httpx.AsyncClient, repair: Repair
) -> None:
    headers = [pair for pair in received.headers if pair[0] not in _NOT_PASSED_ON]
    request = client.build_request(
        received.method, received.target, headers=headers, content=_repaired(received.body, repair)
    )
    answer = await client.send(request, stream=True)
    try:
        kept = [pair for pair in answer.headers.items() if pair[0] not in _NOT_PASSED_ON]
        if answer.status_code not in {204, 304}:
            kept.append(("transfer-encoding", "chunked"))
        await connection.send(h11.Response(status_code=answer.status_code, headers=kept))
        async for chunk in answer.aiter_raw():
            await connection.send(h11.Data(data=chunk))
        await connection.send(h11.EndOfMessage())
    finally:
        await answer.aclose()


def _repaired(body: bytes, repair: Repair) -> bytes | None:
    """The body with the repair; what is not JSON, or needs none, byte for byte. None: there is none."""
    try:
        told = json.loads(body)
        made = repair(told)
    except ValueError:
        return body or None
    return body if made == told else json.dumps(made).encode()
