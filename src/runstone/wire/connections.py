"""The connections of one recorder: how a request is put on the line, and on which one."""

from __future__ import annotations

import socket
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

# Bytes that this machine takes of a body before any of it has left. Linux would take 4 MB: on a slow line
# nobody could see how slowly they go, and their time would be up before the server has them.
_TAKEN_AHEAD: Final = 64 * 1024

# Servers close connections that are idle: uvicorn and Node.js after 5 s. A request that is on its way to one
# that is being closed is lost, and on a line with 1.5 s of jitter it is on its way for long.
_IDLE_S: Final = 1.0

# For each request httpcore looks at every connection of its pool, several times: in one pool of the 100
# connections that 16 scenarios have open at once, that took half of the harness's time. So whoever sends one
# request after the other, a part of a scenario, has a pool nearly to itself.
_POOLS: Final = 64
_KEPT_ALIVE: Final = 16  # of each pool

# What httpx's client would say of itself. There is none: a client keeps cookies, and those that one identity
# was given would go out with another's requests.
_ALWAYS: Final = {
    "accept": "*/*",
    "accept-encoding": "identity",
    "connection": "keep-alive",
    "user-agent": f"python-httpx/{httpx.__version__}",
}


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
        trusted = network.trust(url)  # expensive; all pools share it
        self._pools = [_pool(trusted, self.proxy, kept_alive=_KEPT_ALIVE) for _ in range(_POOLS)]
        self._unpooled = _pool(trusted, self.proxy, kept_alive=0)

    async def close(self) -> None:
        """Close all of them."""
        for pool in (*self._pools, self._unpooled):
            await pool.aclose()

    @asynccontextmanager
    async def responding(
        self, request: Request, answer: Answer, limits: Limits
    ) -> AsyncIterator[httpx.Response]:
        """Send it: on a connection that is kept alive, but a second time on a fresh one."""
        sender = f"{request.scenario} {request.part}"
        pool = self._unpooled if answer.retried else self._pools[crc32(sender.encode()) % _POOLS]
        built = self._built(request, answer, limits)
        answer.url = str(built.url)
        response = await pool.handle_async_request(built)
        began = self._clock()
        try:
            yield response
        finally:
            # The official Python server resets the connection after an unhandled 500. What a slow line takes
            # long to deliver a server has sent long ago, and may be closing the connection as idle. What is
            # sent on it just then would be lost, and could not be sent again. It is closed before the pool
            # has it back, which would give it to the next request meanwhile.
            try:
                if response.is_server_error or self._clock() - began > _IDLE_S:
                    await response.extensions["network_stream"].aclose()
            finally:
                await response.aclose()

    def url_of(self, request: Request) -> httpx.URL:
        """Where the request goes. Raises httpx.InvalidURL."""
        text = self._url + request.path
        # `params`, even None, would take the place of a query that the path holds already.
        return httpx.URL(text, params=list(request.params)) if request.params else httpx.URL(text)

    def _built(self, request: Request, answer: Answer, limits: Limits) -> httpx.Request:
        headers = {
            **_ALWAYS,
            **self._identities[request.identity],
            **dict(request.headers),
        }
        content: bytes | AsyncIterator[bytes] | None = request.content
        if request.content is not None and len(request.content) > _PIECE:
            headers["content-length"] = str(len(request.content))
            content = self._in_pieces(request, request.content, answer)
        encoded = [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items()]
        return httpx.Request(
            request.method,
            self.url_of(request),
            headers=encoded,
            content=content,
            # None but this: every request runs under its own wall-clock deadline.
            extensions={"trace": answer.note_step, "timeout": {"connect": limits.connect_s}},
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


def _pool(trusted: ssl.SSLContext, proxy: str | None, *, kept_alive: int) -> httpx.AsyncHTTPTransport:
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=kept_alive, keepalive_expiry=_IDLE_S
    )
    return httpx.AsyncHTTPTransport(
        verify=trusted,
        limits=limits,
        trust_env=False,
        proxy=proxy,
        socket_options=[(socket.SOL_SOCKET, socket.SO_SNDBUF, _TAKEN_AHEAD)],
    )
