"""Faults that only pages of another origin meet."""

from __future__ import annotations

from typing import Any

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import app


@fault("CORS-001")
def a_preflight_refuses_patch(seams: Seams) -> None:
    """The methods that another origin may use lack PATCH."""
    _cors(seams, allow_methods=["GET", "POST", "PUT", "DELETE"])


@fault("CORS-002")
def errors_are_hidden_from_browsers(seams: Seams) -> None:
    """An answer that is a 4xx does not allow the origin that asked."""

    @seams.around(CORSMiddleware, "send")
    async def send(original: Any, own: Any, message: Any, *given: Any, **rest: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            await rest["send"](message)
        else:
            await original(own, message, *given, **rest)


@fault("CORS-003")
def every_origin_may_send_credentials(seams: Seams) -> None:
    """Any origin is mirrored, with credentials allowed."""
    _cors(seams, allow_credentials=True)


def _cors(seams: Seams, **changes: Any) -> None:
    def middleware(original: Any, kind: Any, *given: Any, **options: Any) -> Middleware:
        made: Middleware = original(
            kind, *given, **(options | changes if kind is CORSMiddleware else options)
        )
        return made

    seams.around(app, "Middleware")(middleware)
