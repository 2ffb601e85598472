"""What goes wrong: `Refused` is told to the client, `CannotServe` to the person who starts the server."""

from __future__ import annotations

from typing import ClassVar

from runstone.serving import CannotServe


class Refused(Exception):  # noqa: N818 - an answer to the client, named for what it says
    """A request that is not carried out. `detail` is shown to the client, `status` is the HTTP status."""

    status: ClassVar[int] = 400

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Unauthorized(Refused):
    """No credentials, or none that are valid."""

    status = 401


class Forbidden(Refused):
    """Valid credentials that do not reach this far."""

    status = 403


class NotFound(Refused):
    """It does not exist, or it belongs to somebody else: the two are not told apart."""

    status = 404


class MethodNotAllowed(Refused):
    """The path exists; the method does not."""

    status = 405


class Conflict(Refused):
    """The request does not fit the state that the thread or run is in."""

    status = 409


class TooLarge(Refused):
    """A body past the byte limit."""

    status = 413


class Invalid(Refused):
    """A body, path or query that breaks its schema."""

    status = 422


class FolderInUse(CannotServe):
    """Another server keeps its data in the same folder."""


class BadGraphs(CannotServe):
    """A langgraph.json, or a graph that it names, cannot be loaded."""
