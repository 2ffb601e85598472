"""The OpenAPI document, made of the same table that the routes are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from runstone import __version__
from runstone.reference.routing import Operation

_COMPONENTS = "#/components/schemas/{name}"
_ERROR = {
    "type": "object",
    "properties": {"detail": {"type": "string", "minLength": 1}},
    "required": ["detail"],
    "description": "Every error, in the one form that all have.",
}


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """An OpenAPI 3.1 document of these operations."""
    listed = list(operations)
    shapes = list(
        dict.fromkeys(shape for each in listed for shape in (each.takes, each.gives) if shape is not None)
    )
    schemas, components = msgspec.json.schema_components(shapes, ref_template=_COMPONENTS)
    by_shape = dict(zip(shapes, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, by_shape)
    return {
        "openapi": "3.1.0",
        "info": {"title": "runstone-reference", "version": __version__},
        "paths": paths,
        "components": {"schemas": components | {"Error": _ERROR}},
    }


def _operation(operation: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}{re.sub(r'[^a-z]+', '_', operation.path)}".rstrip("_"),
        "summary": operation.summary,
        "responses": {str(operation.status): _answer(operation, schemas), "4XX": _error()},
    }
    if parameters := [*_path_parameters(operation.path), *_query_parameters(operation.query)]:
        described["parameters"] = parameters
    if operation.takes is not None:
        content = {"application/json": {"schema": schemas[operation.takes]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    uuids = ("thread_id", "run_id", "cron_id")
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"} | ({"format": "uuid"} if name in uuids else {}),
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(names: Iterable[str]) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in names]


def _answer(operation: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    if operation.gives is None:
        return {"description": "Done"}
    media_type = "text/event-stream" if operation.path.endswith("/stream") else "application/json"
    return {"description": "Done", "content": {media_type: {"schema": schemas[operation.gives]}}}


def _error() -> dict[str, Any]:
    schema = {"$ref": _COMPONENTS.format(name="Error")}
    return {"description": "Refused", "content": {"application/json": {"schema": schema}}}
