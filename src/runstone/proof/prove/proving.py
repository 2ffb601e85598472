"""All checks of a proof: the plain servers, the faults, the variants and the null servers."""

from __future__ import annotations

import datetime as dt
import gc
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

import runstone
from runstone.contracts import load_catalogue
from runstone.errors import UsageError
from runstone.judge.hooks import MONITORS
from runstone.judge.suites import collect
from runstone.locations import locate
from runstone.proof.faults import Change, load_faults, load_variants
from runstone.proof.prove import matrix
from runstone.proof.prove.checks import Check
from runstone.proof.prove.matrix import Baseline, Fault, Matrix, Null, Variant
from runstone.proof.prove.null_servers import NULL_SERVERS
from runstone.proof.prove.pool import Done, run_all
from runstone.report.model import Report
from runstone.scenario.exploration import EXPLORING_AREAS
from runstone.scenario.observer import QUICK_S
from runstone.session.opening import open_session
from runstone.session.options import said
from runstone.session.session import UNREACHABLE

Tell = Callable[[str], None]

# Checks of an area sleep half of their time: three for each core keep the cores at work, and do not yet spoil
# each other's times. A check of everything is more work, and one that waits for long silences next to none.
CHECKS_PER_CORE: Final = 3
_WHOLE: Final = 2.5
_PLAIN: Final = 4.0  # all else rests on the unbroken servers, so they get more of the CPU
_ASLEEP: Final = 0.25
_AREAS_S: Final = 60.0
_WHOLE_S: Final = 120.0  # with both cores for itself it takes 22 s
_PATIENT_S: Final = 240.0
_EXPLORING_S: Final = 12.0  # all of it is used up on a server without a fault
_HANGING_CONCURRENCY: Final = 64  # waiting for a server that hangs costs nothing


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be proved. `faults`, `variants`: globs; where one is given, the proof is partial."""

    out: Path
    faults: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    jobs: int | None = None

    @property
    def complete(self) -> bool:
        """Whether it leaves nothing out."""
        return not self.faults and not self.variants

    def chosen(self, globs: tuple[str, ...], changes: Mapping[str, Change], kind: str) -> list[Change]:
        """The changes that a glob matches; all where nothing was selected. Raises UsageError."""
        for glob in globs:
            if not any(fnmatchcase(name, glob) for name in changes):
                raise UsageError(f"no {kind} matches {glob!r} (`runstone faults` lists them)")
        return [
            change
            for name, change in sorted(changes.items())
            if self.complete or any(fnmatchcase(name, glob) for glob in globs)
        ]


def prove(selection: Selection, tell: Tell) -> Matrix:
    """Run all checks and answer what they show together; report.json and evidence of each are in `out`.

    `tell` gets a line for each check that ended. To be called while this process has one thread. Raises
    UsageError; ModuleNotFoundError without the extra `embedded`.
    """
    faults = selection.chosen(selection.faults, load_faults(), "fault")
    variants = selection.chosen(selection.variants, load_variants(), "variant")
    waits = warmed(selection.out)
    slots = selection.jobs or CHECKS_PER_CORE * (os.cpu_count() or 1)
    areas = _areas_of(faults, variants, complete=selection.complete)
    plan = _Plan(selection.out.resolve(), waits)
    plain = plan.plain(faults, areas)
    checks = [*plain, *map(plan.variant, variants), *map(plan.fault, faults)]
    if selection.complete:
        checks += plan.null_servers()
    first = _by_name(run_all(_longest_first(checks), slots, _teller(tell)))
    # What did not come out as it should, perhaps because others wanted the CPU, is tried once more by itself;
    # first the unbroken servers, on which the rest relies.
    unsound = [check for check in plain if not _baseline(check.name, first[check.name]).sound]
    first |= _again(unsound, plan, tell)
    baselines = {check.name.removeprefix("plain/"): first[check.name] for check in plain}
    held = {recipe: _kept(done) for recipe, done in baselines.items()}  # without exploration
    keeps = {
        check.recipe: frozenset().union(
            *(_kept(first[each.name]) for each in plain if each.recipe == check.recipe)
        )
        for check in plain
    }
    found_faults = {each.name: _fault(each, first[f"faults/{each.name}"], keeps, 1) for each in faults}
    found_variants = {each.name: _variant(each, first[f"variants/{each.name}"], held, 1) for each in variants}
    open_faults = [each for each in faults if not found_faults[each.name].caught]
    open_variants = [each for each in variants if not found_variants[each.name].green]
    retries = [*map(plan.fault, open_faults), *map(plan.variant, open_variants)]
    second = _again([*retries, *(check for check in checks if _unheard(first[check.name]))], plan, tell)
    for each in open_faults:
        again = _fault(each, second[f"faults/{each.name}"], keeps, 2)
        found_faults[each.name] = _better(found_faults[each.name], again)
    for each in open_variants:
        found_variants[each.name] = _variant(each, second[f"variants/{each.name}"], held, 2)
    return _matrix(
        selection,
        areas,
        baselines,
        found_faults,
        found_variants,
        _nulls(first | second) if selection.complete else [],
    )


def _again(checks: Sequence[Check], plan: _Plan, tell: Tell) -> dict[str, Done]:
    if checks:
        tell(f"{len(checks)} did not come out as they should; each is tried once more, by itself")
    return _by_name(run_all(map(plan.alone, checks), 1, _teller(tell)))


def warmed(folder: Path) -> dict[str, float]:
    """Import into this process all that checks need; answers how long each requirement's judge must wait.

    Raises ModuleNotFoundError without the extra `embedded`.
    """
    from runstone.reference import server  # noqa: F401 - so that the servers find it imported
    from runstone.reference.graphs import load_graphs

    load_graphs(locate("fixtures") / "graphs" / "python" / "langgraph.json")
    waits = collect(open_session(said(idle=True, out=folder), lambda *_: None))
    gc.collect()
    gc.freeze()  # a forked process does not copy what its collector need not look at
    return waits


@dataclass(frozen=True, slots=True)
class _Plan:
    """How each thing is checked. `waits`: how long the judge of each requirement must wait, in seconds."""

    out: Path
    waits: Mapping[str, float]

    def plain(self, faults: Iterable[Change], areas: frozenset[str]) -> list[Check]:
        """The unbroken servers of all recipes that are needed; what takes patience is checked apart."""
        recipes = sorted({"embedded", *(each.server for each in faults)})
        checks = [
            replace(self._check(f"plain/{recipe}", recipe, areas=areas - EXPLORING_AREAS), weight=_PLAIN)
            for recipe in recipes
        ]
        for recipe in recipes:
            named = {
                name for each in faults if each.patient and each.server == recipe for name in each.breaks
            }
            if named:
                patient = frozenset(load_catalogue()[name].area for name in named)
                checks.append(self._check(f"plain/{recipe}-patient", recipe, areas=patient, patient=True))
        explored = EXPLORING_AREAS if not areas else areas & EXPLORING_AREAS
        if explored:  # these are held only where they are selected
            checks.append(self._check("plain/embedded-explored", areas=explored))
        return checks

    def fault(self, change: Change) -> Check:
        """Its server, as far as the areas go that it names; all of it for what only monitors show."""
        catalogue = load_catalogue()
        areas = {*(catalogue[name].area for name in change.breaks), *change.shown_in}
        quick = all(self.waits.get(name, 0.0) <= QUICK_S for name in change.breaks)
        return self._check(
            f"faults/{change.name}",
            change.server,
            change,
            areas=frozenset(areas),
            quick=quick and not change.patient,
            patient=change.patient,
        )

    def variant(self, change: Change) -> Check:
        """Its server in every area that holds a MUST, which is what a variant must keep."""
        musts = frozenset(each.area for each in load_catalogue().values() if each.level == "MUST")
        return self._check(
            f"variants/{change.name}", change.server, change, areas=musts - EXPLORING_AREAS, whole=True
        )

    def null_servers(self) -> list[Check]:
        """Each of them twice: as anybody checks it, and without the self-check, which would refuse it."""
        return [
            replace(
                self._check(f"null/{server.name}{'' if insist else ' unchecked'}", quick=True),
                null_server=server,
                insist_on_fitness=insist,
                concurrency=None if server.prompt else _HANGING_CONCURRENCY,
                budget_s=_AREAS_S,
                weight=1 if server.prompt else _ASLEEP,
            )
            for insist in (True, False)
            for server in NULL_SERVERS
        ]

    def alone(self, check: Check) -> Check:
        """The same once more, by itself, and of a changed server nothing left out for its length."""
        return replace(
            check,
            quick=check.quick and check.null_server is not None,
            budget_s=max(check.budget_s, _WHOLE_S),
        )

    def _check(
        self,
        name: str,
        recipe: str = "embedded",
        change: Change | None = None,
        *,
        areas: frozenset[str] = frozenset(),
        whole: bool = False,
        quick: bool = False,
        patient: bool = False,
    ) -> Check:
        # Monitors by themselves read the traces of all scenarios.
        whole = whole or not areas or areas == {MONITORS}
        return Check(
            name=name,
            out=self.out / name.replace(" ", "-"),
            recipe=recipe,
            change=change,
            areas=tuple(area for area in load_catalogue().areas if area in areas),
            quick=quick,
            patient=patient,
            budget_s=_budget(areas, patient=patient, whole=whole),
            weight=_weight(whole=whole, quick=quick),
        )


def _weight(*, whole: bool, quick: bool) -> float:
    """What waits long, for a silence or for a cron, sleeps nearly all of its time and is in nobody's way."""
    if whole:
        return _WHOLE
    return 1.0 if quick else _ASLEEP


