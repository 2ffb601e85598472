"""The ASGI application: the table of operations, wired to one runtime."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Lifespan

from runstone import __version__
from runstone.reference import (
    api_assistants,
    api_commands,
    api_crons,
    api_runs,
    api_store,
    api_threads,
    metrics,
)
from runstone.reference.answers import answer, refusal
from runstone.reference.openapi import document
from runstone.reference.routing import Call, Operation, routes
from runstone.reference.runtime import Runtime, open_runtime
from runstone.reference.settings import Settings
from runstone.reference.timetable import keeping_time

NAME = "runstone-reference"

# What a browser must be able to read of an answer from another origin.
_EXPOSED = ("Content-Location", "Location", "X-Pagination-Total", "X-Pagination-Next")


def create_app(settings: Settings) -> Starlette:
    """The reference runtime as an application; its lifespan opens the folder and takes up unfinished runs."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_runtime(settings) as runtime, keeping_time(runtime):
            app.state.runtime = runtime
            yield

    return _application(lifespan)


def app_of(runtime: Runtime) -> Starlette:
    """The application of a runtime that somebody else opens and closes."""
    app = _application(None)
    app.state.runtime = runtime
    return app


def _application(lifespan: Lifespan[Starlette] | None) -> Starlette:
    cors = Middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=_EXPOSED
    )
    app = Starlette(
        routes=routes(OPERATIONS),
        middleware=[cors],
        exception_handlers={404: _no_route},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a path that does not exist is a 404, with a slash at its end too
    return app


async def ok(call: Call) -> Response:
    """Alive; with `check_db`, after a look at the rows."""
    if call.flag("check_db"):
        call.runtime.database.count("SELECT 1")
    return answer({"ok": True})


async def info(call: Call) -> Response:  # noqa: ARG001 - every handler has this signature
    """Who this is, and what it can do."""
    flags = {"assistants": True, "crons": True, "langsmith": False, "store": True}
    return answer({"name": NAME, "version": __version__, "flags": flags})


async def openapi(call: Call) -> Response:  # noqa: ARG001 - every handler has this signature
    """This document."""
    return answer(document(OPERATIONS))


async def _no_route(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return refusal(404, f"there is no {request.url.path} here")


OPERATIONS = [
    Operation("GET", "/ok", ok, "Whether the server serves", query=("check_db",)),
    Operation("GET", "/info", info, "What the server is"),
    Operation("GET", "/openapi.json", openapi, "This document"),
    *api_assistants.OPERATIONS,
    *api_threads.OPERATIONS,
    *api_commands.OPERATIONS,
    *api_runs.OPERATIONS,
    *api_crons.OPERATIONS,
    *api_store.OPERATIONS,
    *metrics.OPERATIONS,
]
