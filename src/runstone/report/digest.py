"""What every renderer says about a report: the headline, the counts, and which findings come first.

One place decides it, so that terminal, Markdown, HTML and JUnit never disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from runstone.contracts import LEVELS, load_catalogue
from runstone.contracts.basis import Changes
from runstone.report.remarks import set_aside
from runstone.report.text import counted
from runstone.target.agents import NO_RUNS
from runstone.verdict.model import JUDGED, Case, Cause, FailOn, Outcome, Report, Verdict, fails_target
from runstone.verdict.scenarios import RESULTS, Result, ScenarioResults

_BASIS = {
    "catalogue": "the catalogue",
    "suites": "the suites",
    "graphs": "the graphs",
    "judging": "the judging configuration",
}
_IDS = 5  # that a line names; report.json has them all

Standing = Literal["kept", "broken", "warned", "other"]
STANDINGS: tuple[Standing, ...] = ("kept", "broken", "warned", "other")

# The verdicts as a reader sees them, those that need attention first.
OUTCOME_WORDS: dict[Outcome, str] = {
    "harness-error": "harness error",
    "fail": "fail",
    "flaky": "flaky",
    "not-testable": "not testable",
    "warn": "warn",
    "waived": "waived",
    "not-run": "not run",
    "pass": "pass",
    "not-applicable": "not applicable",
}


# The results of scenarios, as a reader sees them.
RESULT_WORDS: dict[Result, str] = {
    "pass": "pass",
    "not-judged": "not judged",
    "judge-error": "judge error",
    "flaky": "flaky",
    "fail": "fail",
}


class Share(msgspec.Struct, frozen=True):
    """How much of one level was kept. `of` leaves out not-applicable, never not-run: that is not green."""

    level: str
    kept: int
    of: int
    counts: dict[Outcome, int]

    @property
    def percent(self) -> str:
        """`98.3 %`, rounded down so that 100 % means all of them; '' where nothing was kept or asked."""
        if not self.kept or not self.of:
            return ""
        tenths = self.kept * 1000 // self.of
        return "100 %" if tenths == 1000 else f"{tenths / 10:.1f} %"

    @property
    def words(self) -> str:
        """`118 of 120 kept (98.3 %)`, or that there was nothing to keep."""
        if not self.of:
            return "none asked" if not self.counts else "none applicable"
        return f"{self.kept} of {self.of} kept" + (f" ({self.percent})" if self.percent else "")


class AreaRow(msgspec.Struct, frozen=True):
    """One line of the table of areas: how many requirements stand where."""

    area: str
    kept: int
    broken: int
    warned: int
    other: int


class Unjudged(msgspec.Struct, frozen=True):
    """Requirements that share a verdict and a reason for not having been judged."""

    verdict: Outcome
    reason: str
    ids: tuple[str, ...]


def revision(report: Report) -> str:
    """The revision of the contract that was judged by."""
    return report.judged_by.revision if report.judged_by else "unknown"


def revision_note(report: Report) -> str:
    """What differs since the evidence was recorded; '' where nothing does."""
    judged, observed = report.judged_by, report.observed_by
    if judged is None or judged == observed:
        return ""
    if observed is None:
        return "the evidence names no revision, so nothing tells what changed since it was recorded"
    if observed.revision == judged.revision:
        edited = (words for name, words in _BASIS.items() if getattr(observed, name) != getattr(judged, name))
        return f"since the evidence was recorded were edited: {', '.join(edited)}"
    recorded = f"the evidence is of revision {observed.revision}"
    if report.changes is None:
        return f"{recorded}, which this Runstone does not know"
    return f"{recorded}, and of the requirements {_change_words(report.changes)}"


def _change_words(changes: Changes) -> str:
    kinds = {"new": changes.new, "gone": changes.gone, "reworded": changes.reworded}
    told = [f"{len(ids)} {kind} ({_some(ids)})" for kind, ids in kinds.items() if ids]
    return ", ".join(told) or "none is new, gone or reworded"


def _some(ids: tuple[str, ...]) -> str:
    return ", ".join(ids[:_IDS]) + (f" and {len(ids) - _IDS} more" if len(ids) > _IDS else "")


def standing(verdict: Verdict, fail_on: FailOn) -> Standing:
    """Which column a requirement counts in: broken is what makes the target not conforming."""
    if fails_target(verdict, fail_on):
        return "broken"
    if verdict.verdict in {"warn", "flaky", "not-testable"}:
        return "warned"
    return "kept" if verdict.verdict == "pass" else "other"


def judged(report: Report) -> int:
    """How many requirements were judged at all."""
    return sum(verdict.verdict in JUDGED for verdict in report.verdicts)


def agent_words(report: Report) -> str:
    """How much could be judged on an agent of the user's own; '' where the conformance graphs ran."""
    share = report.agent
    if share is None:
        return ""
    said = [f"{share.assistant}: judged {share.judged} of {share.requirements} requirements"]
    if share.need_graphs:
        said.append(f"{share.need_graphs} need the conformance graphs")
    if share.need_outcome:
        said.append(f"{share.need_outcome} need an outcome for which it has no input")
    return "; ".join(said)


