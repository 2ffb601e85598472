"""What was judged and what was left out, put together from as many processes as pytest ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from runstone.report.assembly import Judged
from runstone.verdict.model import Case


class Tally:
    """The cases by requirement, the cells of the parity grid, and what was not judged, with why."""

    def __init__(self) -> None:
        self.cases: defaultdict[str, list[Case]] = defaultdict(list)
        self.cells: defaultdict[tuple[str, str], list[tuple[str, Case]]] = defaultdict(list)
        self.collected: dict[str, list[str]] = {}  # the requirements that have a judge, and their cases
        self.selected: set[str] = set()  # those of them of which something is to be judged
        self._set_aside: defaultdict[str, dict[str, str]] = defaultdict(dict)  # requirement → case → why

    def collect(self, requirement: str, case: str) -> None:
        """Note that there is a judge of this case; whoever judges it, and when, it is told in this order."""
        known = self.collected.setdefault(requirement, [])
        if case not in known:
            known.append(case)

    def add(self, requirement: str, case: Case, cell: tuple[str, str] | None) -> None:
        """Count a case that was judged."""
        self.cases[requirement].append(case)
        if cell is not None:
            self.cells[cell].append((requirement, case))

    def set_aside(self, requirement: str, case: str, reason: str) -> None:
        """Note why a case is not judged; the first reason stands."""
        self._set_aside[requirement].setdefault(case, reason)

    def judged(self, without_judge: Collection[str]) -> Judged:
        """All of it, as reports are made of. `without_judge`: what was asked for and nothing judges."""
        self._count_what_was_left_out()
        pairs = [(requirement, case) for requirement, several in self.collected.items() for case in several]
        places = {pair: place for place, pair in enumerate(pairs)}

        def place(judged: tuple[str, Case]) -> int:  # of a worker that died nobody knows what it collected
            return places.get((judged[0], judged[1].case), len(places))

        return Judged(
            cases={
                name: sorted(several, key=lambda case: place((name, case)))
                for name, several in self.cases.items()
            },
            cells={cell: sorted(several, key=place) for cell, several in self.cells.items()},
            selected=self.selected,
            set_aside={name: next(iter(left.values())) for name, left in self._set_aside.items()},
            without_judge=without_judge,
        )

    def _count_what_was_left_out(self) -> None:
        """A requirement of which only some cases were judged is not kept: the others are not-run."""
        for requirement, left in self._set_aside.items():
            judged = {case.case for case in self.cases.get(requirement, ())}
            missing = {name: reason for name, reason in left.items() if judged and name not in judged}
            for name, reason in missing.items():
                self.cases[requirement].append(Case(case=name, verdict="not-run", reason=reason))

    def packed(self) -> dict[str, Any]:
        """What a worker of pytest-xdist tells; its cases travel with the reports of its tests."""
        return {
            "collected": self.collected,
            "selected": sorted(self.selected),
            "set_aside": {name: dict(left) for name, left in self._set_aside.items()},
        }

    def unpack(self, told: Mapping[str, Any]) -> None:
        """Take over what a worker told."""
        for requirement, several in told.get("collected", {}).items():
            for case in several:
                self.collect(requirement, case)
        self.selected |= {*told.get("selected", ())}
        for requirement, left in told.get("set_aside", {}).items():
            for case, reason in left.items():
                self.set_aside(requirement, case, reason)


def packed_case(
    requirement: str, case: Case, cell: tuple[str, str] | None, *, unseen: bool
) -> dict[str, Any]:
    """A case as it travels with pytest's report. `unseen`: nothing that was asked for could show it."""
    return {"id": requirement, "case": msgspec.to_builtins(case), "cell": cell, "set_aside": unseen}


def unpack_case(told: Mapping[str, Any], tally: Tally) -> None:
    """Count a case that has travelled."""
    case = msgspec.convert(told["case"], Case)
    tally.add(told["id"], case, tuple(told["cell"]) if told["cell"] else None)
    if told["set_aside"]:
        tally.set_aside(told["id"], case.case, case.reason)
