"""What is checked in a proof, and how: each unbroken server, fault, varied server and null server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Final

from runstone.contracts import load_catalogue
from runstone.proof.faults import Change
from runstone.proof.prove.checks import Check
from runstone.proof.prove.matrix import named
from runstone.proof.prove.null_servers import NULL_SERVERS
from runstone.scenario.patience import QUICK_S
from runstone.scenario.scenario import Schedule

# How many checks of one area a check counts for: one of everything is more work, and one that waits for long
# silences next to none.
_WHOLE: Final = 2.5
_PLAIN: Final = 4.0  # all else rests on the unbroken servers, so they get more of the CPU
_ASLEEP: Final = 0.5
_AREAS_S: Final = 60.0
_WHOLE_S: Final = 120.0  # with both cores for itself it takes 22 s
_PATIENT_S: Final = 240.0
_EXPLORING_S: Final = 12.0  # all of it is used up on a server without a fault
_HANGING_CONCURRENCY: Final = 64  # waiting for a server that hangs costs nothing


@dataclass(frozen=True, slots=True)
class Plan:
    """How each thing is checked. `schedules`: those of the scenarios that each requirement's judges read.

    `narrow`: of a fault only what it names is observed and judged, of variants only what is a MUST, not the
    areas in which that lies.
    """

    out: Path
    schedules: Mapping[str, Collection[Schedule]]
    narrow: bool = False

    def plain(self, faults: Iterable[Change], areas: frozenset[str]) -> list[Check]:
        """The unbroken servers of all recipes that are needed; what takes patience is checked apart."""
        recipes = sorted({"embedded", *(each.server for each in faults)})
        checks = [
            replace(self._check(f"plain/{recipe}", recipe, areas=areas - _exploring()), weight=_PLAIN)
            for recipe in recipes
        ]
        for recipe in recipes:
            named = {
                name for each in faults if each.patient and each.server == recipe for name in each.breaks
            }
            if named:
                patient = frozenset(load_catalogue()[name].area for name in named)
                checks.append(
                    self._check(f"plain/{recipe}-patient", recipe, areas=patient, patient=True, sleeps=True)
                )
        explored = _exploring() if not areas else areas & _exploring()
        if explored:  # these run only where they are selected
            checks.append(self._check("plain/embedded-explored", areas=explored))
        return checks

    def fault(self, change: Change) -> Check:
        """Its server, as far as what it names goes; all of it for what only monitors show.

        Which scenario of an area shows it to a monitor nobody knows: perhaps one that takes long.
        """
        catalogue = load_catalogue()
        areas = {*(catalogue[name].area for name in change.breaks), *change.shown_in}
        schedules = [each for name in change.breaks for each in self.schedules.get(name, ())]
        quick = all(each.brief for each in schedules)
        return self._check(
            f"faults/{change.name}",
            change.server,
            (change,),
            areas=frozenset(areas),
            select=self._named(change) if self.narrow else (),
            quick=quick and not change.patient and not change.shown_in,
            patient=change.patient,
            sleeps=change.patient or any(each.waits > QUICK_S for each in schedules),
        )

    def _named(self, change: Change) -> tuple[str, ...]:
        shown = {each.id for each in load_catalogue().values() if each.area in change.shown_in}
        return tuple(sorted({*change.breaks, *shown}))

    def varied(self, variants: tuple[Change, ...]) -> Check:
        """A server with these variants in every area that holds a MUST, which is what it must keep."""
        musts = [each for each in load_catalogue().of_checks.values() if each.level == "MUST"]
        whole = self._check(
            variants_check(variants),
            changes=variants,
            areas=frozenset(each.area for each in musts) - _exploring(),
            select=tuple(each.id for each in musts) if self.narrow else (),
            whole=True,
        )
        return replace(whole, confirm=True)

    def null_servers(self) -> list[Check]:
        """Each of them twice: as anybody checks it, and without the self-check, which would refuse it."""
        return [
            replace(
                self._check(f"null/{server.name}{'' if insist else ' unchecked'}"),
                null_server=server,
                insist_on_fitness=insist,
                concurrency=None if server.prompt else _HANGING_CONCURRENCY,
                budget_s=_AREAS_S,
                weight=1 if server.prompt or server.busy else _ASLEEP,
            )
            for insist in (True, False)
            for server in NULL_SERVERS
        ]

    def alone(self, check: Check) -> Check:
        """The same once more, by itself, and of a changed server nothing left out for its length."""
        used_up = not check.changes and _exploring().intersection(check.areas)
        return replace(
            check,
            quick=False,
            budget_s=check.budget_s if used_up else max(check.budget_s, _WHOLE_S),
        )

    def _check(
        self,
        name: str,
        recipe: str = "embedded",
        changes: tuple[Change, ...] = (),
        *,
        areas: frozenset[str] = frozenset(),
        select: tuple[str, ...] = (),
        whole: bool = False,
        quick: bool = False,
        patient: bool = False,
        sleeps: bool = False,
    ) -> Check:
        # Monitors by themselves read the traces of all scenarios.
        whole = whole or areas <= load_catalogue().of_kind("monitor")
        return Check(
            name=name,
            out=self.out / name.replace(" ", "-"),
            recipe=recipe,
            changes=changes,
            areas=tuple(area for area in load_catalogue().areas if area in areas),
            select=select,
            quick=quick,
            patient=patient,
            budget_s=_budget(areas, patient=patient, whole=whole),
            weight=_WHOLE if whole else _ASLEEP if sleeps else 1.0,
        )


def variants_check(variants: Iterable[Change]) -> str:
    """The name of the check of a server with these variants."""
    return f"variants/{named(each.name for each in variants)}"


def together(variants: Iterable[Change]) -> list[tuple[Change, ...]]:
    """Few servers that have all of these variants, each at most one of each part of the answers.

    A correct server may do all of them, and real ones do several; a whole check of each alone would show no
    more of a judge, unless what it stumbles over is hidden by another change of the same part.
    """
    parts: defaultdict[str, list[Change]] = defaultdict(list)
    for each in variants:
        parts[each.part].append(each)
    return [tuple(filter(None, server)) for server in zip_longest(*parts.values())]


def _exploring() -> frozenset[str]:
    return load_catalogue().of_kind("exploring")


def _budget(areas: frozenset[str], *, patient: bool, whole: bool) -> float:
    if areas & _exploring():
        return _EXPLORING_S
    return _PATIENT_S if patient else _WHOLE_S if whole else _AREAS_S


def areas_of(faults: list[Change], variants: Sequence[object], *, complete: bool) -> frozenset[str]:
    """What the plain servers are checked for: everything, or what a partial proof of faults needs."""
    if complete or variants:
        return frozenset()
    catalogue = load_catalogue()
    return frozenset(catalogue[name].area for each in faults for name in each.breaks)


def longest_first(checks: list[Check]) -> list[Check]:
    """So that the last to end is a short one; the plain servers before all."""
    return sorted(checks, key=lambda each: (not each.name.startswith("plain/"), -_length(each)))


def _length(check: Check) -> float:
    used_up = _exploring().intersection(check.areas) or check.null_server
    return check.budget_s + (0.0 if check.quick else 30.0) + (_WHOLE_S if used_up else 0.0)
