"""From a request to the function that answers it: routes, credentials, bodies, and errors as JSON."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from runstone.reference.answers import refusal
from runstone.reference.errors import (
    Forbidden,
    Invalid,
    MethodNotAllowed,
    Refused,
    TooLarge,
    Unauthorized,
)
from runstone.reference.runtime import Caller, Runtime
from runstone.reference.wire import decode

MAX_BODY = 64 * 2**20  # bytes; three times the largest input that a client of this API is known to send
_OPEN_PATHS = ("/ok", "/info")  # what monitors read, with no credentials
# Where a POST changes nothing: it asks for more than a query can say.
_QUESTIONS = ("search", "count", "versions", "history", "checkpoint", "namespaces")

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Call(Caller):
    """One request: who makes it, and what it says."""

    request: Request

    def uuid(self, name: str) -> str:
        """A path parameter that is a UUID, in its canonical form. Raises Invalid."""
        return checked_uuid(self.request.path_params[name], name)

    def text(self, name: str, allowed: Iterable[str] = ()) -> str | None:
        """A query parameter, one of those allowed, or None. Raises Invalid."""
        value = self.request.query_params.get(name)
        if value is not None and allowed and value not in allowed:
            raise Invalid(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A query parameter that is a whole number within bounds. Raises Invalid."""
        value = self.request.query_params.get(name, str(default))
        if not (value.isascii() and value.isdigit() and least <= int(value[:20]) <= most):
            raise Invalid(f"{name} must be a whole number from {least} to {most}, not {value[:40]!r}")
        return int(value)

    def flag(self, name: str) -> bool:
        """A query parameter that is true or false (1 or 0); false when it is missing. Raises Invalid."""
        value = self.text(name, ("0", "1", "true", "false", "True", "False"))
        return value in ("1", "true", "True")

    async def body(self, shape: type[T]) -> T:
        """The body, which must be JSON of this shape, whatever its content type. Raises Invalid, TooLarge."""
        received = bytearray()
        async for chunk in self.request.stream():
            received += chunk
            if len(received) > MAX_BODY:
                raise TooLarge(f"the body is larger than {MAX_BODY} bytes")
        if not received.strip():
            raise Invalid("the body is empty; it must be JSON")
        return decode(bytes(received), shape)


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True)
class Operation:
    """One method on one path: its handler, and what the OpenAPI document says about it."""

    method: str
    path: str
    handler: Handler
    summary: str
    takes: Any = None
    gives: Any = Any
    status: int = 200
    query: tuple[str, ...] = ()

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET" or (self.method == "POST" and self.path.rpartition("/")[2] in _QUESTIONS)


class Path:
    """The ASGI application of one path: finds the method's handler, and turns each error into an answer."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._operations = {operation.method: operation for operation in operations}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Refused as refused:
            headers = (
                {"Allow": ", ".join(self._operations)} if isinstance(refused, MethodNotAllowed) else None
            )
            response = refusal(refused.status, refused.detail, headers)
        except ClientDisconnect:
            return
        except Exception:
            _log.exception("%s %s", request.method, request.url.path)
            response = refusal(500, "the server failed; its log says why")
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        operation = self._operations.get("GET" if request.method == "HEAD" else request.method)
        if operation is None:
            allowed = ", ".join(self._operations)
            raise MethodNotAllowed(f"{request.method} is not allowed here, only {allowed}")
        runtime: Runtime = request.app.state.runtime
        owner, only_reads = _caller(request, runtime.settings.auth_secret)
        if only_reads and not operation.reads:
            raise Forbidden("this token may only read")
        return await operation.handler(Call(runtime, owner, request))


def routes(operations: Iterable[Operation]) -> list[Route]:
    """One route per path. Paths without parameters come first, so that /threads/search is not a thread id."""
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    ordered = sorted(by_path, key=lambda path: [part.startswith("{") for part in path.split("/")])
    return [Route(path, Path(by_path[path])) for path in ordered]


def checked_uuid(text: str, name: str) -> str:
    """A UUID in its canonical form: lower case, with hyphens. Raises Invalid."""
    try:
        return str(UUID(text))
    except ValueError:
        raise Invalid(f"{name} must be a UUID, not {text[:80]!r}") from None


def _caller(request: Request, secret: str | None) -> tuple[str | None, bool]:
    """Who asks, and whether the token only allows to read (claim `scope`: read). Raises Unauthorized."""
    if secret is None or request.url.path in _OPEN_PATHS:
        return None, False
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthorized("a bearer token is needed: Authorization: Bearer JWT")
    import jwt  # most servers know nobody, and need not wait for its cryptography

    try:
        claims = jwt.decode(token.strip(), secret, algorithms=["HS256"], options={"require": ["sub"]})
    except jwt.InvalidTokenError as error:
        raise Unauthorized(f"the token is not valid: {error}") from None
    return str(claims["sub"]), claims.get("scope") == "read"
