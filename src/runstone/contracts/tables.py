"""The tables of contracts/cases: what holds for every operation, field, value or place, as data.

Each is read strictly. A table that names an operation, a requirement, a capability or a kind that does not
exist, or one of them twice, raises MalformedContract, so that no case of it is silently nobody's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from runstone.contracts.catalogue import load_capabilities, load_catalogue
from runstone.contracts.grammar import lifecycle
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


# fields


class Honoured(Row, frozen=True):
    """What a run makes of a field (contracts/cases/fields.yaml describes each member)."""

    graph: str
    send: Any
    shows: dict[str, Any] = {}
    run: dict[str, Any] = {}
    ends: str = ""


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
        _known(where, "operation", [*self.bases, *self.entries.values()], _operations())
        _known(where, "field", [*self.honoured, *self.elsewhere], run_fields())
        for field, ids in self.elsewhere.items():
            _known(f"{where}: {field}", "requirement", ids, load_catalogue())
        _excused_apart(where, self, self.bases)
        both = sorted(self.honoured.keys() & self.elsewhere.keys())
        if both:
            raise MalformedContract(f"{where}: {both[0]} is both honoured here and judged elsewhere")
        for name in (each.name for each in _operations().values() if each.body):
            if name not in self.bases and name not in self.excused:
                raise MalformedContract(f"{where}: {name} takes a body and is in no case; give it a base")
        for field in run_fields():
            if field not in self.honoured and field not in self.elsewhere:
                raise MalformedContract(f"{where}: the field {field} of a run is in no case")

    def fields(self) -> Iterable[tuple[Operation, str]]:
        """Each operation with a base, and each field that its body may have, by its path (`config.tags`)."""
        for name in self.bases:
            operation = _operations()[name]
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


def run_fields() -> list[str]:
    """The fields of a request for a run; `config` is known by its members."""
    return [name for name in fields_of("run") if name != "config"]


@cache
def field_table() -> FieldTable:
    """The fields of requests, and what is to become of them. Raises MalformedContract."""
    return read_table(_cases() / "fields.yaml", FieldTable)


# searches


class Searched(Row, frozen=True):
    """What can be searched: its operations, and the keys by which it is sorted."""

    search: str
    count: str = ""
    sort_by: tuple[str, ...] = ()


class SearchTable(Table, frozen=True):
    """contracts/cases/searches.yaml: what a search finds."""

    values: dict[str, Any]
    resources: dict[str, Searched]
    names: tuple[str, ...]
    parts: tuple[str, ...]

    def check(self, where: str) -> None:
        """Raise MalformedContract also for a sort key that its operation does not know."""
        super().check(where)
        _once(where, "name", self.names)
        for name, resource in self.resources.items():
            used = [resource.search, *([resource.count] if resource.count else [])]
            _known(f"{where}: {name}", "operation", used, _operations())
            _once(f"{where}: {name}", "sort key", resource.sort_by)
            _needs(f"{where}: {name}", resource)

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
    return read_table(_cases() / "searches.yaml", SearchTable)


# isolation


class Ask(Row, frozen=True):
    """A request of an operation: what it sends, and ids in its path that have another name."""

    body: Any = None
    query: dict[str, Any] = {}
    path: dict[str, str] = {}


class IsolationTable(Table, frozen=True):
    """contracts/cases/isolation.yaml: who may reach what."""

    asks: dict[str, Ask]

    def check(self, where: str) -> None:
        """Raise MalformedContract also for an operation that is neither asked nor excused nor public."""
        super().check(where)
        _known(where, "operation", [*self.asks, *self.excused], _operations())
        _excused_apart(where, self, self.asks)
        for name, ask in self.asks.items():
            _needs(f"{where}: {name}", ask)
            _known(f"{where}: {name}", "placeholder", ask.path, _operations()[name].placeholders)
        for name, operation in _operations().items():
            if not operation.public and name not in self.asks and name not in self.excused:
                raise MalformedContract(f"{where}: {name} is neither asked nor excused")

    def judged(self) -> Iterable[tuple[str, str]]:
        """Each operation with the requirements of those who ask it."""
        for name in self.asks:
            if "crons" in name:
                yield name, "ISO-004"
                continue
            of_assistants = "/assistants" in name or "{assistant}" in str(self.asks[name].body)
            yield name, "ISO-003" if of_assistants else "ISO-001"
            yield name, "ISO-005"


@cache
def isolation_table() -> IsolationTable:
    """Every operation, as it is asked by others. Raises MalformedContract."""
    return read_table(_cases() / "isolation.yaml", IsolationTable)


# statuses, races, restarts, browsers


class Status(Row, frozen=True):
    """How a thread reached a status: what it, and its last run, may show then."""

    thread: tuple[str, ...]
    run: tuple[str, ...]


class StatusAsk(Row, frozen=True):
    """A request on a thread; `refuses`: the statuses in which a 4xx is as good as a 2xx."""

    body: Any = None
    query: dict[str, Any] = {}
    refuses: tuple[str, ...] = ()


class StatusTable(Table, frozen=True):
    """contracts/cases/statuses.yaml: what each operation answers on a thread in each status."""

    statuses: dict[str, Status]
    asks: dict[str, StatusAsk]

    def check(self, where: str) -> None:
        """Raise MalformedContract also for an operation on a thread that is neither asked nor excused."""
        super().check(where)
        _known(where, "operation", [*self.asks, *self.excused], _operations())
        _excused_apart(where, self, self.asks)
        for name, status in self.statuses.items():
            _needs(f"{where}: {name}", status)
            _known(f"{where}: {name}", "status", status.thread, lifecycle().threads.statuses)
            _known(f"{where}: {name}", "status", status.run, lifecycle().runs.statuses)
        for name, ask in self.asks.items():
            _known(f"{where}: {name}", "status", ask.refuses, self.statuses)
        for name in (name for name in _operations() if "{thread}" in name):
            if name not in self.asks and name not in self.excused:
                raise MalformedContract(f"{where}: {name} is neither asked nor excused")

    def judged(self) -> Iterable[tuple[str, str]]:
        """Each operation on a thread."""
        return ((name, "STAT-001") for name in self.asks)


class NamedTable(Table, frozen=True):
    """A table whose cases have names, and each an operation."""

    @property
    @abstractmethod
    def operations(self) -> tuple[str, ...]:
        """The operation of each case."""

    def check(self, where: str) -> None:
        """Raise MalformedContract also for an operation that is neither asked nor excused."""
        super().check(where)
        _known(where, "operation", self.operations, _operations())
        _once(where, "operation", self.operations)
        _excused_apart(where, self, self.operations)
        for glob in self.excused:
            if not any(fnmatchcase(name, glob) for name in _operations()):
                raise MalformedContract(f"{where}: no operation matches the excused {glob!r}")
        for name in _operations():
            if name not in self.operations and not self.excuse(name):
                raise MalformedContract(f"{where}: {name} is neither asked nor excused")

    def excuse(self, operation: str) -> str:
        """Why an operation is in no case; nothing where no reason is given."""
        return next((why for glob, why in self.excused.items() if fnmatchcase(operation, glob)), "")


class RaceTable(NamedTable, frozen=True):
    """contracts/cases/races.yaml: what is sent several times at once."""

    promises: tuple[str, ...]
    cases: dict[str, str]

    @property
    def operations(self) -> tuple[str, ...]:
        """The operation of each case."""
        return tuple(self.cases.values())

    def check(self, where: str) -> None:
        """Raise MalformedContract also for a requirement that does not exist."""
        super().check(where)
        _known(where, "requirement", self.promises, load_catalogue())

    def judged(self) -> Iterable[tuple[str, str]]:
        """The operation of each case."""
        return ((operation, self.promises[0]) for operation in self.operations)


class Stored(Row, frozen=True):
    """A thing that is stored; `stop`, `kill`: what promises it over each end of the server."""

    stop: str
    kill: str
    rests: bool = False


class ReadAgain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What reads it again, and the things that it is asked about."""

    operation: str
    of: tuple[str, ...]


