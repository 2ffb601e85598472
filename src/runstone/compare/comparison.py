"""Several targets side by side: by requirement, and by what they answered against the first of them.

A row differs when its targets have different verdicts; one that was not run on a target says nothing about
it. Targets are split on a requirement when one keeps it and another breaks it, cannot be tested for it, or
has it waived: a promise that does not apply to a target is not broken by it.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import msgspec

import runstone
from runstone.compare.differences import Example, Kind, Likeness, differences
from runstone.contracts import LEVELS, Level, Requirement, load_catalogue
from runstone.errors import ExitCode, UsageError
from runstone.report import digest
from runstone.scenario.scenario import CAPACITY_LOOKS
from runstone.verdict.model import (
    Case,
    Cause,
    Grid,
    Outcome,
    Report,
    Verdict,
    totals_by_level,
)
from runstone.wire.attempts import scenario_of
from runstone.wire.trace import Trace


class NotComparable(UsageError):  # noqa: N818 - a diagnosis, named for what it says
    """What was given cannot be set side by side."""


_BROKEN: Final = frozenset({"fail", "warn", "flaky", "not-testable", "waived"})
_CURLS = 2  # lines of one case
_CURL = 1_500  # characters; a longer line is in the target's report
_EXCHANGES = 4
_CASES = 4
_CAUSES = 10


@dataclass(frozen=True)
class Side:
    """One target. `traces` are None where only its report is known."""

    name: str
    report: Report
    traces: Mapping[str, Trace] | None = None


class ComparedTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One target as a comparison names it.

    `totals`: level to verdict to number of requirements. `causes`: the greatest; its own report has them all.
    """

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
    causes: tuple[Cause, ...] = ()


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """How one target stands to one requirement; `cases` are the telling ones, none where all keep it."""

    verdict: Outcome
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
        found = {each.verdict for each in self.stands}
        return "pass" in found and not _BROKEN.isdisjoint(found)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One difference of two targets, told once.

    `operation`, `place` and `kind`: what it is (see `Likeness`). `scenarios`: those that show it;
    `requirements`: those that one target alone breaks, and of whose exchanges no difference is rarer.
    `example`: its first appearance.
    """

    operation: str
    place: str
    kind: Kind
    scenarios: tuple[str, ...]
    requirements: tuple[str, ...]
    example: Example


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """What one target answered against what the first one did.

    `compared`: scenarios that ran on both, of which `alike` show no difference; `left_only` and `right_only`
    ran on one of them. `differences`: those that most scenarios show come first.
    """

    left: str
    right: str
    compared: int
    alike: int
    left_only: tuple[str, ...]
    right_only: tuple[str, ...]
    differences: tuple[Difference, ...]

    def by_operation(self) -> dict[str, list[list[Difference]]]:
        """The differences of each operation, in one line what one side alone has in the same scenarios."""
        found: dict[str, defaultdict[object, list[Difference]]] = {}
        for number, each in enumerate(self.differences):
            alone = each.kind in {"left-only", "right-only"} and each.place
            line = (each.kind, each.scenarios, each.requirements) if alone else number
            found.setdefault(each.operation, defaultdict(list))[line].append(each)
        return {operation: list(lines.values()) for operation, lines in found.items()}


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
        """The rows that differ, MUST before SHOULD, those that split the targets first."""
        found = [each for each in self.requirements if each.differs]
        return sorted(found, key=lambda row: (LEVELS.index(row.level), not row.split))


def compare(sides: Sequence[Side]) -> Comparison:
    """Two or more targets side by side; every one after the first is compared with the first.

    Raises NotComparable for reports of different profiles or suites.
    """
    first, *others = sides
    for each in others:
        if each.report.profile != first.report.profile:
            raise NotComparable(
                f"{first.name} was judged by profile {first.report.profile}, {each.name} by "
                f"{each.report.profile}; check both with the same --profile"
            )
        if catalogue_of(each.report.verdicts) != catalogue_of(first.report.verdicts):
            raise NotComparable(
                f"the reports of {first.name} and {each.name} are of different suites; check both again"
            )
    rows = tuple(map(_row, _aligned([side.report for side in sides])))
    differ_in: dict[str, int] = {
        level: sum(row.split for row in rows if row.level == level) for level in LEVELS
    }
    broke = any(stand.verdict == "harness-error" for row in rows for stand in row.stands)
    return Comparison(
        runstone=runstone.__version__,
        profile=first.report.profile,
        compared_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        exit_code=_exit_code(broke, differ_in),
        differ_in=differ_in,
        targets=tuple(_target(each) for each in sides),
        requirements=rows,
        pairs=tuple(_pair(first, each) for each in others if None not in (first.traces, each.traces)),
    )


def catalogue_of(promises: Iterable[Verdict | Requirement]) -> list[tuple[str, Level]]:
    """What a report was judged by: ids and levels, but of what explores, which need not be in a report."""
    exploring = load_catalogue().of_kind("exploring")
    return [(each.id, each.level) for each in promises if each.area not in exploring]


def _aligned(reports: Sequence[Report]) -> list[list[Verdict]]:
    """The verdicts of each requirement, one of each report; one that lacks it did not run it."""
    every = {each.id: each for report in reports for each in report.verdicts}
    known = [{each.id: each for each in report.verdicts} for report in reports]
    return [[found.get(id) or _not_run(each) for found in known] for id, each in every.items()]  # noqa: A001


def _not_run(elsewhere: Verdict) -> Verdict:
    return msgspec.structs.replace(elsewhere, verdict="not-run", waiver=None, cases=())


def _exit_code(broke: bool, differ_in: Mapping[str, int]) -> ExitCode:
    if broke:
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
        agent=_agent(report),
        traces=side.traces is not None,
        totals=totals_by_level(report.verdicts),
        grid=report.grid,
        causes=report.causes[:_CAUSES],
    )


def _agent(report: Report) -> str:
    return "" if report.agent is None else report.agent.assistant


def in_full(found: Comparison, sides: Sequence[Side]) -> Comparison:
    """The requirements alone, each cell with what it was judged on, where every target keeps it too."""
    rows = (_row(each, in_full=True) for each in _aligned([side.report for side in sides]))
    return msgspec.structs.replace(found, requirements=tuple(rows), pairs=())


def _row(verdicts: Sequence[Verdict], *, in_full: bool = False) -> Row:
    first = verdicts[0]
    differs = len({each.verdict for each in verdicts} - {"not-run"}) > 1
    return Row(
        id=first.id,
        level=first.level,
        area=first.area,
        statement=first.statement,
        differs=differs,
        stands=tuple(
            _kept(each)
            if in_full and each.verdict == "pass"
            else _stand(each, told=in_full or differs or each.verdict in _BROKEN)
            for each in verdicts
        ),
    )


def _stand(verdict: Verdict, *, told: bool) -> Stand:
    cases = digest.telling_cases(verdict) if told else []
    return Stand(
        verdict=verdict.verdict,
        cases=tuple(map(_shortened, cases[:_CASES])),
        further_cases=max(0, len(cases) - _CASES),
    )


def _kept(verdict: Verdict) -> Stand:
    """One case, by the exchange that was judged last: there is nothing to explain."""
    cases = [
        msgspec.structs.replace(case, curl=(), exchanges=case.exchanges[-1:]) for case in verdict.cases[:1]
    ]
    return Stand(
        verdict=verdict.verdict, cases=tuple(cases), further_cases=max(0, len(verdict.cases) - len(cases))
    )


def _shortened(case: Case) -> Case:
    # The last ones: a judge finds its way to what it judges.
    curls = [line for line in case.curl if len(line) <= _CURL][-_CURLS:]
    return msgspec.structs.replace(case, curl=tuple(curls), exchanges=case.exchanges[-_EXCHANGES:])


def _pair(left: Side, right: Side) -> Pair:
    ours, theirs = _whole(left), _whole(right)
    by_shape = any(_agent(each.report) for each in (left, right))
    shared = [name for name in ours if name in theirs]
    seen: _Seen = defaultdict(dict)
    for name in shared:
        for likeness, example in differences(ours[name], theirs[name], by_shape=by_shape):
            seen[likeness].setdefault(name, []).append(example)
    concerned = _concerned(left, right, seen)
    told = [
        Difference(
            operation=likeness.operation,
            place=likeness.place,
            kind=likeness.kind,
            scenarios=tuple(by_scenario),
            requirements=tuple(sorted(concerned[likeness])),
            example=next(iter(by_scenario.values()))[0],
        )
        for likeness, by_scenario in seen.items()
    ]
    return Pair(
        left=left.name,
        right=right.name,
        compared=len(shared),
        alike=len(set(shared).difference(*seen.values())),
        left_only=tuple(name for name in ours if name not in theirs),
        right_only=tuple(name for name in theirs if name not in ours),
        differences=tuple(
            sorted(told, key=lambda each: (-len(each.scenarios), -len(each.requirements), each.operation))
        ),
    )


_Seen = defaultdict[Likeness, dict[str, list[Example]]]  # the appearances of each difference, by scenario


def _concerned(left: Side, right: Side, seen: _Seen) -> defaultdict[Likeness, set[str]]:
    """The requirements that one target alone breaks, each by the rarest differences that it was judged on."""
    shown: defaultdict[tuple[int, str | None], set[Likeness]] = defaultdict(set)
    for likeness, by_scenario in seen.items():
        for example in chain(*by_scenario.values()):
            for place in enumerate(example.exchanges):
                shown[place].add(likeness)
    found: defaultdict[Likeness, set[str]] = defaultdict(set)
    for verdicts in _aligned([left.report, right.report]):
        for side, verdict in enumerate(verdicts if _row(verdicts).split else ()):
            for case in (each for each in verdict.cases if each.verdict in _BROKEN):
                judged_on = set().union(*(shown[side, key] for key in case.exchanges))
                rarest = min((len(seen[each]) for each in judged_on), default=0)
                for each in judged_on:
                    if len(seen[each]) == rarest:
                        found[each].add(verdict.id)
    return found


def _whole(side: Side) -> dict[str, Trace]:
    """The traces that can be compared: not those cut short, or with requests made up on the way."""
    exploring = load_catalogue().of_kind("exploring")
    made_up = {
        key.rpartition("#")[0]
        for verdict in side.report.verdicts
        if verdict.area in exploring
        for case in verdict.cases
        for key in case.exchanges
    } | {*CAPACITY_LOOKS}
    traces = side.traces or {}
    return {
        name: traces[name]
        for name in sorted(traces)
        # Shards look at the capacity each: `capacity@shard-2`.
        if not {name, scenario_of(name)} & made_up and not traces[name].cut_short
    }
