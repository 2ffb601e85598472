"""The verdicts of a load: from load.json to the report that every check has. Pure functions.

A promise is kept where something was looked at and nothing of it broke it. What broke is told by kind of
start, so that a waiver can speak of one. What was neither kept nor broken does not apply, where no kind of
the mix asks for it; otherwise it was not run, or could not be tested.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

from runstone.contracts import Requirement, load_catalogue
from runstone.contracts.basis import basis_of
from runstone.contracts.revision import current_revision
from runstone.errors import ExitCode
from runstone.load.invariants import ASKED_BY, STEADY, WEBHOOKS
from runstone.load.model import Broken, Invariant, Load
from runstone.report.causes import causes_of
from runstone.report.text import counted
from runstone.verdict import waivers as waiving
from runstone.verdict.model import (
    EXCHANGES_NAMED,
    JUDGED,
    Case,
    FailOn,
    Grid,
    Observation,
    Phases,
    Report,
    TargetSummary,
    Verdict,
    broken_outcome,
    fails_target,
    not_run,
    totals_by_area,
    totals_by_level,
    with_cases,
)
from runstone.verdict.waivers import Waiver
from runstone.wire.trace import Trace

PROFILE = "langgraph"  # whose dialect the starts of a load are written in
_CURLS = 3  # lines of a case, of the first start that broke it


def report_of(
    load: Load,
    traces: Mapping[str, Trace],
    *,
    waivers: Sequence[Waiver] = (),
    fail_on: FailOn = "must",
    today: dt.date,
) -> Report:
    """The report of a load. `traces`: the recordings of single starts; what lacks one is told without it."""
    unwaived = [_verdict(each, load, traces) for each in load_catalogue().of_loads.values()]
    waived, waiver_errors = waiving.apply(unwaived, waivers, traces.keys(), today)
    causes, verdicts = causes_of(waived, traces)
    code = _exit_code(load, verdicts, fail_on, waiver_errors)
    whole = load.outcome.kind == "whole"
    basis = basis_of(PROFILE, current_revision())
    return Report(
        runstone=load.runstone,
        profile=PROFILE,
        started_at=load.started_at,
        duration_s=load.duration_s,
        phases=Phases(observe_s=load.duration_s),
        complete=whole,
        stopped=None if whole else f"{load.outcome.kind}: {load.outcome.reason or 'it has not ended'}",
        conforming=code == ExitCode.CONFORMING,
        exit_code=code,
        fail_on=fail_on,
        quick=False,
        target=TargetSummary(
            name=load.plan.target, url=load.plan.url, server=load.server, insecure=load.insecure
        ),
        totals=totals_by_level(verdicts),
        areas=totals_by_area(verdicts),
        grid=Grid(),
        verdicts=tuple(verdicts),
        causes=causes,
        waiver_errors=tuple(waiver_errors),
        put_off=put_off(load),
        judged_by=basis,
        observed_by=basis,
        observation=Observation(left=load.left),
    )


def put_off(load: Load) -> str:
    """What the target refused for a while, and how long it was waited for; '' for nothing."""
    answers = ", ".join(f"{number:,} times {code}" for code, number in sorted(load.throttled.answers.items()))
    return f"{answers}; obeyed, {load.throttled.waited_s:,.0f} s waited in all" if answers else ""


def _exit_code(
    load: Load, verdicts: Sequence[Verdict], fail_on: FailOn, waiver_errors: Sequence[str]
) -> ExitCode:
    """What is broken stays broken, whatever came after; what is not whole is never conforming."""
    if waiver_errors or any(fails_target(each, fail_on) for each in verdicts):
        return ExitCode.NOT_CONFORMING
    judged = any(each.verdict in JUDGED for each in verdicts)
    whole = judged and load.outcome.kind == "whole"
    return ExitCode.CONFORMING if whole else ExitCode.HARNESS_ERROR


def _verdict(each: Requirement, load: Load, traces: Mapping[str, Trace]) -> Verdict:
    found = next((seen for seen in load.invariants if seen.id == each.id), None)
    if found is None:
        reason = load.outcome.reason or "this load did not look at it"
        return with_cases(not_run(each), [Case(case="", verdict="not-run", reason=reason)])
    if found.broken and not (each.id == STEADY and load.outcome.kind == "incomplete"):
        return with_cases(not_run(each), list(_broken(each, found, traces)))
    return with_cases(not_run(each), [_unbroken(found, load)])


def _unbroken(found: Invariant, load: Load) -> Case:
    """What nothing broke. Why something was not tested is the target's doing, where a reason is counted.

    Of a load that is not the one that was planned, nothing is kept.
    """
    why = "; ".join(f"{reason} ({number:,})" for reason, number in found.why_not_tested.items())
    untested = f"{found.not_tested:,} of the {found.of} could not be tested" + (f": {why}" if why else "")
    if load.outcome.kind != "whole":
        seen = f"{found.kept:,} {found.of} kept it" if found.kept else found.remark or untested
        return Case(case="", verdict="not-run", reason=f"the load is {load.outcome.kind}; {seen}")
    if found.kept:
        return Case(case="", verdict="pass", reason=untested if found.not_tested else "")
    if why:
        return Case(case="", verdict="not-testable", reason=untested)
    asking = ASKED_BY.get(found.id)
    if asking is not None and not any(load.plan.mix.get(kind) for kind in asking):
        reason = f"the mix of this load has none of {', '.join(sorted(asking))}"
        return Case(case="", verdict="not-applicable", reason=reason)
    if found.id == WEBHOOKS and not load.plan.webhooks:
        reason = "no webhook was asked for: the server offers none, or could not have reached this machine"
        return Case(case="", verdict="not-run", reason=reason)
    return Case(case="", verdict="not-run", reason=found.remark or "nothing of this load asks for it")


def _broken(each: Requirement, found: Invariant, traces: Mapping[str, Trace]) -> Iterator[Case]:
    """A case for each kind of start that broke it, and one for what was counted and not kept."""
    kinds = dict.fromkeys(sample.kind for sample in found.samples)
    outcome = broken_outcome(each.level)
    total = f"broken by {found.broken:,}, kept by {found.kept:,} {found.of}"
    for kind in kinds:
        samples = [sample for sample in found.samples if sample.kind == kind]
        exchanges = [one for sample in samples for one in _exchanges(sample, traces)]
        first = traces.get(samples[0].trace)
        yield Case(
            case=kind,
            verdict=outcome,
            reason=f"{samples[0].reason} ({_recorded(samples)}; {total})",
            exchanges=tuple(exchanges[:EXCHANGES_NAMED]),
            curl=tuple(one.curl() for one in first.exchanges[-_CURLS:]) if first is not None else (),
        )
    left = found.broken - len(found.samples)
    if left > 0:
        counted_only = f"{left:,} more were counted and not recorded" if kinds else ""
        told = [each for each in (counted_only, total, found.remark) if each]
        yield Case(case="", verdict=outcome, reason="; ".join(told))


def _recorded(samples: Sequence[Broken]) -> str:
    number = counted(len(samples), "start")
    return f"the first of {number}, {samples[0].at:.1f} s after the load began"


def _exchanges(sample: Broken, traces: Mapping[str, Trace]) -> Iterator[str]:
    trace = traces.get(sample.trace)
    if trace is not None:
        yield from (each.key for each in trace.exchanges)
