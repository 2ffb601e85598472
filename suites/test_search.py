"""What searches find: filters by values of every JSON type, sort keys, and names with special characters.

The values, the resources and their keys are data (contracts/cases/searches.yaml).
"""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    cases,
    new_id,
    requirement,
    resolve,
    scenario,
    search_table,
    shown,
    some,
)

TABLE = search_table()
VALUES = dict(TABLE.values)
PARTS = list(TABLE.parts)
# Two at least differ in each key by which assistants and crons are sorted.
GRAPHS_OF = ("steps", "echo", "fail")
SCHEDULES = ("0 0 1 3 *", "0 0 1 1 *", "0 0 1 2 *")
ORDERS = ("asc", "desc")
IDS = {"threads": "thread_id", "assistants": "assistant_id"}
FOUND = {f"{resource}-{value}": (resource, value) for resource in IDS for value in VALUES}
SORTED = {
    f"{name}-{key}-{order}": (name, key, order)
    for name, resource in TABLE.resources.items()
    for key in resource.sort_by
    for order in ORDERS
}
# `name` answers in whatever order letters have on a server; these have one everywhere.
NAMES = ("bravo", "alpha", "charlie")


def _sorted(resource: str) -> list[str]:
    return [case for case, (name, _, _) in SORTED.items() if name == resource]


@scenario(Schedule(thorough=True))
async def things_with_values(api: Api) -> None:
    """A thread and an assistant of each metadata value; then a search and a count by each."""
    tag = new_id()
    made: dict[str, dict[str, str]] = {resource: {} for resource in IDS}

    async def make(part: Api, value: str) -> None:
        metadata = {"tag": tag, "value": VALUES[value]}
        for resource, id_ in IDS.items():
            body = {"metadata": metadata} | ({"graph_id": "steps"} if resource == "assistants" else {})
            answer = await part.request("POST", f"/{resource}", json=body, label=f"new_{resource}")
            made[resource][value] = str(answer.object.get(id_))

    await api.each(VALUES, make)
    api.note(**made)

    async def find(part: Api, case: str) -> None:
        resource, value = FOUND[case]
        filtered = {"metadata": {"tag": tag, "value": VALUES[value]}}
        await part.request("POST", f"/{resource}/search", json={**filtered, "limit": 100}, label="search")
        await part.request("POST", f"/{resource}/count", json=filtered, label="count")

    await api.each(FOUND, find)


@scenario
async def assistants_in_order(api: Api) -> None:
    """Three assistants of as many graphs and names, found in each order."""
    tag = new_id()
    for graph, name in zip(GRAPHS_OF, NAMES, strict=True):
        body: dict[str, Any] = {"graph_id": graph, "name": name, "metadata": {"tag": tag}}
        await api.request("POST", "/assistants", json=body, label="new_assistant")
    for key in TABLE.resources["assistants"].sort_by:
        for order in ORDERS:
            await api.search_assistants(
                metadata={"tag": tag}, limit=10, sort_by=key, sort_order=order, label=f"{key} {order}"
            )


@scenario(needs=["crons"])
async def crons_in_order(api: Api) -> None:
    """Three crons of as many schedules on one thread, found in each order."""
    thread = await api.create_thread()
    for schedule in SCHEDULES:
        body: dict[str, Any] = {"assistant_id": "steps", "schedule": schedule, "input": {}}
        await api.request("POST", f"/threads/{thread}/runs/crons", json=body, label="new_cron")
    for key in TABLE.resources["crons"].sort_by:
        for order in ORDERS:
            page = {"thread_id": thread, "limit": 10, "sort_by": key, "sort_order": order}
            await api.request("POST", "/runs/crons/search", json=page, label=f"{key} {order}")


@scenario
async def assistants_with_special_names(api: Api) -> None:
    """An assistant of each name; then a search by each part of a name."""
    tag = new_id()
    for name in TABLE.names:
        body = {"graph_id": "steps", "name": name, "metadata": {"tag": tag}}
        await api.request("POST", "/assistants", json=body, label="new_assistant")
    for part in PARTS:
        await api.search_assistants(metadata={"tag": tag}, name=part, limit=20, label=f"named {part}")


@scenario(needs=["store"])
async def items_with_values(api: Api) -> None:
    """An item of each value; then a search by each."""
    namespace = ["runstone", new_id()]
    for value in VALUES:
        item = {"namespace": namespace, "key": value, "value": {"member": VALUES[value]}}
        await api.request("PUT", "/store/items", json=item, label="put")
    for value in VALUES:
        body = {"namespace_prefix": namespace, "filter": {"member": VALUES[value]}, "limit": 100}
        await api.request("POST", "/store/items/search", json=body, label=f"of {value}")


@requirement("SEARCH-001")
@cases("case", FOUND)
def test_metadata_value_finds_what_has_it(case: str, things_with_values: Trace) -> None:
    resource, value = FOUND[case]
    made, part = things_with_values.note(resource), things_with_values.part(case)
    names = {made[name]: name for name in VALUES if name in made}
    found = [_name_of(part.search, each, IDS[resource], names) for each in part.search.array]
    assert sorted(found) == [value], f"wanted the one with {value}, got {shown(sorted(found))}"
    assert part.count.ok.json == 1, f"wanted a count of 1 for {value}, got {shown(part.count.json)}"


def _name_of(exchange: Exchange, found: Any, key: str, names: dict[str, str]) -> str:
    if not isinstance(found, dict) or not isinstance(found.get(key), str):
        raise Missing(f"{exchange.where} answered something without {key}")
    return names.get(found[key], "another")


@requirement("SEARCH-002")
@cases("case", _sorted("assistants"))
def test_assistants_are_sorted(case: str, assistants_in_order: Trace) -> None:
    _assert_sorted(assistants_in_order, case)


@requirement("SEARCH-005")
@cases("case", _sorted("crons"))
def test_crons_are_sorted(case: str, crons_in_order: Trace) -> None:
    _assert_sorted(crons_in_order, case)


def _assert_sorted(trace: Trace, case: str) -> None:
    name, key, order = SORTED[case]
    found = [resolve(each, f"/{key}") for each in some(trace.only(f"{key} {order}").array, f"{name} found")]
    assert len(found) == len(NAMES), f"wanted {len(NAMES)} {name}, got {len(found)}"
    assert len({str(each) for each in found}) == len(NAMES), f"they do not differ in {key}: {shown(found)}"
    wanted = sorted(found, key=str, reverse=order == "desc")
    assert [str(each) for each in found] == [str(each) for each in wanted]


@requirement("SEARCH-003")
@cases("part", PARTS)
def test_special_characters_stand_for_themselves(part: str, assistants_with_special_names: Trace) -> None:
    trace = assistants_with_special_names
    found = [str(resolve(each, "/name")) for each in trace.only(f"named {part}").array]
    assert sorted(found) == sorted(name for name in TABLE.names if part.lower() in name.lower())


@requirement("SEARCH-004")
@cases("value", VALUES)
def test_member_finds_the_items_that_have_it(value: str, items_with_values: Trace) -> None:
    found = [str(resolve(each, "/key")) for each in items_with_values.only(f"of {value}").object["items"]]
    assert sorted(found) == [value]
