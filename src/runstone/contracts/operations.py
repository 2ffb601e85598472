"""The operations of the run API: one table, and what it says of an exchange."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

from runstone.contracts import places
from runstone.contracts.catalogue import load_capabilities, load_catalogue
from runstone.contracts.reading import MalformedContract, read_yaml, shown_path
from runstone.contracts.schemas import schema_names
from runstone.errors import suggestion
from runstone.locations import locate
from runstone.wire.exchange import Exchange

Kind = Literal["thread", "run", "checkpoint", "assistant", "cron", "item"]
# As long as its run; the same where the request asks for it; until the client hangs up.
Lasting = Literal["run", "asked", "open"]

_SEGMENTS: Final = (*get_args(Kind), "namespace")  # what a segment of a path can stand for
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


class Operation(msgspec.Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True):
    """One operation of the run API (contracts/operations.yaml describes each key)."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    promise: str
    needs: tuple[str, ...] = ()
    public: bool = False
    body: str = ""
    query: dict[str, dict[str, Any]] = {}
    schema: str = ""
    many: bool = False
    unless: str = ""
    stream: bool = False
    empty: bool = False
    lasts: Lasting | None = None
    names: dict[Kind, str] = {}
    lists: Kind | None = None
    creates: dict[Kind, str] = {}
    if_not_exists: Kind | None = None
    deletes: dict[Kind, str] = {}
    not_fuzzed: str = ""

    @property
    def name(self) -> str:
        """`POST /threads/{thread}/runs`."""
        return f"{self.method} {self.path}"

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        """What the open segments of the path stand for, in their order."""
        return tuple(_PLACEHOLDER.findall(self.path))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.path)))

    @cached_property
    def named(self) -> Mapping[str, str]:
        """Where a request names what may be another user's: kind → place in its path, query or body."""
        of_path = {name: f"$request.path.{name}" for name in self.placeholders if name in get_args(Kind)}
        given = [*self.creates.items(), *self.deletes.items(), *self.names.items(), *of_path.items()]
        return {kind: place for kind, place in given if place.startswith("$request.")}

    def is_at(self, path: str) -> bool:
        """Whether a path (with its query or without) is this operation's."""
        return self._pattern.fullmatch(path.partition("?")[0]) is not None

    def segments(self, path: str) -> Mapping[str, str]:
        """What stands for each placeholder in a path of this operation; nothing in that of another."""
        found = self._pattern.fullmatch(path.partition("?")[0])
        return {} if found is None else found.groupdict()

    def created_by(self, exchange: Exchange) -> Iterator[tuple[Kind, Any]]:
        """What may be there since an exchange of this operation: kind and id, of an item namespace and key.

        Of what was refused nothing. What a client named itself may be there though no answer arrived.
        """
        if exchange.code is not None and exchange.code >= 400:
            return
        for kind, expression in self.creates.items():
            yield from ((kind, each) for each in self._ids_at(kind, expression, exchange))
        asked = exchange.request_json
        if self.if_not_exists and isinstance(asked, dict) and asked.get("if_not_exists") == "create":
            yield self.if_not_exists, self.segments(exchange.path)[self.if_not_exists]

    def renamed_by(self, exchange: Exchange) -> Iterator[Any]:
        """The ids that were asked for, of things that an exchange of this operation made with another one."""
        for kind in self.names.keys() & self.creates.keys():
            made = self._ids_at(kind, self.creates[kind], exchange)
            asked = self._ids_at(kind, self.names[kind], exchange)
            yield from (each for each in asked if made and each is not None and each not in made)

    def deleted_by(self, exchange: Exchange) -> Iterator[tuple[Kind, Any]]:
        """What an exchange of this operation that was answered with a 2xx has deleted: kind and id."""
        for kind, expression in self.deletes.items():
            yield from ((kind, each) for each in self._ids_at(kind, expression, exchange))

    def _ids_at(self, kind: Kind, expression: str, exchange: Exchange) -> list[Any]:
        place = places.parsed(expression)
        if place.source == "request.path":
            return [self.segments(exchange.path)[place.segment]]
        if place.source == "response.header":
            found = exchange.found_thread_id if kind == "thread" else exchange.found_run_id
            return [] if found is None else [found]
        return places.in_bodies(place, exchange)