def _budget(areas: frozenset[str], *, patient: bool, whole: bool) -> float:
    if areas & EXPLORING_AREAS:
        return _EXPLORING_S
    return _PATIENT_S if patient else _WHOLE_S if whole else _AREAS_S


def _areas_of(faults: list[Change], variants: list[Change], *, complete: bool) -> frozenset[str]:
    """What the plain servers are checked for: everything, or what a partial proof of faults needs."""
    if complete or variants:
        return frozenset()
    catalogue = load_catalogue()
    return frozenset(catalogue[name].area for each in faults for name in each.breaks)


def _longest_first(checks: list[Check]) -> list[Check]:
    """So that the last to end is a short one; the plain servers before all."""
    return sorted(checks, key=lambda each: (not each.name.startswith("plain/"), -_length(each)))


def _length(check: Check) -> float:
    used_up = EXPLORING_AREAS.intersection(check.areas) or check.null_server
    return check.budget_s + (0.0 if check.quick else 30.0) + (_WHOLE_S if used_up else 0.0)


def _by_name(done: Iterable[Done]) -> dict[str, Done]:
    return {each.check.name: each for each in done}


def _teller(tell: Tell) -> Callable[[Done, int], None]:
    def told(done: Done, left: int) -> None:
        trouble = f" ({done.trouble})" if done.trouble else ""
        tell(f"{done.check.name}: {done.seconds:.1f} s{trouble}; {left} to go")

    return told


