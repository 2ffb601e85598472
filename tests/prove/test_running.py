"""How the checks of a proof are run: each with an end, and nothing of it left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from runstone import report as reports
from runstone.proof.prove.checks import Check
from runstone.proof.prove.pool import Done, run_all
from tests.prove.matrices import report


@dataclass(frozen=True)
class Acting(Check):
    """A check that does something else."""

    act: str = "report"

    def run(self) -> None:
        self.out.mkdir(parents=True)
        (self.out / "pid").write_text(str(os.getpid()))
        if self.act == "hang":
            time.sleep(600)
        if self.act == "die":
            (self.out / "check.log").write_text("first\nthe last word\n")
            os._exit(7)
        if self.act == "leave somebody":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            (self.out / "child").write_text(str(child.pid))
        (self.out / "report.json").write_text(reports.to_json(report()))


def alive(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def test_checks_end_with_a_report_or_a_diagnosis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstone.proof.prove.pool.BEYOND_BUDGET_S", 0.5)
    told: list[tuple[str, int]] = []
    acts = ("report", "hang", "die", "leave somebody")
    # Only the hanging one may be late, however slow the machine is.
    checks = [
        Acting(name=act, out=tmp_path / act.replace(" ", "-"), act=act, budget_s=1.5 if act == "hang" else 60)
        for act in acts
    ]
    ended = run_all(checks, 4, lambda each, left: told.append((each.check.name, left)))
    done = {each.check.name: each for each in ended}
    assert done["report"].report is not None
    assert done["report"].trouble == ""
    assert done["hang"].report is None
    assert "did not end within 2 s" in done["hang"].trouble
    assert done["die"].trouble == "the check ended with code 7: the last word"
    assert sorted(name for name, _ in told) == sorted(acts)
    assert told[-1][1] == 0
    assert not alive((tmp_path / "hang/pid").read_text())
    assert not alive((tmp_path / "leave-somebody/child").read_text())


def test_only_what_is_light_goes_before_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstone.proof.prove.pool.BEYOND_BUDGET_S", 0.5)
    weights = {"heavy": 1.5, "heavy too": 1.5, "ordinary": 1, "light": 0.25}
    checks = [
        Acting(
            name=name,
            out=tmp_path / name.replace(" ", "-"),
            act="hang" if name == "heavy" else "report",
            budget_s=1.5 if name == "heavy" else 60,
            weight=weight,
        )
        for name, weight in weights.items()
    ]
    ended = [each.check.name for each in run_all(checks, 2, lambda *_: None)]
    assert ended[:2] == ["light", "heavy"]
    assert sorted(ended[2:]) == ["heavy too", "ordinary"]


def test_an_earlier_report_is_not_taken_for_this_one(tmp_path: Path) -> None:
    (tmp_path / "died").mkdir()
    (tmp_path / "died/report.json").write_text(reports.to_json(report()))
    [done] = run_all([Acting(name="died", out=tmp_path / "died", act="die")], 1, lambda *_: None)
    assert done.report is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_leaves_no_check_behind(number: signal.Signals, tmp_path: Path) -> None:
    def interrupt(_done: Done, _left: int) -> None:
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    checks = [Acting(name=act, out=tmp_path / act, act=act) for act in ("hang", "report")]
    with pytest.raises(KeyboardInterrupt):
        run_all(checks, 2, interrupt)
    assert not alive((tmp_path / "hang/pid").read_text())
    assert signal.getsignal(number) is before
