"""What a report says beside its verdicts: capacity, findings, repeats, disturbances, what was left behind."""

from __future__ import annotations

import io

import msgspec
import pytest
from junitparser import JUnitXml
from rich.console import Console

from runstone import report as reports
from runstone.report import digest
from runstone.report.remarks import left, remarks, repeats, set_aside, took
from runstone.verdict.model import Case, Observation, Phases, Report, Verdict
from tests.example_reports import example

LOST = "it executed 4 runs at a time at the beginning, and 3 at the end"


@pytest.fixture
def full() -> Report:
    return example("every-verdict")


@pytest.fixture
def green() -> Report:
    return example("conforming")


def observed(report: Report, **fields: object) -> Report:
    return msgspec.structs.replace(report, observation=Observation(**fields))  # type: ignore[arg-type]


def said(report: Report) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in remarks(report):
        found.setdefault(each.about, []).append(each.text)
    return found


def of(kept: Verdict, identity: str, verdict: str, reason: str) -> Verdict:
    case = msgspec.convert({"case": "", "verdict": verdict, "reason": reason}, Case)
    return msgspec.structs.replace(kept, id=identity, verdict=case.verdict, cases=(case,))


def test_of_a_quiet_session_nothing_is_told(green: Report) -> None:
    assert remarks(observed(green)) == []
    assert said(observed(green, capacity=32)) == {
        "capacity": ["the target executes 32 runs or more at a time"]
    }


def test_what_was_set_aside_for_the_capacity_is_named(green: Report) -> None:
    reason = "capacity: it needs 2 runs at once, the target executes 1"
    aside = of(green.verdicts[0], "CONC-001", "not-applicable", reason)
    other = of(green.verdicts[0], "CRON-001", "not-applicable", "the target has no crons")
    found = observed(msgspec.structs.replace(green, verdicts=(aside, other)), capacity=1)
    assert set_aside(found) == ["CONC-001"]
    assert "1 set aside for the capacity" in digest.reservations(found)
    assert said(found)["capacity"] == [
        "the target executes 1 run at a time; 1 requirement was set aside for that (CONC-001)"
    ]


def test_what_is_left_is_told_by_kind_and_reason() -> None:
    things = [f"thread {number}: DELETE answered 403" for number in range(457)]
    things += ["cron c: DELETE answered 500", 'item {"key": "a: b"}: timed out', "something else"]
    assert list(left(things)) == [
        "something else",
        "457 threads are left on the target: DELETE answered 403 (0, 1, 2, 3, 4 and 452 more)",
        "1 cron is left on the target: DELETE answered 500 (c)",
        '1 item is left on the target: timed out ({"key": "a: b"})',
    ]


def test_repeats_name_what_became_of_them(green: Report) -> None:
    flaky = of(green.verdicts[0], "B-001", "flaky", "broken in one of two observations")
    once = of(green.verdicts[0], "C-001", "fail", "unconfirmed: wanted 1")
    kept = of(green.verdicts[0], "A-001", "pass", "")
    again = {"one@2": "A-001", "two@2": "B-001"}
    found = observed(msgspec.structs.replace(green, verdicts=(kept, flaky, once)), again=again)
    assert [(each.recording, each.verdict) for each in repeats(found)] == [
        ("two@2", "flaky"),
        ("one@2", "pass"),
    ]
    assert said(found)["again"] == [
        "2 scenarios observed again, alone, because something seemed broken, 1 flaky, 1 unconfirmed"
    ]


def test_what_was_disturbed_says_by_what(green: Report) -> None:
    found = observed(green, disturbed={"success": ("exchange 4: reset", "exchange 5: reset")})
    assert said(found)["disturbed"] == [
        "1 recording disturbed, by the network or this machine: exchange 4: reset"
    ]
    busy = observed(
        green, disturbed={"success": ("it was busy",), "turn": ("it was busy",), "wait": ("cut",)}
    )
    assert said(busy)["disturbed"] == [
        "3 recordings disturbed, by the network or this machine: it was busy, cut"
    ]


def test_brief_phases_are_not_told(green: Report) -> None:
    phases = Phases(observe_s=434.02, confirm_s=64.3, clean_s=0.01, judge_s=0.0)
    found = msgspec.structs.replace(green, phases=phases)
    assert took(found) == "434.0 s observing, 64.3 s confirming, 0.0 s judging"


def test_a_conforming_report_does_not_hide_findings(green: Report) -> None:
    found = observed(green, findings=(LOST,), left=("thread a: DELETE answered 403",))
    assert digest.conforms(found)
    assert {"1 finding", "1 thing left behind"} <= set(digest.reservations(found))


def test_every_report_for_people_and_machines_tells_them(full: Report) -> None:
    page = io.StringIO()
    reports.print_summary(full, Console(file=page, width=1_000), report_dir="out")
    terminal = " ".join(page.getvalue().split())
    suites = JUnitXml.fromstring(reports.to_junit(full).encode())
    properties = [each for suite in suites for each in suite.properties()]  # type: ignore[no-untyped-call]
    junit = " ".join(f"{each.name} {each.value}" for each in properties)
    html = " ".join(reports.to_html(full, []).split())
    markdown = reports.to_markdown(full).replace("\\", "")
    for words in (
        LOST,
        "2 threads are left on the target: DELETE answered 403",
        "1 cron is left on the target",
    ):
        for written in (terminal, junit, html, markdown):
            assert words in written
    for written in (terminal, junit, html, markdown):
        assert "the target executes 1 run at a time" in written
        assert "1 scenario observed again" in written
        assert "the connection was reset" in written
