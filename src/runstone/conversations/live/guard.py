"""Who may come in: by the name that the server is called by, from its own pages, and with its token.

Scenarios make agents act, so that no page of another site may start them. A browser sends whose page asks
(Origin), and by which name it knows the server (Host): a name that others have pointed here is none of ours.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from runstone.conversations.live.answers import HEADERS, problem
from runstone.errors import UsageError
from runstone.wire.accepting import is_loopback

_HOST: Final = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]+))(?::(?P<port>\d{1,5}))?")
_TOKEN: Final = re.compile(r"[\w.~-]{16,200}", re.ASCII)
_COOKIE: Final = "runstone-token"
_SEEN_BY_NOBODY: Final = "open the address that `runstone scenarios serve` has printed, which holds the token"


class NotGuarded(UsageError):  # noqa: N818 - named as what it reports
    """What is asked for leaves the server open to everybody."""


@dataclass(frozen=True, slots=True)
class Guard:
    """`token`: None where everybody on this machine may come in. `names`: of it, beside its addresses."""

    token: str | None
    names: frozenset[str] = frozenset({"localhost"})

    @classmethod
    def of(cls, host: str, *, token: str | None, open_to_all: bool, names: Collection[str] = ()) -> Guard:
        """For a server on `host`, which beyond this machine has a token unless it is `open_to_all`.

        Raises NotGuarded for a token that can be guessed, or cannot be sent.
        """
        if token is not None and open_to_all:
            raise NotGuarded("--token and --no-token contradict each other; give one of them")
        if token is not None and _TOKEN.fullmatch(token) is None:
            raise NotGuarded(
                "--token is not 16 to 200 letters, digits and -._~, so that it can be guessed, or not sent; "
                "leave it out to get one"
            )
        if token is None and not open_to_all and not is_loopback(host):
            token = secrets.token_urlsafe(24)
        return cls(token, frozenset(each.lower() for each in ("localhost", host, *names)))

    def refusal(self, headers: Headers, method: str) -> Response | None:
        """The answer to a request that must not be carried out, before anybody looks at its token."""
        host = headers.get("host", "")
        if not self._knows(host):
            return problem(
                421, f"this server is not called {host!r}; start it with --allow-host to allow that name"
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return problem(403, f"pages of {origin} may not ask this server")
        if method not in {"GET", "HEAD"} and headers.get("sec-fetch-site", "none") not in {
            "same-origin",
            "none",
        }:
            return problem(403, "pages of other sites may not ask this server")
        return None

    def _knows(self, host: str) -> bool:
        """Whether it is one of the names, or an address: only names can be pointed elsewhere."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = (found["name"] or found["address"]).lower()
        return name in self.names or _is_address(name)

    def admits(self, request: Request) -> bool:
        """Whether the request has the token, in a header or in the cookie of the page."""
        if self.token is None:
            return True
        scheme, _, said = request.headers.get("authorization", "").partition(" ")
        known = said.strip() if scheme.lower() == "bearer" else request.cookies.get(_cookie(request), "")
        return hmac.compare_digest(known.encode(), self.token.encode())

    def enters(self, request: Request) -> Response | None:
        """The answer to the page's address with the right token: a cookie, and the address without it."""
        said = request.query_params.get("token") if request.url.path == "/" else None
        if self.token is None or said is None or not hmac.compare_digest(said.encode(), self.token.encode()):
            return None
        answer = RedirectResponse("/", 303, headers=HEADERS)
        # Strict would keep out who follows a link in a chat. A GET changes nothing, a POST needs our origin.
        answer.set_cookie(_cookie(request), self.token, httponly=True, samesite="lax")
        return answer


class Guarded:
    """An application behind a guard."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        answer = self._guard.refusal(request.headers, request.method) or self._guard.enters(request)
        if answer is None and not self._guard.admits(request):
            answer = problem(401, f"a token is needed: {_SEEN_BY_NOBODY}", {"WWW-Authenticate": "Bearer"})
        await (answer or self._app)(scope, receive, send)


def _cookie(request: Request) -> str:
    """The cookie's name: to a browser, servers on two ports of a machine are one."""
    found = _HOST.fullmatch(request.headers.get("host", ""))
    return f"{_COOKIE}-{found['port'] or 80}" if found else _COOKIE


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
