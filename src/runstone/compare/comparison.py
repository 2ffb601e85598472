"""Several targets side by side: by requirement, and by scenario against the first of them.

A row differs when its targets stand differently; one that was not run on a target says nothing about it.
Targets differ in a MUST when one keeps it and another breaks it, cannot be tested for it, or has it waived: a
promise that does not apply to a target is not broken by it.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

import runstone
from runstone.compare.differences import Difference, differences
from runstone.errors import ExitCode, UsageError
from runstone.report import digest
from runstone.report.model import LEVELS, Case, Grid, Level, Outcome, Report, Verdict
from runstone.scenario.exploration import EXPLORING_AREAS
from runstone.wire.trace import Trace

Standing = Literal[
    "kept", "broken", "warned", "not-testable", "waived", "not-applicable", "not-run", "harness-error"
]
STANDINGS: Final[dict[Outcome, Standing]] = {
    "pass": "kept",
    "fail": "broken",
    "warn": "warned",
    "not-testable": "not-testable",
    "waived": "waived",
    "not-applicable": "not-applicable",
    "not-run": "not-run",
    "harness-error": "harness-error",
}


class NotComparable(UsageError):  # noqa: N818 - a diagnosis, named for what it says
    """What was given cannot be set side by side."""


_BROKEN: Final = frozenset({"broken", "warned", "not-testable", "waived"})
_CURLS = 2  # lines of one case
_CURL = 1_500  # characters; a longer line is in the target's report
_EXCHANGES = 6
_CASES = 8


@dataclass(frozen=True)
class Side:
    """One target; `judged` answers its report, perhaps only once it is ready.

    `traces` are None where only its report is known; `agent` is the assistant of its own that stood in for
    the conformance graphs, '' for none; `explored`: some scenarios made up their own requests.
    """

    name: str
    judged: Callable[[], Report]
    traces: Mapping[str, Trace] | None = None
    agent: str = ""
    explored: bool = False

    @property
    def report(self) -> Report:
        """The report, once it is ready."""
        return self.judged()


class ComparedTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One target as a comparison names it; `totals`: level to standing to number of requirements."""

    name: str
    url: str
    server: str
    started_at: str
    quick: bool
    complete: bool
    conforming: bool
    agent: str
    traces: bool
    totals: dict[str, dict[str, int]]
    grid: Grid


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """How one target stands to one requirement; `cases` are the telling ones."""

    standing: Standing
    cases: tuple[Case, ...] = ()
    further_cases: int = 0


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One requirement, with a `Stand` for each target in their order."""

    id: str
    level: Level
    area: str
    statement: str
    differs: bool
    stands: tuple[Stand, ...]

    @property
    def split(self) -> bool:
        """Whether one target keeps it and another breaks it."""
        found = {each.standing for each in self.stands}
        return "kept" in found and not _BROKEN.isdisjoint(found)


class ScenarioDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario in which two targets differ, in `count` places.

    `first`: the first of them; `telling`: of all of them the first that fewest other scenarios share.
    """

    scenario: str
    count: int
    first: Difference
    telling: Difference


