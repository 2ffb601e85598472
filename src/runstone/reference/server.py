"""Serving the reference runtime until somebody stops it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path

import uvloop

from runstone import __version__
from runstone.reference.app import NAME, app_of
from runstone.reference.runtime import open_runtime
from runstone.reference.settings import Profile, Settings
from runstone.reference.timetable import keeping_time
from runstone.serving import Server, listening


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
    with listening(host, port) as listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listener, log_level))


async def _serve(settings: Settings, listener: socket.socket, log_level: str) -> None:
    def ready(url: str) -> None:
        print(f"{NAME} {__version__} on {url}", flush=True)  # noqa: T201 - what a script waits for

    async with open_runtime(settings) as runtime, keeping_time(runtime):

        async def hang_up() -> None:
            runtime.scheduler.hang_up()

        server = Server(app_of(runtime), ready=ready, hang_up=hang_up, log_level=log_level)
        await server.serve([listener])
