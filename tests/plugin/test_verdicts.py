"""Verdicts under pytest, and what is selected."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.plugin.bench import BROKEN_JUDGE, CRASHING, VERDICTS, Bench

# --- verdicts ----------------------------------------------------------------------------------------------


def test_every_outcome_becomes_its_verdict(bench: Bench) -> None:
    junit = bench.folder / "pytest.xml"
    done = bench.run(f"--junitxml={junit}", "-v")
    assert done.returncode == 1, done.stdout
    assert bench.verdicts() == VERDICTS
    others = {each["verdict"] for each in bench.report()["verdicts"] if each["id"] not in VERDICTS}
    assert others <= {"not-run", "not-applicable"}
    check_reasons(bench)
    check_report(bench)
    check_terminal(done.stdout)
    check_junit(junit)


def check_reasons(bench: Bench) -> None:
    (broken,) = bench.cases("RUN-WAIT-001")
    assert broken["reason"] == 'wanted "HI", got "hi"'
    assert broken["exchanges"] == ["turn#2"]
    assert broken["curl"][0].startswith("curl -sS -i -X POST " + bench.url)
    assert bench.cases("META-002")[0]["reason"] == 'wanted "green", got null'
    assert "life has no 'never'" in bench.cases("META-003")[0]["reason"]
    assert bench.cases("RUN-WAIT-003")[0]["reason"] == (
        'exchange 3 GET /threads/…/state at /values has no "colour", only messages'
    )
    assert "the target has no metrics" in bench.cases("META-004")[0]["reason"]
    assert [(each["case"], each["verdict"]) for each in bench.cases("META-006")] == [
        ("wait", "pass"),
        ("stream", "not-applicable"),
    ]


def check_report(bench: Bench) -> None:
    found = bench.report()
    assert (found["exit_code"], found["conforming"], found["complete"]) == (1, False, True)
    assert found["grid"]["cells"]["success"]["wait"] == {
        "verdict": "same",
        "reason": "",
        "requirement": "PARITY-001",
    }
    assert found["totals"]["MUST"]["fail"] == 1
    names = {path.name for path in bench.out.iterdir()}
    assert {"report.json", "report.html", "junit.xml", "summary.md", "evidence"} <= names


def check_terminal(page: str) -> None:
    for word in ("PASS", "WARN", "NOT-TESTABLE", "NOT-APPLICABLE", "FAIL"):
        assert word in page
    assert "promised  RUN-WAIT-001 (MUST): " in page
    assert 'seen      wanted "HI", got "hi"' in page
    assert "where     turn#2" in page
    assert "repeat    curl" in page
    assert "Traceback" not in page


def check_junit(path: Path) -> None:
    root = ET.parse(path).getroot()  # noqa: S314 - pytest wrote it just now
    cases = {
        value.get("value"): case
        for case in root.iter("testcase")
        for value in case.iter("property")
        if value.get("name") == "id"
    }
    assert cases["META-001"].find("failure") is None
    assert cases["META-001"].find("skipped") is None
    assert cases["RUN-WAIT-001"].find("failure") is not None
    assert cases["RUN-WAIT-002"].find("failure") is not None
    assert cases["META-002"].find("skipped") is not None
    assert cases["META-004"].find("skipped") is not None


def test_a_kept_contract_is_0_and_a_broken_should_counts_when_asked(bench: Bench) -> None:
    assert bench.run("--select", "META-001").returncode == 0
    assert bench.run("--select", "META-002").returncode == 0
    assert bench.run("--select", "META-002", "--fail-on", "should").returncode == 1
    assert bench.run("--select", "META-003").returncode == 0  # not-testable, and a SHOULD
    assert bench.run("--select", "RUN-WAIT-002").returncode == 1  # not-testable, and a MUST


def test_a_scenario_or_a_judge_that_crashes_is_a_harness_error(bench: Bench) -> None:
    bench.write("test_crash.py", CRASHING)
    bench.write("test_broken.py", BROKEN_JUDGE)
    done = bench.run("--select", "THR-GET-001", "--select", "META-006", "--select", "META-001")
    assert done.returncode == 4, done.stdout
    found = {each["id"]: each for each in bench.report()["verdicts"]}
    assert found["META-001"]["verdict"] == "pass"
    assert found["THR-GET-001"]["verdict"] == found["META-006"]["verdict"] == "harness-error"
    assert "the scenario itself failed" in found["THR-GET-001"]["cases"][0]["reason"]
    assert "KeyError: 'own fault'" in found["THR-GET-001"]["cases"][0]["reason"]
    divided = next(each for each in found["META-006"]["cases"] if each["verdict"] == "harness-error")
    assert "the judge itself failed: ZeroDivisionError" in divided["reason"]


def test_a_waiver_is_applied_and_one_that_is_not_needed_is_an_error(bench: Bench) -> None:
    waiver = "- {{requirement: {}, reason: known, owner: us, expires: 2999-01-01, link: here}}\n"
    path = bench.folder / "waivers.yaml"
    broken = ["RUN-WAIT-001", "RUN-WAIT-002", "RUN-WAIT-003"]
    path.write_text("waivers:\n" + "".join(waiver.format(each) for each in broken), "utf-8")
    assert bench.run("--waivers", str(path)).returncode == 0
    assert bench.verdicts() == VERDICTS | dict.fromkeys(broken, "waived")
    path.write_text("waivers:\n" + "".join(waiver.format(each) for each in [*broken, "META-001"]), "utf-8")
    assert bench.run("--waivers", str(path)).returncode == 1
    assert "META-001 is not needed" in bench.report()["waiver_errors"][0]


def test_a_waiver_for_a_scenario_that_no_suite_has_is_refused_before_anything_is_sent(bench: Bench) -> None:
    """It would accept nothing, and nobody would be told; scenarios of a user's own suites are known."""
    path = bench.folder / "waivers.yaml"
    waiver = (
        "waivers:\n- requirement: RUN-WAIT-001\n  scenarios: [{}]\n"
        "  reason: known\n  owner: us\n  expires: 2999-01-01\n  link: here\n"
    )
    path.write_text(waiver.format("trun"), "utf-8")
    done = bench.run("--waivers", str(path), "--select", "RUN-WAIT-001")
    assert done.returncode == 2
    assert (
        "waives RUN-WAIT-001 in the scenario 'trun', which no suite has; did you mean turn?"
        in done.stdout + done.stderr
    )
    assert not bench.server.requests
    path.write_text(waiver.format("turn"), "utf-8")
    assert bench.run("--waivers", str(path), "--select", "RUN-WAIT-001").returncode == 0


