"""Where the server is, how to speak to it, and what it says that it can do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import httpx
import msgspec

from runstone.contracts import load_capabilities
from runstone.errors import UsageError
from runstone.target.agents import NO_GRAPHS, Agent, assistant_of, capabilities
from runstone.target.capabilities import Capability
from runstone.wire.identity import Identity
from runstone.wire.network import Network

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


class RunTimeLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A declared limit: runs of `assistant` are ended by the server after `seconds`."""

    assistant: str
    seconds: float


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A server under test. `declared`: capabilities by name, from the profile, the recipe or the user.

    `headers`, `second_headers`, `restricted_headers`: the credentials of a user, of another one, and of one
    who may only read. `assistants`: the target's own ids by those of the conformance graphs. `agent`: what
    stands in for them all. `network`: the way there. `plain`: runs are accepted only with nothing but
    assistant and input. `without_runs`: none is to be started, and no graph is known to be there. `found`:
    the capabilities that the self-check found, or did not find.
    """

    name: str
    url: str
    headers: dict[str, str] = {}
    second_headers: dict[str, str] = {}
    restricted_headers: dict[str, str] = {}
    assistants: dict[str, str] = {}
    agent: Agent | None = None
    declared: dict[str, bool] = {}
    run_time_limit: RunTimeLimit | None = None
    network: Network = Network()
    plain: bool = False
    without_runs: bool = False
    found: dict[str, bool] = {}

    def has(self, capability: str) -> bool:
        """Whether it says that it has this capability, or was found to."""
        return self.declared.get(capability, False) or self.found.get(capability, False)

    def headers_of(self, identity: Identity) -> dict[str, str]:
        """The headers of who makes a request."""
        known = {"first": self.headers, "second": self.second_headers, "restricted": self.restricted_headers}
        return known.get(identity, {})

    def assistant(self, graph: str) -> str:
        """The target's own id of a conformance graph; any other id is answered as it is."""
        if self.agent is not None:
            return assistant_of(self.agent, graph)
        return self.assistants.get(graph, graph)

    def capabilities(self, probed: Mapping[str, bool], known: Iterable[str]) -> dict[str, Capability]:
        """Every known capability with what was declared and what the probe found."""
        by_graphs = NO_GRAPHS if self.without_runs else capabilities(self.agent)
        declared = dict(self.declared)
        shown = {
            "run_time_limit": self.run_time_limit is not None,
            "second_identity": bool(self.second_headers),
            "restricted_identity": bool(self.restricted_headers),
        }
        declared |= {name: True for name, given in shown.items() if given}
        return {
            name: by_graphs.get(name) or _capability(name, declared.get(name), probed.get(name))
            for name in sorted({*known, *declared, *(by_graphs if self.agent or self.without_runs else ())})
        }


def _capability(name: str, declared: bool | None, probed: bool | None) -> Capability:
    definition = load_capabilities().get(name)
    nothing_known = declared is None and probed is None
    reason = definition.unseen if definition is not None and nothing_known else ""
    return Capability(declared=declared, probed=probed, reason=reason)


def checked_url(text: str) -> str:
    """The base URL without its trailing slash. Raises UsageError when it is not an http(s) URL."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise UsageError(f"{text!r} is not a URL ({error}); write it like http://127.0.0.1:2024") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise UsageError(f"{text!r} is not a URL; write it like http://127.0.0.1:2024, or name a recipe")
    if url.port is not None and not 0 < url.port < 65536:
        raise UsageError(f"{text!r} is not a URL: {url.port} is not a port")
    if url.query or url.fragment:
        raise UsageError(f"{text!r} has a query or a fragment; give only the address that /threads follows")
    return text.rstrip("/")


def parsed_headers(lines: Iterable[str]) -> dict[str, str]:
    """Headers from lines `Name: value`. Raises UsageError, which repeats no value, for any other line."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not _HEADER_NAME.fullmatch(name):
            raise UsageError(
                f"header number {len(headers) + 1} has no 'Name: value' form; separate them by a colon"
            )
        if not _HEADER_VALUE.fullmatch(value):
            raise UsageError(f"the value of header {name} holds a character that no header can carry")
        headers[name] = value
    return headers
