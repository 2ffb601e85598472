"""All checks of a proof: the plain servers, the faults, the varied servers and the null servers."""

from __future__ import annotations

import datetime as dt
import gc
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, TypeVar

import msgspec

import runstone
from runstone.contracts import load_catalogue
from runstone.errors import ExitCode, UsageError, suggestion
from runstone.judge.suites import collect
from runstone.locations import locate
from runstone.proof import conversations
from runstone.proof.conversations.fault import Wrong
from runstone.proof.conversations.outcome import Conversation
from runstone.proof.conversations.proving import all_played, demand_model, unbroken
from runstone.proof.faults import Change, load_faults, load_variants
from runstone.proof.prove import matrix, outcomes
from runstone.proof.prove.checks import Check
from runstone.proof.prove.matrix import Baseline, Fault, Matrix, Null, Variant, VariedServer
from runstone.proof.prove.null_servers import NULL_SERVERS
from runstone.proof.prove.planning import Plan, areas_of, longest_first, together, variants_check
from runstone.proof.prove.pool import Done, run_all
from runstone.scenario.scenario import Schedule
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.verdict.model import Report

Tell = Callable[[str], None]
_Named = TypeVar("_Named", Change, Wrong)

# Checks of an area sleep more than half of their time: four for each core keep the cores at work, and do not
# yet spoil each other's times.
CHECKS_PER_CORE: Final = 4


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be proved. `faults`, `variants`: globs; where one is given, the proof is partial.

    `narrow`: of each fault only what it names is judged. Globs of faults choose among those of the reference
    runtime and those of conversations. Variants that a glob chose are checked each by itself.
    """

    out: Path
    faults: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    narrow: bool = False
    jobs: int | None = None

    @property
    def complete(self) -> bool:
        """Whether it leaves nothing out."""
        return not self.faults and not self.variants

    def chosen(self, globs: tuple[str, ...], changes: Mapping[str, _Named]) -> list[_Named]:
        """Those that a glob matches; all where nothing was selected."""
        return [
            change
            for name, change in sorted(changes.items())
            if self.complete or any(fnmatchcase(name, glob) for glob in globs)
        ]


def _insist(globs: tuple[str, ...], names: Collection[str], kind: str) -> None:
    """Raises UsageError for a glob that matches nothing."""
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in names):
            raise UsageError(
                f"no {kind} matches {glob!r}{suggestion(glob, names)} (`runstone faults` lists them)"
            )


def of_checks(globs: tuple[str, ...], faults: Mapping[str, Change]) -> dict[str, Change]:
    """The faults that a check shows. Raises UsageError for a glob that matches only what takes a load."""
    shown = {name: each for name, each in faults.items() if each.shown_by_checks}
    for glob in globs:
        matched = [name for name in faults if fnmatchcase(name, glob)]
        if matched and shown.keys().isdisjoint(matched):
            raise UsageError(
                f"{glob} is shown by no check: `runstone serve --fault {matched[0]}`, then `runstone load` it"
            )
    return shown


def prove(selection: Selection, tell: Tell) -> Matrix:
    """Run all checks and answer what they show together; report.json and evidence of each are in `out`.

    `tell` gets a line for each check that ended. To be called while this process has one thread. Raises
    UsageError, also without the extra `scenarios`; ModuleNotFoundError without the extra `embedded`.
    """
    of_runtime, of_conversations = of_checks(selection.faults, load_faults()), conversations.load_faults()
    of_variants = load_variants()
    _insist(selection.faults, {*of_runtime, *of_conversations}, "fault")
    _insist(selection.variants, of_variants, "variant")
    spoken = selection.chosen(selection.faults, of_conversations)
    if spoken:
        demand_model()
    faults = selection.chosen(selection.faults, of_runtime)
    chosen = selection.chosen(selection.variants, of_variants)
    variants = together(chosen) if selection.complete else [(each,) for each in chosen]
    schedules = warmed(selection.out) if faults or variants else {}
    slots = selection.jobs or CHECKS_PER_CORE * (os.cpu_count() or 1)
    areas = areas_of(faults, variants, complete=selection.complete)
    plan = Plan(selection.out.resolve(), schedules, narrow=selection.narrow)
    plain = plan.plain(faults, areas) if faults or variants else []
    checks = [*plain, *map(plan.varied, variants), *map(plan.fault, faults)]
    if selection.complete:
        checks += plan.null_servers()
    # What all else rests on comes first and by itself, but for what waits for minutes.
    first = [each for each in plain if each.weight >= 1]
    done = _by_name(run_all(first, slots, _teller(tell)))
    rest = [each for each in checks if each not in first]
    done |= _by_name(run_all(longest_first(rest), slots, _teller(tell)))
    # What did not come out as it should, perhaps because others wanted the CPU, is checked once more, alone;
    # first the unbroken servers, on which the rest relies.
    unsound = _short({check.name: _baseline(check.recipe, done[check.name]) for check in plain})
    done |= _again(unsound, checks, plan, tell)
    keeps = _kept_by(plain, done)
    kept = {check.recipe: _kept(done[check.name]) for check in plain if check.name == f"plain/{check.recipe}"}
    found_faults = {f"faults/{each.name}": _fault(each, done, keeps) for each in faults}
    varied = {variants_check(each): _varied(each, done, kept) for each in variants}
    troubled = {check.name: why for check in checks if (why := _null_trouble(done[check.name]))}
    short = _short(found_faults) | _short(varied) | troubled
    done |= _again(short, checks, plan, tell)
    for each in faults:
        name = f"faults/{each.name}"
        if name in short:
            found_faults[name] = outcomes.second_try_of(found_faults[name], _fault(each, done, keeps))
    for server in variants:
        name = variants_check(server)
        if name in short:
            again = _varied(server, done, kept)
            varied[name] = msgspec.structs.replace(again, tries=2, first_try=short[name])
    return _matrix(
        selection,
        areas,
        [(check, done[check.name], unsound.get(check.name, "")) for check in plain],
        found_faults.values(),
        varied.values(),
        _nulls(done, troubled) if selection.complete else [],
        _conversations(spoken, selection.out, tell),
    )


def _conversations(
    faults: Sequence[Wrong], out: Path, tell: Tell
) -> tuple[list[Baseline], list[Conversation]]:
    """The desk without a fault, and with each: played in this process, when nothing else wants the CPU."""
    if not faults:
        return [], []
    folder = out / "conversations"
    desk = unbroken(folder)
    sound = Baseline(server=desk.name, kept=desk.kept, hits=(), trouble=desk.shortcoming)
    found = all_played(faults, folder, tell)
    tell(f"conversations: {sum(each.caught for each in found)} of {len(found)} caught")
    return [sound], found


def _short(found: Mapping[str, Baseline | Fault | VariedServer]) -> dict[str, str]:
    """What did not come out as it should, by the name of its check, and why."""
    return {name: each.shortcoming for name, each in found.items() if each.shortcoming}


def _again(short: Mapping[str, str], checks: Iterable[Check], plan: Plan, tell: Tell) -> dict[str, Done]:
    """These checks once more, each alone."""
    for name, why in short.items():
        tell(f"{name}: second try, alone; at first: {why}")
    return _by_name(run_all([plan.alone(each) for each in checks if each.name in short], 1, _teller(tell)))


def _kept_by(plain: Iterable[Check], done: Mapping[str, Done]) -> dict[str, frozenset[str]]:
    """What the unbroken server of each recipe keeps, in all of its checks."""
    found: dict[str, frozenset[str]] = {}
    for check in plain:
        found[check.recipe] = found.get(check.recipe, frozenset()) | _kept(done[check.name])
    return found


def warmed(folder: Path) -> Mapping[str, Collection[Schedule]]:
    """Import into this process all that checks need; answers the schedules of each requirement's scenarios.

    Raises ModuleNotFoundError without the extra `embedded`.
    """
    from runstone.reference import server  # noqa: F401 - so that the servers find it imported
    from runstone.reference.graphs import load_graphs

    load_graphs(*(locate(f"fixtures/{which}/python/langgraph.json") for which in ("graphs", "agents")))
    schedules = collect(open_session(given(idle=True, out=folder), lambda *_: None))
    gc.collect()
    gc.freeze()  # a forked process does not copy what its collector need not look at
    return schedules


def _by_name(done: Iterable[Done]) -> dict[str, Done]:
    return {each.check.name: each for each in done}


def _teller(tell: Tell) -> Callable[[Done, int], None]:
    def told(done: Done, left: int) -> None:
        trouble = f" ({done.trouble})" if done.trouble else ""
        tell(f"{done.check.name}: {done.seconds:.1f} s{trouble}; {left} to go")

    return told


def _kept(done: Done) -> frozenset[str]:
    return frozenset() if done.report is None else outcomes.kept(done.report)


def _baseline(server: str, done: Done, first_try: str = "") -> Baseline:
    return Baseline(
        server=server,
        kept=len(_kept(done)),
        hits=outcomes.hits(done.report.verdicts) if done.report is not None else (),
        trouble=_trouble(done, whole=True),
        first_try=first_try,
    )


def _fault(change: Change, done: Mapping[str, Done], keeps: Mapping[str, frozenset[str]]) -> Fault:
    own = done[f"faults/{change.name}"]
    return outcomes.fault_of(
        change.name,
        change.statement,
        change.server,
        change.breaks,
        own.report,
        keeps[change.server],
        trouble=_trouble(own, whole=False),
    )


def _varied(
    variants: tuple[Change, ...], done: Mapping[str, Done], kept: Mapping[str, frozenset[str]]
) -> VariedServer:
    own = done[variants_check(variants)]
    return outcomes.varied_server_of(
        [Variant(name=each.name, statement=each.statement) for each in variants],
        own.report,
        kept[own.check.recipe],
        trouble=_trouble(own, whole=True),
    )


def _trouble(done: Done, *, whole: bool) -> str:
    """Why there is nothing to judge by: the check was ended, or never got to the judging.

    `whole`: also why not everything was judged. Of a server with a fault that is not trouble.
    """
    if done.trouble or done.report is None:
        return done.trouble
    unjudged = done.report.exit_code == ExitCode.UNREACHABLE or (whole and not done.report.complete)
    return done.report.stopped or "" if unjudged else ""


def _unheard(done: Done) -> bool:
    """Whether judges were to look at a null server that answers, and did not: it was given up too early."""
    server = done.check.null_server
    judging = server is not None and server.prompt and not done.check.insist_on_fitness
    return judging and _judged(done.report) == 0


def _null_trouble(done: Done) -> str:
    """Why a null server is to be checked once more: never for a pass, of which one is too many."""
    if done.check.null_server is None:
        return ""
    return done.trouble or ("nothing was judged, although it answers" if _unheard(done) else "")


def _nulls(done: Mapping[str, Done], troubled: Mapping[str, str]) -> list[Null]:
    found = []
    for server in NULL_SERVERS:
        names = f"null/{server.name}", f"null/{server.name} unchecked"
        checked, unchecked = done[names[0]], done[names[1]]
        found.append(
            Null(
                name=server.name,
                passes=tuple(sorted(_kept(checked))),
                passes_unchecked=tuple(sorted(_kept(unchecked))),
                judged_unchecked=_judged(unchecked.report),
                trouble=_null_trouble(checked) or _null_trouble(unchecked),
                first_try="; ".join(troubled[name] for name in names if name in troubled),
            )
        )
    return found


def _judged(report: Report | None) -> int:
    return 0 if report is None else sum(each.verdict in matrix.JUDGED for each in report.verdicts)


def _matrix(
    selection: Selection,
    areas: frozenset[str],
    plain: Sequence[tuple[Check, Done, str]],
    faults: Iterable[Fault],
    varied: Iterable[VariedServer],
    nulls: list[Null],
    spoken: tuple[list[Baseline], list[Conversation]],
) -> Matrix:
    """The whole. `plain`: each unbroken server's check, how it ended, and why not so at first.

    `spoken`: the desk of conversations, and those with a fault.
    """
    catalogue = load_catalogue().of_checks
    ordered = matrix.in_order(faults, catalogue)
    reports = [done.report for _, done, _ in plain if done.report is not None]
    return matrix.assembled(
        runstone.__version__,
        dt.datetime.now(dt.UTC).date().isoformat(),
        complete=selection.complete,
        narrow=selection.narrow,
        baselines=[
            _baseline(check.name.removeprefix("plain/"), done, first_try) for check, done, first_try in plain
        ]
        + spoken[0],
        faults=ordered,
        requirements=outcomes.requirements_of(catalogue, ordered, reports, areas) if plain else (),
        varied_servers=list(varied),
        null_servers=nulls,
        conversations=spoken[1],
    )