def _kept(done: Done) -> frozenset[str]:
    return frozenset() if done.report is None else matrix.kept(done.report)


def _baseline(server: str, done: Done) -> Baseline:
    return Baseline(
        server=server,
        kept=len(_kept(done)),
        hits=matrix.hits(done.report.verdicts) if done.report is not None else (),
        trouble=_trouble(done, whole=True),
    )


def _fault(change: Change, done: Done, keeps: Mapping[str, frozenset[str]], tries: int) -> Fault:
    return matrix.fault_of(
        change.name,
        change.statement,
        change.server,
        change.breaks,
        done.report,
        keeps[change.server],
        tries=tries,
        trouble=_trouble(done, whole=False),
    )


def _variant(change: Change, done: Done, keeps: Mapping[str, frozenset[str]], tries: int) -> Variant:
    return matrix.variant_of(
        change.name,
        change.statement,
        done.report,
        keeps[change.server],
        tries=tries,
        trouble=_trouble(done, whole=True),
    )


def _trouble(done: Done, *, whole: bool) -> str:
    """Why there is nothing to judge by: the check was ended, or never got to the judging.

    `whole`: also why not everything was judged. Of a server with a fault that is no trouble.
    """
    if done.trouble or done.report is None:
        return done.trouble
    unjudged = done.report.exit_code == UNREACHABLE or (whole and not done.report.complete)
    return done.report.stopped or "" if unjudged else ""


def _better(first: Fault, again: Fault) -> Fault:
    """The second try, but for one that caught less."""
    if len(again.missed) <= len(first.missed) or first.trouble:
        return again
    return msgspec.structs.replace(first, tries=again.tries)


def _unheard(done: Done) -> bool:
    """Whether judges were to look at a null server that answers, and did not: it was given up too early."""
    server = done.check.null_server
    judging = server is not None and server.prompt and not done.check.insist_on_fitness
    return judging and _judged(done.report) == 0


def _nulls(done: Mapping[str, Done]) -> list[Null]:
    found = []
    for server in NULL_SERVERS:
        checked, unchecked = done[f"null/{server.name}"], done[f"null/{server.name} unchecked"]
        found.append(
            Null(
                name=server.name,
                passes=tuple(sorted(_kept(checked))),
                passes_unchecked=tuple(sorted(_kept(unchecked))),
                judged_unchecked=_judged(unchecked.report),
                trouble=checked.trouble
                or unchecked.trouble
                or ("nothing was judged, although it answers" if _unheard(unchecked) else ""),
            )
        )
    return found


def _judged(report: Report | None) -> int:
    return 0 if report is None else sum(each.verdict in matrix.JUDGED for each in report.verdicts)


def _matrix(
    selection: Selection,
    areas: frozenset[str],
    baselines: Mapping[str, Done],
    faults: Mapping[str, Fault],
    variants: Mapping[str, Variant],
    nulls: list[Null],
) -> Matrix:
    catalogue = load_catalogue()
    ordered = matrix.in_order(faults.values(), catalogue)
    reports = [done.report for done in baselines.values() if done.report is not None]
    return matrix.assembled(
        runstone.__version__,
        dt.datetime.now(dt.UTC).date().isoformat(),
        complete=selection.complete,
        baselines=[_baseline(recipe, done) for recipe, done in baselines.items()],
        faults=ordered,
        requirements=matrix.requirements_of(catalogue, ordered, reports, areas),
        variants=list(variants.values()),
        null_servers=nulls,
    )
