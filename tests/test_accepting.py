"""A listener leaves no connection open, whenever it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import warnings

import pytest

from runstone.wire.accepting import LOOPBACK, accepting


async def _until_it_ends(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize("turns", range(8))
def test_a_connection_that_is_just_being_made_is_closed_too(turns: int) -> None:
    async def end_after(client: socket.socket) -> None:
        async with accepting(_until_it_ends) as port:
            client.setblocking(False)
            client.connect_ex((LOOPBACK, port))
            for _ in range(turns):
                await asyncio.sleep(0)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with socket.socket() as client:
            asyncio.run(end_after(client))
            client.settimeout(5)
            with contextlib.suppress(ConnectionError):  # reset, or never made
                assert client.recv(1) == b""
        gc.collect()
    assert [str(each.message) for each in caught] == []


def test_what_breaks_a_conversation_is_raised() -> None:
    async def breaks(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        raise ValueError((await reader.read()).decode())

    async def talk() -> None:
        async with accepting(breaks) as port:
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(b"broken")
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(talk())
