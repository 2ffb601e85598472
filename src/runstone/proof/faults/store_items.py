"""Faults of the store: where items are kept, how they are found, and who shares them."""

from __future__ import annotations

from typing import Any

from langgraph.store.base.batch import AsyncBatchedBaseStore
from langgraph.store.memory import InMemoryStore
from starlette.responses import Response

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_store, runtime, store
from runstone.reference.answers import answer
from runstone.reference.bodies import NamespacesBody, SearchItemsBody
from runstone.reference.errors import NotFound
from runstone.reference.routing import Call

_ITEMS = "/store/items"


@fault("STORE-001")
def an_item_tells_no_times(seams: Seams) -> None:
    """An item of the store does not say when it was made and changed."""

    @seams.around(api_store, "_item")
    def item(original: Any, found: Any) -> Any:
        shown = original(found)
        del shown["created_at"], shown["updated_at"]
        return shown


@fault("STORE-002", "STORE-006")
def keys_collide_across_namespaces(seams: Seams) -> None:
    """An item is kept under the first two labels of its namespace, so that keys below them collide."""

    @seams.around(api_store, "_labels")
    def labels(original: Any, given: list[str]) -> Any:
        return original(given)[:2]


@fault("STORE-003")
def an_unknown_item_is_an_empty_object(seams: Seams) -> None:
    """Reading an item that there is not answers 200 with an empty object."""

    @seams.around_operation("GET", _ITEMS)
    async def get(handler: Any, call: Call) -> Any:
        try:
            return await handler(call)
        except NotFound:
            return answer({})


@fault("STORE-004")
def a_second_put_merges(seams: Seams) -> None:
    """Writing an item that exists keeps the members of its value that the new one does not name."""

    @seams.around(AsyncBatchedBaseStore, "aput")
    async def aput(original: Any, items: Any, namespace: Any, key: str, value: Any, **rest: Any) -> None:
        found = await items.aget(namespace, key)
        await original(items, namespace, key, (found.value if found else {}) | value, **rest)


@fault("STORE-005")
def deleting_an_item_does_nothing(seams: Seams) -> None:
    """DELETE of an item answers 204 and leaves it."""

    @seams.around_operation("DELETE", _ITEMS)
    async def delete(handler: Any, call: Call) -> Response:  # noqa: ARG001 - nothing is deleted
        return Response(status_code=204)


@fault("STORE-006")
def a_prefix_is_matched_as_text(seams: Seams) -> None:
    """A search of items takes a namespace for one below the prefix when its text begins like it."""

    @seams.around_operation("POST", f"{_ITEMS}/search")
    async def search(handler: Any, call: Call) -> Response:  # noqa: ARG001 - it is never asked
        body = await call.body(SearchItemsBody)
        prefix = ".".join(body.namespace_prefix)
        items = await call.runtime.store.asearch(
            tuple(body.namespace_prefix[:-1]), filter=body.filter, limit=1000
        )
        found = [api_store._item(each) for each in items if ".".join(each.namespace).startswith(prefix)]
        return answer({"items": found[body.offset :][: body.limit]})


@fault("STORE-007")
def a_search_of_items_answers_all(seams: Seams) -> None:
    """A search of items answers all that lie below its prefix, without `filter`, `limit` and `offset`."""

    @seams.around(AsyncBatchedBaseStore, "asearch")
    async def asearch(original: Any, items: Any, prefix: Any, **_: Any) -> Any:
        return await original(items, prefix, limit=1000)


@fault("STORE-008")
def namespaces_are_a_bare_list(seams: Seams) -> None:
    """The list of namespaces is answered bare, without an object around it."""

    @seams.around_operation("POST", "/store/namespaces")
    async def namespaces(handler: Any, call: Call) -> Response:  # noqa: ARG001 - it is never asked
        body = await call.body(NamespacesBody)
        prefix = tuple(body.prefix or ()) or None
        return answer(await call.runtime.store.alist_namespaces(prefix=prefix, limit=body.limit))


@fault("STORE-009")
def faulty_labels_crash(seams: Seams) -> None:
    """Writing an item under a label that is empty or holds a dot answers 500: only the store refuses it."""

    @seams.around(api_store, "_labels")
    def labels(original: Any, given: list[str]) -> tuple[str, ...]:  # noqa: ARG001 - it is not asked
        return tuple(given)


@fault("STORE-010")
def graphs_have_a_store_of_their_own(seams: Seams) -> None:
    """Graphs are given another store than the one that clients read and write."""
    own = InMemoryStore()

    @seams.around(runtime, "equip")
    def equip(original: Any, graph: Any, saver: Any, shared: Any) -> Any:
        del shared
        return original(graph, saver, own)


@fault("STORE-011")
def a_second_put_makes_the_item_anew(seams: Seams) -> None:
    """Writing an item that exists sets its `created_at` again."""
    seams.put(store, "_TIMES", "")
