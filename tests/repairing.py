"""A proxy in front of a server that makes one thing right, and passes everything else on as it is."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import h11
import httpx

from runstone.wire.http_server import Connection, Received, serving


class Answer(NamedTuple):
    """What was answered: its status, its JSON body, and the headers that the repair adds."""

    code: int
    body: Any
    headers: tuple[tuple[str, str], ...] = ()


Ask = Callable[[str], Awaitable[Any]]  # the JSON that the server answers to a GET


def _as_it_is(body: Any) -> Any:
    return body


@dataclass(frozen=True, slots=True)
class Repair:
    """What is made right of the JSON body of a request, and of an answer to it that is no stream."""

    request: Callable[[Any], Any] = _as_it_is
    answer: Callable[[Received, Any, Answer, Ask], Awaitable[Answer]] | None = None


_NOT_PASSED_ON: Final = {"host", "content-length", "connection", "transfer-encoding", "accept-encoding"}
_READY_S: Final = 10.0


def in_a_list(body: Any) -> Any:
    """A `stream_mode` that is a text becomes a list of one, for who reads lists only."""
    if isinstance(body, dict) and isinstance(body.get("stream_mode"), str):
        return {**body, "stream_mode": [body["stream_mode"]]}
    return body


async def told_as_a_result(received: Received, sent: Any, answer: Answer, ask: Ask) -> Answer:
    """The exception of a run, told by a 500 of `runs/wait`, becomes the result of a run that failed.

    It is the run's own where the request has its message in the input, as that of the graph `fail` has. It
    names its run as the server's other results do: the one that its thread lists first.
    """
    if not received.target.endswith("/runs/wait") or answer.code != 500 or not isinstance(answer.body, dict):
        return answer
    said = str(answer.body.get("message", "")).strip("'")
    asked = sent.get("input") if isinstance(sent, dict) else None
    if not isinstance(asked, dict) or said not in asked.values():
        return answer
    result = {"__error__": {"error": "RuntimeError", "message": said}}
    runs = received.target.removesuffix("/wait")
    if not runs.startswith("/threads/"):
        return Answer(200, result)
    newest = (await ask(f"{runs}?limit=1"))[0]["run_id"]
    return Answer(200, result, (("content-location", f"{runs}/{newest}"),))


IN_A_LIST: Final = Repair(request=in_a_list)
AS_A_RESULT: Final = Repair(answer=told_as_a_result)


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
        code, body = answer.status_code, answer.aiter_raw()
        added: tuple[tuple[str, str], ...] = ()
        if repair.answer is not None and "event-stream" not in answer.headers.get("content-type", ""):
            whole = b"".join([each async for each in body])
            if (made := await _made(received, repair.answer, code, whole, client)) is not None:
                code, whole, added = made.code, json.dumps(made.body).encode(), made.headers
            body = _in_one(whole)
        kept = [pair for pair in answer.headers.items() if pair[0] not in _NOT_PASSED_ON] + list(added)
        if code not in {204, 304}:
            kept.append(("transfer-encoding", "chunked"))
        await connection.send(h11.Response(status_code=code, headers=kept))
        async for chunk in body:
            await connection.send(h11.Data(data=chunk))
        await connection.send(h11.EndOfMessage())
    finally:
        await answer.aclose()


async def _in_one(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def _made(
    received: Received,
    repair: Callable[[Received, Any, Answer, Ask], Awaitable[Answer]],
    code: int,
    body: bytes,
    client: httpx.AsyncClient,
) -> Answer | None:
    """The answer with the repair; None for what is not JSON, or needs none."""
    try:
        told = Answer(code, json.loads(body))
    except ValueError:
        return None

    async def ask(path: str) -> Any:
        return (await client.get(path)).json()

    made = await repair(received, _sent(received.body), told, ask)
    return None if made == told else made


def _sent(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _repaired(body: bytes, repair: Repair) -> bytes | None:
    """The body with the repair; what is not JSON, or needs none, byte for byte. None: there is none."""
    try:
        told = json.loads(body)
        made = repair.request(told)
    except ValueError:
        return body or None
    return body if made == told else json.dumps(made).encode()
