"""Answers as this server gives them: JSON, problems (RFC 9457), and what browsers must not do with either."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.responses import Response

# Nobody may frame, sniff, embed or keep what is told here.
HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The document as JSON."""
    body = msgspec.json.encode(document)
    return Response(body, status, {**HEADERS, **(headers or {})}, media_type="application/json")


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """Why a request was not carried out, for programs and people; `more`: further members."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    return Response(
        msgspec.json.encode(body),
        status,
        {**HEADERS, **(headers or {})},
        media_type="application/problem+json",
    )