def conforms(report: Report) -> bool:
    """Whether the report may say so: nothing judged never conforms, whatever the report claims."""
    return report.conforming and judged(report) > 0


def headline(report: Report) -> str:
    """`embedded conforms to profile langgraph`, or that it does not, or that Runstone broke."""
    if any(verdict.verdict == "harness-error" for verdict in report.verdicts):
        return f"Runstone broke while it judged {report.target.name}"
    if of_load(report):
        relation = "keeps" if conforms(report) else "does not keep" if failing(report) else ""
        what = f"{relation} what it promises" if relation else "has no verdict"
        return f"{report.target.name} {what} under load"
    relation = "conforms" if conforms(report) else "does not conform"
    return f"{report.target.name} {relation} to profile {report.profile}"


def of_load(report: Report) -> bool:
    """Whether a load was judged, which says nothing of what a check judges."""
    areas = {verdict.area for verdict in report.verdicts}
    return bool(areas) and areas <= load_catalogue().of_loads.areas.keys()


def grounds(report: Report) -> list[str]:
    """Why the target does not conform, the gravest first; empty for one that does."""
    broken = Counter(verdict.level for verdict in failing(report))
    said = [f"{broken[level]} {level} broken" for level in LEVELS if broken[level]]
    errors = [verdict for verdict in report.verdicts if verdict.verdict == "harness-error"]
    if errors:
        said.insert(0, counted(len(errors), "harness error"))
    if not judged(report):
        said.append("nothing was judged")
    if report.waiver_errors:
        said.append(counted(len(report.waiver_errors), "waiver") + " in error")
    if not report.complete:
        said.append("the run is incomplete")
    if report.scenarios is not None and not report.scenarios.accepted:
        said.append(f"scenarios not accepted ({scenario_totals(report.scenarios)})")
    return said


def scenario_totals(results: ScenarioResults) -> str:
    """`8 pass, 1 flaky, 1 fail`; that there is none where there is none."""
    told = [f"{results.totals[each]} {RESULT_WORDS[each]}" for each in RESULTS if results.totals.get(each)]
    return ", ".join(told) or "no scenario was played"


def reservations(report: Report) -> list[str]:
    """What a conforming report must not hide: what was waived, warned about or never run, and how it went."""
    counts = [(len(having(report, "waived")), "waived"), (len(warned(report)), "warned")]
    counts.append((len(having(report, "not-run")), "not run"))
    told = [f"{count} {word}" for count, word in counts if count]
    told += [NO_RUNS] if any(each.reason == NO_RUNS for each in report.target.capabilities.values()) else []
    told += ["no certificate was checked (--insecure)"] if report.target.insecure else []
    told += [f"{aside} set aside for the capacity"] if (aside := len(set_aside(report))) else []
    seen = report.observation
    told += [counted(len(seen.findings), "finding")] if seen.findings else []
    told += [f"{counted(len(seen.left), 'thing')} left behind"] if seen.left else []
    return told + ([report.put_off] if report.put_off else [])


def shares(report: Report) -> list[Share]:
    """One per level, from the verdicts themselves.

    What a user left out of a run that is complete is not counted; what a broken-off run did not reach is.
    """
    left_out: set[Outcome] = {"not-applicable", "not-run"} if report.complete else {"not-applicable"}
    return [
        _share(level, [v.verdict for v in report.verdicts if v.level == level], left_out) for level in LEVELS
    ]


