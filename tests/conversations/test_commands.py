"""Scenarios where users meet them: run, judge, resume, Ctrl-C, check --scenarios, pytest, sign-off."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from junitparser import JUnitXml

from runstone import report as reports
from runstone.cli import cli
from runstone.contracts.schemas import violations
from runstone.errors import ExitCode, UsageError
from runstone.proof.conversations import agents, fault
from runstone.report.assembly import Judged, Measure, Recorded, assemble
from runstone.signoff import acceptance
from runstone.verdict.model import Case, Report
from runstone.verdict.scenarios import ScenarioResults
from tests import test_assembly
from tests.command_line import command, in_own_process, one_line_of_error, plain_pytest, runstone, started
from tests.conversations.desk import Desk, Thread, serving_desk
from tests.conversations.playing import play
from tests.conversations.test_interface import SHORT
from tests.conversations.test_playing import REFUND
from tests.servers import Heard


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving_desk(Desk()) as found:
        yield found


def written(folder: Path, *scenarios: dict[str, Any]) -> str:
    folder.mkdir(exist_ok=True)
    for each in scenarios:
        (folder / f"{each['scenario']}.yaml").write_text(yaml.safe_dump(each))
    return str(folder)


BROKEN = {**SHORT, "scenario": "broken", "turns": [{"user": "Hello", "expect": [{"contains": "Evil"}]}]}


def test_run_tells_what_was_said_and_judge_tells_the_same(tmp_path: Path, url: str) -> None:
    files, out = written(tmp_path / "s", REFUND, BROKEN), tmp_path / "out"
    done = runstone("scenarios", "run", files, "--target", url, "--out", str(out))
    assert (done.returncode, one_line_of_error(done)) == (1, "")
    told = " ".join(done.stdout.split())
    assert (
        'FAIL broken because turn 1: contains "Evil": "Evil" is not in the answer: "How can I help?"' in told
    )
    assert told.endswith(f"NOT ACCEPTED, 1 pass, 1 fail; report in {out}")
    again = runstone("scenarios", "judge", str(out / "evidence"), "--out", str(tmp_path / "again"))
    assert again.returncode == 1
    before, after = (json.loads((each / "report.json").read_text()) for each in (out, tmp_path / "again"))
    assert before["results"] == after["results"]
    assert violations("scenarios-report", before) == []
    junit = JUnitXml.fromfile(str(out / "junit.xml"))
    assert (junit.tests, junit.failures, junit.errors) == (2, 1, 0)
    page = (out / "report.html").read_text()
    assert "Please refund order 42" in page
    assert "<script" not in page


class Tidied(Desk):
    """Knows which of its threads were deleted."""

    def answer(self, heard: Heard) -> bytes:
        told = super().answer(heard)
        if heard.method == "DELETE":
            self.threads.pop(heard.target.rpartition("/")[2], None)
        return told


@pytest.mark.parametrize("keep, left", [("none", 0), ("failed", 1), ("all", 2)])
def test_what_broken_scenarios_made_can_be_kept(tmp_path: Path, keep: str, left: int) -> None:
    files, desk = written(tmp_path / "s", SHORT, BROKEN), Tidied()
    with serving_desk(desk) as url:
        words = ["--target", url, "--out", str(tmp_path / "out"), "--keep", keep]
        assert runstone("scenarios", "run", files, *words).returncode == 1
    said = [each.messages[0]["content"] for each in desk.threads.values() if each.messages]
    assert len(said) == left
    assert left != 1 or said == ["Hello"]


def test_stream_prints_events_as_lines_of_json(tmp_path: Path, url: str) -> None:
    files = written(tmp_path / "s", SHORT)
    done = runstone("scenarios", "run", files, "--target", url, "--out", str(tmp_path / "o"), "--stream")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [events[0]["kind"], events[-1]["kind"]] == ["started", "completed"]
    assert events[-1]["report"]["accepted"] is True


def test_what_was_played_is_not_played_again(tmp_path: Path) -> None:
    files, out, desk = written(tmp_path / "s", SHORT, REFUND), str(tmp_path / "out"), Desk()
    with serving_desk(desk) as url:
        words = ["scenarios", "run", files, "--target", url, "--out", out]
        assert runstone(*words).returncode == 0
        assert desk.turns == 3
        written(tmp_path / "s", {**SHORT, "description": "changed"})
        assert runstone(*words, "--resume").returncode == 0
        assert desk.turns == 4
        assert runstone(*words, "--resume").returncode == 0
        assert desk.turns == 4
        assert runstone("scenarios", "judge", f"{out}/evidence").returncode == 0
    with serving_desk(desk) as other:
        refused = runstone("scenarios", "run", files, "--target", other, "--out", out, "--resume")
    assert refused.returncode == 2
    assert "cannot go on with it; use --out DIR" in one_line_of_error(refused)


class Slow(Desk):
    def act(self, thread: Thread, said: str) -> None:
        time.sleep(0.05)
        super().act(thread, said)


def test_ctrl_c_keeps_what_was_played_and_resume_plays_the_rest(tmp_path: Path) -> None:
    files, out, desk = written(tmp_path / "s", {**SHORT, "repeat": {"times": 60}}), tmp_path / "out", Slow()
    with serving_desk(desk) as url:
        words = ["scenarios", "run", files, "--target", url, "--out", str(out), "--concurrency", "1"]
        with started(command, *words) as running:
            deadline = time.monotonic() + 60
            while desk.turns < 5:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == ExitCode.INTERRUPTED
        report = json.loads((out / "report.json").read_text())
        (verdict,) = report["results"]["scenarios"]
        assert (report["complete"], verdict["result"]) == (False, "not-judged")
        assert 0 < verdict["rate"]["passed"] < 60
        played = desk.turns
        assert runstone(*words, "--resume").returncode == 0
        assert desk.turns <= 61
        assert desk.turns > played
    report = json.loads((out / "report.json").read_text())
    assert report["results"]["scenarios"][0]["rate"]["passed"] == 60


def test_each_scenario_is_a_test_of_pytest(tmp_path: Path, url: str) -> None:
    broken = {**BROKEN, "vars": {"name": ["Ada", "Eve"]}, "description": "{{name}}"}
    files = written(tmp_path / "s", SHORT, broken)
    (tmp_path / "s" / "other.yaml").write_text("just: data\n")
    words = [files, "--target", url, "--out", str(tmp_path / "out"), "-p", "runstone.plugin", "-q", "-rA"]
    done = in_own_process(plain_pytest, *words, "--junitxml", str(tmp_path / "j.xml"), cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "2 failed, 1 passed" in done.stdout
    assert "broken[name=Ada]" in done.stdout
    assert '"Evil" is not in the answer: "How can I help?"' in done.stdout
    assert "turn 1 user: Hello" in done.stdout
    assert "Traceback" not in done.stdout
    junit = JUnitXml.fromfile(str(tmp_path / "j.xml"))
    assert (junit.tests, junit.failures) == (3, 2)
    assert (tmp_path / "out/scenarios/short.1/evidence/manifest.json").is_file()


def test_a_file_that_is_wrong_is_an_error_of_pytest(tmp_path: Path, url: str) -> None:
    files = written(tmp_path / "s", {**SHORT, "asistant": "x"})
    done = in_own_process(plain_pytest, files, "--target", url, "-p", "runstone.plugin", "-q", cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown key 'asistant'; did you mean assistant?" in done.stdout


# with a check of the server, in one report and one acceptance


def both(results: ScenarioResults) -> Report:
    """The report of a check in which every requirement is kept, and scenarios were played."""
    measure = Measure(
        settings=test_assembly.SETTINGS, catalogue=test_assembly.CATALOGUE, basis=test_assembly.BASIS
    )
    cases = {name: [Case(case="", verdict="pass")] for name in test_assembly.LEVELS}
    judged = Judged(cases=cases, cells={}, selected=frozenset(cases), set_aside={})
    recorded = Recorded(manifest=test_assembly.MANIFEST, traces={}, scenarios=results)
    return assemble(measure, recorded, judged, judge_s=0.1, now=test_assembly.NOW)


def test_a_check_is_conforming_only_with_its_scenarios(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "empty").mkdir()
    good = both(play(tmp_path / "good", SHORT).results)
    bad = both(play(tmp_path / "bad", fault.REFUND, agents.CallsTwice()).results)
    unclear = both(play(tmp_path / "empty", {**SHORT, "turns": [{"user": "Hello"}]}).results)
    assert [each.exit_code for each in (good, bad, unclear)] == [0, 1, 4]
    assert [each.conforming for each in (good, bad, unclear)] == [True, False, False]
    for each in (good, bad, unclear):
        assert violations("report", json.loads(reports.to_json(each))) == []
    page = reports.to_html(bad, [])
    assert "scenarios not accepted (1 fail)" in page
    assert "refund-with-a-name" in page
    junit = JUnitXml.fromstring(reports.to_junit(bad).partition("?>")[2])
    assert [(suite.name, suite.failures) for suite in junit][-1] == ("scenarios", 1)
    assert acceptance.unaccepted(good.scenarios) == acceptance.unaccepted(None) == []
    (refusal,) = acceptance.unaccepted(bad.scenarios)
    assert refusal.startswith("scenario refund-with-a-name: fail: turn 2: contains_function_call")


@pytest.mark.slow
def test_check_plays_scenarios_beside_its_own(tmp_path: Path) -> None:
    echo = {
        "scenario": "echo",
        "assistant": "echo",
        "turns": [{"user": "hello", "expect": [{"equals": "hello"}]}],
    }
    files, out = written(tmp_path / "s", echo), tmp_path / "out"
    words = ["--area", "thr-get", "--scenarios", files, "--out", str(out), "--quick"]
    done = runstone("check", "embedded", *words)
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text())
    assert [each["result"] for each in report["scenarios"]["scenarios"]] == ["pass"]
    judged = runstone("judge", str(out / "evidence"), "--out", str(tmp_path / "again"))
    again = json.loads((tmp_path / "again/report.json").read_text())
    assert again["scenarios"] == report["scenarios"], judged.stderr


@pytest.mark.parametrize(
    "words, said",
    [
        (["--set", "config.configurable.tier=gold"], "--set and --tag are about acceptance scenarios"),
        (["--tag", "graphs"], "--set and --tag are about acceptance scenarios"),
        (["--scenarios", "s", "--plan"], "--plan tells nothing of acceptance scenarios"),
        (["--scenarios", "s", "--shard", "1/2"], "acceptance scenarios are not shared out"),
    ],
)
def test_a_check_refuses_what_it_would_leave_undone(words: list[str], said: str) -> None:
    called = CliRunner().invoke(cli, ["check", *words])
    assert isinstance(called.exception, UsageError)
    assert said in str(called.exception)
