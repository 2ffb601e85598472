"""The OpenAPI document of the run API, assembled from the contracts: for servers that serve none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

from runstone.contracts.operations import operation_for
from runstone.contracts.reading import read_yaml
from runstone.contracts.schemas import schema_document
from runstone.locations import locate


class RequestShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one operation takes (contracts/requests.yaml describes each key)."""

    method: str
    path: str
    body: str = ""
    query: dict[str, dict[str, Any]] = {}
    needs: tuple[str, ...] = ()
    empty: bool = False
    stream: bool = False

    @property
    def name(self) -> str:
        """`POST /threads/{thread}/runs`."""
        return f"{self.method} {self.path}"


class _Requests(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    bodies: dict[str, Any]
    operations: tuple[RequestShape, ...]


@cache
def _requests() -> _Requests:
    return read_yaml(locate("contracts") / "requests.yaml", _Requests)


def request_shapes() -> tuple[RequestShape, ...]:
    """Every operation with what it takes. Raises MalformedContract."""
    return _requests().operations


def openapi_document(shapes: Iterable[RequestShape] | None = None) -> dict[str, Any]:
    """The document of these operations, or of all; OpenAPI 3.1. Raises MalformedContract."""
    paths: dict[str, dict[str, Any]] = {}
    for shape in request_shapes() if shapes is None else shapes:
        paths.setdefault(shape.path, {})[shape.method.lower()] = _operation(shape, _requests().bodies)
    return {
        "openapi": "3.1.0",
        "info": {"title": "LangGraph run API, as Runstone's contracts have it", "version": "1"},
        "paths": paths,
        "components": {"schemas": _components(paths)},
    }


def _components(document: Any) -> dict[str, Any]:
    """The schemas that a document refers to, and those that they refer to."""
    found: dict[str, Any] = {}
    wanted = _named_in(document)
    while wanted:
        name = wanted.pop()
        schema = {key: each for key, each in schema_document(name).items() if key not in {"$schema", "$id"}}
        found[name] = _referring(schema)
        wanted |= _named_in(found[name]) - found.keys()
    return dict(sorted(found.items()))


def _named_in(document: Any) -> set[str]:
    return set(re.findall(r'"#/components/schemas/([\w-]+)"', json.dumps(document)))


def _referring(schema: Any) -> Any:
    """The schema with its references to other files turned into references to components."""
    if isinstance(schema, list):
        return [_referring(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        return {"$ref": f"#/components/schemas/{schema['$ref'].removesuffix('.json')}"}
    return {key: _referring(each) for key, each in schema.items()}


def _operation(shape: RequestShape, bodies: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [
        {"in": "path", "name": name, "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", shape.path)
    ]
    parameters += [{"in": "query", "name": name, "schema": schema} for name, schema in shape.query.items()]
    described: dict[str, Any] = {
        "summary": shape.name,
        "parameters": parameters,
        "responses": {"2XX": _answer(shape), "4XX": {"description": "refused"}},
    }
    if shape.body:
        content = {"application/json": {"schema": bodies[shape.body]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answer(shape: RequestShape) -> dict[str, Any]:
    if shape.stream:
        return {"description": "the events of the run", "content": {"text/event-stream": {}}}
    operation = operation_for(shape.method, shape.path)
    if operation is None:
        return {"description": "done"}
    schema = {"$ref": f"#/components/schemas/{operation.schema}"}
    content = {"type": "array", "items": schema} if operation.many else schema
    return {"description": "the answer", "content": {"application/json": {"schema": content}}}
