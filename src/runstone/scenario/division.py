"""Which scenarios each shard of an observation observes, so that all shards take about as long.

The division follows from the scenarios and from what each cost when it was last recorded
(contracts/durations.yaml), and from nothing that a target says: every shard makes the same one by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from runstone.scenario.estimate import Cost, recorded_costs
from runstone.scenario.scenario import Scenario
from runstone.scenario.shard import Shard

_EXCLUSIVE: Final = "exclusive"  # the capability: nobody but this session uses the target
_RUN_S: Final = 0.1  # that each run costs beside the time of its scenario: a slow server has more of it
_ALONE: Final = 20.0  # beside a scenario that is not alone, about so many others go on
_HEAVY: Final = 7.0  # beside a heavy one, which waits until the others have ended, two go on


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
    """Share the scenarios out, the most expensive first, each to the shard that has least to do.

    `together`: names of scenarios that one judge reads side by side, and that therefore stay in one shard.
    What restarts a server, reaches what others have made, or must be alone goes to the last shard.
    """
    groups = _groups({each.name: each for each in scenarios}, together)
    last = [group for group in groups if any(_comes_last(each) for each in group)]
    shares: list[list[str]] = [[] for _ in range(of)]
    work_s = [0.0] * of
    for group in (*last, *(group for group in groups if group not in last)):
        place = of - 1 if group in last else work_s.index(min(work_s))
        shares[place] += [each.name for each in group]
        work_s[place] += _work_s(group)
    return Division(tuple(tuple(sorted(names)) for names in shares))


def _groups(known: dict[str, Scenario], together: Iterable[Collection[str]]) -> list[tuple[Scenario, ...]]:
    """The scenarios, those that belong together in one group, the most expensive group first."""
    members = {name: frozenset([name]) for name in known}
    for names in together:
        joined = frozenset[str]().union(*(members[name] for name in names if name in known))
        members |= dict.fromkeys(joined, joined)
    groups = [tuple(known[name] for name in sorted(names)) for names in set(members.values())]
    return sorted(groups, key=lambda group: (-_work_s(group), group[0].name))


def _comes_last(scenario: Scenario) -> bool:
    return scenario.controls or scenario.schedule.alone or _EXCLUSIVE in scenario.needs


def _work_s(group: Sequence[Scenario]) -> float:
    """What a group adds to the time of its shard; long silences go on beside all else, and add nothing."""
    costs = recorded_costs()
    return sum(_own_work_s(each, costs.get(each.name, Cost())) for each in group)


def _own_work_s(scenario: Scenario, cost: Cost) -> float:
    if scenario.schedule.alone and not scenario.controls:
        return _ALONE * cost.seconds + _RUN_S * cost.runs
    if scenario.schedule.heavy:
        return _HEAVY * cost.seconds + _RUN_S * cost.runs
    return max(0.0, cost.seconds - scenario.schedule.waits) + _RUN_S * cost.runs
