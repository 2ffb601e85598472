"""Which mutants are made: a seeded draw that is spread over scenarios, operators and places.

The draw is by name, not by a sequence of random numbers: whatever has the same name in two recordings of one
server is drawn in both, however often a run was polled in either. So the score moves with the judges and the
scenarios, and not with the recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar

from runstone.proof.mutate.change import Change, Mutant
from runstone.proof.mutate.operators import OPERATORS
from runstone.wire.exchange import UUID, Exchange
from runstone.wire.trace import Trace

T = TypeVar("T")


def draw(traces: Mapping[str, Trace], seed: int) -> Iterator[Mutant]:
    """All mutants in the order in which a limited run takes them; the same for the same traces and seed.

    Round by round, each operator makes one mutant of each trace. Exchanges that are alike, as the polls of
    one run are, and places that differ in a number only count as one: a long list or a patient poll does
    not crowd out the rest.
    """
    queues: dict[str, Iterator[Mutant]] = {}
    for scenario in sorted(traces):
        if not traces[scenario].cut_short:
            alike = _alike(traces[scenario])
            for operator in OPERATORS:
                chance = _Chance(f"{seed} {scenario} {operator}")
                queues[f"{scenario} {operator}"] = _of_one_operator(traces[scenario], alike, operator, chance)
    left = _Chance(str(seed)).shuffled(queues)
    while left:
        going_on = []
        for queue in left:
            mutant = next(queue, None)
            if mutant is not None:
                yield mutant
                going_on.append(queue)
        left = going_on


class _Chance:
    """Chance that depends on names only. `about`: what is drawn for."""

    def __init__(self, about: str) -> None:
        self._about = about

    def of(self, name: str) -> float:
        """A number from 0 to 1, 1 excluded; always the same for this name."""
        digest = blake2b(f"{self._about} {name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64

    def shuffled(self, named: Mapping[str, T]) -> list[T]:
        """All of them, in the order of their names' chances."""
        return [named[name] for name in sorted(named, key=self.of)]

    def one(self, items: Sequence[T], name: str) -> T:
        """One of the items; of nearly as many, one at nearly the same place."""
        return items[int(self.of(name) * len(items))]


def _of_one_operator(
    trace: Trace, alike: Mapping[str, Sequence[Exchange]], operator: str, chance: _Chance
) -> Iterator[Mutant]:
    """The mutants of a trace by one operator: one of each group of exchanges, then a second."""
    groups = {name: (name, group) for name, group in alike.items()}
    pending: list[Iterator[Mutant]] = []
    for name, group in chance.shuffled(groups):
        mutants = _of_one_exchange(trace, chance.one(group, name), operator, chance, name)
        first = next(mutants, None)
        if first is not None:
            yield first
            pending.append(mutants)
    while pending:
        found = [(mutants, next(mutants, None)) for mutants in pending]
        pending = [mutants for mutants, mutant in found if mutant is not None]
        yield from (mutant for _, mutant in found if mutant is not None)


def _of_one_exchange(
    trace: Trace, exchange: Exchange, operator: str, chance: _Chance, name: str
) -> Iterator[Mutant]:
    """One change of each kind."""
    kinds: dict[str, list[Change]] = {}
    for change in OPERATORS[operator](exchange, trace):
        kinds.setdefault(f"{name} {UUID.sub('*', change.kind)}", []).append(change)
    for kind, changes in chance.shuffled({kind: (kind, changes) for kind, changes in kinds.items()}):
        yield Mutant(operator, trace.scenario, exchange.number, chance.one(changes, kind))


def _alike(trace: Trace) -> dict[str, list[Exchange]]:
    """The exchanges in groups of which any member stands for all, by what they have in common."""
    groups: dict[str, list[Exchange]] = {}
    for exchange in trace.exchanges:
        path = UUID.sub("*", exchange.path.partition("?")[0])
        kind = (exchange.part, exchange.label, exchange.method, path, str(exchange.code))
        groups.setdefault(" ".join(kind), []).append(exchange)
    return groups
