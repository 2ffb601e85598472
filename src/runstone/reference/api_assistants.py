"""Assistants, and what they tell about their graphs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from runstone.reference.answers import answer, page
from runstone.reference.assistants import Assistant, AssistantQuery
from runstone.reference.bodies import AssistantBody, AssistantPatch, Limit, Offset, VersionBody
from runstone.reference.checkpoints import Graph
from runstone.reference.errors import Invalid, NotFound
from runstone.reference.graphs import drawing, schemas, subgraph_schemas
from runstone.reference.routing import Call, Operation, checked_uuid

AssistantField = Literal[
    "assistant_id", "graph_id", "name", "description", "config", "context", "metadata", "version",
    "created_at", "updated_at",
]  # fmt: skip


class SearchBody(AssistantQuery):
    """POST /assistants/search."""

    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"] = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    select: Annotated[list[AssistantField], Meta(min_length=1)] | None = None


class VersionsBody(msgspec.Struct):
    """POST /assistants/{assistant_id}/versions."""

    metadata: dict[str, Any] | None = None
    limit: Limit = 10
    offset: Offset = 0


async def create(call: Call) -> Response:
    """Make an assistant for a graph."""
    body = await call.body(AssistantBody)
    if body.assistant_id is not None:
        body.assistant_id = checked_uuid(body.assistant_id, "assistant_id")
    return answer(call.runtime.assistants.create(call.owner, body))


async def get(call: Call) -> Response:
    """One assistant, by id or by the name of its graph."""
    return answer(_assistant(call))


async def patch(call: Call) -> Response:
    """Make a new version."""
    body = await call.body(AssistantPatch)
    return answer(call.runtime.assistants.patch(call.owner, _assistant(call).assistant_id, body))


async def delete(call: Call) -> Response:
    """Delete an assistant; with `delete_threads` also the threads that it ran on last."""
    assistant, runtime = _assistant(call), call.runtime
    runtime.assistants.delete(call.owner, assistant.assistant_id)
    if call.flag("delete_threads"):
        for thread_id in runtime.threads.of_assistant(call.owner, assistant.assistant_id):
            await runtime.delete_thread(thread_id)
    return Response(status_code=204)


async def search(call: Call) -> Response:
    """Find assistants."""
    body, assistants = await call.body(SearchBody), call.runtime.assistants
    order = f"{body.sort_by} {body.sort_order}, assistant_id"
    found = assistants.search(call.owner, body, order=order, limit=body.limit, offset=body.offset)
    shown = [{name: getattr(each, name) for name in body.select} for each in found] if body.select else found
    return page(list(shown), assistants.count(call.owner, body), body.limit, body.offset)


async def count(call: Call) -> Response:
    """How many assistants there are."""
    return answer(call.runtime.assistants.count(call.owner, await call.body(AssistantQuery)))


async def versions(call: Call) -> Response:
    """The versions of an assistant, newest first."""
    body, assistant = await call.body(VersionsBody), _assistant(call)
    found = call.runtime.assistants.versions(
        call.owner, assistant.assistant_id, body.metadata, body.limit, body.offset
    )
    return answer(found)


async def set_latest(call: Call) -> Response:
    """Bring an older version back."""
    body = await call.body(VersionBody)
    return answer(call.runtime.assistants.set_latest(call.owner, _assistant(call).assistant_id, body.version))


async def graph(call: Call) -> Response:
    """Nodes and edges; `xray` (true or a depth) opens the subgraphs."""
    xray = call.text("xray") or "false"
    if xray not in ("true", "false") and not (xray.isdigit() and len(xray) < 4):
        raise Invalid(f"xray must be true, false or a depth, not {xray[:40]!r}")
    return answer(drawing(_graph(call), int(xray) if xray.isdigit() else xray == "true"))


async def graph_schemas(call: Call) -> Response:
    """The JSON Schemas of input, output, state, config and context."""
    return answer(schemas(_assistant(call).graph_id, _graph(call)))


async def subgraphs(call: Call) -> Response:
    """The schemas of the subgraphs by namespace."""
    namespace = call.request.path_params.get("namespace")
    found = subgraph_schemas(_graph(call), namespace, recurse=call.flag("recurse"))
    if namespace is not None and not found:
        raise NotFound(f"there is no subgraph {namespace!r}")
    return answer(found)


def _assistant(call: Call) -> Assistant:
    name = call.request.path_params["assistant_id"]
    if name not in call.runtime.graphs:
        name = call.uuid("assistant_id")
    return call.runtime.assistants.resolve(call.owner, name)


def _graph(call: Call) -> Graph:
    return call.runtime.graphs[_assistant(call).graph_id]


_ONE = "/assistants/{assistant_id}"
_SUBGRAPHS = f"{_ONE}/subgraphs"

OPERATIONS = [
    Operation("POST", "/assistants", create, "Create an assistant", AssistantBody, Assistant),
    Operation("POST", "/assistants/search", search, "Search assistants", SearchBody, list[Assistant]),
    Operation("POST", "/assistants/count", count, "Count assistants", AssistantQuery, int),
    Operation("GET", _ONE, get, "Read an assistant", None, Assistant),
    Operation("PATCH", _ONE, patch, "Make a new version of an assistant", AssistantPatch, Assistant),
    Operation("DELETE", _ONE, delete, "Delete an assistant", None, None, 204, query=("delete_threads",)),
    Operation("POST", f"{_ONE}/versions", versions, "List versions", VersionsBody, list[Assistant]),
    Operation("POST", f"{_ONE}/latest", set_latest, "Bring an older version back", VersionBody, Assistant),
    Operation("GET", f"{_ONE}/graph", graph, "Draw the graph", query=("xray",)),
    Operation("GET", f"{_ONE}/schemas", graph_schemas, "Read the schemas of the graph"),
    Operation("GET", _SUBGRAPHS, subgraphs, "Read the schemas of the subgraphs", query=("recurse",)),
    Operation(
        "GET", f"{_SUBGRAPHS}/{{namespace}}", subgraphs, "Read the schemas of a subgraph", query=("recurse",)
    ),
]
