"""A scan for credentials in what was recorded: evidence travels with an acceptance, and others read it.

What a target was sent to sign in with is redacted when it is recorded. This finds what nobody knew of: a
token that a server answered, a key in a message, a password in a URL.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

import msgspec

from runstone.session.evidence import Manifest
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace

# By name, as a policy allows them. Each is the form that its issuer publishes, or a member whose name says
# what it holds; bare random text is not a finding, as ids are random too.
_PATTERNS: Final[dict[str, re.Pattern[str]]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "private-key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----",
        "jwt": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}",
        "bearer-token": r"(?i)\bbearer[ ]+(?!\[redacted)[a-z0-9._~+/-]{16,}",
        "basic-credentials": r"(?i)\bbasic[ ]+(?!\[redacted)[a-z0-9+/]{12,}={0,2}",
        "url-password": r"(?i)\b[a-z][a-z0-9+.-]*://[^\s/:@\"']+:[^\s/:@\"']+@",
        "aws-key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
        "github-token": r"\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{22,}",
        "gitlab-token": r"\bglpat-[A-Za-z0-9_-]{20,}",
        "slack-token": r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
        "google-key": r"\bAIza[0-9A-Za-z_-]{35}",
        "langsmith-key": r"\blsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}",
        "model-key": r"\bsk-(?:ant-|proj-|live_|test_)?[A-Za-z0-9_-]{20,}",
        "secret-member": (
            r"(?i)[\"'](?:[a-z0-9]+[_-])*(?:password|passwd|secret|api[_-]?key|private[_-]?key"
            r"|(?:access|refresh|auth|id|session)[_-]?token)[\"']\s*:\s*[\"'](?!\[redacted)[^\"'\s]{6,}[\"']"
        ),
    }.items()
}
# Headers that carry nothing but credentials, whatever their value looks like.
_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "x-api-key", "cookie", "set-cookie"})
KINDS: Final = frozenset({*_PATTERNS, *_HEADERS})
# Redacted, or made up by a scenario to see whether an answer repeats it (suites/test_monitors.py).
_HARMLESS: Final = ("[redacted:", "runstone-canary-")


class Finding(msgspec.Struct, frozen=True, order=True):
    """One credential, by its kind and place, never by its value."""

    kind: str
    scenario: str
    place: str

    def __str__(self) -> str:
        return f"{self.kind} in {self.place}"


def scan(manifest: Manifest, traces: Iterable[Trace], allowed: Collection[str] = ()) -> list[Finding]:
    """The credentials in the evidence, but for those that are allowed by `KIND` or `KIND:SCENARIO`."""
    found = [*_in_value(manifest, "manifest", "the manifest")]
    for trace in sorted(traces, key=lambda each: each.scenario):
        told = (trace.notes, trace.blocked, trace.inapplicable)
        found += _in_value(told, trace.scenario, f"what {trace.scenario} noted")
        found += (each for exchange in trace.exchanges for each in _in_exchange(exchange))
    return [
        each
        for each in dict.fromkeys(found)
        if each.kind not in allowed and f"{each.kind}:{each.scenario}" not in allowed
    ]


def _in_exchange(exchange: Exchange) -> Iterator[Finding]:
    for side, headers in (
        ("request", exchange.request_headers),
        ("response", exchange.response_headers),
    ):
        for name, value in headers:
            if name.lower() in _HEADERS and value and not any(each in value for each in _HARMLESS):
                yield Finding(name.lower(), exchange.scenario, f"{exchange.key}, {side} header")
    for field, value in msgspec.structs.asdict(exchange).items():
        yield from _in_value(value, exchange.scenario, f"{exchange.key}, {field.replace('_', ' ')}")


def _in_value(value: Any, scenario: str, place: str) -> Iterator[Finding]:
    for text in _texts(value):
        yield from (Finding(kind, scenario, place) for kind, each in _PATTERNS.items() if each.search(text))


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, of its structs and mappings too."""
    match value:
        case str():
            yield value
        case dict():
            for key, member in value.items():
                yield from _texts(key)
                # A member is read with its name, as bodies have it, since the name may say what it holds.
                yield f'"{key}": "{member}"' if isinstance(member, str) else ""
                yield from _texts(member)
        case list() | tuple():
            for each in value:
                yield from _texts(each)
        case msgspec.Struct():
            for member in msgspec.structs.asdict(value).values():
                yield from _texts(member)