def _share(level: str, outcomes: list[Outcome], left_out: set[Outcome]) -> Share:
    counts = Counter(outcomes)
    applicable = len(outcomes) - sum(counts[outcome] for outcome in left_out)
    ordered = {outcome: counts[outcome] for outcome in OUTCOME_WORDS if counts[outcome]}
    return Share(level, counts["pass"], applicable, ordered)


def area_rows(report: Report) -> list[AreaRow]:
    """The table of areas, in the order in which the areas come."""
    rows = []
    for area in dict.fromkeys(verdict.area for verdict in report.verdicts):
        counts = Counter(standing(v, report.fail_on) for v in report.verdicts if v.area == area)
        rows.append(AreaRow(area, *(counts[name] for name in STANDINGS)))
    return rows


def total_row(rows: Iterable[AreaRow]) -> AreaRow:
    """The sum of all areas."""
    rows = list(rows)
    return AreaRow("all", *(sum(getattr(row, name) for row in rows) for name in STANDINGS))


def failing(report: Report) -> list[Verdict]:
    """What makes the target not conforming, MUST before SHOULD, else in the catalogue's order."""
    found = [v for v in report.verdicts if fails_target(v, report.fail_on)]
    return sorted(found, key=lambda verdict: LEVELS.index(verdict.level))


def cause_words(cause: Cause) -> str:
    """`POST /threads answered 500: …`."""
    if not cause.operation:
        return cause.reason
    answered = f"answered {cause.answer}" if cause.answer[:1].isdigit() else f"got {cause.answer}"
    return f"{cause.operation} {answered}: {cause.reason}"


def cause_weight(cause: Cause) -> str:
    """`49 MUST, 27 SHOULD, 1 MAY`: how many requirements hang on it."""
    others = len(cause.requirements) - cause.must - cause.should
    counts = ((cause.must, "MUST"), (cause.should, "SHOULD"), (others, "MAY"))
    return ", ".join(f"{count} {level}" for count, level in counts if count)


def cause_burden(cause: Cause) -> str:
    """`1 MUST hangs on it`, `49 MUST, 27 SHOULD hang on it`."""
    return f"{cause_weight(cause)} {'hangs' if len(cause.requirements) == 1 else 'hang'} on it"


def causes_headline(report: Report) -> str:
    """`11 causes of 47 broken requirements`; '' for none."""
    hanging = {each for cause in report.causes for each in cause.requirements}
    told = f"{counted(len(report.causes), 'cause')} of {counted(len(hanging), 'broken requirement')}"
    return told if report.causes else ""


def warned(report: Report) -> list[Verdict]:
    """What is broken or could not be tested without making the target fail."""
    return [v for v in report.verdicts if standing(v, report.fail_on) == "warned"]


def having(report: Report, outcome: Outcome) -> list[Verdict]:
    """The requirements with this verdict."""
    return [verdict for verdict in report.verdicts if verdict.verdict == outcome]


def telling_cases(verdict: Verdict) -> list[Case]:
    """The cases that explain a verdict: those that were not kept, else all."""
    return [case for case in verdict.cases if case.verdict not in {"pass", "not-applicable"}] or list(
        verdict.cases
    )


def reasons(verdict: Verdict) -> str:
    """The reasons of the telling cases on one line, each once."""
    return "; ".join(dict.fromkeys(case.reason for case in telling_cases(verdict) if case.reason))


def unjudged(report: Report) -> list[Unjudged]:
    """What was not run and what does not apply, grouped by the reason given."""
    groups: dict[tuple[Outcome, str], list[str]] = {}
    for outcome in ("not-run", "not-applicable"):
        for verdict in having(report, outcome):
            groups.setdefault((outcome, reasons(verdict) or "no reason given"), []).append(verdict.id)
    return [Unjudged(outcome, reason, tuple(ids)) for (outcome, reason), ids in groups.items()]


def differing_cells(report: Report) -> Iterator[tuple[str, str, str]]:
    """Row, column and reason of each cell of the parity grid that differs or could not be tested."""
    for row in report.grid.rows:
        for column in report.grid.columns:
            cell = report.grid.cells.get(row, {}).get(column)
            if cell is not None and cell.verdict in {"differs", "not-testable"}:
                yield row, column, cell.reason
