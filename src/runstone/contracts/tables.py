"""The tables of contracts/cases: what holds for every operation, field, value or place, as data.

Each is read strictly. A table that names an operation, a requirement, a capability or a kind that does not
exist, or one of them twice, raises MalformedContract, so that no case of it is silently nobody's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from runstone.contracts.catalogue import load_capabilities, load_catalogue
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

    def judged(self) -> Iterable[tuple[str, str]]:
        """What its cases judge: the name of an operation and the id of the requirement."""
        raise NotImplementedError


# values


class Repeated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text, so many times."""

    text: str
    times: int


class ValueKind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of JSON value, given by one of its members (contracts/cases/values.yaml describes each)."""

    value: Any = UNSET
    repeat: Repeated | UnsetType = UNSET
    nested: int | UnsetType = UNSET
    members: int | UnsetType = UNSET

    def made(self) -> Any:
        """The value itself."""
        if isinstance(self.repeat, Repeated):
            return self.repeat.text * self.repeat.times
        if isinstance(self.nested, int):
            value: Any = "the innermost"
            for level in range(self.nested):
                value = [value] if level % 2 else {"in": value}
            return value
        if isinstance(self.members, int):
            return {f"member_{number}": number for number in range(self.members)}
        return self.value


class ValuePlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an answer shows the document: `of` the body, the values of a wait, or an event of that name."""

    operation: str
    at: str
    of: str = "body"


class Journey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a document goes in, and where it is read again, by the label of the exchange."""

    promise: str
    says: str
    places: dict[str, ValuePlace]


class ValueTable(Table, frozen=True):
    """contracts/cases/values.yaml."""

    kinds: dict[str, ValueKind]
    journeys: dict[str, Journey]

    def check(self, where: str) -> None:
        """Raise MalformedContract also for a kind that says nothing, or several things, of its value."""
        super().check(where)
        for name, kind in self.kinds.items():
            given = [each for each in msgspec.structs.asdict(kind).values() if each is not UNSET]
            if len(given) != 1:
                raise MalformedContract(
                    f"{where}: kind {name} needs one of value, repeat, nested and members, not {len(given)}"
                )
        for name, journey in self.journeys.items():
            _known(f"{where}: journey {name}", "requirement", [journey.promise], load_catalogue())
            used = [place.operation for place in journey.places.values()]
            _known(f"{where}: journey {name}", "operation", used, _operations())
        _once(where, "requirement", [each.promise for each in self.journeys.values()])
        _excused_apart(where, self, self.kinds)

    def judged(self) -> Iterable[tuple[str, str]]:
        """Each place with the requirement of its journey."""
        for journey in self.journeys.values():
            yield from ((place.operation, journey.promise) for place in journey.places.values())


@cache
def value_table() -> ValueTable:
    """The kinds of values, and the places that show them. Raises MalformedContract."""
    return read_table(_cases() / "values.yaml", ValueTable)


# reading


def read_table(path: Path, shape: type[_TableT]) -> _TableT:
    """The table of a file, checked as a whole. Raises MalformedContract."""
    table = read_yaml(path, shape)
    table.check(shown_path(path))
    return table


def _cases() -> Path:
    return locate("contracts") / "cases"


@cache
def _operations() -> Mapping[str, Operation]:
    """The operations of the API by name: `GET /threads/{thread}`."""
    return {each.name: each for each in operation_table().operations}


def _known(where: str, kind: str, used: Iterable[str], known: Iterable[str]) -> None:
    for name in used:
        if name not in known:
            raise MalformedContract(f"{where} names the unknown {kind} {name!r}{suggestion(name, known)}")


def _once(where: str, kind: str, used: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in used:
        if name in seen:
            raise MalformedContract(f"{where}: the {kind} {name!r} is given twice")
        seen.add(name)


def _excused_apart(where: str, table: Table, judged: Iterable[str]) -> None:
    for name in judged:
        if name in table.excused:
            raise MalformedContract(f"{where}: {name!r} is both judged and excused")


def _needs(where: str, row: Row) -> None:
    _known(where, "capability", row.needs, load_capabilities())
