"""Assistants are found, counted and paged by what they are made of."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Trace,
    cases,
    conforms,
    new_id,
    requirement,
    scenario,
    some,
)

# Graph and name of assistants that one search or another shall find.
FOUND = (
    ("steps", "Heating of the north wing"),
    ("steps", "HEATING OF THE ÖSTLICHE WING"),
    ("steps", "Lights"),
    ("config", "heating of the östliche wing"),
    ("config", "Doors"),
)
FILTERS: dict[str, dict[str, Any]] = {
    "metadata": {},
    "graph_id": {"graph_id": "steps"},
    "name": {"name": "Heating Of The Östliche"},
    "graph_id_and_name": {"graph_id": "config", "name": "heating"},
}


@scenario
async def assistants_searched_for(api: Api) -> None:
    """Five assistants with one mark in their metadata are found, counted and paged."""
    mark = new_id()
    api.note(mark=mark)
    async with asyncio.TaskGroup() as group:
        for graph, name in FOUND:
            body = {"graph_id": api.target.assistant(graph), "name": name, "metadata": {"mark": mark}}
            group.create_task(api.request("POST", "/assistants", json=body, label="create_assistant"))

    async def find(part: Api, name: str) -> None:
        chosen = dict(FILTERS[name])
        if "graph_id" in chosen:
            chosen["graph_id"] = part.target.assistant(chosen["graph_id"])
        body = {"metadata": {"mark": mark}, **chosen}
        await part.search_assistants(**body, limit=100)
        await part.request("POST", "/assistants/count", json=body, label="count")

    await api.each(FILTERS, find)
    for offset in (0, 2, 4):
        await api.search_assistants(metadata={"mark": mark}, limit=2, offset=offset, label="page")
    await api.search_assistants(metadata={"mark": new_id()}, limit=100, label="nobody")


def _names(exchange: Exchange) -> list[str]:
    """The names of the assistants that were found. Raises Missing when there is none."""
    return some(_found_names(exchange), f"assistant in {exchange.where}")


def _found_names(exchange: Exchange) -> list[str]:
    return sorted(str(each.get("name")) for each in exchange.array)


def _names_of(chosen: dict[str, Any]) -> list[str]:
    """The names of those of FOUND that a filter matches."""
    graph_id, part = chosen.get("graph_id"), chosen.get("name", "").casefold()
    matching = [(graph, name) for graph, name in FOUND if graph_id in (None, graph)]
    return sorted(name for _, name in matching if part in name.casefold())


@requirement("ASST-011")
@cases("by", ["graph_id", "metadata", "pages"])
def test_assistants_are_found(by: str, assistants_searched_for: Trace) -> None:
    trace = assistants_searched_for
    assert trace.nobody.array == []
    if by == "pages":
        pages = [[str(each.get("name")) for each in page.array] for page in trace.all("page")]
        assert [len(page) for page in pages] == [2, 2, 1]
        assert sorted(name for page in pages for name in page) == _names_of({})
    else:
        assert _found_names(trace.part(by).search_assistants) == _names_of(FILTERS[by])


@requirement("ASST-012")
@cases("by", FILTERS)
def test_assistants_are_counted(by: str, assistants_searched_for: Trace) -> None:
    part = assistants_searched_for.part(by)
    found = len(_names(part.search_assistants))
    conforms(part.count.ok.json, "count", part.count)
    assert part.count.json == found


@requirement("ASST-017")
@cases("by", ["name", "graph_id_and_name"])
def test_assistants_are_found_by_a_part_of_their_name(by: str, assistants_searched_for: Trace) -> None:
    assert _names(assistants_searched_for.part("metadata").search_assistants) == _names_of({})
    assert _found_names(assistants_searched_for.part(by).search_assistants) == _names_of(FILTERS[by])
