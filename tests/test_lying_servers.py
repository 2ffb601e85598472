"""The vacuity gate: a target that keeps silent or lies earns not one pass, with or without the self-check."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runstone.locations import locate
from runstone.proof.prove.null_servers import (
    BOASTFUL,
    CLOSED,
    HANGING,
    HUGE,
    LIARS,
    NULL_SERVERS,
    TRUNCATING,
    NullServer,
    closed_port,
    truncating,
)
from runstone.proof.prove.sockets import serving
from runstone.session import evidence
from runstone.target import recipes

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


@contextmanager
def up(server: NullServer) -> Iterator[str]:
    """The server, in a thread of this process; yields its URL."""
    if server.name == CLOSED:
        with closed_port() as url:
            yield url
    elif server.answer is None:
        with recipes.running(recipes.load("embedded")) as whole, truncating(whole.url) as url:
            yield url
    else:
        with serving(server.answer) as url:
            yield url


def test_every_null_server_is_here() -> None:
    assert [each.name for each in NULL_SERVERS if each.answer is None] == [CLOSED, TRUNCATING]
    assert {each.name for each in NULL_SERVERS} == {CLOSED, TRUNCATING, *LIARS, *HANGING, *HUGE}


@pytest.mark.parametrize("server", NULL_SERVERS, ids=lambda server: server.name)
def test_check_refuses_a_null_server(server: NullServer, tmp_path: Path) -> None:
    with up(server) as url:
        done = runstone("check", url, "--out", str(tmp_path))
    assert done.returncode == 3, done.stdout + done.stderr
    said = one_line_of_error(done)
    assert "does not answer" in said or "no fit conformance graphs" in said
    assert {verdict for _, verdict in judged(tmp_path / "report.json")} == {"not-run"}
    manifest, traces = evidence.read(tmp_path / "evidence")
    assert manifest.unusable
    assert not manifest.complete
    assert traces["self_check"].exchanges


@pytest.mark.parametrize("server", NULL_SERVERS, ids=lambda server: server.name)
def test_no_judge_passes_a_null_server(server: NullServer, tmp_path: Path) -> None:
    """Without the self-check, and although the server claims to have every capability."""
    (tmp_path / "boastful.toml").write_text(BOASTFUL, "utf-8")
    with up(server) as url:
        suites = [sys.executable, "-m", "pytest", str(ROOT / "suites"), "-q", "-p", "no:cacheprovider"]
        options = ["--target", url, "--no-self-check", "--quick", "--out", str(tmp_path)]
        # Those that hang are given up after a while: what they did not answer cannot pass later either.
        budget = "60" if server.prompt else "15"
        limits = ["--concurrency", "64", "--config", str(tmp_path / "boastful.toml"), "--budget", budget]
        command = [*suites, *options, *limits]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    verdicts = judged(tmp_path / "report.json")
    assert [id for id, verdict in verdicts if verdict == "pass"] == []  # noqa: A001
    assert done.returncode in {1, 3}, done.stdout[-2000:]
    assert "harness-error" not in {verdict for _, verdict in verdicts}
