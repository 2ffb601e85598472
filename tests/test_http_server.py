"""The small server on h11: what its handlers see, and what becomes of what they raise."""

from __future__ import annotations

import asyncio

import h11
import httpx
import pytest

from runstone.wire.http_server import Connection, Received, serving


async def _echo(received: Received, connection: Connection) -> None:
    await connection.send(
        h11.Response(status_code=200, headers=[("content-length", str(len(received.body)))])
    )
    await connection.send(h11.Data(data=received.body))
    await connection.send(h11.EndOfMessage())


async def _typed(port: int, text: bytes) -> bytes:
    """What comes back for these bytes until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()


def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"

    async def talk() -> bytes:
        async with serving(_echo) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head)
            told = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"body")
            answer = await reader.readexactly(len(b"HTTP/1.1 200 \r\ncontent-length: 4\r\n\r\nbody"))
            writer.close()
            return told + answer

    assert asyncio.run(talk()).startswith(b"HTTP/1.1 100 \r\n")


def test_requests_that_are_sent_at_once_are_answered_in_turn() -> None:
    request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n"

    async def talk() -> bytes:
        async with serving(_echo) as port:
            return await _typed(port, request + b"1" + request + b"2")

    assert [part[-1:] for part in asyncio.run(talk()).split(b"HTTP/1.1 200")[1:]] == [b"1", b"2"]


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\r\n\r\n", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf"]
)
def test_what_is_not_a_whole_request_reaches_no_handler(junk: bytes) -> None:
    async def talk() -> bytes:
        async with serving(_broken) as port:
            return await _typed(port, junk)

    assert asyncio.run(talk()) == b""


async def _broken(_received: Received, _connection: Connection) -> None:
    raise LookupError("the handler's own bug")


def test_a_bug_of_a_handler_is_raised_when_the_server_closes() -> None:
    async def talk() -> None:
        async with serving(_broken) as port, httpx.AsyncClient(trust_env=False) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(f"http://127.0.0.1:{port}/")

    with pytest.raises(LookupError, match="own bug"):
        asyncio.run(talk())
