"""The report of a session: what the judges said, by the measure that the user chose."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import runstone
from runstone.contracts import Catalogue, Requirement
from runstone.contracts.basis import Basis, Changes
from runstone.contracts.revision import changes_since
from runstone.errors import ExitCode
from runstone.report.causes import causes_of
from runstone.session.evidence import Manifest
from runstone.session.session import Session
from runstone.session.settings import Settings
from runstone.target import agents
from runstone.verdict import waivers
from runstone.verdict.model import (
    NO_JUDGE,
    AgentShare,
    Case,
    Observation,
    Phases,
    Report,
    TargetSummary,
    Verdict,
    agent_share,
    exit_code,
    grid_from,
    not_run,
    totals_by_area,
    totals_by_level,
    with_cases,
)
from runstone.verdict.scenarios import ScenarioResults
from runstone.verdict.scenarios import exit_code as scenarios_exit_code
from runstone.verdict.waivers import Waiver
from runstone.wire.pace import put_off
from runstone.wire.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """By what is judged. `changes`: what the catalogue promises otherwise than the evidence's revision."""

    settings: Settings
    catalogue: Catalogue
    basis: Basis
    changes: Changes | None = None
    waivers: Sequence[Waiver] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What is judged. `manifest` is None where nothing could be observed at all.

    `scenarios`: what a team's own scenarios result in, which judge themselves.
    """

    manifest: Manifest | None
    traces: Mapping[str, Trace]
    scenarios: ScenarioResults | None = None

    @property
    def stopped(self) -> str | None:
        """Why it is not whole; None when it is."""
        return self.manifest.stopped if self.manifest else "nothing was observed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the judges said: cases by requirement, and those of the parity grid by outcome and entry point.

    `selected`: the requirements that were to be judged. `set_aside`: those left out, with the reason.
    `without_judge`: those that were asked for and that nothing judges, which is Runstone's fault.
    """

    cases: Mapping[str, Sequence[Case]]
    cells: Mapping[tuple[str, str], Sequence[tuple[str, Case]]]
    selected: Container[str]
    set_aside: Mapping[str, str]
    without_judge: Collection[str] = ()


def report_of(session: Session, judged: Judged) -> Report:
    """The report of a session whose judges have ended."""
    measure = Measure(
        settings=session.settings,
        catalogue=session.catalogue,
        basis=session.basis,
        changes=_changes(session.manifest, session.basis),
        waivers=session.waivers,
    )
    scenarios = None if session.beside.judged is None else session.beside.judged(session)
    recorded = Recorded(manifest=session.manifest, traces=session.traces, scenarios=scenarios)
    return assemble(measure, recorded, judged, judge_s=session.judging_s, now=dt.datetime.now(dt.UTC))


def assemble(
    measure: Measure, recorded: Recorded, judged: Judged, *, judge_s: float, now: dt.datetime
) -> Report:
    """Everything as a report; nothing else is read or written. `judge_s`: seconds that the judging took."""
    manifest, settings = recorded.manifest, measure.settings
    every, waiver_errors = waivers.apply(
        [_verdict(each, measure, recorded, judged) for each in measure.catalogue.values()],
        measure.waivers,
        recorded.traces.keys(),
        now.date(),
    )
    every = [each for each in every if not _is_no_part(each, measure)]
    causes, verdicts = causes_of(every, recorded.traces)
    stopped = recorded.stopped or _unjudged(verdicts, recorded, judged)
    code = exit_code(
        verdicts,
        fail_on=settings.fail_on,
        complete=stopped is None,
        waiver_errors=waiver_errors,
        unusable=manifest is not None and bool(manifest.unusable),
    )
    if code == ExitCode.CONFORMING and recorded.scenarios is not None:
        code = scenarios_exit_code(recorded.scenarios)
    phases = _phases(manifest, judge_s)
    return Report(
        runstone=runstone.__version__,
        profile=settings.profile.name,
        started_at=manifest.started_at if manifest else now.isoformat(timespec="seconds"),
        duration_s=round(phases.sum_s, 2),
        phases=phases,
        complete=stopped is None,
        stopped=stopped,
        conforming=code == ExitCode.CONFORMING,
        exit_code=code,
        fail_on=settings.fail_on,
        quick=settings.quick,
        target=_target(manifest),
        totals=totals_by_level(verdicts),
        areas=totals_by_area(verdicts),
        grid=grid_from(judged.cells),
        verdicts=tuple(verdicts),
        causes=causes,
        waiver_errors=tuple(waiver_errors),
        agent=_agent_share(manifest, verdicts),
        judged_by=measure.basis,
        observed_by=measure.basis if manifest is None else manifest.basis,
        changes=measure.changes,
        scenarios=recorded.scenarios,
        observation=_observation(manifest, recorded.traces),
        put_off=put_off(each for trace in recorded.traces.values() for each in trace.exchanges),
    )


