"""Verdicts: what a case, a requirement and a whole run result in.

A *case* is one judgement of a requirement (one entry point, one graph). The most severe of its cases is the
requirement's verdict; the requirements' levels and the policy decide whether the target conforms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from runstone.contracts import LEVELS, Level, Requirement
from runstone.contracts.basis import Basis, Changes
from runstone.errors import ExitCode
from runstone.target.capabilities import Capability
from runstone.verdict.scenarios import ScenarioResults

FailOn = Literal["must", "should"]
Outcome = Literal[
    "pass", "not-applicable", "waived", "not-run", "warn", "not-testable", "flaky", "fail", "harness-error"
]
Sameness = Literal["same", "differs", "not-applicable", "not-testable", "not-run"]

# From the mildest to the most severe: of several cases, the last one in this order stands.
SEVERITY: tuple[Outcome, ...] = (
    "not-applicable",
    "pass",
    "not-run",
    "waived",
    "warn",
    "not-testable",
    "flaky",
    "fail",
    "harness-error",
)
UNCONFIRMED: Final = "unconfirmed: "  # how the reason begins of what was broken once and not observed again
JUDGED: frozenset[Outcome] = frozenset({"pass", "waived", "warn", "fail", "flaky", "not-testable"})
GRID_ROWS = ("success", "error", "interrupt", "cancel", "timeout")
GRID_COLUMNS = ("wait", "stream", "background", "stateless_wait", "stateless_stream")
EXCHANGES_NAMED = 40  # by a case; a monitor reads thousands


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One judgement: `case` names its parameters ('' where there are none), `reason` what was seen.

    `cause`: the id of the cause that it hangs on; '' for what is kept, waived or not judged.
    """

    case: str
    verdict: Outcome
    reason: str = ""
    exchanges: tuple[str, ...] = ()
    curl: tuple[str, ...] = ()
    cause: str = ""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What one repair would put right: an operation, what it answered, and why that is not enough.

    `requirement`: the promise that this breaks by itself; '' where the catalogue has none. `requirements`:
    all that hang on it, in the catalogue's order; `must` and `should` count them. `curl`: a shell script
    that makes what it needs and asks again; '' where nothing was asked.
    """

    id: str
    requirement: str
    operation: str
    answer: str
    reason: str
    expected: str
    requirements: tuple[str, ...]
    must: int
    should: int
    curl: str


# Of a requirement that was asked for and that no suite judges.
NO_JUDGE = Case(case="", verdict="harness-error", reason="it has no judge: no suite that was run judges it")


class AcceptedBy(msgspec.Struct, frozen=True, kw_only=True):
    """The waiver that covers a failing requirement."""

    reason: str
    owner: str
    expires: str
    link: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One requirement judged."""

    id: str
    level: Level
    area: str
    statement: str
    source: tuple[str, ...]
    verdict: Outcome
    waiver: AcceptedBy | None = None
    cases: tuple[Case, ...] = ()


class TargetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The target as a report names it. `insecure`: no certificate was checked; anybody may have answered."""

    name: str
    url: str
    server: str
    capabilities: dict[str, Capability] = {}
    insecure: bool = False


class AgentShare(msgspec.Struct, frozen=True, kw_only=True):
    """What could be judged on an agent of the user's own, which stood in for the conformance graphs.

    `requirements`: those that would be judged of this server with the graphs. `need_graphs` and
    `need_outcome` were not: they need a graph of known behaviour, or an outcome that it has no input for.
    """

    assistant: str
    judged: int
    requirements: int
    need_graphs: int
    need_outcome: int


class Phases(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time went, in seconds; they sum to the report's `duration_s`.

    `prepare_s`: installing official clients. `observe_s`: from the self-check to the last scenario.
    `confirm_s`: observing again. `clean_s`: deleting what was made. `judge_s`: judging, also in between.
    """

    prepare_s: float = 0.0
    observe_s: float = 0.0
    confirm_s: float = 0.0
    clean_s: float = 0.0
    judge_s: float = 0.0

    @property
    def sum_s(self) -> float:
        """All of it."""
        return self.prepare_s + self.observe_s + self.confirm_s + self.clean_s + self.judge_s


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """How the target was observed, beside what its verdicts rest on.

    `capacity`: how many runs it executes at a time; None where nobody knows. `findings`: what was noticed of
    it beside all scenarios. `again`: what was observed again, by the name of that recording, and the
    requirement that seemed broken. `disturbed`: by recording, why it may show the network rather than the
    target. `left`: what was made on the target and could not be deleted, and why.
    """

    capacity: int | None = None
    findings: tuple[str, ...] = ()
    again: dict[str, str] = {}
    disturbed: dict[str, tuple[str, ...]] = {}
    left: tuple[str, ...] = ()


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the parity grid: does this entry point give what `wait` gives for this outcome?"""

    verdict: Sameness
    reason: str = ""
    requirement: str = ""  # the one whose case decided the cell; '' where nothing was judged


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """The parity grid: outcome (rows) by entry point (columns)."""

    rows: tuple[str, ...] = GRID_ROWS
    columns: tuple[str, ...] = GRID_COLUMNS
    cells: dict[str, dict[str, Cell]] = {}


class AreaTotals(msgspec.Struct, frozen=True, kw_only=True):
    """How one area did: verdict → number of requirements; only verdicts that occur."""

    area: str
    totals: dict[str, int]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one run found. Schema: contracts/schemas/report.json.

    `duration_s`: from the first request to the end of clean-up and judging. `put_off`: what the target
    refused for a while, and how long it was waited for; '' for nothing. `judged_by`: the contract and the
    judges; None in reports of Runstone 0.1.0. `observed_by`: those that the evidence names; None where it
    names none. `changes`: what `judged_by` promises otherwise, where both revisions are known and differ.
    `scenarios`: a team's own, where they were played too.
    """

    runstone: str
    profile: str
    started_at: str
    duration_s: float
    phases: Phases
    complete: bool
    stopped: str | None
    conforming: bool
    exit_code: int
    fail_on: FailOn
    quick: bool
    target: TargetSummary
    totals: dict[str, dict[str, int]]
    areas: tuple[AreaTotals, ...]
    grid: Grid
    verdicts: tuple[Verdict, ...]
    causes: tuple[Cause, ...] = ()
    waiver_errors: tuple[str, ...] = ()
    agent: AgentShare | None = None
    put_off: str = ""
    judged_by: Basis | None = None
    observed_by: Basis | None = None
    changes: Changes | None = None
    scenarios: ScenarioResults | None = None
    observation: Observation = Observation()


