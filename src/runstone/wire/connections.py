"""The connections of one recorder: how a request is put on the line, and on which one."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final
from zlib import crc32

import httpx

from runstone.wire.answer import Answer
from runstone.wire.identity import Identity
from runstone.wire.limits import Limits
from runstone.wire.network import Network
from runstone.wire.pace import Pace
from runstone.wire.request import Request

_PIECE: Final = 256 * 1024  # bytes; a longer body is sent piece by piece

# Servers close connections that are idle: uvicorn and Node.js after 5 s. A request that is on its way to one
# that is being closed is lost, and on a line with 1.5 s of jitter it is on its way for long.
_IDLE_S: Final = 1.0

# For each request httpcore looks at every connection of its pool, several times: in one pool of the 100
# connections that 16 scenarios have open at once, that took half of the harness's time.
_POOLS: Final = 16


class Connections:
    """Pools of connections to one target, and what every request of an identity carries."""

    def __init__(
        self,
        url: str,
        network: Network,
        identities: Mapping[Identity, Mapping[str, str]],
        pace: Pace,
        clock: Callable[[], float],
    ) -> None:
        self._url = url
        self._identities = identities
        self._pace = pace
        self._clock = clock
        self.proxy = network.proxy_for(url)
        trusted = network.trust(url)  # expensive; all clients share it
        self._clients = [_client(trusted, self.proxy, kept_alive=8) for _ in range(_POOLS)]
        self._unpooled = _client(trusted, self.proxy, kept_alive=0)

    async def close(self) -> None:
        """Close all of them."""
        for client in (*self._clients, self._unpooled):
            await client.aclose()

    @asynccontextmanager
    async def responding(
        self, request: Request, answer: Answer, limits: Limits
    ) -> AsyncIterator[httpx.Response]:
        """Send it: on a connection that is kept alive, but a second time on a fresh one."""
        pool = self._clients[crc32(request.scenario.encode()) % _POOLS]
        client = self._unpooled if answer.retried else pool
        response = await client.send(self._built(request, answer, limits), stream=True)
        try:
            yield response
        finally:
            await response.aclose()
            if response.is_server_error:
                # The official Python server resets the connection after an unhandled 500. A request that is
                # sent on it just then would be lost, and could not be sent again.
                await response.extensions["network_stream"].aclose()

    def _built(self, request: Request, answer: Answer, limits: Limits) -> httpx.Request:
        headers = {
            "accept-encoding": "identity",
            **self._identities[request.identity],
            **dict(request.headers),
        }
        content: bytes | AsyncIterator[bytes] | None = request.content
        if request.content is not None and len(request.content) > _PIECE:
            headers["content-length"] = str(len(request.content))
            content = self._in_pieces(request, request.content, answer)
        encoded = [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items()]
        return self._unpooled.build_request(
            request.method,
            self._url + request.path,
            params=list(request.params) or None,
            headers=encoded,
            content=content,
            timeout=httpx.Timeout(None, connect=limits.connect_s),
            extensions={"trace": answer.note_step},
        )

    async def _in_pieces(self, request: Request, content: bytes, answer: Answer) -> AsyncIterator[bytes]:
        """A large body. As long as it is taken no time is up: how fast it goes is the network's doing.

        What has been handed over but is still on its way gets as much time as what has arrived took.
        """
        began = at = self._clock()
        for start in range(0, len(content), _PIECE):
            yield content[start : start + _PIECE]
            last = start + _PIECE >= len(content)
            taken_s = self._clock() - at + (self._clock() - began if last else 0.0)
            at = self._clock()
            self._pace.put_off(taken_s)
            if request.close_after is None:
                answer.put_off_s += taken_s
        answer.sent_after = self._clock() - began


def _client(trusted: ssl.SSLContext, proxy: str | None, *, kept_alive: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        limits=httpx.Limits(
            max_connections=None, max_keepalive_connections=kept_alive, keepalive_expiry=_IDLE_S
        ),
        timeout=None,  # noqa: S113 - every request runs under its own wall-clock deadline
        follow_redirects=False,
        trust_env=False,
        verify=trusted,
        proxy=proxy,
    )
