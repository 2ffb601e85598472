"""The tables of what is sent and read: values, fields of requests, searches (contracts/cases)."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from runstone.contracts.catalogue import load_catalogue
from runstone.contracts.grammar import stream_grammar
from runstone.contracts.operations import Operation, operation_table
from runstone.contracts.reading import MalformedContract
from runstone.contracts.table import (
    Row,
    Table,
    cases_folder,
    demand_apart,
    demand_capabilities,
    demand_known,
    demand_once,
    operations,
    read_table,
)

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


# Where a document may be besides the events of a stream: the body, and the values and interrupts of a wait.
_BODIES: Final = ("body", "wait", "interrupts")


class ValueTable(Table, frozen=True):
    """contracts/cases/values.yaml."""

    kinds: dict[str, ValueKind]
    journeys: dict[str, Journey]
    unread: dict[str, str]

    def check(self, where: str) -> None:
        """Raise MalformedContract also for a kind without a value, and for a place that is in no journey."""
        super().check(where)
        for name, kind in self.kinds.items():
            given = [each for each in msgspec.structs.asdict(kind).values() if each is not UNSET]
            if len(given) != 1:
                raise MalformedContract(
                    f"{where}: kind {name} needs one of value, repeat, nested and members, not {len(given)}"
                )
        for name, journey in self.journeys.items():
            demand_known(f"{where}: journey {name}", "requirement", [journey.promise], load_catalogue())
            used = [place.operation for place in journey.places.values()]
            demand_known(f"{where}: journey {name}", "operation", used, operations())
            shown = [place.of for place in journey.places.values()]
            demand_known(f"{where}: journey {name}", "place", shown, [*_BODIES, *stream_grammar().modes])
        demand_once(where, "requirement", [each.promise for each in self.journeys.values()])
        demand_apart(where, self, self.kinds)
        self._check_places(where)

    def _check_places(self, where: str) -> None:
        places = [place for journey in self.journeys.values() for place in journey.places.values()]
        read = {place.operation for place in places} | {place.of for place in places}
        for name in (*operations(), *stream_grammar().modes):
            if name not in read and not self.excuse(name):
                raise MalformedContract(f"{where}: {name} is in no journey; say in `unread` why")
        for glob in self.unread:
            if not any(fnmatchcase(name, glob) for name in (*operations(), *stream_grammar().modes)):
                raise MalformedContract(f"{where}: nothing matches the unread {glob!r}")

    def excuse(self, place: str) -> str:
        """Why an operation or a stream mode is read on no journey; nothing where no reason is given."""
        return next((why for glob, why in self.unread.items() if fnmatchcase(place, glob)), "")

    def judged(self) -> Iterable[tuple[str, str]]:
        """Each place with the requirement of its journey."""
        for journey in self.journeys.values():
            yield from ((place.operation, journey.promise) for place in journey.places.values())


@cache
def value_table() -> ValueTable:
    """The kinds of values, and the places that show them. Raises MalformedContract."""
    return read_table(cases_folder() / "values.yaml", ValueTable)


# fields


class Honoured(Row, frozen=True):
    """What a run makes of a field (contracts/cases/fields.yaml describes each member)."""

    graph: str
    send: Any
    shows: dict[str, Any] = msgspec.field(default_factory=dict)
    run: dict[str, Any] = msgspec.field(default_factory=dict)
    ends: Literal["", "error"] = ""


class FieldTable(Table, frozen=True):
    """contracts/cases/fields.yaml: which fields of a request are honoured or refused."""

    bases: dict[str, Any]
    wrong: dict[str, Any]
    entries: dict[str, str]
    honoured: dict[str, Honoured]
    elsewhere: dict[str, list[str]]

    def check(self, where: str) -> None:
        """Raise MalformedContract also for an operation or a field of a run that is in no case."""
        super().check(where)
        demand_known(where, "operation", [*self.bases, *self.entries.values()], operations())
        demand_known(where, "field", [*self.honoured, *self.elsewhere], run_fields())
        for field, ids in self.elsewhere.items():
            demand_known(f"{where}: {field}", "requirement", ids, load_catalogue())
        demand_apart(where, self, self.bases)
        both = sorted(self.honoured.keys() & self.elsewhere.keys())
        if both:
            raise MalformedContract(f"{where}: {both[0]} is both honoured here and judged elsewhere")
        for name in (each.name for each in operations().values() if each.body):
            if name not in self.bases and name not in self.excused:
                raise MalformedContract(f"{where}: {name} takes a body and is in no case; give it a base")
        for field in run_fields():
            if field not in self.honoured and field not in self.elsewhere:
                raise MalformedContract(f"{where}: the field {field} of a run is in no case")

    def fields(self) -> Iterable[tuple[Operation, str]]:
        """Each operation with a base, and each field that its body may have, by its path (`config.tags`)."""
        for name in self.bases:
            operation = operations()[name]
            yield from ((operation, field) for field in fields_of(operation.body))

    def judged(self) -> Iterable[tuple[str, str]]:
        """Every operation with a body, and every entry point of runs."""
        yield from ((name, "FIELD-001") for name in self.bases)
        yield from ((name, "FIELD-002") for name in self.entries.values())


def fields_of(body: str) -> list[str]:
    """The fields of a body of the operations table, those of `config` by their path (`config.tags`)."""
    schema = operation_table().bodies[body]
    schema = schema.get("items", schema)
    found = list(schema.get("properties", {}))
    config = schema.get("properties", {}).get("config", {})
    return [*found, *(f"config.{name}" for name in config.get("properties", {}))]


def with_field(body: Any, field: str, value: Any) -> Any:
    """The body, or each of several, with this field; `config.tags` is a field of the field before the dot."""
    if isinstance(body, list):
        return [with_field(each, field, value) for each in body]
    name, _, member = field.partition(".")
    return {**body, name: {member: value} if member else value}


def run_fields() -> list[str]:
    """The fields of a request for a run; `config` is known by its members."""
    return [name for name in fields_of("run") if name != "config"]


@cache
def field_table() -> FieldTable:
    """The fields of requests, and what is to become of them. Raises MalformedContract."""
    return read_table(cases_folder() / "fields.yaml", FieldTable)


# searches


class Searched(Row, frozen=True):
    """What can be searched: its operations, which of their fields are judged, and its sort keys."""

    search: str
    by: tuple[str, ...]
    count: str = ""
    sort_by: tuple[str, ...] = ()


class SearchTable(Table, frozen=True):
    """contracts/cases/searches.yaml: what a search finds."""

    values: dict[str, Any]
    resources: dict[str, Searched]
    names: tuple[str, ...]
    parts: tuple[str, ...]

    def check(self, where: str) -> None:
        """Raise MalformedContract also for a field of a search that is neither judged nor excused."""
        super().check(where)
        demand_once(where, "name", self.names)
        self._check_fields(where)
        for name, resource in self.resources.items():
            used = [resource.search, *([resource.count] if resource.count else [])]
            demand_known(f"{where}: {name}", "operation", used, operations())
            demand_once(f"{where}: {name}", "sort key", resource.sort_by)
            demand_capabilities(f"{where}: {name}", resource)

    def _check_fields(self, where: str) -> None:
        known = {
            f"{name} by {field}": field in resource.by
            for name, resource in self.resources.items()
            for field in fields_of(operations()[resource.search].body)
        }
        demand_known(where, "field", self.excused, known)
        for name, resource in self.resources.items():
            fields = fields_of(operations()[resource.search].body)
            demand_known(f"{where}: {name}", "field", resource.by, fields)
        for field, judged in known.items():
            if judged == (field in self.excused):
                raise MalformedContract(
                    f"{where}: {field} is {'both judged and excused' if judged else 'in no case; excuse it'}"
                )

    def judged(self) -> Iterable[tuple[str, str]]:
        """Each search and count by its values, and those that are sorted."""
        for name, resource in self.resources.items():
            by_value = "SEARCH-004" if name == "items" else "SEARCH-001"
            if name != "crons":
                yield from ((each, by_value) for each in (resource.search, resource.count) if each)
            if resource.sort_by:
                yield resource.search, "SEARCH-005" if name == "crons" else "SEARCH-002"


@cache
def search_table() -> SearchTable:
    """What can be searched, by what. Raises MalformedContract."""
    return read_table(cases_folder() / "searches.yaml", SearchTable)
