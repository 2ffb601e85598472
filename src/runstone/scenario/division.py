"""Which scenarios each shard of an observation observes, so that the longest shard is short.

The division follows from the scenarios and from what each cost when it was last recorded
(contracts/durations.yaml), and from nothing that a target says: every shard makes the same one by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Self

import msgspec

from runstone.scenario.estimate import Cost, recorded_costs
from runstone.scenario.patience import QUICK_S
from runstone.scenario.phases import HEAVY_AT_ONCE
from runstone.scenario.scenario import Scenario
from runstone.scenario.shard import Shard

_EXCLUSIVE: Final = "exclusive"  # the capability: nobody but this session uses the target
_RUN_S: Final = 0.1  # that each run costs beside the time of its scenario: a slow server has more of it
_AT_ONCE: Final = 28.0  # scenarios, most of them asleep: 208 s of them took 7.4 s on two cores
_AFTERWARDS: Final = 0.02  # of what goes on at once: cleaning up and judging; seen: 5 s for 270 s


@dataclass(frozen=True, slots=True)
class Division:
    """The names of the scenarios of each shard, sorted; a shard may have none."""

    shards: tuple[tuple[str, ...], ...]

    @property
    def digest(self) -> str:
        """The SHA-256 of the division: shards of one observation have the same."""
        return hashlib.sha256(msgspec.json.encode(self.shards)).hexdigest()

    def names(self, shard: Shard) -> tuple[str, ...]:
        """What this shard observes."""
        return self.shards[shard.number - 1]


def divided(scenarios: Iterable[Scenario], together: Iterable[Collection[str]], of: int) -> Division:
    """Share the scenarios out, the longest first, each to the shard that has least to do.

    Where that would make the longest shard longer, it goes where it does so least. `together`: names of
    scenarios that one judge reads side by side, and that therefore stay in one shard. What restarts a server,
    reaches what others have made, or must be alone goes to the last shard.
    """
    groups = _groups({each.name: each for each in scenarios}, together)
    last = [group for group in groups if any(_comes_last(each) for each in group)]
    shares: list[list[str]] = [[] for _ in range(of)]
    loads = [_Load()] * of
    for group in (*last, *(group for group in groups if group not in last)):
        more = _load(group)
        longest_s = max(load.seconds for load in loads)
        places = {of - 1} if group in last else range(min(of, len(groups)))  # of more some would have none
        place = min(places, key=lambda each: (loads[each] + more).after(longest_s))
        shares[place] += [each.name for each in group]
        loads[place] += more
    return Division(tuple(tuple(sorted(names)) for names in shares))


def _groups(known: dict[str, Scenario], together: Iterable[Collection[str]]) -> list[tuple[Scenario, ...]]:
    """The scenarios, those that belong together in one group, the longest group first."""
    members = {name: frozenset([name]) for name in known}
    for names in together:
        joined = frozenset[str]().union(*(members[name] for name in names if name in known))
        members |= dict.fromkeys(joined, joined)
    groups = [tuple(known[name] for name in sorted(names)) for names in set(members.values())]
    return sorted(groups, key=lambda group: (-_load(group).seconds, group[0].name))


def _comes_last(scenario: Scenario) -> bool:
    return scenario.controls or scenario.schedule.alone or _EXCLUSIVE in scenario.needs


@dataclass(frozen=True, slots=True)
class _Load:
    """What the time of a shard follows from, by the phases in which its scenarios go on (see `Phases`)."""

    longest_s: float = 0.0  # of those that go on at once
    at_once_s: float = 0.0  # of all of those, and what runs cost
    longest_heavy_s: float = 0.0
    heavy_s: float = 0.0
    alone_s: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it takes: what goes on at once as long as its longest, or as all of it in turns."""
        at_once_s = max(self.longest_s, self.at_once_s / _AT_ONCE)
        heavy_s = max(self.longest_heavy_s, self.heavy_s / HEAVY_AT_ONCE)
        return at_once_s + heavy_s + self.alone_s + _AFTERWARDS * self.at_once_s

    @property
    def _work_s(self) -> float:
        return self.at_once_s / _AT_ONCE + self.heavy_s / HEAVY_AT_ONCE + self.alone_s

    def after(self, longest_s: float) -> tuple[float, float]:
        """How long the longest shard takes then, and how much there is to do in this one: less is better."""
        return max(longest_s, self.seconds), self._work_s

    def __add__(self, other: Self) -> Self:
        return type(self)(
            max(self.longest_s, other.longest_s),
            self.at_once_s + other.at_once_s,
            max(self.longest_heavy_s, other.longest_heavy_s),
            self.heavy_s + other.heavy_s,
            self.alone_s + other.alone_s,
        )


def _load(group: Iterable[Scenario]) -> _Load:
    costs = recorded_costs()
    return sum((_load_of_one(each, costs.get(each.name, Cost())) for each in group), _Load())


def _load_of_one(scenario: Scenario, cost: Cost) -> _Load:
    seconds, runs_s = cost.seconds, _RUN_S * cost.runs
    if scenario.schedule.alone and not scenario.controls:  # those that restart may have servers of their own
        return _Load(at_once_s=runs_s, alone_s=seconds)
    if scenario.schedule.heavy:
        return _Load(at_once_s=runs_s, longest_heavy_s=seconds, heavy_s=seconds)
    if scenario.schedule.waits > QUICK_S:  # long silences go on beside all else, and add nothing
        return _Load(at_once_s=runs_s + max(0.0, seconds - scenario.schedule.waits))
    return _Load(longest_s=seconds, at_once_s=runs_s + seconds)
