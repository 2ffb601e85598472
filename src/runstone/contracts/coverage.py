"""Which requirements judge which operation, by what is asked of it: the map of the contract.

It is made of the table of operations and of the tables of cases alone, so that it cannot be out of date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from runstone.contracts.operations import Operation, operation_table
from runstone.contracts.table import Table
from runstone.contracts.tables import field_table, search_table, value_table
from runstone.contracts.tables_of_operations import (
    browser_table,
    isolation_table,
    race_table,
    restart_table,
    status_table,
)

COLUMNS: Final = (
    *("schema", "values", "fields", "refusals", "isolation", "status", "restart", "concurrency", "browsers"),
)


class Cell(msgspec.Struct, frozen=True):
    """What judges an operation in one respect: ids of requirements, or the reason why none does."""

    ids: tuple[str, ...] = ()
    excuse: str = ""

    @property
    def kind(self) -> str:
        """`covered`, `excused` or `open`."""
        return "covered" if self.ids else "excused" if self.excuse else "open"


class Row(msgspec.Struct, frozen=True):
    """An operation with a cell for each of COLUMNS."""

    operation: str
    cells: dict[str, Cell]


class Coverage(msgspec.Struct, frozen=True):
    """The whole map."""

    rows: tuple[Row, ...]

    def count(self, kind: str) -> int:
        """How many cells are covered, excused or open."""
        return sum(cell.kind == kind for row in self.rows for cell in row.cells.values())

    @property
    def open(self) -> list[str]:
        """What nobody judges and no reason excuses: operation and column."""
        return [
            f"{row.operation}: {column}"
            for row in self.rows
            for column, cell in row.cells.items()
            if cell.kind == "open"
        ]


def coverage() -> Coverage:
    """The map of the contract as it stands. Raises MalformedContract."""
    judged = _judged()
    rows = [
        Row(each.name, {column: _cell(each, column, judged) for column in COLUMNS})
        for each in operation_table().operations
    ]
    return Coverage(tuple(rows))


def _judged() -> Mapping[str, Mapping[str, list[str]]]:
    """Column → operation → the requirements that judge it."""
    tables: dict[str, Iterable[Table]] = {
        "values": (value_table(),),
        "fields": (field_table(), search_table()),
        "isolation": (isolation_table(),),
        "status": (status_table(),),
        "restart": (restart_table(),),
        "concurrency": (race_table(),),
        "browsers": (browser_table(),),
    }
    found: dict[str, dict[str, list[str]]] = {column: {} for column in COLUMNS}
    for column, sources in tables.items():
        for table in sources:
            for operation, requirement in table.judged():
                found[column].setdefault(operation, []).append(requirement)
    for each in operation_table().operations:
        found["schema"][each.name] = [each.promise, *(["MON-004"] if each.schema else [])]
        if not each.not_fuzzed:
            found["refusals"][each.name] = ["ROB-001"]
    return found


def _cell(operation: Operation, column: str, judged: Mapping[str, Mapping[str, list[str]]]) -> Cell:
    ids = judged[column].get(operation.name)
    if ids:
        return Cell(tuple(dict.fromkeys(ids)))
    return Cell(excuse=next(filter(None, _excuses(operation, column)), ""))


def _excuses(operation: Operation, column: str) -> Iterator[str]:
    """The reasons for which an operation may be judged by nobody in one respect."""
    name = operation.name
    if column == "values":
        yield value_table().excuse(name)
    elif column == "fields":
        yield field_table().excused.get(name, "")
        yield "" if operation.body else f"It takes no body; {operation.promise} judges what it takes."
    elif column == "refusals":
        yield operation.not_fuzzed and f"{operation.not_fuzzed[0].upper()}{operation.not_fuzzed[1:]}."
    elif column == "isolation":
        yield isolation_table().excused.get(name, "")
        yield "It shows nothing of anybody." if operation.public else ""
    elif column == "status":
        yield status_table().excused.get(name, "")
        yield "" if "thread" in operation.placeholders else "It is on no thread."
    elif column == "restart":
        yield restart_table().excuse(name)
    elif column == "concurrency":
        yield race_table().excuse(name)
    elif column == "browsers":
        yield browser_table().excused.get(name, "")
