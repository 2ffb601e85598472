"""Whole comparisons: each difference told once, and what makes two targets differ in a requirement."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from runstone.compare.comparison import NotComparable, Pair, Side, compare
from runstone.compare.differences import Example
from runstone.compare.published import BEGIN, END, NoPlaceForResults, with_results
from runstone.compare.terminal import print_comparison
from runstone.compare.texts import extent, phrase, texts_of
from runstone.contracts import violations
from runstone.verdict.model import Case, Grid, Outcome, Phases, Report, TargetSummary, Verdict
from runstone.wire.trace import Trace
from tests.test_compare_traces import exchange


def side(
    name: str, outcomes: dict[str, Outcome], traces: dict[str, Trace] | None = None, **changes: Any
) -> Side:
    verdicts = tuple(
        Verdict(
            id=requirement,
            level="MUST" if requirement.startswith("M") else "SHOULD",
            area="explore" if requirement.startswith("EXPLORE") else "run-wait",
            statement="It holds.",
            source=("https://example.org",),
            verdict=outcome,
            cases=(
                Case(case="", verdict=outcome, reason="\ud800 <b>", exchanges=("turn#1",), curl=("curl x",)),
            ),
        )
        for requirement, outcome in outcomes.items()
    )
    report = Report(
        runstone="0.1.0",
        profile="langgraph",
        started_at="2026-11-21T10:00:00+00:00",
        duration_s=1.0,
        phases=Phases(),
        complete=True,
        stopped=None,
        conforming=True,
        exit_code=0,
        fail_on="must",
        quick=False,
        target=TargetSummary(name=name, url="http://127.0.0.1:1", server="x"),
        totals={},
        areas=(),
        grid=Grid(),
        verdicts=verdicts,
    )
    return Side(name=name, report=msgspec.structs.replace(report, **changes), traces=traces)


def observed(**bodies: list[Any]) -> dict[str, Trace]:
    """Traces in which each scenario reads the state as often as it has bodies."""
    return {
        name: Trace(
            scenario=name,
            exchanges=tuple(
                exchange(n, each, scenario=name, label=f"read_{n}") for n, each in enumerate(some, 1)
            ),
        )
        for name, some in bodies.items()
    }


def compared(ours: dict[str, Trace], theirs: dict[str, Trace], second: Outcome = "pass") -> Pair:
    """What two targets answered, of which the second may break M-2."""
    left = side("a", {"M-1": "pass", "M-2": "pass"}, ours)
    (pair,) = compare([left, side("b", {"M-1": "pass", "M-2": second}, theirs)]).pairs
    return pair


@pytest.mark.parametrize(
    "left, right, differs, code",
    [
        ("pass", "pass", False, 0),
        ("pass", "fail", True, 1),
        ("pass", "waived", True, 1),
        ("not-testable", "pass", True, 1),
        ("pass", "not-applicable", True, 0),
        ("pass", "not-run", False, 0),
        ("fail", "fail", False, 0),
        ("fail", "waived", True, 0),
        ("pass", "harness-error", True, 4),
    ],
)
def test_when_they_differ_in_a_must(left: Outcome, right: Outcome, differs: bool, code: int) -> None:
    whole = compare([side("a", {"M-1": left}), side("b", {"M-1": right})])
    assert (whole.requirements[0].differs, whole.exit_code) == (differs, code)


def test_a_should_never_ends_in_exit_code_1() -> None:
    whole = compare([side("a", {"S-1": "pass"}), side("b", {"S-1": "warn"})])
    assert (whole.exit_code, whole.differ_in["SHOULD"]) == (0, 1)
    assert whole.requirements[0].differs


def test_one_difference_is_told_once_with_the_scenarios_that_show_it() -> None:
    ours = observed(one=[{"x": 1}, {"x": 2}], other=[{"x": 3}], third=[{}])
    theirs = observed(one=[{}, {}], other=[{}], third=[{}])
    pair = compared(ours, theirs)
    (difference,) = pair.differences
    assert (difference.operation, difference.place) == ("GET /threads/<id>/state", "/body/x")
    assert (difference.kind, difference.scenarios) == ("left-only", ("one", "other"))
    assert difference.example == Example(exchanges=("one#1", "one#1"), path="/body/x", left="1", right=None)
    assert (pair.compared, pair.alike, extent(pair)) == (3, 1, "1 difference in 2 of 3 scenarios")


def test_what_hides_behind_a_common_difference_is_told_after_it() -> None:
    ours = observed(one=[{"x": 1}], other=[{"x": 1, "log": ["a", "b"]}])
    theirs = observed(one=[{}], other=[{"log": ["a"]}])
    told = [(each.place, len(each.scenarios)) for each in compared(ours, theirs).differences]
    assert told == [("/body/x", 2), ("/body/log/*", 1)]


def test_a_difference_names_the_requirements_that_break_where_none_is_rarer() -> None:
    ours = observed(turn=[{"x": 1, "y": 1}, {}], other=[{"x": 1}], third=[{"z": 1}])
    theirs = observed(turn=[{}, {}], other=[{}], third=[{}])
    told = {each.place: each.requirements for each in compared(ours, theirs, "fail").differences}
    assert told == {"/body/x": (), "/body/y": ("M-2",), "/body/z": ()}
    told = {each.place: each.requirements for each in compared(ours, theirs).differences}
    assert set(told.values()) == {()}


def test_a_scenario_that_ran_on_one_target_says_nothing_about_the_other() -> None:
    cut = msgspec.structs.replace(observed(cut=[{"x": 1}])["cut"], cut_short=True)
    pair = compared({**observed(turn=[1], mine=[1]), "cut": cut}, observed(turn=[1], cut=[{}]))
    assert (pair.compared, pair.left_only, pair.right_only) == (1, ("mine",), ("cut",))
    assert extent(pair) == "no difference in 1 scenario"


def test_the_differences_of_an_operation_in_words() -> None:
    ours = observed(turn=[{"w": 0, "x": 1, "status": "idle", "deep": {"z": 1}}])
    theirs = observed(turn=[{"v": 0, "y": 1, "status": "error", "deep": {"z": 2}}, {}])
    pair = compared(ours, theirs)
    (lines,) = pair.by_operation().values()
    assert [len(line) for line in lines] == [1, 1, 2, 2, 1]
    told = 'other deep/z; status "idle" against "error"; only a has w, x; and 3 more differences'
    assert phrase(lines, pair) == told


def test_a_terminal_is_told_once_of_requirements_that_differ_alike() -> None:
    ids = [f"M-{number}" for number in range(1, 6)]
    sides = [side("a", dict.fromkeys(ids, "pass")), side("b", {**dict.fromkeys(ids, "fail"), "M-5": "warn"})]
    console = Console(file=StringIO(), width=80)
    print_comparison(compare(sides), console, Path("out"))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "5 MUSTs with different verdicts" in said
    assert "  M-1, M-2, M-3 and 1 more  a: pass  b: fail\n" in said
    assert "  M-5  a: pass  b: warn\n" in said
    assert said.endswith("a and b differ in 5 MUST; out/compare.html\n")


def test_every_further_target_is_compared_with_the_first() -> None:
    sides = [
        side(name, {"M-1": "pass"}, observed(turn=[body])) for name, body in {"a": 1, "b": 2, "c": 1}.items()
    ]
    whole = compare(sides)
    assert [(pair.left, pair.right, pair.alike) for pair in whole.pairs] == [("a", "b", 0), ("a", "c", 1)]
    assert [each.place for each in whole.pairs[0].differences] == ["/body"]
    assert compare([sides[0], replace(sides[1], traces=None)]).pairs == ()


def test_different_profiles_and_suites_are_refused() -> None:
    plain = side("a", {"M-1": "pass"})
    with pytest.raises(NotComparable, match="same --profile"):
        compare([plain, side("b", {"M-1": "pass"}, profile="other")])
    with pytest.raises(NotComparable, match="different suites"):
        compare([plain, side("b", {"M-2": "pass"})])


def test_what_only_one_of_them_explored_did_not_run_on_the_other() -> None:
    explored = side("b", {"M-1": "pass", "EXPLORE-001": "fail"})
    for sides in ([side("a", {"M-1": "pass"}), explored], [explored, side("a", {"M-1": "pass"})]):
        whole = compare(sides)
        by_id = {row.id: [stand.verdict for stand in row.stands] for row in whole.requirements}
        assert by_id["M-1"] == ["pass", "pass"]
        assert sorted(by_id["EXPLORE-001"]) == ["fail", "not-run"]
        assert whole.exit_code == 0


def test_the_texts_are_well_formed_whatever_a_target_said() -> None:
    hostile = {"turn": Trace(scenario="turn", exchanges=(exchange(body="</script><b>|`\ud800"),))}
    plain = {"turn": Trace(scenario="turn", exchanges=(exchange(body="fine"),))}
    sides = [
        side("a", {"M-1": "fail", "S-1": "pass"}, hostile),
        side("b", {"M-1": "pass", "S-1": "warn"}, plain),
    ]
    texts = texts_of(compare(sides), sides)
    assert violations("compare", json.loads(texts["compare.json"])) == []
    assert "<b>" not in texts["compare.md"]
    assert texts["compare.html"].count("</script>") == 2
    assert all(each.encode() for each in texts.values())


def test_the_table_of_results_stands_between_its_markers() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_results(text, "| new |") == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"
    with pytest.raises(NoPlaceForResults, match="write <!-- results -->"):
        with_results("no markers", "| new |")
