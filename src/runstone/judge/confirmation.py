"""Confirmation: what seems broken is observed again, alone and calm, before anybody is told that it is.

Broken twice is broken. Broken once and kept once is flaky, unless what was seen first was disturbed: then
the second observation stands. What could not be observed again stays broken, and says so.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from runstone.scenario.estimate import Cost, recorded_costs
from runstone.verdict.model import UNCONFIRMED, Case
from runstone.verdict.waivers import Waiver

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
    return {each.partition("#")[0].partition("@")[0] for each in case.exchanges}


def confirmed(first: Case, second: Case | None, *, disturbed: bool) -> Case:
    """What both observations together say. `disturbed`: the first one was."""
    if second is None or second.verdict not in BROKEN | {"pass"}:
        return msgspec.structs.replace(first, reason=UNCONFIRMED + first.reason)
    if second.verdict in BROKEN:
        return first
    if disturbed:
        return second
    return msgspec.structs.replace(
        first,
        verdict="flaky",
        reason=f"broken in one of two observations ({first.reason}), kept in the other",
        exchanges=(*first.exchanges, *second.exchanges),
    )