class RestartTable(NamedTable, frozen=True):
    """contracts/cases/restarts.yaml: what is stored, over a stop in good order and over a kill."""

    things: dict[str, Stored]
    cases: dict[str, ReadAgain]

    @property
    def operations(self) -> tuple[str, ...]:
        """The operation of each case."""
        return tuple(case.operation for case in self.cases.values())

    def check(self, where: str) -> None:
        """Raise MalformedContract also for a thing that nobody reads again or that is promised by nobody."""
        super().check(where)
        for name, case in self.cases.items():
            _known(f"{where}: {name}", "thing", case.of, self.things)
            _once(f"{where}: {name}", "thing", case.of)
        for name, thing in self.things.items():
            _needs(f"{where}: {name}", thing)
            for end, promise in (("restart", thing.stop), ("kill", thing.kill)):
                _known(f"{where}: {name}", "requirement", [promise], load_catalogue())
                lacks = {end, *thing.needs} - set(load_catalogue()[promise].needs)
                if lacks:
                    raise MalformedContract(f"{where}: {name}: {promise} does not need {min(lacks)!r}")
            if not any(name in case.of for case in self.cases.values()):
                raise MalformedContract(f"{where}: nothing reads {name} again")

    def judged(self) -> Iterable[tuple[str, str]]:
        """The operation of each case, with what promises the things that it reads."""
        for case in self.cases.values():
            for name in case.of:
                yield from (
                    (case.operation, self.things[name].stop),
                    (case.operation, self.things[name].kill),
                )


class BrowserTable(Table, frozen=True):
    """contracts/cases/browsers.yaml: preflights of every operation."""

    origin: str
    headers: tuple[str, ...]

    def check(self, where: str) -> None:
        """Raise MalformedContract also for an operation that does not exist."""
        super().check(where)
        _known(where, "operation", self.excused, _operations())

    @property
    def asked(self) -> tuple[Operation, ...]:
        """The operations of which a browser asks whether it may."""
        return tuple(each for name, each in _operations().items() if name not in self.excused)

    def judged(self) -> Iterable[tuple[str, str]]:
        """Every operation that is asked for."""
        return ((each.name, "CORS-001") for each in self.asked)


@cache
def status_table() -> StatusTable:
    """The statuses of a thread, and what is asked in each. Raises MalformedContract."""
    return read_table(_cases() / "statuses.yaml", StatusTable)


@cache
def race_table() -> RaceTable:
    """What is sent several times at once. Raises MalformedContract."""
    return read_table(_cases() / "races.yaml", RaceTable)


@cache
def restart_table() -> RestartTable:
    """What is stored, and what reads it again after a restart. Raises MalformedContract."""
    return read_table(_cases() / "restarts.yaml", RestartTable)


@cache
def browser_table() -> BrowserTable:
    """What a browser asks. Raises MalformedContract."""
    return read_table(_cases() / "browsers.yaml", BrowserTable)


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
