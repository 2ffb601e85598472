"""Serving the application on a socket until somebody stops it."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from runstone import __version__
from runstone.reference.app import NAME, app_of
from runstone.reference.errors import CannotServe, PortTaken
from runstone.reference.runtime import Runtime, open_runtime
from runstone.reference.settings import Profile, Settings
from runstone.reference.timetable import keeping_time

_BACKLOG = 2048
_STOP_WITHIN_S = 1  # a client that does not read must not hold up the stop


def serve(
    *,
    graphs: tuple[Path, ...],
    host: str = "127.0.0.1",
    port: int = 2024,
    db: Path | None = None,
    profile: Profile = "langgraph",
    auth_secret: str | None = None,
    run_time_limits: Mapping[str, float] | None = None,
    log_level: str = "warning",
) -> None:
    """Serve until SIGINT or SIGTERM. Prints one line as soon as connections are accepted.

    The arguments are those of Settings. Raises PortTaken, FolderInUse, BadGraphs, or CannotServe.
    """
    settings = Settings(graphs, db, profile, auth_secret, run_time_limits or {})
    with _listening(host, port) as listener:
        asyncio.run(_serve(settings, listener, log_level))


async def _serve(settings: Settings, listener: socket.socket, log_level: str) -> None:
    async with open_runtime(settings) as runtime, keeping_time(runtime):
        await _Server(runtime, log_level).serve([listener])


class _Server(uvicorn.Server):
    """Uvicorn, which says when it is ready, and when it stops ends the streams that it would wait for."""

    def __init__(self, runtime: Runtime, log_level: str) -> None:
        super().__init__(
            uvicorn.Config(
                app_of(runtime),
                lifespan="off",
                log_level=log_level,
                access_log=False,
                timeout_graceful_shutdown=_STOP_WITHIN_S,
            )
        )
        self._runtime = runtime

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or ():
            host, port = each.getsockname()[:2]
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            print(f"{NAME} {__version__} on {url}", flush=True)  # noqa: T201 - what a script waits for

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._runtime.scheduler.hang_up()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn's own repeats the signal when it is done, which would kill the process before the runtime
        # is closed. In a thread other than the main one there are no signals to catch.
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
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
