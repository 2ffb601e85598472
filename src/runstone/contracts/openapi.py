"""The OpenAPI document of the run API, assembled from the contracts: for servers that serve none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from runstone.contracts.operations import Operation, operation_table
from runstone.contracts.schemas import schema_document


def openapi_document(operations: Iterable[Operation] | None = None) -> dict[str, Any]:
    """The document of these operations, or of all that are fuzzed; OpenAPI 3.1. Raises MalformedContract."""
    table = operation_table()
    paths: dict[str, dict[str, Any]] = {}
    for each in table.fuzzed if operations is None else operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _described(each, table.bodies)
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


def _described(operation: Operation, bodies: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [
        {"in": "path", "name": name, "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in operation.placeholders
    ]
    parameters += [{"in": "query", "name": name, "schema": each} for name, each in operation.query.items()]
    described: dict[str, Any] = {
        "summary": operation.name,
        "parameters": parameters,
        "responses": {"2XX": _answer(operation), "4XX": {"description": "refused"}},
    }
    if operation.body:
        content = {"application/json": {"schema": bodies[operation.body]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answer(operation: Operation) -> dict[str, Any]:
    if operation.stream:
        return {"description": "the events of the run", "content": {"text/event-stream": {}}}
    if not operation.schema:
        return {"description": "done"}
    schema = {"$ref": f"#/components/schemas/{operation.schema}"}
    content = {"type": "array", "items": schema} if operation.many else schema
    return {"description": "the answer", "content": {"application/json": {"schema": content}}}
