"""What a server says of itself before anything is checked: asked for `runstone init`, by reading only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import msgspec

from runstone.contracts import load_capabilities
from runstone.contracts.documented import documented_routes
from runstone.errors import TargetError
from runstone.target import recipes
from runstone.target.agents import conformance_graphs
from runstone.wire.causes import cause, fix
from runstone.wire.network import Network

_ASSISTANTS: Final = 100
_SECONDS: Final = 20.0
_DEPTH: Final = 6  # of a schema: one that contains itself has no end
_TELLING: Final = frozenset({"echo", "steps"})  # the graphs that the self-check runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What a server says of itself. `inputs`: an example by assistant, of those that describe their input.

    `notes`: what it did not say, a line each. `faster`: what it must be started with to execute several runs
    at a time, where a recipe tells; whether it was is not known.
    """

    server: str
    assistants: tuple[str, ...]
    capabilities: Mapping[str, bool]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    faster: str = ""

    @property
    def has_graphs(self) -> bool:
        """Whether it serves the conformance graphs."""
        return set(self.assistants) >= _TELLING

    @property
    def own(self) -> tuple[str, ...]:
        """Its assistants that are not conformance graphs."""
        return tuple(each for each in self.assistants if each not in conformance_graphs())


def introduce(url: str, headers: Mapping[str, str], network: Network) -> Introduction:
    """Ask the server what it is. Raises TargetError where it does not answer or wants credentials."""
    notes: list[str] = []
    with httpx.Client(
        base_url=url,
        headers=dict(headers),
        verify=network.trust(url),
        proxy=network.proxy_for(url),
        trust_env=False,
        timeout=_SECONDS,
    ) as client:
        try:
            info = _json(client.get("/info"))
            document = client.get("/openapi.json")
            found = client.post("/assistants/search", json={"limit": _ASSISTANTS})
        except httpx.TransportError as error:
            why = cause(error, network.proxy)
            raise TargetError(f"{url} does not answer ({why}); {fix(why, url)}") from None
        if found.status_code in {401, 403}:
            raise TargetError(
                f"{url} wants credentials ({found.status_code}); give them by --header 'NAME: VALUE'"
            )
        ids = _assistants(_json(found))
        if not ids:
            notes.append(f"POST /assistants/search lists no assistants ({found.status_code})")
        routes = documented_routes(_json(document))
        if not routes:
            notes.append(
                f"GET /openapi.json is not an OpenAPI document that can be read ({document.status_code})"
            )
        own = [name for name in ids if name not in conformance_graphs()]
        schemas = {name: _input_schema(client, ids[name]) for name in own[:_ASSISTANTS]}
    notes += [
        f"the assistant {name} tells no schema of its input" for name, each in schemas.items() if not each
    ]
    more = recipes.more_runs(info if isinstance(info, Mapping) else {})
    return Introduction(
        server=_name(info),
        assistants=tuple(ids),
        capabilities=_capabilities(info, routes),
        inputs={name: example(each, each) for name, each in schemas.items() if each},
        notes=tuple(notes),
        faster="" if more is None else more.how,
    )


def example(schema: Any, whole: Any, depth: int = 0) -> Any:
    """A value that fits a JSON schema, as plain as can be; `messages` is one message of a person."""
    if not isinstance(schema, Mapping) or depth > _DEPTH:
        return {}
    for key in ("example", "default", "const"):
        if schema.get(key) is not None:
            return schema[key]
    if isinstance(schema.get("examples"), list) and schema["examples"]:
        return schema["examples"][0]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    if "$ref" in schema:
        return example(_resolved(str(schema["$ref"]), whole), whole, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            several = [each for each in schema[key] if each != {"type": "null"}]
            return example(several[0] if several else {}, whole, depth + 1)
    return _of_type(schema, whole, depth)


def _of_type(schema: Mapping[str, Any], whole: Any, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        properties = schema.get("properties") or {}
        if "messages" in properties:
            return {"messages": [{"role": "user", "content": "Hello"}]}
        needed = schema.get("required") or list(properties)
        return {name: example(properties.get(name, {}), whole, depth + 1) for name in needed}
    plain: dict[Any, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "array": []}
    return plain.get(kind, {})


def _resolved(pointer: str, whole: Any) -> Any:
    for step in pointer.removeprefix("#/").split("/"):
        whole = whole.get(step) if isinstance(whole, Mapping) else None
    return whole


def _assistants(listed: Any) -> dict[str, str]:
    """The id of an assistant of each graph, by the graph's name."""
    found: dict[str, str] = {}
    for each in listed if isinstance(listed, list) else []:
        named = each.get("graph_id") if isinstance(each, Mapping) else None
        if isinstance(named, str) and isinstance(each.get("assistant_id"), str):
            found.setdefault(named, each["assistant_id"])
    return found


def _input_schema(client: httpx.Client, assistant: str) -> Any:
    try:
        told = _json(client.get(f"/assistants/{assistant}/schemas"))
    except httpx.TransportError:
        return None
    return told.get("input_schema") if isinstance(told, Mapping) else None


def _capabilities(info: Any, routes: frozenset[str]) -> dict[str, bool]:
    """What the server says that it offers, of what can be read from its answers."""
    flags = info.get("flags") if isinstance(info, Mapping) else None
    flags = flags if isinstance(flags, Mapping) else {}
    found = {}
    for name, capability in load_capabilities().items():
        probe = capability.probe
        flagged = probe is not None and probe.flag is not None and flags.get(probe.flag) is True
        listed = probe is not None and probe.route is not None and probe.route in routes
        if flagged or listed:
            found[name] = True
    return found


def _name(info: Any) -> str:
    if not isinstance(info, Mapping):
        return "unknown"
    named = [str(info[key]) for key in ("name", "server", "version") if isinstance(info.get(key), str)]
    return " ".join(named) or "unknown"


def _json(answer: httpx.Response) -> Any:
    """The body of a 2xx answer, decoded; None for anything else."""
    try:
        return msgspec.json.decode(answer.content) if answer.is_success else None
    except msgspec.DecodeError:
        return None
