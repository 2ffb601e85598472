"""Which mutants are made: a seeded draw that is spread over scenarios, operators and places."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from runstone.proof.mutate.change import Change, Mutant
from runstone.proof.mutate.operators import OPERATORS
from runstone.wire.trace import UUID, Exchange, Trace


def draw(traces: Mapping[str, Trace], seed: int) -> Iterator[Mutant]:
    """All mutants in the order in which a limited run takes them; the same for the same traces and seed.

    Round by round, each operator makes one mutant of each trace. Exchanges that are alike, as the polls of
    one run are, and places that differ in a number only count as one: a long list or a patient poll does
    not crowd out the rest.
    """
    queues: list[Iterator[Mutant]] = []
    for scenario in sorted(traces):
        if not traces[scenario].cut_short:
            alike = _alike(traces[scenario])
            queues += [_of_one_operator(traces[scenario], alike, operator, seed) for operator in OPERATORS]
    random.Random(seed).shuffle(queues)  # noqa: S311 - a draw, no secret
    while queues:
        left = []
        for queue in queues:
            mutant = next(queue, None)
            if mutant is not None:
                yield mutant
                left.append(queue)
        queues = left


def _of_one_operator(trace: Trace, alike: list[list[Exchange]], operator: str, seed: int) -> Iterator[Mutant]:
    """The mutants of a trace by one operator: one of each group of exchanges at random, then a second."""
    chance = random.Random(f"{seed} {trace.scenario} {operator}")  # noqa: S311 - a draw, no secret
    pending: list[tuple[Exchange, list[list[Change]]]] = []
    for group in chance.sample(alike, len(alike)):
        exchange = chance.choice(group)
        kinds: dict[str, list[Change]] = {}
        for change in OPERATORS[operator](exchange, trace):
            kinds.setdefault(change.kind, []).append(change)
        if kinds:
            pending.append((exchange, list(kinds.values())))
            yield _drawn(pending[-1], trace, operator, chance)
    while pending := [each for each in pending if each[1]]:
        for each in pending:
            yield _drawn(each, trace, operator, chance)


def _drawn(
    source: tuple[Exchange, list[list[Change]]], trace: Trace, operator: str, chance: random.Random
) -> Mutant:
    """One of the changes of a kind that has not been drawn yet; all others of this kind are let go."""
    exchange, kinds = source
    kind = kinds.pop(chance.randrange(len(kinds)))
    return Mutant(operator, trace.scenario, exchange.number, chance.choice(kind))


def _alike(trace: Trace) -> list[list[Exchange]]:
    """The exchanges in groups of which any member stands for all."""
    groups: dict[tuple[str, ...], list[Exchange]] = {}
    for exchange in trace.exchanges:
        path = UUID.sub("*", exchange.path.partition("?")[0])
        kind = (exchange.part, exchange.label, exchange.method, path, str(exchange.code))
        groups.setdefault(kind, []).append(exchange)
    return list(groups.values())
