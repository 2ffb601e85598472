"""The store: long-term memory that graphs and clients share."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from langgraph.store.base import BaseStore, Item
from starlette.responses import Response

from runstone.reference.answers import answer
from runstone.reference.bodies import ItemKeyBody, NamespacesBody, PutItemBody, SearchItemsBody
from runstone.reference.errors import Invalid, NotFound
from runstone.reference.routing import Call, Operation
from runstone.reference.store import part_of
from runstone.reference.wire import same

_ALL = 1_000_000  # items, of which a filter then keeps some


async def put(call: Call) -> Response:
    """Write an item; one that is there is replaced and keeps its `created_at`."""
    body = await call.body(PutItemBody)
    if not body.namespace:
        raise Invalid("namespace must name at least one label")
    await _store(call).aput(_labels(body.namespace), _key(body.key), body.value, index=False)
    return Response(status_code=204)


async def get(call: Call) -> Response:
    """Read an item; the query's namespace is joined by dots."""
    namespace = _labels((call.text("namespace") or "").split("."))
    item = await _store(call).aget(namespace, _key(call.text("key")))
    if item is None:
        raise NotFound(f"there is no item {call.text('key')!r} in {'.'.join(namespace)}")
    return answer(_item(item))


async def delete(call: Call) -> Response:
    """Delete an item, if it is there."""
    body = await call.body(ItemKeyBody)
    await _store(call).adelete(_labels(body.namespace), _key(body.key))
    return Response(status_code=204)


async def search(call: Call) -> Response:
    """Find items below a namespace."""
    body = await call.body(SearchItemsBody)
    prefix = _labels(body.namespace_prefix)
    limit, offset = (_ALL, 0) if body.filter else (body.limit, body.offset)
    items: list[Any] = list(await _store(call).asearch(prefix, query=body.query, limit=limit, offset=offset))
    if body.filter:  # not by the store's own filter, to which true is 1 and an object a set of operators
        items = [item for item in items if _fits(item.value, body.filter)]
        items = items[body.offset : body.offset + body.limit]
    return answer({"items": [_item(item) for item in items]})


def _fits(value: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(key in value and same(value[key], member) for key, member in wanted.items())


async def namespaces(call: Call) -> Response:
    """List namespaces by prefix, suffix and depth."""
    body = await call.body(NamespacesBody)
    found = await _store(call).alist_namespaces(
        prefix=_labels(body.prefix or []) or None,
        suffix=_labels(body.suffix or []) or None,
        max_depth=body.max_depth,
        limit=body.limit,
        offset=body.offset,
    )
    return answer({"namespaces": found})


def _store(call: Call) -> BaseStore:
    return part_of(call.runtime.store, call.owner)


def _labels(labels: list[str]) -> tuple[str, ...]:
    if any(not label or "." in label or "\0" in label for label in labels) or labels[:1] == ["langgraph"]:
        raise Invalid("a label must not be empty and must hold no dot; the first must not be 'langgraph'")
    return tuple(labels)


def _key(key: str | None) -> str:
    if not key:
        raise Invalid("key must not be empty")
    return key


def _item(item: Item) -> dict[str, Any]:
    return {
        "namespace": item.namespace,
        "key": item.key,
        "value": item.value,
        "created_at": item.created_at.replace(tzinfo=UTC),  # SQLite's times are UTC and do not say so
        "updated_at": item.updated_at.replace(tzinfo=UTC),
    }


_ITEMS = "/store/items"

OPERATIONS = [
    Operation("PUT", _ITEMS, put, "Write an item", PutItemBody, None, 204),
    Operation("GET", _ITEMS, get, "Read an item", query=("namespace", "key")),
    Operation("DELETE", _ITEMS, delete, "Delete an item", ItemKeyBody, None, 204),
    Operation("POST", f"{_ITEMS}/search", search, "Search items", SearchItemsBody),
    Operation("POST", "/store/namespaces", namespaces, "List namespaces", NamespacesBody),
]