def most_severe(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome that stands for all; `not-run` for none."""
    return max(outcomes, key=SEVERITY.index, default="not-run")


def not_run(each: Requirement) -> Verdict:
    """The verdict on a requirement that nothing has judged."""
    return Verdict(
        id=each.id,
        level=each.level,
        area=each.area,
        statement=each.statement,
        source=tuple(each.source),
        verdict="not-run",
    )


def with_cases(verdict: Verdict, cases: Sequence[Case], waiver: AcceptedBy | None = None) -> Verdict:
    """The requirement as these cases judge it: the only place where its verdict is made of theirs."""
    outcome = most_severe(case.verdict for case in cases)
    return msgspec.structs.replace(verdict, verdict=outcome, cases=tuple(cases), waiver=waiver)


def broken_outcome(level: Level) -> Outcome:
    """What breaking a promise of this level results in: only a MUST fails the target."""
    return "fail" if level == "MUST" else "warn"


def fails_target(verdict: Verdict, fail_on: FailOn) -> bool:
    """Whether this verdict alone makes the target not conforming."""
    return fails(verdict.verdict, verdict.level, fail_on)


def fails(outcome: Outcome, level: Level, fail_on: FailOn) -> bool:
    """Whether this outcome of a requirement of this level alone makes a target not conforming."""
    if outcome == "fail":
        return True
    if outcome in {"not-testable", "flaky"}:
        return level == "MUST" or (fail_on == "should" and level == "SHOULD")
    return outcome == "warn" and fail_on == "should" and level == "SHOULD"


def totals_by_level(verdicts: Sequence[Verdict]) -> dict[str, dict[str, int]]:
    """Level → verdict → number of requirements; only verdicts that occur, mildest first."""
    return {
        level: _counted(verdict.verdict for verdict in verdicts if verdict.level == level) for level in LEVELS
    }


def totals_by_area(verdicts: Sequence[Verdict]) -> tuple[AreaTotals, ...]:
    """The same by area, in the order in which the areas come."""
    areas = dict.fromkeys(verdict.area for verdict in verdicts)
    return tuple(
        AreaTotals(
            area=area, totals=_counted(verdict.verdict for verdict in verdicts if verdict.area == area)
        )
        for area in areas
    )


def agent_share(
    assistant: str, verdicts: Sequence[Verdict], *, no_graphs: str, no_outcome: Container[str]
) -> AgentShare:
    """The share of an agent. `no_graphs`, `no_outcome`: the reasons of what needs more than it has."""
    judged = sum(each.verdict in JUDGED for each in verdicts)
    reasons = [{case.reason for case in each.cases} for each in verdicts if each.verdict == "not-applicable"]
    # Of several cases one that lacks but an outcome is enough: an input for it would have the rest judged.
    lacking = [any(each in no_outcome for each in told) for told in reasons]
    outcome = sum(lacking)
    graphs = sum(no_graphs in told for told, lacks in zip(reasons, lacking, strict=True) if not lacks)
    return AgentShare(
        assistant=assistant,
        judged=judged,
        requirements=judged + graphs + outcome,
        need_graphs=graphs,
        need_outcome=outcome,
    )


def _counted(outcomes: Iterable[Outcome]) -> dict[str, int]:
    counts = Counter(outcomes)
    return {outcome: counts[outcome] for outcome in SEVERITY if counts[outcome]}


def exit_code(
    verdicts: Sequence[Verdict],
    *,
    fail_on: FailOn,
    complete: bool,
    waiver_errors: Sequence[str],
    unusable: bool = False,
) -> ExitCode:
    """What a run ends with. Nothing judged, or an unfinished run, is never conforming.

    `unusable`: the target could not be judged at all.
    """
    outcomes = {verdict.verdict for verdict in verdicts}
    if unusable:
        return ExitCode.UNREACHABLE
    if "harness-error" in outcomes:
        return ExitCode.HARNESS_ERROR
    broken = any(fails_target(verdict, fail_on) for verdict in verdicts)
    judged = bool(outcomes & JUDGED)
    if broken or waiver_errors or not complete or not judged:
        return ExitCode.NOT_CONFORMING
    return ExitCode.CONFORMING


def grid_from(cells: Mapping[tuple[str, str], Iterable[tuple[str, Case]]]) -> Grid:
    """Fold the parity cases of each (outcome, entry point), given with the ids of their requirements.

    The most severe case decides its cell; where nothing was judged, the cell is `not-run`.
    """
    return Grid(
        cells={
            row: {column: _cell(cells.get((row, column), ())) for column in GRID_COLUMNS} for row in GRID_ROWS
        }
    )


def _cell(judged: Iterable[tuple[str, Case]]) -> Cell:
    decisive = max(judged, key=lambda each: SEVERITY.index(each[1].verdict), default=None)
    if decisive is None:
        return Cell(verdict="not-run")
    requirement, case = decisive
    return Cell(verdict=_sameness(case.verdict), reason=case.reason, requirement=requirement)


def _sameness(outcome: Outcome) -> Sameness:
    if outcome == "pass":
        return "same"
    return outcome if outcome in {"not-applicable", "not-run", "not-testable"} else "differs"
