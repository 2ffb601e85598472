"""Verdicts: the lattice of outcomes, what fails a target, the exit codes, the totals and the parity grid."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any, get_args

import pytest

from runstone.contracts import Level
from runstone.target.capabilities import Capability
from runstone.verdict.model import (
    GRID_COLUMNS,
    GRID_ROWS,
    SEVERITY,
    Case,
    FailOn,
    Outcome,
    Verdict,
    broken_outcome,
    exit_code,
    fails_target,
    grid_from,
    most_severe,
    totals_by_area,
    totals_by_level,
)

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


def verdict(outcome: Outcome, level: Level = "MUST", area: str = "meta", id: str = "META-001") -> Verdict:  # noqa: A002
    return Verdict(id=id, level=level, area=area, statement="it answers", source=("GOAL",), verdict=outcome)


def code(*verdicts: Verdict, **policy: Any) -> int:
    usual: dict[str, Any] = {"fail_on": "must", "complete": True, "waiver_errors": []}
    return exit_code(verdicts, **{**usual, **policy})


# --- the lattice -------------------------------------------------------------------------------------------


def test_every_outcome_has_its_severity() -> None:
    assert sorted(SEVERITY) == sorted(OUTCOMES)


def test_the_most_severe_stands_whatever_the_order() -> None:
    for one, two in permutations(OUTCOMES, 2):
        assert most_severe([one, two]) == most_severe([two, one]) == most_severe([one, two, one])
        assert SEVERITY.index(most_severe([one, two])) >= SEVERITY.index(one)


def test_nothing_is_not_run() -> None:
    assert most_severe([]) == "not-run"


@pytest.mark.parametrize("worse", sorted(set(OUTCOMES) - {"pass", "not-applicable"}))
def test_one_unkept_case_spoils_all_that_are_kept(worse: Outcome) -> None:
    assert most_severe(["pass", worse, "pass", "not-applicable"]) == worse


def test_a_case_that_does_not_apply_takes_nothing_from_those_that_do() -> None:
    assert most_severe(["not-applicable", "pass"]) == "pass"


@pytest.mark.parametrize("level, outcome", [("MUST", "fail"), ("SHOULD", "warn"), ("MAY", "warn")])
def test_what_a_broken_promise_comes_to(level: Level, outcome: Outcome) -> None:
    assert broken_outcome(level) == outcome


# --- what fails a target -----------------------------------------------------------------------------------

FAILS: set[tuple[Outcome, Level, FailOn]] = {
    *(("fail", level, fail_on) for level in get_args(Level) for fail_on in get_args(FailOn)),
    *((outcome, "MUST", fail_on) for outcome in ("not-testable", "flaky") for fail_on in get_args(FailOn)),
    ("not-testable", "SHOULD", "should"),
    ("flaky", "SHOULD", "should"),
    ("warn", "SHOULD", "should"),
}


@pytest.mark.parametrize(
    "outcome, level, fail_on", list(product(OUTCOMES, get_args(Level), get_args(FailOn)))
)
def test_what_fails_a_target(outcome: Outcome, level: Level, fail_on: FailOn) -> None:
    failing = (outcome, level, fail_on) in FAILS
    assert fails_target(verdict(outcome, level), fail_on) is failing
    wanted = 4 if outcome == "harness-error" else int(failing)
    assert code(verdict("pass"), verdict(outcome, level), fail_on=fail_on) == wanted


# --- exit codes --------------------------------------------------------------------------------------------


def test_nothing_judged_never_conforms() -> None:
    assert code() == 1
    assert code(verdict("not-run"), verdict("not-applicable")) == 1


@pytest.mark.parametrize("outcome", ["pass", "waived"])
def test_what_is_judged_and_not_broken_conforms(outcome: Outcome) -> None:
    assert code(verdict(outcome), verdict("not-applicable"), verdict("not-run")) == 0


def test_an_unfinished_run_and_a_waiver_in_error_never_conform() -> None:
    assert code(verdict("pass"), complete=False) == 1
    assert code(verdict("pass"), waiver_errors=["it expired"]) == 1


def test_a_harness_error_outweighs_everything() -> None:
    assert code(verdict("fail"), verdict("harness-error"), complete=False, waiver_errors=["x"]) == 4


# --- totals ------------------------------------------------------------------------------------------------


def test_totals_count_only_what_occurs_and_never_divide() -> None:
    verdicts = [verdict("fail"), verdict("pass"), verdict("pass"), verdict("warn", "SHOULD", "sse")]
    assert totals_by_level(verdicts) == {"MUST": {"pass": 2, "fail": 1}, "SHOULD": {"warn": 1}, "MAY": {}}
    assert list(totals_by_level(verdicts)["MUST"]) == ["pass", "fail"]
    assert [(each.area, each.totals) for each in totals_by_area(verdicts)] == [
        ("meta", {"pass": 2, "fail": 1}),
        ("sse", {"warn": 1}),
    ]
    assert totals_by_level([]) == {"MUST": {}, "SHOULD": {}, "MAY": {}}
    assert totals_by_area([]) == ()


@pytest.mark.parametrize(
    "declared, probed, present",
    [
        (None, None, False),
        (False, False, False),
        (True, False, True),
        (None, True, True),
        (False, True, True),
    ],
)
def test_a_capability_is_absent_only_if_undeclared_and_not_found(
    declared: bool | None, probed: bool | None, present: bool
) -> None:
    assert Capability(declared=declared, probed=probed).present is present


# --- the parity grid ---------------------------------------------------------------------------------------


def judged(outcome: Outcome, reason: str = "", id: str = "PARITY-001") -> tuple[str, Case]:  # noqa: A002
    return id, Case(case="x", verdict=outcome, reason=reason)


def test_an_empty_grid_has_every_cell_and_nothing_in_it() -> None:
    grid = grid_from({})
    assert list(grid.cells) == list(GRID_ROWS)
    for row in GRID_ROWS:
        assert list(grid.cells[row]) == list(GRID_COLUMNS)
        assert {(cell.verdict, cell.requirement) for cell in grid.cells[row].values()} == {("not-run", "")}


@pytest.mark.parametrize(
    "outcome, sameness",
    [
        ("pass", "same"),
        ("fail", "differs"),
        ("warn", "differs"),
        ("waived", "differs"),
        ("harness-error", "differs"),
        ("not-testable", "not-testable"),
        ("not-run", "not-run"),
        ("not-applicable", "not-applicable"),
    ],
)
def test_what_a_cell_says(outcome: Outcome, sameness: str) -> None:
    cell = grid_from({("error", "stream"): [judged(outcome, "why")]}).cells["error"]["stream"]
    assert (cell.verdict, cell.reason, cell.requirement) == (sameness, "why", "PARITY-001")


def test_the_most_severe_case_decides_a_cell_and_is_named() -> None:
    cases = [
        judged("pass"),
        judged("warn", "b", "PARITY-005"),
        judged("warn", "c", "PARITY-006"),
        judged("pass"),
    ]
    cell = grid_from({("error", "wait"): cases}).cells["error"]["wait"]
    assert (cell.verdict, cell.reason, cell.requirement) == ("differs", "b", "PARITY-005")


def test_one_judged_cell_leaves_the_others_alone() -> None:
    grid = grid_from({("success", "wait"): [judged("pass")]})
    others = [cell for row in grid.cells.values() for cell in row.values() if cell.verdict != "same"]
    assert len(others) == len(GRID_ROWS) * len(GRID_COLUMNS) - 1