# --- what is selected --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, judged",
    [
        (["--area", "meta"], {"META-001", "META-002", "META-003", "META-004", "META-006"}),
        (["--select", "RUN-WAIT-00[12]"], {"RUN-WAIT-001", "RUN-WAIT-002"}),
        (["--area", "run-wait", "--select", "*-001"], {"RUN-WAIT-001"}),
        (["-k", "test_ok or test_info"], {"META-001", "META-002"}),
    ],
)
def test_only_what_is_selected_is_judged_and_observed(
    options: list[str], judged: set[str], bench: Bench
) -> None:
    bench.run(*options)
    assert bench.verdicts() == {name: VERDICTS[name] if name in judged else "not-run" for name in VERDICTS}
    assert all(bench.cases(name)[0]["reason"] for name in VERDICTS if name not in judged)
    assert bench.server.requests["GET /patient"] == 0
    assert bench.server.requests["GET /counted"] == int("META-001" in judged)
    assert bench.report()["complete"]


def test_quick_leaves_out_what_must_wait(bench: Bench) -> None:
    bench.run("--quick")
    assert bench.verdicts() == VERDICTS | {"RUN-WAIT-004": "not-run"}
    assert "patient must wait 6 s" in bench.cases("RUN-WAIT-004")[0]["reason"]
    assert bench.server.requests["GET /patient"] == 0
    found = bench.report()
    assert (found["quick"], found["complete"]) == (True, True)


def test_what_runstone_toml_turns_on_the_command_line_turns_off(bench: Bench) -> None:
    (bench.folder / "runstone.toml").write_text('quick = true\nselect = ["RUN-WAIT-004"]\n', "utf-8")
    bench.run()
    assert "patient must wait 6 s" in bench.cases("RUN-WAIT-004")[0]["reason"]
    bench.run("--no-quick")
    found = {name: verdict for name, verdict in bench.verdicts().items() if verdict != "not-run"}
    assert found == {"RUN-WAIT-004": "pass"}


def test_a_requirement_of_which_a_case_was_left_out_is_not_kept(bench: Bench) -> None:
    done = bench.run("-k", "test_ok or test_entry_points and wait")
    assert done.returncode == 0, done.stdout
    assert bench.verdicts()["META-006"] == "not-run"
    assert [(each["case"], each["verdict"]) for each in bench.cases("META-006")] == [
        ("wait", "pass"),
        ("stream", "not-run"),
    ]


def test_nothing_selected_is_not_conforming(bench: Bench) -> None:
    done = bench.run("-k", "no_such_test")
    assert done.returncode == 1
    assert not bench.report()["conforming"]
