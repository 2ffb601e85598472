"""Which mutants no promise covers: by the rules of contracts/equivalence.yaml, and never one by one."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from functools import cache
from typing import Literal

import msgspec

from runstone.contracts import MalformedContract, operation_for, schema_names, stream_grammar
from runstone.contracts.reading import read_yaml
from runstone.locations import locate
from runstone.proof.mutate.change import Mutant, delivered, pointer
from runstone.proof.mutate.readings import is_legal_reading
from runstone.wire.exchange import UUID, Exchange
from runstone.wire.trace import Trace

_WEBHOOK = "webhook-payload"


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mutants that break no promise (contracts/equivalence.yaml describes each key). All conditions hold."""

    id: str
    why: str
    said_in: tuple[str, ...]
    operators: tuple[str, ...] = ("*",)
    headers: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    at: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    empty: bool = False
    unless_read_by: tuple[str, ...] = ()
    reading: Literal["", "legal"] = ""
    unused_id: bool = False

    def excludes(self, mutant: Mutant, trace: Trace, readers: Collection[str] = ()) -> bool:
        """Whether the mutant is one of these. `readers`: the requirements whose judges read its scenario."""
        if not any(fnmatchcase(mutant.operator, operator) for operator in self.operators):
            return False
        if not set(self.unless_read_by).isdisjoint(readers) or (self.empty and mutant.change.before):
            return False
        if self.headers:
            return mutant.change.where in {f"header {name}" for name in self.headers}
        if self.reading and not is_legal_reading(mutant, trace):
            return False
        if self.unused_id and not _is_unused_id(mutant, trace):
            return False
        if self.methods and _changed(mutant, trace).method not in self.methods:
            return False
        return not self.at or self._is_at(mutant, trace)

    def _is_at(self, mutant: Mutant, trace: Trace) -> bool:
        """Whether the change is at one of the places, of an answer that has one of the schemas."""
        if mutant.change.steps is None:
            return False
        exchange = _changed(mutant, trace)
        schema, many = schema_at(exchange, mutant.change.event)
        if schema not in self.schemas and exchange.path.partition("?")[0] not in self.paths:
            return False
        steps = mutant.change.steps[1:] if many else mutant.change.steps
        places = [pointer(steps)]
        if mutant.operator == "swap-fields":  # both members must be free
            places.append(f"{pointer(steps[:-1])}/{mutant.change.where.rpartition(' and ')[2]}")
        return all(any(fnmatchcase(place, free) for free in self.at) for place in places)


def _changed(mutant: Mutant, trace: Trace) -> Exchange:
    """The exchange that the mutant changes."""
    return next(each for each in trace.exchanges if each.number == mutant.number)


def _is_unused_id(mutant: Mutant, trace: Trace) -> bool:
    """Whether an id was changed that is nowhere else in the trace: then any other one is as good."""
    before = mutant.change.before
    if not isinstance(before, str) or not UUID.fullmatch(before):
        return False
    return msgspec.json.encode(trace).decode().count(before) == 1


def schema_at(exchange: Exchange, event: int | None) -> tuple[str, bool]:
    """The schema of the body, or of the data of an event, and whether it is a list of such; '' for none."""
    if event is not None:
        return stream_grammar().schema_of(exchange.events[event].event) or "", False
    if delivered(exchange):
        return _WEBHOOK, False
    operation = operation_for(exchange.method, exchange.path)
    if exchange.code is not None and exchange.code >= 400:
        return "error-body", False
    if operation is None or exchange.code is None:
        return "", False
    return operation.schema, operation.many


@cache
def load_rules() -> tuple[Rule, ...]:
    """The rules of contracts/equivalence.yaml. Raises MalformedContract."""
    path = locate("contracts") / "equivalence.yaml"
    rules = read_yaml(path, tuple[Rule, ...])
    ids = [rule.id for rule in rules]
    for rule in rules:
        if ids.count(rule.id) > 1:
            raise MalformedContract(f"contracts/equivalence.yaml: {rule.id} is given twice; ids are unique")
        if not (rule.headers or rule.at or rule.methods or rule.reading or rule.unused_id):
            raise MalformedContract(
                f"contracts/equivalence.yaml: {rule.id} has no condition; it would exclude all"
            )
        if rule.at and not (rule.schemas or rule.paths):
            raise MalformedContract(
                f"contracts/equivalence.yaml: {rule.id} says `at`, and not in which answers"
            )
        for schema in rule.schemas:
            if schema not in schema_names():
                raise MalformedContract(
                    f"contracts/equivalence.yaml: {rule.id} names the unknown schema {schema!r}"
                )
    return rules


def excluding(mutant: Mutant, trace: Trace, readers: Collection[str] = ()) -> Rule | None:
    """The first rule that excludes the mutant; None where a promise may cover it."""
    return next((rule for rule in load_rules() if rule.excludes(mutant, trace, readers)), None)