class Recurring(msgspec.Struct, frozen=True, kw_only=True):
    """A difference that several scenarios share; `difference` is its first place."""

    scenarios: int
    difference: Difference


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """The traces of one target against those of the first.

    `compared`: scenarios that both held, of which `alike` show no difference; `left_only` and `right_only`
    were held with one of them.
    """

    left: str
    right: str
    compared: int
    alike: int
    left_only: tuple[str, ...]
    right_only: tuple[str, ...]
    scenarios: tuple[ScenarioDifference, ...]
    recurring: tuple[Recurring, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one comparison found. Schema: contracts/schemas/compare.json.

    `differ_in`: level to number of requirements that one target keeps and another breaks.
    """

    runstone: str
    profile: str
    compared_at: str
    exit_code: int
    differ_in: dict[str, int]
    targets: tuple[ComparedTarget, ...]
    requirements: tuple[Row, ...]
    pairs: tuple[Pair, ...]

    def differing(self) -> list[Row]:
        """The rows that differ, MUST before SHOULD, else in the catalogue's order."""
        found = [each for each in self.requirements if each.differs]
        return sorted(found, key=lambda row: (LEVELS.index(row.level), not row.split))


def compare(sides: Sequence[Side]) -> Comparison:
    """Two or more targets side by side; every one after the first is compared with the first."""
    pairs = pairs_of(sides)  # before any report is asked for: it may still be in the making
    _demand_one_catalogue(sides)
    return comparison(sides, pairs, dt.datetime.now(dt.UTC).isoformat(timespec="seconds"))


def comparison(sides: Sequence[Side], pairs: Sequence[Pair], compared_at: str) -> Comparison:
    """The same from pairs that were made already."""
    rows = tuple(_row(each) for each in zip(*(side.report.verdicts for side in sides), strict=True))
    differ_in: dict[str, int] = {
        level: sum(row.split for row in rows if row.level == level) for level in LEVELS
    }
    return Comparison(
        runstone=runstone.__version__,
        profile=sides[0].report.profile,
        compared_at=compared_at,
        exit_code=_exit_code(rows, differ_in),
        differ_in=differ_in,
        targets=tuple(_target(each) for each in sides),
        requirements=rows,
        pairs=tuple(pairs),
    )


def _demand_one_catalogue(sides: Sequence[Side]) -> None:
    """Raises NotComparable for reports of different profiles or suites."""
    first = sides[0]
    for each in sides[1:]:
        if each.report.profile != first.report.profile:
            raise NotComparable(
                f"{first.name} was judged by profile {first.report.profile}, {each.name} by "
                f"{each.report.profile}; check both with the same --profile"
            )
        if catalogue_of(each.report) != catalogue_of(first.report):
            raise NotComparable(
                f"the reports of {first.name} and {each.name} are of different suites; check both again"
            )


def catalogue_of(report: Report) -> list[tuple[str, Level]]:
    """What a report was judged by: the ids and levels of its requirements."""
    return [(each.id, each.level) for each in report.verdicts]


def pairs_of(sides: Sequence[Side]) -> list[Pair]:
    """Every target after the first against the first, where the traces of both are known."""
    first, *others = sides
    return [_pair(first, each) for each in others if first.traces is not None and each.traces is not None]


def _exit_code(rows: Sequence[Row], differ_in: Mapping[str, int]) -> ExitCode:
    if any(stand.standing == "harness-error" for row in rows for stand in row.stands):
        return ExitCode.HARNESS_ERROR
    return ExitCode.NOT_CONFORMING if differ_in["MUST"] else ExitCode.CONFORMING


def _target(side: Side) -> ComparedTarget:
    report = side.report
    return ComparedTarget(
        name=side.name,
        url=report.target.url,
        server=report.target.server,
        started_at=report.started_at,
        quick=report.quick,
        complete=report.complete,
        conforming=report.conforming,
        agent=side.agent,
        traces=side.traces is not None,
        totals={level: _totals(report, level) for level in LEVELS},
        grid=report.grid,
    )


def _totals(report: Report, level: Level) -> dict[str, int]:
    counts = Counter(STANDINGS[each.verdict] for each in report.verdicts if each.level == level)
    return {standing: counts[standing] for standing in STANDINGS.values() if counts[standing]}


def _row(verdicts: Sequence[Verdict]) -> Row:
    known = {STANDINGS[each.verdict] for each in verdicts} - {"not-run"}
    first = verdicts[0]
    differs = len(known) > 1
    return Row(
        id=first.id,
        level=first.level,
        area=first.area,
        statement=first.statement,
        differs=differs,
        stands=tuple(_stand(each, in_full=differs or each.verdict in {"fail", "warn"}) for each in verdicts),
    )


def _stand(verdict: Verdict, *, in_full: bool) -> Stand:
    cases = digest.telling_cases(verdict)
    return Stand(
        standing=STANDINGS[verdict.verdict],
        cases=tuple(_shortened(each, in_full) for each in cases[:_CASES]),
        further_cases=max(0, len(cases) - _CASES),
    )


def _shortened(case: Case, in_full: bool) -> Case:
    curls = [line for line in case.curl if len(line) <= _CURL][-_CURLS:] if in_full else []
    # The last ones: a judge finds its way to what it judges.
    return msgspec.structs.replace(case, curl=tuple(curls), exchanges=case.exchanges[-_EXCHANGES:])


def _pair(left: Side, right: Side) -> Pair:
    ours, theirs = _whole(left), _whole(right)
    by_shape = bool(left.agent or right.agent)
    shared = [name for name in ours if name in theirs]
    found = {name: differences(ours[name], theirs[name], by_shape=by_shape) for name in shared}
    frequency = Counter(likeness for each in found.values() for likeness in {one.likeness for one in each})
    firsts: dict[tuple[str, ...], Difference] = {}
    for each in (one for name in shared for one in found[name]):
        firsts.setdefault(each.likeness, each)
    return Pair(
        left=left.name,
        right=right.name,
        compared=len(shared),
        alike=sum(not each for each in found.values()),
        left_only=tuple(name for name in ours if name not in theirs),
        right_only=tuple(name for name in theirs if name not in ours),
        scenarios=tuple(
            ScenarioDifference(
                scenario=name,
                count=len(each),
                first=each[0],
                telling=min(each, key=lambda one: frequency[one.likeness]),
            )
            for name, each in found.items()
            if each
        ),
        recurring=tuple(
            Recurring(scenarios=count, difference=firsts[likeness])
            for likeness, count in sorted(frequency.items(), key=lambda each: (-each[1], each[0]))
            if count > 1
        ),
    )


def _whole(side: Side) -> dict[str, Trace]:
    """The traces that can be compared: not those that were cut short or made up their own requests."""
    explored = {
        key.rpartition("#")[0]
        for verdict in (side.report.verdicts if side.explored else ())
        if verdict.area in EXPLORING_AREAS
        for case in verdict.cases
        for key in case.exchanges
    }
    traces = side.traces or {}
    return {
        name: traces[name] for name in sorted(traces) if name not in explored and not traces[name].cut_short
    }