class OperationTable(msgspec.Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True):
    """contracts/operations.yaml. `bodies`: the JSON Schemas of request bodies by name."""

    bodies: dict[str, dict[str, Any]]
    operations: tuple[Operation, ...]

    @cached_property
    def fuzzed(self) -> tuple[Operation, ...]:
        """Those to which area fuzz makes up requests."""
        return tuple(each for each in self.operations if not each.not_fuzzed)

    def check(self, where: str) -> None:
        """Raise MalformedContract for what is given twice or refers to something that does not exist."""
        seen: dict[tuple[str, str], str] = {}
        for each in self.operations:
            shape = (each.method, _PLACEHOLDER.sub("{}", each.path))
            if shape in seen:
                raise MalformedContract(f"{where}: {each.name} is given twice; {seen[shape]} is the same")
            seen[shape] = each.name
            for kind, used, known in (
                ("capability", each.needs, load_capabilities()),
                ("requirement", (each.promise,), load_catalogue()),
                ("schema", (each.schema,) if each.schema else (), schema_names()),
                ("body", (each.body,) if each.body else (), self.bodies),
                ("placeholder", each.placeholders, _SEGMENTS),
            ):
                _check_known(f"{where}: {each.name}", kind, used, known)
            if each.if_not_exists and each.if_not_exists not in each.placeholders:
                raise MalformedContract(f"{where}: {each.name} names no {each.if_not_exists} in its path")
            for expression in (*each.names.values(), *each.creates.values(), *each.deletes.values()):
                _check_place(f"{where}: {each.name}", each, expression)


def _check_known(where: str, kind: str, used: Iterable[str], known: Iterable[str]) -> None:
    for name in used:
        if name not in known:
            raise MalformedContract(f"{where} names the unknown {kind} {name!r}{suggestion(name, known)}")


def _check_place(where: str, operation: Operation, expression: str) -> None:
    try:
        place = places.parsed(expression)
    except ValueError as error:
        raise MalformedContract(f"{where}: {error}") from None
    if place.segment and place.segment not in operation.placeholders:
        raise MalformedContract(f"{where}: {expression} is not a segment of its path")
    if place.source == "request.body" and not operation.body:
        raise MalformedContract(f"{where}: it has no body in which {expression} could stand")


@cache
def operation_table() -> OperationTable:
    """The table of contracts/operations.yaml. Raises MalformedContract."""
    return read_operations(locate("contracts") / "operations.yaml")


def read_operations(path: Path) -> OperationTable:
    """The table of a file, checked as a whole. Raises MalformedContract."""
    table = read_yaml(path, OperationTable)
    table.check(shown_path(path))
    return table


# Judges ask for the same few thousand paths of a session over and over: 195,000 times for 3,400 of them.
@lru_cache(maxsize=16_384)
def operation_for(method: str, path: str) -> Operation | None:
    """The operation of a request; None for one that the table does not have. Raises MalformedContract."""
    bare = path.partition("?")[0]
    # A literal path goes before one with a placeholder: /threads/search is not a thread called "search".
    own = (each for each in operation_table().operations if each.method == method)
    found = (each for each in own if each.is_at(bare))
    return min(found, key=lambda each: len(each.placeholders), default=None)


def creates_at_once(method: str, path: str) -> bool:
    """Whether the answer comes at once, and names something new that stays until it is deleted."""
    operation = operation_for(method, path)
    return operation is not None and operation.lasts is None and bool(operation.creates.keys() - {"run"})


def reads(method: str, path: str) -> bool:
    """Whether it lists or shows what is there, and changes nothing whatever its method: a search by POST."""
    operation = operation_for(method, path)
    return operation is not None and (operation.lists is not None or operation.schema == "thread-state")


def may_last(method: str, path: str) -> bool:
    """Whether a request may be answered long after it could be, as it waits for a run or stays open."""
    operation = operation_for(method, path)
    return operation is not None and operation.lasts is not None
