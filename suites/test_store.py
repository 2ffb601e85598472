"""The store: items that clients write and read by HTTP, and that graphs share with them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    assert_done,
    cases,
    conforms,
    new_id,
    raw,
    requirement,
    resolve,
    scenario,
    shown,
    some,
    time_in,
)

FIRST = {"name": "Ida Ørsted", "floors": [1, 2.5, None], "plan": {"heated": True}}
SECOND = {"name": "Jørgen"}
TICK_S = 1.1  # some stores count time in whole seconds
MANY = 12  # more than the 10 that a search without a limit answers
PARITIES = ("even", "odd")
# Below the prefix, and beside it under names that a prefix of text or a pattern would take for it.
BELOW = (("floor_1",), ("floor_1", "hall"), ("floor_1", "hall", "shelf"))
BESIDE = (("floor_12",), ("floor-1",), ("cellar", "floor_1"), ())
FAULTY = {"empty": "", "dotted": "two.labels"}


@scenario(Schedule(waits=TICK_S), needs=["store"], agent=True)
async def store_items_written_and_deleted(api: Api) -> None:
    """An item is written, read, replaced a second later, and deleted twice; one that there is not is read."""
    base = await _base(api)
    await _put(api, [*base, "users"], "ida", FIRST, label="put")
    await _get(api, [*base, "users"], "ida", label="got")
    await _put(api, [*base, "users", "ida", "notes"], "first", SECOND, label="put_nested")
    await _get(api, [*base, "users", "ida", "notes"], "first", label="got_nested")
    await _get(api, [*base, "users"], "nobody", label="got_nobody")
    await _get(api, [*base, "users", "ida"], "ida", label="got_elsewhere")
    await asyncio.sleep(TICK_S)
    await _put(api, [*base, "users"], "ida", SECOND, label="put_again")
    await _get(api, [*base, "users"], "ida", label="got_again")
    for label in ("delete", "delete_again"):
        body = {"namespace": [*base, "users"], "key": "ida"}
        await api.request("DELETE", "/store/items", json=body, label=label)
        await _get(api, [*base, "users"], "ida", label=f"got_after_{label}")
    for label, faulty in FAULTY.items():
        await _put(api, [*base, faulty], "ida", FIRST, label=f"put_{label}")
    await _get(api, [*base, "users", "ida", "notes"], "first", label="got_last")


@scenario(needs=["store"], agent=True)
async def store_items_searched(api: Api) -> None:
    """Items below and beside a prefix, and more of them in one namespace than a search answers by default."""
    base = await _base(api)
    async with asyncio.TaskGroup() as group:
        for labels in (*BELOW, *BESIDE):
            group.create_task(_put(api, [*base, "house", *labels], "item", {"at": list(labels)}))
        for number in range(MANY):
            value = {"number": number, "parity": PARITIES[number % 2]}
            group.create_task(_put(api, [*base, "many"], f"item-{number}", value))
    await _search(api, [*base, "house", "floor_1"], limit=100, label="below")
    await _search(api, [*base, "many"], limit=100, label="everything")
    await _search(api, [*base, "many"], limit=100, filter={"parity": "even"}, label="filter")
    await _search(api, [*base, "many"], limit=MANY - 5, label="page")
    await _search(api, [*base, "many"], limit=MANY - 5, offset=MANY - 5, label="page")
    await _search(api, [*base, "many"], label="default")
    await _namespaces(api, prefix=[*base, "house"], label="prefix")
    await _namespaces(api, prefix=base, suffix=["floor_1"], label="suffix")
    await _namespaces(api, prefix=base, max_depth=len(base) + 1, label="max_depth")


@scenario(needs=["store"])
async def store_shared_with_graphs(api: Api) -> None:
    """`memory` writes what HTTP reads, and reads what HTTP has written."""
    base = await _base(api)

    async def share(part: Api, direction: str) -> None:
        thread = await part.create_thread()
        given = {"namespace": [*base, direction], "key": "ida"}
        if direction == "to_the_graph":
            await _put(part, [*base, direction], "ida", FIRST)
            await part.wait(thread, "memory", {"op": "get", **given})
            await part.read_at_rest(thread)
        else:
            # Known to be made, so that it is deleted at the end, also where the run is never heard of again.
            await _put(part, [*base, direction], "ida", {"name": "by a client"})
            await part.wait(thread, "memory", {"op": "put", "value": FIRST, **given})
            await _get(part, [*base, direction], "ida", label="got")

    await api.each(("to_the_graph", "from_the_graph"), share)


async def _base(api: Api) -> list[str]:
    """A namespace that nobody else uses, in the trace as `base`.

    Where requests carry credentials it lies below the user's name as graphs see it: servers that tell users
    apart commonly let each of them write there only.
    """
    base = [f"runstone-{new_id()}"]
    if api.target.headers:
        api.demand_graphs()  # the name that graphs see is told by one of them only
        seen = await api.stream(None, "config", {}, label="name")
        values = [event.json for event in seen.events if event.event == "values"]
        name = resolve(values, f"/{len(values) - 1}/seen/configurable/langgraph_auth_user_id")
        base = [name, *base] if isinstance(name, str) and name and "." not in name else base
    api.note(base=base)
    return base


async def _put(api: Api, namespace: list[str], key: str, value: Any, *, label: str = "put") -> Exchange:
    body = {"namespace": namespace, "key": key, "value": value}
    return await api.request("PUT", "/store/items", json=body, label=label)


async def _get(api: Api, namespace: list[str], key: str, *, label: str) -> Exchange:
    params = {"namespace": ".".join(namespace), "key": key}
    return await api.request("GET", "/store/items", params=params, label=label)


async def _search(api: Api, prefix: list[str], *, label: str, **fields: Any) -> Exchange:
    body = {"namespace_prefix": prefix, **fields}
    return await api.request("POST", "/store/items/search", json=body, label=label)


async def _namespaces(api: Api, *, label: str, **fields: Any) -> Exchange:
    return await api.request("POST", "/store/namespaces", json={**fields, "limit": 100}, label=label)


def _item(exchange: Exchange) -> dict[str, Any]:
    """The item that was answered. Raises Missing when there was none."""
    item = exchange.object
    if "value" not in item:
        raise Missing(f"{exchange.where} answered no item: {shown(item)}")
    return item


def _assert_absent(exchange: Exchange) -> None:
    absent = exchange.status == 404 or (exchange.status == 200 and raw(exchange.json) is None)
    assert absent, f"wanted 404 or null, got {exchange.status}: {shown(exchange.content)}"


def _found(exchange: Exchange) -> list[dict[str, Any]]:
    """The items that a search answered, at least one."""
    items = exchange.object.get("items")
    listed = [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
    return some(listed, f"item in {exchange.where}")


def _numbers_found(exchange: Exchange) -> list[Any]:
    return [resolve(item, "/value/number") for item in _found(exchange)]


def _time_of_item(item: dict[str, Any], member: str) -> datetime:
    return time_in(item.get(member), f"the item's {member}")


@requirement("STORE-001")
def test_item_that_was_put_is_there(store_items_written_and_deleted: Trace) -> None:
    trace = store_items_written_and_deleted
    assert_done(trace.put)
    item = _item(trace.got)
    conforms(item, "store-item", trace.got)
    assert item.get("namespace") == [*trace.note("base"), "users"]
    assert item.get("key") == "ida"
    assert item.get("value") == FIRST


@requirement("STORE-002")
def test_nested_namespace_is_joined_by_dots(store_items_written_and_deleted: Trace) -> None:
    trace = store_items_written_and_deleted
    item = _item(trace.got_nested)
    assert item.get("namespace") == [*trace.note("base"), "users", "ida", "notes"]
    assert item.get("value") == SECOND
    _assert_absent(trace.got_elsewhere)


@requirement("STORE-003")
def test_item_that_is_not_there(store_items_written_and_deleted: Trace) -> None:
    assert _item(store_items_written_and_deleted.got).get("key") == "ida"
    _assert_absent(store_items_written_and_deleted.got_nobody)


@requirement("STORE-004")
def test_second_put_replaces_the_whole_value(store_items_written_and_deleted: Trace) -> None:
    trace = store_items_written_and_deleted
    if _item(trace.got).get("value") != FIRST:
        raise Missing(f"{trace.got.where} does not show the value that was to be replaced")
    assert_done(trace.put_again)
    assert _item(trace.got_again).get("value") == SECOND


@requirement("STORE-005")
def test_deleted_item_is_gone(store_items_written_and_deleted: Trace) -> None:
    trace = store_items_written_and_deleted
    assert _item(trace.got_again).get("key") == "ida"
    assert_done(trace.delete)
    _assert_absent(trace.got_after_delete)
    if trace.delete_again.status != 404:
        assert_done(trace.delete_again)
    _assert_absent(trace.got_after_delete_again)
    assert _item(trace.got_last).get("value") == SECOND


@requirement("STORE-006")
def test_search_finds_what_is_below_the_prefix(store_items_searched: Trace) -> None:
    base = store_items_searched.note("base")
    found = sorted((item.get("namespace") or [] for item in _found(store_items_searched.below)), key=shown)
    assert found == sorted(([*base, "house", *labels] for labels in BELOW), key=shown)


@requirement("STORE-007")
@cases("member", ["filter", "limit", "default"])
def test_search_is_narrowed(member: str, store_items_searched: Trace) -> None:
    trace = store_items_searched
    everything = sorted(_numbers_found(trace.everything))
    if everything != list(range(MANY)):
        raise Missing(f"{trace.everything.where} does not find the {MANY} items that were put")
    if member == "filter":
        assert sorted(_numbers_found(trace.filter)) == list(range(0, MANY, 2))
    elif member == "limit":
        pages = trace.all("page")
        first, second = _numbers_found(pages[0]), _numbers_found(pages[1])
        assert [len(first), len(second)] == [MANY - 5, 5]
        assert sorted(first + second) == everything
    else:
        few = len(_numbers_found(trace.default))
        assert few <= 10, f"wanted at most 10 items without a limit, got {few}"


@requirement("STORE-008")
@cases("member", ["prefix", "suffix", "max_depth"])
def test_namespaces_are_listed(member: str, store_items_searched: Trace) -> None:
    exchange, base = store_items_searched.only(member), store_items_searched.note("base")
    listed = resolve(exchange.ok.json, "/namespaces")
    assert isinstance(listed, list), f"wanted lists of labels under `namespaces`, got {shown(listed)}"
    houses = [[*base, "house", *labels] for labels in (*BELOW, *BESIDE)]
    wanted = {
        "prefix": houses,
        "suffix": [labels for labels in houses if labels[-1] == "floor_1"],
        "max_depth": [[*base, "house"], [*base, "many"]],
    }[member]
    assert sorted(some(listed, "namespace"), key=shown) == sorted(wanted, key=shown)


@requirement("STORE-009")
@cases("faulty", FAULTY)
def test_faulty_label_is_refused(faulty: str, store_items_written_and_deleted: Trace) -> None:
    assert _item(store_items_written_and_deleted.got).get("key") == "ida"
    assert store_items_written_and_deleted.only(f"put_{faulty}").status == 422


@requirement("STORE-010")
@cases("direction", ["to_the_graph", "from_the_graph"])
def test_graphs_and_clients_share_the_store(
    direction: str, store_shared_with_graphs: Trace, profile: Profile
) -> None:
    part = store_shared_with_graphs.part(direction)
    values = profile.wait.values_in(part.wait.object)
    if resolve(values, "/log") != ["remember"]:
        raise Missing(f"{part.wait.where} does not show that the graph ran: {shown(values)}")
    if direction == "to_the_graph":
        assert resolve(values, "/found") == FIRST
    else:
        assert _item(part.got).get("value") == FIRST


@requirement("STORE-011")
def test_second_put_keeps_the_creation(store_items_written_and_deleted: Trace) -> None:
    before = _item(store_items_written_and_deleted.got)
    after = _item(store_items_written_and_deleted.got_again)
    advanced = _time_of_item(after, "updated_at") > _time_of_item(before, "updated_at")
    assert advanced, f"wanted a later updated_at than {before['updated_at']}, got {after['updated_at']}"
    kept = _time_of_item(after, "created_at") == _time_of_item(before, "created_at")
    assert kept, f"wanted the created_at to stay {before['created_at']}, got {after['created_at']}"
