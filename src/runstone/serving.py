"""Serving an application on a socket until somebody stops it, as all servers of Runstone on uvicorn do."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from runstone.errors import TargetError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_BACKLOG = 2048
_STOP_WITHIN_S = 1  # a client that does not read must not hold up the stop


class CannotServe(TargetError):  # noqa: N818 - a diagnosis, named for what it says
    """The server cannot start. One line: what is wrong, where, and how to fix it."""


class PortTaken(CannotServe):
    """Another process listens on the port."""


class Server(uvicorn.Server):
    """Uvicorn, which says when it is ready, and when it stops ends the streams that it would wait for.

    `ready` gets the server's URL. `hang_up` ends what goes on, and with it every stream.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        ready: Callable[[str], None],
        hang_up: Callable[[], Awaitable[None]],
        log_level: str = "warning",
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_level=log_level,
                access_log=False,
                timeout_graceful_shutdown=_STOP_WITHIN_S,
            )
        )
        self._ready = ready
        self._hang_up = hang_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or ():
            self._ready(url_of(each))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._hang_up()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn's own repeats the signal when it is done, which would kill the process before what it serves
        # is closed. In a thread other than the main one there are no signals to catch.
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens, on a free port for 0. Raises PortTaken, or CannotServe."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends without delay (40 ms per answer, otherwise) only on sockets that name their protocol.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"port {port} on {host} is taken; name another with --port") from None
            raise CannotServe(f"cannot listen on {host}:{port} ({error.strerror or error})") from None
        yield listener


def url_of(listener: socket.socket) -> str:
    """Where it listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
