"""What may follow what: the status automata of runs and threads, and the grammar of event streams."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from itertools import pairwise

import msgspec

from runstone.contracts.reading import read_yaml
from runstone.locations import locate


class Automaton(msgspec.Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True):
    """The statuses of a resource. `retry`: transitions that are legal only where a later attempt is shown."""

    initial: str
    terminal: frozenset[str]
    transitions: dict[str, frozenset[str]]
    retry: dict[str, frozenset[str]] = {}

    @property
    def statuses(self) -> frozenset[str]:
        """Every status there is."""
        return frozenset(self.transitions)

    def may_show(self, before: str, after: str, *, retried: bool = False) -> bool:
        """Whether a reader who saw `before` may see `after` next; he may have missed what was between."""
        return after in (self._reach_retried if retried else self._reach).get(before, ())

    def first_illegal(self, seen: Sequence[str]) -> tuple[str, str] | None:
        """The first two successive readings that no run through the automaton shows; None if all are legal.

        An unknown status is illegal after anything, itself included.
        """
        if seen and not self.may_show(self.initial, seen[0]):
            return (self.initial, seen[0])
        pairs = pairwise(seen)
        return next((pair for pair in pairs if not self.may_show(*pair)), None)

    @cached_property
    def _reach(self) -> Mapping[str, frozenset[str]]:
        return _closure(self.transitions)

    @cached_property
    def _reach_retried(self) -> Mapping[str, frozenset[str]]:
        steps = {each: after | self.retry.get(each, frozenset()) for each, after in self.transitions.items()}
        return _closure(steps)


def _closure(steps: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """For each status those that can be reached from it in any number of steps, none included."""
    reach: dict[str, frozenset[str]] = {}
    for start in steps:
        found, pending = {start}, [start]
        while pending:
            new = steps.get(pending.pop(), frozenset()) - found
            found |= new
            pending += new
        reach[start] = frozenset(found)
    return reach


class Lifecycle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The automata of runs and of threads."""

    runs: Automaton
    threads: Automaton


class FirstEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The event that a stream begins with, and the schema of its data."""

    event: str
    schema: str


class Closing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event that ends a stream; `then` names those that may still follow. No schema: any JSON."""

    schema: str | None = None
    then: tuple[str, ...] = ()


class EventRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event of a mode: in words what is promised about its place, and the schema of its data, if any."""

    order: str
    schema: str | None = None


class Mode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stream mode. `subgraphs`: whether its events carry namespaces when subgraphs are streamed."""

    subgraphs: bool
    events: dict[str, EventRule]


class StreamGrammar(msgspec.Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True):
    """The grammar of event streams (contracts/streams.yaml describes each key)."""

    first: FirstEvent
    closing: dict[str, Closing]
    separator: str
    segment: str
    unrequested: dict[str, str]
    modes: dict[str, Mode]

    @cached_property
    def schemas(self) -> Mapping[str, str | None]:
        """The schema of the data by event name, without a namespace."""
        rules = {name: rule.schema for mode in self.modes.values() for name, rule in mode.events.items()}
        closing = {name: event.schema for name, event in self.closing.items()}
        return {self.first.event: self.first.schema, **closing, **rules}

    def schema_of(self, name: str) -> str | None:
        """The schema of the data of an event, whatever its namespace; None if it has none, or is unknown."""
        return self.schemas.get(name.partition(self.separator)[0])

    def is_allowed(self, name: str, modes: Iterable[str], *, subgraphs: bool = False) -> bool:
        """Whether a stream with these modes may carry an event of this name, namespace included."""
        base, divided, namespace = name.partition(self.separator)
        if not divided and (base == self.first.event or base in self.closing):
            return True
        wanted = [
            self.modes[mode] for mode in modes if mode in self.modes and base in self.modes[mode].events
        ]
        if not divided:
            return bool(wanted)
        return (
            subgraphs
            and any(mode.subgraphs for mode in wanted)
            and bool(self._namespace.fullmatch(namespace))
        )

    def may_follow(self, before: str, after: str) -> bool:
        """Whether an event `after` may come anywhere behind an event `before`."""
        closing = self.closing.get(before)
        return after != self.first.event if closing is None else after in closing.then

    @cached_property
    def _namespace(self) -> re.Pattern[str]:
        return re.compile(f"{self.segment}({re.escape(self.separator)}{self.segment})*")


@cache
def lifecycle() -> Lifecycle:
    """The automata of contracts/lifecycle.yaml. Raises MalformedContract."""
    return read_yaml(locate("contracts") / "lifecycle.yaml", Lifecycle)


@cache
def stream_grammar() -> StreamGrammar:
    """The grammar of contracts/streams.yaml. Raises MalformedContract."""
    return read_yaml(locate("contracts") / "streams.yaml", StreamGrammar)
