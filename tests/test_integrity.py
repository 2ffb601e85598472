"""No verdict is greener than the truth: where a judge is missing or errs, no target conforms."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runstone.locations import locate
from tests.command_line import one_line_of_error, runstone
from tests.plugin.bench import clean_environment

_ELSEWHERE = """
import sys
from pathlib import Path

from runstone import locations

locations.CHECKOUT = Path(sys.argv.pop(1))
"""
_COMMAND = f"{_ELSEWHERE}\nfrom runstone.cli import main\n\nmain()\n"
_PYTEST = f"{_ELSEWHERE}\nimport pytest\n\nsys.exit(pytest.main(sys.argv[1:]))\n"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence of two areas of the embedded runtime, which keeps all of them."""
    out = tmp_path_factory.mktemp("recorded")
    done = runstone("check", "--area", "run-list", "--area", "meta", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "evidence"


class House:
    """A copy of Runstone with a few suites that can be changed, and the commands as they work from it."""

    def __init__(self, folder: Path, evidence: Path) -> None:
        self.root = folder / "house"
        self.out = folder / "out"
        self.evidence = evidence
        self.root.mkdir()
        (self.root / "suites").mkdir()
        for suite in ("conftest.py", "test_run_list.py", "test_meta.py"):
            shutil.copy(locate("suites") / suite, self.root / "suites")
        for part in ("contracts", "fixtures", "reports"):
            (self.root / part).symlink_to(locate(part))

    def without_judge(self, requirement: str) -> None:
        """Delete the judge of a requirement, from its mark to the end of its function."""
        judge = re.compile(rf'^@requirement\("{requirement}"\)\n.*?(?:\n\n\n|\Z)', re.MULTILINE | re.DOTALL)
        for suite in (self.root / "suites").glob("test_*.py"):
            suite.write_text(judge.sub("", suite.read_text("utf-8")), "utf-8")

    def judge(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run(_COMMAND, "judge", str(self.evidence), "--out", str(self.out), *words)

    def pytest(self, *words: str) -> subprocess.CompletedProcess[str]:
        loaded = [
            "-p",
            "runstone.plugin",
            "-p",
            "xdist.plugin",
            "-c",
            os.devnull,
            "--import-mode=importlib",
            "-p",
            "no:cacheprovider",
        ]
        return self._run(_PYTEST, *loaded, "--evidence", str(self.evidence), "--out", str(self.out), *words)

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, str(self.root), *words]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=self.root,
            env=clean_environment(),
            timeout=120,
            check=False,
        )

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "report.json").read_text("utf-8"))
        return found

    def verdict(self, requirement: str) -> dict[str, Any]:
        verdicts: list[dict[str, Any]] = self.report()["verdicts"]
        return next(each for each in verdicts if each["id"] == requirement)


@pytest.fixture
def house(tmp_path: Path, recorded: Path) -> House:
    return House(tmp_path, recorded)


# a judge that is missing


def is_incomplete_without(requirement: str, house: House, done: subprocess.CompletedProcess[str]) -> None:
    """The report says so, the terminal says so, and neither calls anything whole."""

    assert done.returncode == 4, done.stdout + done.stderr
    assert done.stderr == ""
    found = house.report()
    assert (found["exit_code"], found["conforming"], found["complete"]) == (4, False, False)
    assert f"no suite has a judge of {requirement}" in found["stopped"]
    assert house.verdict(requirement)["verdict"] == "harness-error"
    told = " ".join(done.stdout.split())
    assert f"no suite has a judge of {requirement}" in told
    assert "the run is incomplete" in told
    assert not re.search(r"MUST \d+ of \d+ kept \(100 %\)", told)


def test_a_requirement_without_a_judge_makes_the_run_incomplete(house: House) -> None:
    house.without_judge("RUN-LIST-001")
    done = house.judge("--area", "run-list")
    is_incomplete_without("RUN-LIST-001", house, done)


