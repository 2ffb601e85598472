"""From load.json to the usual report: kept, broken, not tested and not whole are told apart."""

from __future__ import annotations

import datetime as dt
import io
import json

import msgspec
import pytest
from rich.console import Console

from runstone import report as reports
from runstone.contracts import load_catalogue, violations
from runstone.load.judging import report_of
from runstone.load.model import Invariant, Load, Outcome, Throttled
from runstone.verdict.model import Report, Verdict
from runstone.verdict.waivers import Waiver
from tests.load.loads import TRACE, broken, sound, traces

TODAY = dt.date(2026, 11, 29)


def judged(load: Load, **given: object) -> Report:
    found = report_of(load, traces(), today=TODAY, **given)  # type: ignore[arg-type]
    assert violations("report", json.loads(reports.to_json(found))) == []
    assert found.totals
    return found


def verdict(report: Report, id: str) -> Verdict:  # noqa: A002 - the catalogue's own name
    return next(each for each in report.verdicts if each.id == id)


def with_invariant(load: Load, **changes: object) -> Load:
    """The load, with its first invariant changed."""
    first, *others = load.invariants
    changed = msgspec.structs.replace(first, **changes)
    return msgspec.structs.replace(load, invariants=(changed, *others))


def test_a_sound_load_keeps_every_promise_of_loads() -> None:
    found = judged(sound())
    assert found.exit_code == 0
    assert found.complete
    assert found.conforming
    assert [each.id for each in found.verdicts] == [*load_catalogue().of_loads]
    assert {each.verdict for each in found.verdicts} == {"pass"}
    assert reports.to_markdown(found).startswith(
        "## Runstone report: embedded keeps what it promises under load"
    )


@pytest.mark.parametrize(
    "id, fail_on, outcome, code",
    [
        ("LOAD-102", "must", "fail", 1),
        ("LOAD-109", "must", "warn", 0),
        ("LOAD-109", "should", "warn", 1),
    ],
)
def test_what_is_broken_weighs_by_its_level(id: str, fail_on: str, outcome: str, code: int) -> None:  # noqa: A002
    found = judged(broken(id), fail_on=fail_on)
    assert verdict(found, id).verdict == outcome
    assert found.exit_code == code
    (case,) = verdict(found, id).cases
    assert case.case == "wait"
    assert case.exchanges == (f"{TRACE}#1", f"{TRACE}#2")
    assert (
        "wanted ['s1', 's2', 's3'] (the first of 1 start, 3.2 s after the load began; broken by 1"
        in case.reason
    )
    assert case.curl[0].startswith("curl ")


def test_what_was_counted_and_not_recorded_is_broken_too() -> None:
    found = judged(broken(number=250))
    cases = {each.case: each for each in verdict(found, "LOAD-102").cases}
    assert cases.keys() == {"wait", ""}
    assert cases[""].reason == "150 more were counted and not recorded; broken by 250, kept by 3,750 runs"


def test_what_has_no_start_of_its_own_is_told_by_its_remark() -> None:
    load = with_invariant(sound(), kept=0, broken=1, of="thirds", remark="p99 20 ms, then 400 ms")
    (case,) = verdict(judged(load), "LOAD-101").cases
    assert case.reason == "broken by 1, kept by 0 thirds; p99 20 ms, then 400 ms"


def test_a_waiver_accepts_one_kind_of_start_and_only_what_was_recorded() -> None:
    waiver = Waiver(
        requirement="LOAD-102:wait", reason="r", owner="o", expires=dt.date(2027, 1, 1), link="docs"
    )
    found = judged(broken(), waivers=[waiver])
    assert verdict(found, "LOAD-102").verdict == "waived"
    assert found.exit_code == 0
    assert verdict(judged(broken(number=250), waivers=[waiver]), "LOAD-102").verdict == "fail"
    unneeded = judged(sound(), waivers=[waiver])
    assert unneeded.exit_code == 1
    assert unneeded.waiver_errors == (
        "the waiver of LOAD-102:wait matches nothing: the cases of LOAD-102 are none",
    )


def test_what_could_not_be_tested_is_no_pass_and_what_nobody_asked_for_is_no_failure() -> None:
    untested = judged(
        with_invariant(sound(), kept=0, not_tested=4000, why_not_tested={"the thread answered 500": 4000})
    )
    assert verdict(untested, "LOAD-101").verdict == "not-testable"
    assert untested.exit_code == 1
    too_few = judged(with_invariant(sound(), kept=0, not_tested=1, remark="3 windows are too few"))
    assert verdict(too_few, "LOAD-101").verdict == "not-run"
    assert too_few.exit_code == 0
    unasked = judged(with_invariant(sound(), kept=0, remark="no kind of the mix asks for webhooks"))
    (case,) = verdict(unasked, "LOAD-101").cases
    assert (case.verdict, case.reason) == ("not-run", "no kind of the mix asks for webhooks")
    assert unasked.exit_code == 0
    partly = verdict(judged(with_invariant(sound(), not_tested=2, why_not_tested={"unread": 2})), "LOAD-101")
    assert partly.verdict == "pass"
    assert partly.cases[0].reason == "2 of the runs could not be tested: unread (2)"


@pytest.mark.parametrize("kind", ["incomplete", "generator-bound"])
def test_a_load_that_is_not_whole_is_never_green(kind: str) -> None:
    outcome = Outcome(
        kind="incomplete" if kind == "incomplete" else "generator-bound", reason="worker 2 is gone"
    )
    found = judged(msgspec.structs.replace(sound(), outcome=outcome, exit_code=4))
    assert found.exit_code == 4
    assert found.stopped == f"{kind}: worker 2 is gone"
    assert {each.verdict for each in found.verdicts} == {"not-run"}
    assert not found.conforming
    still = judged(msgspec.structs.replace(broken(), outcome=outcome, exit_code=4))
    assert still.exit_code == 1
    slower = judged(
        msgspec.structs.replace(broken("LOAD-109"), outcome=outcome, exit_code=4), fail_on="should"
    )
    told = ("warn", 1) if kind == "generator-bound" else ("not-run", 4)
    assert (verdict(slower, "LOAD-109").verdict, slower.exit_code) == told
    nothing = judged(msgspec.structs.replace(sound(), outcome=outcome, exit_code=4, invariants=()))
    assert nothing.exit_code == 4


def test_a_load_that_looked_at_nothing_is_not_green() -> None:
    assert judged(msgspec.structs.replace(sound(), invariants=())).exit_code == 4


def test_what_the_target_put_off_is_told() -> None:
    load = msgspec.structs.replace(sound(), throttled=Throttled(answers={"429": 1200}, waited_s=61.0))
    assert judged(load).put_off == "1,200 times 429; obeyed, 61 s waited in all"


def test_every_text_of_the_report_tells_of_the_load() -> None:
    found = judged(broken())
    shown = io.StringIO()
    reports.print_summary(found, Console(file=shown, width=120), report_dir="out")
    for text in (reports.to_markdown(found), reports.to_html(found, traces().values())):
        assert "does not keep what it promises under load" in text
        assert "LOAD-102" in text
        assert "Does each entry point give" not in text
    assert "LOAD-102" in shown.getvalue()
    assert "parity" not in shown.getvalue()
    assert "LOAD-102" in reports.to_junit(found)


def test_an_invariant_that_the_catalogue_has_not_is_no_part_of_the_report() -> None:
    load = msgspec.structs.replace(
        sound(),
        invariants=(*sound().invariants, Invariant(id="LOAD-999", of="x", kept=0, broken=1, not_tested=0)),
    )
    assert judged(load).exit_code == 0