def _phases(manifest: Manifest | None, judge_s: float) -> Phases:
    if manifest is None:
        return Phases(judge_s=round(judge_s, 2))
    return Phases(
        prepare_s=round(manifest.prepare_s, 2),
        observe_s=round(manifest.observe_s, 2),
        confirm_s=round(manifest.confirm_s, 2),
        clean_s=round(manifest.clean_s, 2),
        judge_s=round(judge_s, 2),
    )


def _observation(manifest: Manifest | None, traces: Mapping[str, Trace]) -> Observation:
    if manifest is None:
        return Observation()
    return Observation(
        capacity=manifest.capacity,
        findings=manifest.findings,
        again=manifest.again,
        disturbed={name: each.disturbed for name, each in sorted(traces.items()) if each.disturbed},
        left=manifest.left,
    )


def _verdict(each: Requirement, measure: Measure, recorded: Recorded, judged: Judged) -> Verdict:
    cases = (NO_JUDGE,) if each.id in judged.without_judge else judged.cases.get(each.id, ())
    return with_cases(not_run(each), cases or [_why_not_judged(each, measure, recorded, judged)])


def _why_not_judged(each: Requirement, measure: Measure, recorded: Recorded, judged: Judged) -> Case:
    excluded = measure.settings.profile.excludes_requirement(each)
    if excluded:
        return Case(case="", verdict="not-applicable", reason=excluded)
    reason = judged.set_aside.get(each.id) or measure.settings.not_asked_for(each, measure.catalogue)
    reason = reason or recorded.stopped
    return Case(case="", verdict="not-run", reason=reason or "its suite was not collected")


def _is_no_part(each: Verdict, measure: Measure) -> bool:
    """Whether it is left out of the report: it explores, and nobody asked for that or had it observed."""
    settings, catalogue = measure.settings, measure.catalogue
    if each.verdict != "not-run" or each.area not in catalogue.of_kind("exploring"):
        return False
    named = any(fnmatchcase(each.id, glob) for glob in settings.select)
    return not named and each.area not in catalogue.selected(settings.areas)


def _unjudged(verdicts: Sequence[Verdict], recorded: Recorded, judged: Judged) -> str | None:
    """What was to be judged and was not, without anybody's having left it out; None for nothing."""
    if judged.without_judge:
        return f"no suite has a judge of {', '.join(judged.without_judge)}"
    ids = [
        each.id
        for each in verdicts
        if each.verdict == "not-run" and each.id in judged.selected and each.id not in judged.set_aside
    ]
    if not ids:
        return None
    remark = recorded.manifest.of_a_part if recorded.manifest else ""
    were = "1 requirement was" if len(ids) == 1 else f"{len(ids)} requirements were"
    return f"{were} not judged, {ids[0]} first{remark}"


def _target(manifest: Manifest | None) -> TargetSummary:
    if manifest is None:
        return TargetSummary(name="unknown", url="", server="unknown")
    return TargetSummary(
        name=manifest.target,
        url=manifest.url,
        server=manifest.server,
        capabilities=dict(manifest.capabilities),
        insecure=manifest.insecure,
    )


def _agent_share(manifest: Manifest | None, verdicts: Sequence[Verdict]) -> AgentShare | None:
    """What of the catalogue could be judged, where an agent stood in for the conformance graphs."""
    if manifest is None or not manifest.agent:
        return None
    found = manifest.capabilities
    return agent_share(
        manifest.agent,
        verdicts,
        no_graphs=found[agents.GRAPHS].reason if agents.GRAPHS in found else "",
        no_outcome={found[name].reason for name in agents.OUTCOMES.values() if name in found} - {""},
    )


def _changes(manifest: Manifest | None, judged_by: Basis) -> Changes | None:
    """What is promised otherwise now; None where that cannot be told, or the revision is the same."""
    observed_by = None if manifest is None else manifest.basis
    if observed_by is None or observed_by.revision == judged_by.revision:
        return None
    return changes_since(observed_by.revision)
