"""The options of a session, merged and checked, with what follows from them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from runstone.contracts import Catalogue, Profile, Requirement, load_catalogue
from runstone.errors import UsageError
from runstone.scenario.exploration import DEFAULT_S, Exploration, insist_on_packages
from runstone.scenario.patience import PATIENT_S, QUICK_S
from runstone.scenario.scenario import Scenario
from runstone.session.options import Options
from runstone.target.target import Target

_AT_ONCE: Final = 16
# In a quick run no long silence hides the others: 24 took 7.2 s on two cores, 16 took 8.2 s, 32 took 7.8 s.
_QUICK_AT_ONCE: Final = 24


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """What to observe or to judge again, and by which measure: the options, and what follows from them.

    `target`: None where evidence is judged again. `explored`: whether that evidence holds an exploration.
    """

    profile: Profile
    target: Target | None = None
    out: Path
    explored: bool = False

    @property
    def limits(self) -> dict[str, float]:
        """Fields of Limits that the user has set."""
        return self.own_limits.given()

    @property
    def scenarios_at_once(self) -> int:
        """How many scenarios go on at once on a target that is near, beside as many that sleep."""
        return self.concurrency or (_QUICK_AT_ONCE if self.quick else _AT_ONCE)

    @property
    def may_confirm_much(self) -> bool:
        """Whether what seems broken is observed again, and no waivers tell what is accepted as it is."""
        return self.confirm > 0 and self.waivers is None

    @property
    def exploration(self) -> Exploration | None:
        """How far scenarios that explore may go; None when no area of theirs is selected."""
        catalogue = load_catalogue()
        if catalogue.of_kind("exploring").isdisjoint(catalogue.selected(self.areas)):
            return None
        return Exploration(self.profile, self.seed, self.budget_s or DEFAULT_S)

    def insist_on_selection(self) -> None:
        """Raises UnknownArea or UnknownRequirement for what selects nothing: a run of nothing is not a run.

        Raises UsageError for what no check judges, and ExtraMissing for an area whose packages are missing.
        """
        whole = load_catalogue()
        checks = whole.of_checks
        for area in self.areas:
            _insist_on_checks(area, whole.selected([area]) & checks.areas.keys())
        for glob in self.select:
            _insist_on_checks(glob, [each for each in whole.select(glob=glob) if each.id in checks])
        if self.evidence is None:
            insist_on_packages(self.areas)

    def not_asked_for(self, each: Requirement, catalogue: Catalogue) -> str | None:
        """Why a requirement is none of what the user wants judged; None for one that must have a judge."""
        excluded = self.profile.excludes_requirement(each)
        if excluded:
            return excluded
        if self.areas and each.area not in catalogue.selected(self.areas):
            return "its area was not selected"
        if self.select and not any(fnmatchcase(each.id, glob) for glob in self.select):
            return "it was not selected"
        if each.area in catalogue.of_kind("exploring") and not (self.explored or self.exploration):
            return "run only where its area is selected: it takes the time that it is given"
        return None

    def too_long(self, scenario: Scenario) -> str | None:
        """Why a scenario is left out for the time that it takes; None when it is run."""
        if scenario.explores and not (self.explored or self.exploration):
            return f"run only where its area is selected: {scenario.name} takes the time that it is given"
        waiting = f"{scenario.name} must wait {scenario.schedule.waits:g} s"
        if self.quick and not scenario.schedule.brief:
            long = scenario.schedule.waits > QUICK_S
            return f"left out by --quick: {waiting if long else f'{scenario.name} asks for much'}"
        if not self.patient and scenario.schedule.waits > PATIENT_S:
            return f"run only with --patient: {waiting}"
        return None


def _insist_on_checks(named: str, judged: Collection[str | Requirement]) -> None:
    """Raises UsageError where what a user named exists, and a check judges none of it."""
    if not judged:
        raise UsageError(f"{named} is judged of thousands of runs, by `runstone load`, and by no check")
