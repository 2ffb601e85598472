"""What the checks of a proof show, of one fault, one variant, one requirement, and together."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runstone.proof.prove import matrix, outcomes, published
from runstone.proof.prove.matrix import Baseline, Hit, Missed
from runstone.verdict.model import Case, Report
from tests.prove.matrices import KEPT, KILLERS, catalogue, fault, null, report, spoken, whole

DIFFERS = matrix.Variant(name="v", statement="It differs.")


def test_fault_is_caught_when_all_that_it_names_fails() -> None:
    found = fault("f", ["A-001", "A-002"], report(A_001="fail", A_002="warn", B_001="not-testable"))
    assert found.caught
    assert [(hit.id, hit.verdict, hit.reason) for hit in found.hits] == [
        ("A-001", "fail", "seen of A-001"),
        ("A-002", "warn", "seen of A-002"),
        ("B-001", "not-testable", "seen of B-001"),
    ]
    assert (found.judged, found.coarse) == (4, False)  # one fell of the two that it does not name


def test_a_fault_is_coarse_when_most_falls_that_it_does_not_name() -> None:
    assert fault("f", ["A-001"], report(A_001="fail", A_002="warn", B_001="fail")).coarse
    assert not fault("f", ["A-001", "A-002"], report(A_001="fail", A_002="warn")).coarse


@pytest.mark.parametrize(
    "found, why",
    [
        (report(), "pass seen of A-001"),
        (report(A_001="not-testable"), "not-testable seen of A-001"),
        (report(A_001="not-run"), "not-run seen of A-001"),
        (report(A_001="harness-error"), "harness-error seen of A-001"),
        (None, "not judged"),
    ],
)
def test_whatever_is_no_failure_is_no_catch(found: Report | None, why: str) -> None:
    missed = fault("f", ["A-001"], found)
    assert not missed.caught
    assert missed.missed == (Missed(id="A-001", why=why),)


def test_only_what_the_unbroken_server_keeps_can_be_broken() -> None:
    found = outcomes.fault_of(
        "f", "It.", "embedded", ["A-001"], report(A_001="fail"), KEPT - {"A-001"}, trouble=""
    )
    assert found.hits == ()
    assert "the unbroken server does not keep it either" in found.missed[0].why


def test_a_check_that_was_ended_catches_nothing() -> None:
    assert not fault("f", ["A-001"], report(A_001="fail"), trouble="it did not end").caught


def test_reasons_say_nothing_that_differs_from_run_to_run() -> None:
    told = report(A_001="fail")
    moving = (
        "at 2026-11-21T10:03:09.123456+00:00 thread 0b0e7c35-6df4-4a80-9a34-0c9a1e9bb1d2 of "
        "http://127.0.0.1:40123 took 1.234 s; wanted 3.5"
    )
    first = msgspec.structs.replace(
        told.verdicts[0], cases=(Case(case="wait", verdict="fail", reason=moving),)
    )
    [hit] = outcomes.hits([first])
    assert hit.reason == "wait: at … thread … of http://127.0.0.1:… took … s; wanted 3.5"


def test_varied_server_is_green_when_every_must_is_kept_or_does_not_apply() -> None:
    def varied(found: Report | None, kept: frozenset[str] = KEPT, trouble: str = "") -> matrix.VariedServer:
        return outcomes.varied_server_of([DIFFERS], found, kept, trouble=trouble)

    assert varied(report(A_002="warn", B_002="warn", B_001="not-applicable")).green
    assert varied(report(A_001="fail"), KEPT - {"A-001"}).green
    for outcome in ("fail", "not-testable", "not-run", "harness-error"):
        broken = varied(report(A_001=outcome))
        assert not broken.green
        assert [hit.id for hit in broken.broken] == ["A-001"]
    assert not varied(None).green
    assert not varied(report(), trouble="it did not end").green
    none = report(
        A_001="not-applicable", A_002="not-applicable", B_001="not-applicable", B_002="not-applicable"
    )
    assert not varied(none).green


def test_requirement_is_killed_by_failing_and_survivors_are_listed() -> None:
    found = whole([KILLERS[0], fault("f", ["B-001"], report(B_001="not-testable"))])
    assert {each.id: each.killed_by for each in found.requirements} == {
        "A-001": ("all-at-once",),
        "A-002": ("all-at-once",),
        "B-001": (),
        "B-002": (),
    }
    assert [each.id for each in found.survivors] == ["B-001"]
    assert found.totals["MUST"] == matrix.Share(1, 2)
    assert found.totals["faults"] == matrix.Share(1, 2)
    assert not found.proved


def test_what_no_server_shows_is_said_and_counts_as_survivor() -> None:
    absent = report(A_001="not-applicable", B_001="fail")
    found = outcomes.requirements_of(catalogue(), [], [absent], frozenset({"a", "b"}))
    assert {each.id: each.unjudged for each in found} == {
        "A-001": "not-applicable: seen of A-001",
        "A-002": "",
        "B-001": "fail: seen of B-001",
        "B-002": "",
    }


def test_twins_are_faults_of_one_effect() -> None:
    same = report(A_001="fail")
    named = [fault(name, ["A-001"], same) for name in ("first", "second")]
    other = fault("other", ["A-001"], report(A_001="fail", B_001="fail"))
    nothing = [fault(name, ["A-001"], report()) for name in ("third", "fourth")]
    told = [*named, other, *nothing]
    assert whole(told).twins == (("first", "second"),)
    assert whole(told, narrow=True).twins == ()  # only what each names was looked at


def test_faults_come_in_the_order_of_the_catalogue() -> None:
    shuffled = [fault("z", ["B-001"], None), fault("b", ["A-002"], None), fault("a", ["A-002"], None)]
    assert [each.name for each in matrix.in_order(shuffled, catalogue())] == ["a", "b", "z"]


def test_proof_needs_everything() -> None:
    assert whole(KILLERS).proved
    hit = Hit(id="A-001", verdict="fail", reason="")
    green = outcomes.varied_server_of([DIFFERS, DIFFERS], report(), KEPT, trouble="")
    spoilt: list[dict[str, Any]] = [
        {"baselines": [Baseline(server="embedded", kept=3, hits=(hit,), trouble="")]},
        {"baselines": [Baseline(server="embedded", kept=0, hits=(), trouble="")]},
        {"varied_servers": [msgspec.structs.replace(green, broken=(hit,))]},
        {
            "varied_servers": [
                msgspec.structs.replace(green, left=(Hit(id="A-002", verdict="harness-error", reason=""),))
            ]
        },
        {"null_servers": [null(passes=("A-001",))]},
        {"null_servers": [null(passes_unchecked=("A-001",))]},
        {"null_servers": [null(trouble="nothing was judged")]},
        {"conversations": [spoken(verdict="pass", reason="")]},
        {"conversations": [spoken(trouble="Runstone itself broke")]},
    ]
    for changes in spoilt:
        assert not whole(KILLERS, **changes).proved, changes
        assert published.missing(whole(KILLERS, **changes)), changes
    good = whole(KILLERS, varied_servers=[green], null_servers=[null()], conversations=[spoken()])
    assert good.proved
    assert good.totals["variants"] == matrix.Share(2, 2)
    assert not whole(KILLERS[:1]).proved
    assert whole(KILLERS[:1], complete=False).proved
