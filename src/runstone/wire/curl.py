"""The shell line that repeats a recorded request."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Final, Protocol

# Headers that change the answer; of those with a secret the placeholder is shown.
_TOLD: Final = frozenset({"content-type", "last-event-id", "prefer", "origin"})


class Request(Protocol):
    """What it needs to know of an request."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def request_headers(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def request_body(self) -> str | None: ...
    @property
    def request_truncated(self) -> bool: ...
    @property
    def is_stream(self) -> bool: ...


def line(
    request: Request,
    *,
    head: bool = True,
    quote: Callable[[str], str] = shlex.quote,
    with_body: bool = True,
) -> str:
    """One command; a redacted secret stays a placeholder.

    `head`: the answer is shown with its status and headers, a stream as it comes. `quote` makes a word of the
    shell of any text. A body that is not there, or not wanted, is to be read from a file `body`.
    """
    words = [*_options(request, head), request.url, *_headers(request)]
    body = request.request_body
    if request.request_truncated or (body is not None and not with_body):
        words += ["--data-binary", "@body"]
    elif body is not None and "\0" in body:  # no argument can hold it
        escaped = body.replace("\\", r"\\").replace("%", "%%").replace("\0", r"\000")
        return f"printf {quote(escaped)} | {' '.join(map(quote, [*words, '--data-binary', '@-']))}"
    elif body is not None:
        words += ["--data-binary", body]
    return " ".join(map(quote, words))


def _options(request: Request, head: bool) -> Iterator[str]:
    yield from ("curl", "-sS")
    if head:
        yield "-i"
    if head and request.is_stream:
        yield "-N"
    if request.method != "GET":
        yield from ("-X", request.method)


def _headers(request: Request) -> Iterator[str]:
    for name, value in request.request_headers:
        if name in _TOLD or "redacted" in value:
            yield from ("-H", f"{name}: {value}")
