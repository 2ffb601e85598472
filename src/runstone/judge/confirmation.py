"""Confirmation: what seems broken is observed again, alone and calm, before anybody is told that it is.

Broken twice is broken. Broken once and kept once is flaky, unless what was seen first was disturbed: then
the second observation stands. What is broken in a second observation that was disturbed as well is observed a
third time. What could not be observed again stays broken, and says so.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from runstone.scenario.estimate import Cost, recorded_costs
from runstone.verdict.model import UNCONFIRMED, Case
from runstone.verdict.waivers import Waiver
from runstone.wire.attempts import ATTEMPTS, scenario_of
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace

_NUMBERS: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")  # by which reasons of one cause differ
BROKEN: Final = frozenset({"fail", "warn", "not-testable"})


@dataclass(frozen=True, slots=True)
class Doubt:
    """One case that seems broken, and the scenarios that are to be observed again for it."""

    requirement: str
    case: Case
    scenarios: tuple[str, ...]


def doubts(
    cases: Mapping[str, Sequence[Case]],
    needs: Mapping[tuple[str, str], Collection[str]],
    waivers: Iterable[Waiver],
    today: dt.date,
) -> list[Doubt]:
    """What is broken and not accepted by a waiver, the cheapest to observe again first.

    `needs`: the scenarios that each requirement and case is judged on; of a monitor none, which is
    confirmed in those that broke it. A target that keeps nothing at all leaves no doubt.
    """
    if not any(case.verdict == "pass" for several in cases.values() for case in several):
        return []
    valid = [each for each in waivers if each.expires >= today]
    found = []
    for requirement, several in cases.items():
        for case in several:
            accepted = any(each.covers(requirement, case) and each.needed_for(case) for each in valid)
            if case.verdict in BROKEN and not accepted:
                scenarios = needs.get((requirement, case.case)) or scenarios_in(case)
                found.append(Doubt(requirement, case, tuple(sorted(scenarios))))
    costs = recorded_costs()
    return sorted(found, key=lambda doubt: sum(costs.get(each, Cost()).seconds for each in doubt.scenarios))


def one_run_per_cause(doubted: Iterable[Doubt]) -> list[Doubt]:
    """Of the doubts of one reason the first that one run can settle: the runs of an agent may cost money."""
    costs = recorded_costs()
    chosen: dict[str, Doubt] = {}
    for doubt in doubted:
        runs = sum(costs.get(each, Cost()).runs for each in doubt.scenarios)
        if runs <= 1:
            chosen.setdefault(_NUMBERS.sub("…", doubt.case.reason), doubt)
    return list(chosen.values())


def scenarios_in(case: Case) -> set[str]:
    """The scenarios whose exchanges show what the case says."""
    return {scenario_of(each) for each in case.exchanges}


def heard_out(trace: Trace, earlier: Iterable[Trace]) -> Trace:
    """The trace without what the network cut off, where an earlier one has that answer.

    Of many hundred exchanges a bad network loses one in each observation, and never the same: a monitor,
    which reads them all, would never see a whole one.
    """
    heard = {place for each in earlier for place, exchange in _placed(each) if not exchange.lost}
    kept = tuple(each for place, each in _placed(trace) if not (each.lost and place in heard))
    return msgspec.structs.replace(trace, exchanges=kept)


def _placed(trace: Trace) -> Iterator[tuple[tuple[str, str, int], Exchange]]:
    """Each exchange with where it is met in any observation: part, label, and which one of that label."""
    seen: Counter[tuple[str, str]] = Counter()
    for each in trace.exchanges:
        seen[each.part, each.label] += 1
        yield (each.part, each.label, seen[each.part, each.label]), each


@dataclass(frozen=True, slots=True)
class Look:
    """What one observation says of a case. `disturbed`: some of it may show the network or this machine."""

    case: Case
    disturbed: bool

    @property
    def settles(self) -> bool:
        """Whether nothing more need be seen, if it is a later look: it was kept, or broken in quiet."""
        return self.case.verdict == "pass" or (self.case.verdict in BROKEN and not self.disturbed)


def confirmed(first: Look, *later: Look) -> Case:
    """What all observations of a case together say, of which the first says that it is broken."""
    last = later[-1] if later else first
    if not (later and last.settles) and len(later) + 1 < ATTEMPTS:
        return msgspec.structs.replace(first.case, reason=UNCONFIRMED + first.case.reason)
    if last.case.verdict in BROKEN:
        return first.case
    if first.disturbed:
        return last.case
    return msgspec.structs.replace(
        first.case,
        verdict="flaky",
        reason=f"broken in one of two observations ({first.case.reason}), kept in the other",
        exchanges=(*first.case.exchanges, *last.case.exchanges),
    )
