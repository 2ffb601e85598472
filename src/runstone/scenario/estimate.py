"""How long an observation is expected to take, from what each scenario cost when it was last recorded.

contracts/durations.yaml has it by scenario: the seconds that it took on a server that takes no time for
anything, and what it created. The same figures share scenarios out among shards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Final

import msgspec

from runstone.contracts.reading import read_yaml
from runstone.locations import locate
from runstone.scenario.patience import QUICK_S
from runstone.scenario.phases import CALM_AT_ONCE, Phases
from runstone.scenario.scenario import Scenario

_PIPELINED: Final = 0.1  # of a turn: what a brief run costs a worker that finds the next one waiting
_TURNS_IN_A_ROW: Final = 5
_SLACK: Final = 1.2  # of a target that does other things as well
_UNKNOWN_S: Final = 1.0
CREATED: Final = ("runs", "threads", "assistants", "crons", "items")


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one scenario costs: seconds on a server that takes no time, and what is created, by its kind."""

    seconds: float = _UNKNOWN_S
    runs: int = 1
    threads: int = 0
    assistants: int = 0
    crons: int = 0
    items: int = 0


_chosen: ContextVar[Mapping[str, Cost] | None] = ContextVar("costs", default=None)


def choose_costs(costs: Mapping[str, Cost] | None) -> None:
    """Let scenarios cost this, for whatever follows in this context; None: what the contracts tell."""
    _chosen.set(costs)


def recorded_costs() -> Mapping[str, Cost]:
    """By scenario: those that were chosen, or those of contracts/durations.yaml. Raises MalformedContract."""
    chosen = _chosen.get()
    return _shipped_costs() if chosen is None else chosen


@cache
def _shipped_costs() -> Mapping[str, Cost]:
    return read_yaml(locate("contracts") / "durations.yaml", dict[str, Cost])


def expected_seconds(phases: Phases, *, capacity: int, turn_s: float) -> float:
    """How long the scenarios take on a target that executes so many runs at once, each turn in `turn_s`.

    Runs that are steady take the workers one after the other, with their whole turn; of brief ones the next
    waits while one executes. The long silences go on beside all that is not alone.
    """

    def phase_s(scenarios: Iterable[Scenario], at_once: int) -> float:
        own = {each.name: own_seconds(each, turn_s) for each in scenarios}
        steady_s = sum(own[each.name] for each in scenarios if each.schedule.takes_turns)
        brief_s = sum(_runs(each) * turn_s for each in scenarios if not each.schedule.takes_turns)
        workers = min(at_once, max(1, capacity - 1))
        shared_s = steady_s / workers + _PIPELINED * brief_s / min(at_once, capacity)
        return max([shared_s, *own.values()])

    silent = [each for each in phases.first if each.schedule.waits > QUICK_S]
    others = [each for each in phases.first if each.schedule.waits <= QUICK_S]
    silence_s = [own_seconds(each, turn_s) for each in silent]
    beside_s = phase_s(others, capacity) + phase_s(phases.quiet, CALM_AT_ONCE)
    beside_s += phase_s(phases.guests, capacity)
    beside_s += sum(silence_s) / max(1, capacity - 1)
    return _SLACK * (max([beside_s, *silence_s]) + phase_s(phases.last, 1))


def expected_creations(scenarios: Iterable[Scenario]) -> dict[str, int]:
    """How many of each kind of thing the scenarios create, runs first; only what is created at all."""
    costs = [recorded_costs().get(each.name, Cost()) for each in scenarios]
    sums = {kind: sum(getattr(each, kind) for each in costs) for kind in CREATED}
    return {kind: count for kind, count in sums.items() if count}


def slot_seconds(scenario: Scenario, turn_s: float) -> float:
    """How long it keeps one of the target's workers, or a place among those that need none."""
    if scenario.schedule.takes_turns:
        return own_seconds(scenario, turn_s)
    return recorded_costs().get(scenario.name, Cost()).seconds + _PIPELINED * _runs(scenario) * turn_s


def own_seconds(scenario: Scenario, turn_s: float) -> float:
    """What it takes by itself: its waiting, and turns of which those of its parts are taken at once."""
    cost = recorded_costs().get(scenario.name, Cost())
    return max(cost.seconds, scenario.schedule.waits) + turns_seconds(cost.runs, turn_s)


def turns_seconds(runs: int, turn_s: float) -> float:
    """What so many runs of one scenario take, of which those of its parts go on at once."""
    return min(runs, _TURNS_IN_A_ROW) * turn_s


def _runs(scenario: Scenario) -> int:
    return recorded_costs().get(scenario.name, Cost()).runs
