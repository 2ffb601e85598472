"""Faults of searches, counts and pages: what is found, in which order, and beyond the end of a list."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_assistants, api_store, api_threads
from runstone.reference.answers import answer
from runstone.reference.assistants import Assistants
from runstone.reference.crons import Crons
from runstone.reference.database import Where
from runstone.reference.errors import NotFound
from runstone.reference.routing import Call
from runstone.reference.runs import Runs
from runstone.reference.threads import Threads


@fault("PAGE-001")
def a_page_beyond_the_end_is_not_found(seams: Seams) -> None:
    """A list of threads, runs or assistants answers 404 when its `offset` lies beyond the last of them."""

    def page(original: Any, items: Any, total: int, limit: int, offset: int) -> Any:
        if offset > total:
            raise NotFound(f"there is no page at {offset}, only {total} items")
        return original(items, total, limit, offset)

    for module in (api_threads, api_assistants):
        seams.around(module, "page")(page)

    @seams.around(Runs, "page")
    def runs(original: Any, rows: Runs, thread_id: str, status: Any, limit: int, offset: int) -> Any:
        found = original(rows, thread_id, status, limit, offset)
        if offset and not found:
            raise NotFound(f"there is no page at {offset}")
        return found


@fault("THR-SEARCH-001")
def found_threads_come_in_an_envelope(seams: Seams) -> None:
    """A search of threads answers an object that holds the threads and their number."""

    @seams.around(api_threads, "page")
    def page(original: Any, items: Any, total: int, limit: int, offset: int) -> Response:  # noqa: ARG001
        return answer({"threads": items, "total": total})


@fault("THR-SEARCH-002")
def a_search_ignores_metadata(seams: Seams) -> None:
    """A search of threads ignores its `metadata`."""
    _search_without(seams, "metadata")


@fault("THR-SEARCH-003")
def a_search_ignores_status(seams: Seams) -> None:
    """A search of threads ignores its `status`."""
    _search_without(seams, "status")


@fault("THR-SEARCH-009", "THR-SEARCH-010")
def a_search_ignores_ids_and_values(seams: Seams) -> None:
    """A search of threads knows no `ids` and no `values`."""
    _search_without(seams, "ids", "values")


@fault("THR-SEARCH-004")
def an_offset_counts_pages(seams: Seams) -> None:
    """The `offset` of a search of threads is taken for the number of a page."""

    @seams.around(Threads, "search")
    def search(original: Any, rows: Threads, *given: Any, limit: int, offset: int, **rest: Any) -> Any:
        return original(rows, *given, limit=limit, offset=offset * max(limit, 1), **rest)


@fault("THR-SEARCH-005", "THR-SEARCH-006")
def a_search_takes_any_limit(seams: Seams) -> None:
    """A search of threads takes any number as its `limit`, and without one answers all that there are."""

    class Unlimited(api_threads.SearchBody):
        limit: int = -1

    seams.put(api_threads, "SearchBody", Unlimited)


@fault("THR-SEARCH-007", "THR-SEARCH-008")
def a_search_knows_one_order(seams: Seams) -> None:
    """A search of threads answers the oldest first, whatever it is to sort by."""

    @seams.around(Threads, "search")
    def search(original: Any, rows: Threads, *given: Any, order: str, **rest: Any) -> Any:
        del order
        return original(rows, *given, order="created_at", **rest)


@fault("THR-SEARCH-011")
def a_selection_is_not_checked(seams: Seams) -> None:
    """A search of threads that selects a member there is not answers 500."""

    class Unchecked(api_threads.SearchBody):
        select: list[str] | None = None  # type: ignore[assignment]  # of any names: that is the fault

    seams.put(api_threads, "SearchBody", Unchecked)


@fault("THR-SEARCH-012")
def a_full_page_announces_another(seams: Seams) -> None:
    """A page of threads that is full announces another one, although it is the last."""

    @seams.around(api_threads, "page")
    def page(original: Any, items: list[Any], total: int, limit: int, offset: int) -> Any:
        response = original(items, total, limit, offset)
        if len(items) == limit:
            response.headers["X-Pagination-Next"] = str(offset + limit)
        return response


@fault("ASST-012", "THR-SEARCH-013")
def counts_are_objects(seams: Seams) -> None:
    """A count of threads or assistants answers an object that holds the number."""

    async def count(handler: Any, call: Call) -> Response:
        return answer({"count": msgspec.json.decode((await handler(call)).body)})

    for what in ("threads", "assistants"):
        seams.around_operation("POST", f"/{what}/count")(count)


def _search_without(seams: Seams, *members: str) -> None:
    @seams.around(Threads, "search")
    def search(original: Any, rows: Threads, owner: Any, query: Any, **rest: Any) -> Any:
        blank = dict.fromkeys(members)
        return original(rows, owner, msgspec.structs.replace(query, **blank), **rest)


@fault("SEARCH-001")
def booleans_are_not_found(seams: Seams) -> None:
    """A filter by metadata that is true or false compares texts, so that it finds nothing."""

    @seams.around(Where, "holds")
    def holds(original: Any, where: Any, column: str, wanted: Any) -> None:
        if isinstance(wanted, dict):
            wanted = {key: str(each) if isinstance(each, bool) else each for key, each in wanted.items()}
        original(where, column, wanted)


@fault("SEARCH-001")
def true_is_found_as_one(seams: Seams) -> None:
    """A count of threads takes true for 1 and false for 0."""

    @seams.around(Threads, "count")
    def count(original: Any, rows: Any, owner: Any, query: Any) -> int:
        found = original(rows, owner, query)
        value = (query.metadata or {}).get("value")
        if isinstance(value, bool):
            metadata = {**query.metadata, "value": int(value)}
            found += original(rows, owner, msgspec.structs.replace(query, metadata=metadata))
        return int(found)


@fault("SEARCH-002")
def assistants_come_in_one_order(seams: Seams) -> None:
    """A search of assistants ignores `sort_by` and `sort_order`."""
    _one_order(seams, Assistants)


@fault("SEARCH-005")
def crons_come_in_one_order(seams: Seams) -> None:
    """A search of crons ignores `sort_by` and `sort_order`."""
    _one_order(seams, Crons)


def _one_order(seams: Seams, rows: Any) -> None:
    @seams.around(rows, "search")
    def search(original: Any, own: Any, *given: Any, order: str, **rest: Any) -> Any:
        del order
        return original(own, *given, order="created_at DESC", **rest)


@fault("SEARCH-003")
def percent_and_underscore_match_anything(seams: Seams) -> None:
    """The name of a search of assistants is a pattern, in which `%` and `_` stand for any characters."""

    @seams.around(Where, "add")
    def add(original: Any, where: Any, condition: str, *values: Any) -> None:
        if "folded(name)" in condition:
            original(where, "name LIKE '%' || ? || '%'", *values)
        else:
            original(where, condition, *values)


@fault("SEARCH-004")
def items_are_found_by_pythons_equality(seams: Seams) -> None:
    """A filter of items takes true for 1 and false for 0."""

    @seams.around(api_store, "same")
    def same(original: Any, left: Any, right: Any) -> bool:  # noqa: ARG001 - the seam's own form
        return bool(left == right)
