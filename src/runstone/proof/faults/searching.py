"""Faults of what a search finds: by values of each type, by names, in each order."""

from __future__ import annotations

from typing import Any

import msgspec

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_store
from runstone.reference.assistants import Assistants
from runstone.reference.crons import Crons
from runstone.reference.database import Where
from runstone.reference.threads import Threads


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
