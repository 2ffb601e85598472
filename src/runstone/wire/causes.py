"""Why a request was not answered, in words for people, and whether its connection was cut."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

import httpx

REFUSED: Final = "connection refused"
RESET: Final = "connection reset"
CLOSED: Final = "connection closed without an answer"
CUT: Final = "connection closed in the middle of the answer"
NO_NAME: Final = "name not found"
NO_CONNECTION: Final = "no connection"
NO_TLS: Final = "no TLS is spoken there"
UNTRUSTED: Final = "certificate not trusted"
TLS: Final = "TLS failed"
PROXY: Final = "proxy"
PUT_OFF: Final = "it puts off every request"

_IS_IT_UP: Final = "is the server up, on this port?"
_CERTIFICATE: Final = "does the server ask for a certificate (--client-cert, --client-key)?"
_FIXES: Final = {
    NO_NAME: "is the host spelt as it should be, and known to this machine?",
    NO_CONNECTION: "is the server up, and does a firewall let this machine through?",
    NO_TLS: "is it http:// instead of https://?",
    UNTRUSTED: "name who signed it by --ca-file FILE (--insecure checks nothing, and every report says so)",
    TLS: _CERTIFICATE,
    PROXY: "is --proxy what it should be?",
    PUT_OFF: "try again later",
}
# OpenSSL's names for what answers a greeting in TLS with something else.
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})


def fix(cause: str, url: str) -> str:
    """What to look at first where this URL does not answer."""
    if cause.startswith((RESET, CLOSED)):
        return _CERTIFICATE if url.startswith("https:") else "is it https:// instead of http://?"
    return next((words for begins, words in _FIXES.items() if cause.startswith(begins)), _IS_IT_UP)


def cause(error: BaseException, proxy: str | None = None) -> str:
    """What kept a request from being answered, on one line; `proxy`: the one that it was sent by."""
    if isinstance(error, httpx.ProxyError):
        return f"{PROXY} refused: {error}"
    words = _words(error)
    by_proxy = proxy is not None and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return f"{PROXY}: {words}" if by_proxy and not words.startswith((UNTRUSTED, NO_TLS, TLS)) else words


def was_cut(error: BaseException) -> bool:
    """Whether the connection broke, or could not be had in time: what networks do.

    Nobody who listens and a certificate that is not trusted are answers, as is what is not HTTP.
    """
    if isinstance(error, httpx.ConnectTimeout | httpx.ReadError | httpx.WriteError | httpx.CloseError):
        return True
    if isinstance(error, httpx.ConnectError):
        return cause(error).startswith(RESET)
    return _broken_off(error) is not None


def _words(error: BaseException) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"{NO_CONNECTION} in time"
    known = next((said for each in _causes(error) if (said := _known(each)) is not None), None)
    return known or _broken_off(error) or f"{type(error).__name__}: {error}".removesuffix(": ")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, the nearest first."""
    yield error
    for each in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _causes(each)
    earlier = error.__cause__ or error.__context__
    if earlier is not None:
        yield from _causes(earlier)


def _known(error: BaseException) -> str | None:
    match error:
        case ssl.SSLCertVerificationError():
            return f"{UNTRUSTED}: {error.verify_message}"
        case ssl.SSLWantReadError() | ssl.SSLWantWriteError():
            return None  # how a TLS stream waits
        case ssl.SSLError():
            reason = error.reason or str(error)
            return NO_TLS if reason in _NOT_TLS else f"{TLS}: {reason.lower().replace('_', ' ')}"
        case socket.gaierror():
            return f"{NO_NAME}: {error.strerror}"
        case ConnectionRefusedError():
            return REFUSED
        case ConnectionError():
            return RESET
        case OSError(errno=int(), strerror=str(said)):
            return f"{NO_CONNECTION}: {said}"
    return None


def _broken_off(error: BaseException) -> str | None:
    """How the other side closed the connection, which h11 and httpcore only tell in words."""
    if isinstance(error, httpx.ReadError | httpx.WriteError | httpx.CloseError):
        return RESET
    said = str(error)
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" in said:
        return CLOSED
    if isinstance(error, httpx.RemoteProtocolError) and "closed connection" in said:
        return f"{CUT}: {said}"
    return None
