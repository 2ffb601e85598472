"""The vacuity gate: a target that keeps silent or lies earns not one pass, with or without the self-check."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runstone import evidence
from runstone.locations import locate
from tests.servers import HANGING, HUGE, LIARS, Answer, serving

ROOT = locate("suites").parent


def runstone(*words: str, timeout: float = 150) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, as a user runs it."""
    command = [sys.executable, "-m", "runstone", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def one_line_of_error(done: subprocess.CompletedProcess[str]) -> str:
    """What was said on standard error: one line, no traceback."""
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) <= 1, done.stderr
    return lines[0] if lines else ""


def judged(report: Path) -> list[tuple[str, str]]:
    """(id, verdict) of everything in a report.json."""
    found: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return [(each["id"], each["verdict"]) for each in found["verdicts"]]


def test_closed_port(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = runstone("check", url, "--out", str(tmp_path))
    assert done.returncode == 3
    assert "does not answer" in one_line_of_error(done)
    assert {verdict for _, verdict in judged(tmp_path / "report.json")} == {"not-run"}


@pytest.mark.parametrize("name", [*LIARS, *HANGING, *HUGE])
def test_check_refuses_a_liar(name: str, tmp_path: Path) -> None:
    answers: dict[str, Answer] = {**LIARS, **HANGING, **HUGE}
    with serving(answers[name]) as url:
        done = runstone("check", url, "--out", str(tmp_path))
    assert done.returncode == 3, done.stdout + done.stderr
    said = one_line_of_error(done)
    assert "does not answer" in said or "no fit conformance graphs" in said
    assert {verdict for _, verdict in judged(tmp_path / "report.json")} == {"not-run"}
    manifest, traces = evidence.read(tmp_path / "evidence")
    assert manifest.unusable
    assert not manifest.complete
    assert traces["self_check"].exchanges


@pytest.mark.parametrize("name", LIARS)
def test_no_judge_passes_a_liar(name: str, tmp_path: Path) -> None:
    with serving(LIARS[name]) as url:
        suites = [sys.executable, "-m", "pytest", str(ROOT / "suites"), "-q", "-p", "no:cacheprovider"]
        options = [
            "--target",
            url,
            "--no-self-check",
            "--quick",
            "--out",
            str(tmp_path),
            "--concurrency",
            "64",
        ]
        done = subprocess.run([*suites, *options], capture_output=True, text=True, cwd=ROOT, check=False)
    verdicts = judged(tmp_path / "report.json")
    assert [id for id, verdict in verdicts if verdict == "pass"] == []  # noqa: A001
    assert done.returncode in {1, 3}, done.stdout[-2000:]
    assert "harness-error" not in {verdict for _, verdict in verdicts}
