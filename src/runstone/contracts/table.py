"""What the tables of contracts/cases have in common: how a table is read, and what it may not name.

Each is read strictly. A table that names an operation, a requirement, a capability or a kind that does not
exist, or one of them twice, raises MalformedContract, so that no case of it is silently nobody's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from runstone.contracts.catalogue import load_capabilities
from runstone.contracts.operations import Operation, operation_table
from runstone.contracts.reading import MalformedContract, read_yaml, shown_path
from runstone.errors import suggestion
from runstone.locations import locate

_TableT = TypeVar("_TableT", bound="Table")


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """A row of a table. `needs`: the capabilities without which it does not apply."""

    needs: tuple[str, ...] = ()


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """A table of cases. `excused`: what is in no case, and why."""

    excused: dict[str, str] = {}

    def check(self, where: str) -> None:
        """Raise MalformedContract for what refers to something that does not exist, or is given twice."""
        for name, why in self.excused.items():
            if not why.strip():
                raise MalformedContract(f"{where}: {name} is excused without a reason")

    @abstractmethod
    def judged(self) -> Iterable[tuple[str, str]]:
        """What its cases judge: the name of an operation and the id of the requirement."""


def read_table(path: Path, shape: type[_TableT]) -> _TableT:
    """The table of a file, checked as a whole. Raises MalformedContract."""
    table = read_yaml(path, shape)
    table.check(shown_path(path))
    return table


def cases_folder() -> Path:
    """Where the tables are."""
    return locate("contracts") / "cases"


@cache
def operations() -> Mapping[str, Operation]:
    """The operations of the API by name: `GET /threads/{thread}`."""
    return {each.name: each for each in operation_table().operations}


def demand_known(where: str, kind: str, used: Iterable[str], known: Iterable[str]) -> None:
    """Raise MalformedContract for the first that is not known."""
    for name in used:
        if name not in known:
            raise MalformedContract(f"{where} names the unknown {kind} {name!r}{suggestion(name, known)}")


def demand_once(where: str, kind: str, used: Iterable[str]) -> None:
    """Raise MalformedContract for the first that is given twice."""
    seen: set[str] = set()
    for name in used:
        if name in seen:
            raise MalformedContract(f"{where}: the {kind} {name!r} is given twice")
        seen.add(name)


def demand_apart(where: str, table: Table, judged: Iterable[str]) -> None:
    """Raise MalformedContract for the first that is both judged and excused."""
    for name in judged:
        if name in table.excused:
            raise MalformedContract(f"{where}: {name!r} is both judged and excused")


def demand_capabilities(where: str, row: Row) -> None:
    """Raise MalformedContract for a capability that does not exist."""
    demand_known(where, "capability", row.needs, load_capabilities())
