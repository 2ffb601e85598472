"""The tables of what holds of every operation: who asks, when, at once, after restarts, from browsers."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final

import msgspec

from runstone.contracts.catalogue import load_catalogue
from runstone.contracts.grammar import lifecycle
from runstone.contracts.operations import Operation
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

# isolation


# What a user has whose things are asked for, and how a body names it.
_THINGS: Final = (
    *("tag", "thread", "run", "checkpoint", "assistant", "cron"),
    *("waiting", "pending", "queued", "spare"),
)
_FILLED: Final = re.compile(r"\{(\w+)\}")


class Ask(Row, frozen=True):
    """A request of an operation: what it sends, and ids in its path that have another name."""

    body: Any = None
    query: dict[str, Any] = msgspec.field(default_factory=dict)
    path: dict[str, str] = msgspec.field(default_factory=dict)


class IsolationTable(Table, frozen=True):
    """contracts/cases/isolation.yaml: who may reach what."""

    asks: dict[str, Ask]

    def check(self, where: str) -> None:
        """Raise MalformedContract also for an operation that is neither asked nor excused nor public."""
        super().check(where)
        demand_known(where, "operation", [*self.asks, *self.excused], operations())
        demand_apart(where, self, self.asks)
        for name, ask in self.asks.items():
            demand_capabilities(f"{where}: {name}", ask)
            demand_known(f"{where}: {name}", "placeholder", ask.path, operations()[name].placeholders)
            demand_known(f"{where}: {name}", "thing", _FILLED.findall(str(ask.body)), _THINGS)
            demand_known(f"{where}: {name}", "thing", ask.path.values(), _THINGS)
        for name, operation in operations().items():
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
    return read_table(cases_folder() / "isolation.yaml", IsolationTable)


# statuses, races, restarts, browsers


class Status(Row, frozen=True):
    """How a thread reached a status: what it, and its last run, may show then."""

    thread: tuple[str, ...]
    run: tuple[str, ...]


class StatusAsk(Row, frozen=True):
    """A request on a thread; `refuses`: the statuses in which a 4xx is as good as a 2xx."""

    body: Any = None
    query: dict[str, Any] = msgspec.field(default_factory=dict)
    refuses: tuple[str, ...] = ()


class StatusTable(Table, frozen=True):
    """contracts/cases/statuses.yaml: what each operation answers on a thread in each status."""

    statuses: dict[str, Status]
    asks: dict[str, StatusAsk]

    def check(self, where: str) -> None:
        """Raise MalformedContract also for an operation on a thread that is neither asked nor excused."""
        super().check(where)
        demand_known(where, "operation", [*self.asks, *self.excused], operations())
        demand_apart(where, self, self.asks)
        for name, status in self.statuses.items():
            demand_capabilities(f"{where}: {name}", status)
            demand_known(f"{where}: {name}", "status", status.thread, lifecycle().threads.statuses)
            demand_known(f"{where}: {name}", "status", status.run, lifecycle().runs.statuses)
        for name, ask in self.asks.items():
            demand_known(f"{where}: {name}", "status", ask.refuses, self.statuses)
        for name in (name for name in operations() if "{thread}" in name):
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
        demand_known(where, "operation", self.operations, operations())
        demand_once(where, "operation", self.operations)
        demand_apart(where, self, self.operations)
        for glob in self.excused:
            if not any(fnmatchcase(name, glob) for name in operations()):
                raise MalformedContract(f"{where}: no operation matches the excused {glob!r}")
        for name in operations():
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
        demand_known(where, "requirement", self.promises, load_catalogue())

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
            demand_known(f"{where}: {name}", "thing", case.of, self.things)
            demand_once(f"{where}: {name}", "thing", case.of)
        for name, thing in self.things.items():
            demand_capabilities(f"{where}: {name}", thing)
            for end, promise in (("restart", thing.stop), ("kill", thing.kill)):
                demand_known(f"{where}: {name}", "requirement", [promise], load_catalogue())
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
        demand_known(where, "operation", self.excused, operations())
        demand_once(where, "header", self.headers)

    @property
    def asked(self) -> tuple[Operation, ...]:
        """The operations of which a browser asks whether it may."""
        return tuple(each for name, each in operations().items() if name not in self.excused)

    def judged(self) -> Iterable[tuple[str, str]]:
        """Every operation that is asked for."""
        return ((each.name, "CORS-001") for each in self.asked)


@cache
def status_table() -> StatusTable:
    """The statuses of a thread, and what is asked in each. Raises MalformedContract."""
    return read_table(cases_folder() / "statuses.yaml", StatusTable)


@cache
def race_table() -> RaceTable:
    """What is sent several times at once. Raises MalformedContract."""
    return read_table(cases_folder() / "races.yaml", RaceTable)


@cache
def restart_table() -> RestartTable:
    """What is stored, and what reads it again after a restart. Raises MalformedContract."""
    return read_table(cases_folder() / "restarts.yaml", RestartTable)


@cache
def browser_table() -> BrowserTable:
    """What a browser asks. Raises MalformedContract."""
    return read_table(cases_folder() / "browsers.yaml", BrowserTable)