@pytest.mark.parametrize(
    "words",
    [
        ["suites", "--area", "run-list"],
        [".", "--area", "list", "-k", "status"],
        ["suites/test_run_list.py"],
    ],
)
def test_plain_pytest_misses_a_judge_too(words: list[str], house: House) -> None:
    house.without_judge("RUN-LIST-001")
    done = house.pytest(*words)
    is_incomplete_without("RUN-LIST-001", house, done)


def test_the_workers_of_pytest_n_miss_a_judge_too(house: House) -> None:
    house.without_judge("RUN-LIST-001")
    done = house.pytest("suites", "--area", "run-list", "-n", "2")
    is_incomplete_without("RUN-LIST-001", house, done)


@pytest.mark.parametrize("words", [["suites", "--select", "RUN-LIST-00[23]"], ["suites/test_meta.py"]])
def test_what_was_not_asked_for_needs_no_judge(words: list[str], house: House) -> None:
    house.without_judge("RUN-LIST-001")
    done = house.pytest(*words)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("judges", ["test_run_list.py", "test_run_list.py::test_newest_comes_first"])
def test_what_users_leave_out_themselves_is_not_missing(judges: str, house: House) -> None:
    done = house.pytest(f"suites/{judges}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert house.report()["complete"]


def test_an_area_without_a_suite_runs_nothing(house: House) -> None:
    (house.root / "suites" / "test_run_list.py").unlink()
    (house.root / "test_own.py").write_text("from pathlib import Path\n\nPath('ran').touch()\n", "utf-8")
    done = house.judge("--area", "run-list")
    assert done.returncode == 4
    assert "no suite in" in one_line_of_error(done)
    assert "judges the area run-list" in done.stderr
    assert not (house.root / "ran").exists()


# a judge that errs

PLANTED = """
from runstone.suite import Trace, cases, requirement

NOTHING = None
BUGS = {
    "attribute": lambda trace: [].foo,
    "key": lambda trace: {"a": 1}["b"],
    "index": lambda trace: [][0],
    "none": lambda trace: NOTHING["x"],
    "type": lambda trace: len(5),
    "attribute of an answer": lambda trace: trace.runs.array.foo,
    "attribute of a text": lambda trace: trace.runs.array[0]["run_id"].lowercase(),
    "attribute of a trace": lambda trace: trace.rusn.array,
    "label": lambda trace: trace.only("runsx"),
    "labels": lambda trace: trace.all("pagee"),
    "no label": lambda trace: trace.find("pagee"),
    "first": lambda trace: trace.first("page_1"),
    "note": lambda trace: trace.note("owns"),
    "part": lambda trace: trace.part("pagee"),
    "name of one's own": lambda trace: nothing_of_this_name,
}


@requirement("RUN-LIST-001")
@cases("bug", BUGS)
def test_bug(bug: str, runs_listed: Trace) -> None:
    BUGS[bug](runs_listed)
"""


def test_a_bug_of_a_judge_is_a_harness_error(house: House) -> None:
    house.without_judge("RUN-LIST-001")
    suite = house.root / "suites" / "test_run_list.py"
    suite.write_text(suite.read_text("utf-8") + PLANTED, "utf-8")
    done = house.judge("--area", "run-list")
    assert done.returncode == 4, done.stdout + done.stderr
    assert done.stderr == ""
    found = house.verdict("RUN-LIST-001")
    assert found["verdict"] == "harness-error"
    assert {each["case"]: each["verdict"] for each in found["cases"]} == dict.fromkeys(
        re.findall(r'^    "(.+)": lambda', PLANTED, re.MULTILINE), "harness-error"
    )
    reasons = {each["case"]: each["reason"] for each in found["cases"]}
    assert all(reason.startswith("the judge itself failed: ") for reason in reasons.values())
    assert "runs_listed never gives anything the name 'runsx'; did you mean runs?" in reasons["label"]
    assert "did you mean run?" in reasons["attribute of a trace"]
    assert "did you mean page?" in reasons["no label"]
    assert "did you mean own?" in reasons["note"]
