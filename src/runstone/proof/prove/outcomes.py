"""What the reports on the servers of a proof show of faults, variants and requirements. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, get_args

import msgspec

from runstone.contracts import Catalogue
from runstone.proof.prove.matrix import (
    BROKEN,
    COARSE,
    HIT,
    JUDGED,
    Effect,
    Fault,
    Hit,
    Judged,
    Missed,
    Variant,
    VariedServer,
)
from runstone.proof.reasons import settled
from runstone.verdict.model import Case, Report, Verdict

_EFFECTS: Final[Mapping[str, Effect]] = {each: each for each in get_args(Effect)}


def hits(verdicts: Iterable[Verdict], kept: frozenset[str] | None = None) -> tuple[Hit, ...]:
    """What is not kept, of what the unbroken server keeps (`kept`; None for all)."""
    return tuple(
        Hit(id=each.id, verdict=_EFFECTS[each.verdict], reason=_reason(each))
        for each in verdicts
        if each.verdict in HIT and (kept is None or each.id in kept)
    )


def _reason(verdict: Verdict) -> str:
    """The reason of the case that decided, without what differs from run to run."""
    case = next(
        (each for each in verdict.cases if each.verdict == verdict.verdict), Case(case="", verdict="fail")
    )
    return settled(case.reason, f"{case.case}: " if case.case else "")


def kept(report: Report) -> frozenset[str]:
    """The ids of what passes."""
    return frozenset(each.id for each in report.verdicts if each.verdict == "pass")


def fault_of(
    name: str,
    statement: str,
    server: str,
    breaks: Sequence[str],
    report: Report | None,
    baseline: frozenset[str],
    *,
    trouble: str,
) -> Fault:
    """A fault by the report on its server. `baseline`: what the unbroken one keeps, and a fault can break."""
    verdicts = report.verdicts if report is not None else ()
    found = hits(verdicts, baseline)
    fallen = {hit.id for hit in found if hit.verdict in BROKEN}
    judged = sum(each.verdict in JUDGED for each in verdicts)
    told = {each.id: each for each in verdicts}
    others = sum(each.verdict in JUDGED and each.id not in breaks for each in verdicts)
    missed = [each for each in breaks if each not in fallen]
    return Fault(
        name=name,
        statement=statement,
        server=server,
        breaks=tuple(breaks),
        missed=tuple(Missed(id=each, why=_missed(told.get(each), each in baseline)) for each in missed),
        hits=found,
        judged=judged,
        tries=1,
        coarse=sum(hit.id not in breaks for hit in found) > COARSE * others,
        trouble=trouble,
    )


def _missed(verdict: Verdict | None, kept_before: bool) -> str:
    if verdict is None:
        return "not judged"
    if not kept_before:
        return f"the unbroken server does not keep it either; with the fault: {verdict.verdict}"
    return " ".join([verdict.verdict, _reason(verdict)]).strip()


def varied_server_of(
    variants: Iterable[Variant],
    report: Report | None,
    baseline: frozenset[str],
    *,
    trouble: str,
) -> VariedServer:
    """A varied server by the report on it: a MUST that the plain one keeps is kept, or does not apply.

    Areas that hold no MUST need not have been observed.
    """
    verdicts = report.verdicts if report is not None else ()
    unkept = [
        each
        for each in verdicts
        if each.id in baseline
        and each.verdict not in {"pass", "not-applicable"}
        and (each.verdict != "not-run" or each.level == "MUST")
    ]
    told = tuple(
        Hit(id=each.id, verdict=_EFFECTS.get(each.verdict, "not-testable"), reason=_reason(each))
        for each in unkept
    )
    musts = {each.id for each in verdicts if each.level == "MUST"}
    return VariedServer(
        variants=tuple(variants),
        kept=sum(each.verdict == "pass" for each in verdicts),
        broken=tuple(hit for hit in told if hit.id in musts),
        left=tuple(hit for hit in told if hit.id not in musts),
        tries=1,
        trouble=trouble,
    )


def second_try_of(first: Fault, again: Fault) -> Fault:
    """What counts of a fault that was checked once more, alone: the second try, unless it caught less."""
    better = again if len(again.missed) <= len(first.missed) or first.trouble else first
    return msgspec.structs.replace(better, tries=2, first_try=first.shortcoming)


def requirements_of(
    catalogue: Catalogue, faults: Iterable[Fault], baselines: Sequence[Report], areas: frozenset[str]
) -> tuple[Judged, ...]:
    """The requirements of these areas (empty: of all) with the faults that make each fail."""
    killers: defaultdict[str, list[str]] = defaultdict(list)
    for fault in faults:
        for hit in fault.hits:
            if hit.verdict in BROKEN:
                killers[hit.id].append(fault.name)
    told = [{each.id: each for each in report.verdicts} for report in baselines]
    return tuple(
        Judged(
            id=each.id,
            level=each.level,
            area=each.area,
            statement=each.statement,
            killed_by=tuple(killers[each.id]),
            unjudged=_unjudged([verdicts[each.id] for verdicts in told if each.id in verdicts]),
        )
        for each in catalogue.values()
        if not areas or each.area in areas
    )


def _unjudged(verdicts: Sequence[Verdict]) -> str:
    """Why no unbroken server shows this requirement kept; '' where one does."""
    if any(each.verdict == "pass" for each in verdicts):
        return ""
    # The recipe that fails to keep it says more than the one that it does not apply to.
    told = sorted(verdicts, key=lambda each: each.verdict in {"not-applicable", "not-run"})
    return next((f"{each.verdict}: {_reason(each)}" for each in told), "no server was asked")
