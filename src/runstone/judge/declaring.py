"""How a suite declares its judges: which requirement, which cases, and what several judges read together.

A declaration is data on the function; nothing of it depends on what later calls the judge.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final, TypeVar

from runstone.errors import RunstoneError

_Function = TypeVar("_Function", bound=Callable[..., Any])
_DECLARATION: Final = "__runstone_declaration__"


class BadDeclaration(RunstoneError):  # noqa: N818 - named as what it reports
    """A suite declares a judge that cannot be called; the message names it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One case of a table: its values, what it alone needs, and its name where they do not make one."""

    values: tuple[Any, ...]
    needs: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The cases of some parameters."""

    parameters: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """One case of a judge: the values of its parameters, and its name; '' where there is but one."""

    parameters: Mapping[str, Any]
    needs: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the decorators of one function say; the table nearest to the function comes first."""

    requirement: str = ""
    needs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()

    @property
    def parameters(self) -> frozenset[str]:
        """The arguments that its cases give."""
        return frozenset(name for table in self.tables for name in table.parameters)

    def variants(self) -> Iterator[Variant]:
        """Every case, those of the first table in the outer loop."""
        for rows in product(*(table.rows for table in self.tables)):
            given: dict[str, Any] = {}
            for table, row in zip(self.tables, rows, strict=True):
                given |= zip(table.parameters, row.values, strict=True)
            needs = tuple(need for row in rows for need in row.needs)
            names = [_name(table, row) for table, row in zip(self.tables, rows, strict=True)]
            yield Variant(given, (*self.needs, *needs), "-".join(names))


@dataclass(frozen=True, slots=True)
class View:
    """A value made of traces, for all judges of a suite that ask for it by its name."""

    function: Callable[..., Any]


def declaration_of(function: object) -> Declaration | None:
    """What the function declares; None for one that is not a judge."""
    found: Declaration | None = getattr(function, _DECLARATION, None)
    return found


def requirement(id: str) -> Callable[[_Function], _Function]:  # noqa: A002 - the catalogue's own name
    """Make the function the judge of this requirement; what it promises stands in the catalogue."""
    return _declaring(lambda declared: replace(declared, requirement=id))


def needs(*capabilities: str) -> Callable[[_Function], _Function]:
    """Let the judge apply only to targets with these capabilities."""
    return _declaring(lambda declared: replace(declared, needs=(*declared.needs, *capabilities)))


def cases(parameters: str, rows: Iterable[Any]) -> Callable[[_Function], _Function]:
    """Judge once for each row; `parameters` are names of arguments, with commas between them.

    A row is the value of the one parameter, a sequence of the values of several, or a `row`. Of several
    tables each row of one is judged with each of the others.
    """
    names = tuple(name.strip() for name in parameters.split(","))
    table = Table(names, tuple(_row(each, names) for each in rows))
    times = Counter(_name(table, each) for each in table.rows)
    for name in (name for name in times if times[name] > 1):
        raise BadDeclaration(f"two cases of {parameters} have the name {name!r}")
    return _declaring(lambda declared: replace(declared, tables=(*declared.tables, table)))


def row(*values: Any, needs: Sequence[str] = (), name: str = "") -> Row:
    """A case that applies only to targets with these capabilities, or that has a name of its own."""
    return Row(values, tuple(needs), name)


def view(function: Callable[..., Any]) -> Any:
    """Make the function's value known to all judges of the suite, by the function's name.

    Its arguments are found as those of a judge are: traces of scenarios, `profile`, parameters, other views.
    One of `traces` alone is made once for all judges, which must not change it.
    """
    return View(function)


def _declaring(change: Callable[[Declaration], Declaration]) -> Callable[[_Function], _Function]:
    def decorate(function: _Function) -> _Function:
        setattr(function, _DECLARATION, change(declaration_of(function) or Declaration()))
        return function

    return decorate


def _row(given: Any, names: Sequence[str]) -> Row:
    row = given if isinstance(given, Row) else Row((given,) if len(names) == 1 else tuple(given))
    if len(row.values) != len(names):
        raise BadDeclaration(f"a case of {', '.join(names)} has {len(row.values)} values: {row.values!r}")
    return row


def _name(table: Table, row: Row) -> str:
    """What reports and waivers call the row: pytest's way of naming parameters, which they always had."""
    place = table.rows.index(row)
    pairs = zip(table.parameters, row.values, strict=True)
    return row.name or "-".join(_word(value, f"{parameter}{place}") for parameter, value in pairs)


def _word(value: Any, otherwise: str) -> str:
    match value:
        case str():
            return value.encode("unicode_escape").decode("ascii")
        case None | bool() | int() | float():
            return str(value)
        case re.Pattern():
            return str(value.pattern)
        case _:
            return str(getattr(value, "__name__", otherwise))
