"""The vacuity gate: a target that keeps silent or lies earns not one pass, with or without the self-check."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runstone.judge.suites import judge
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
)
from runstone.proof.sockets import serving
from runstone.scenario import asking, pulse
from runstone.session import evidence
from runstone.session.opening import open_session
from runstone.session.options import given
from tests.command_line import in_own_process, judged, one_line_of_error, runstone

# One of each kind, as a user would check it: nobody there, one that hangs, four that lie. `runstone prove`
# judges every null server, with the self-check and without.
KINDS = (CLOSED, "silent", "empty object", "echo", "half a body", "500")

KINDS_OF_SERVERS = [each for each in NULL_SERVERS if each.name in KINDS]


@contextmanager
def up(server: NullServer) -> Iterator[str]:
    """The server, in a thread of this process; yields its URL."""
    if server.answer is None:
        with closed_port() as url:
            yield url
    else:
        with serving(server.answer) as url:
            yield url


def test_every_null_server_is_here() -> None:
    assert [each.name for each in NULL_SERVERS if each.answer is None] == [CLOSED, TRUNCATING]
    assert {each.name for each in NULL_SERVERS} == {CLOSED, TRUNCATING, *LIARS, *HANGING, *HUGE}


def unchecked(
    url: str, out: Path, config: Path, budget_s: float = 60.0, patience_s: float = 6.0
) -> subprocess.CompletedProcess[str]:
    """All suites over a server, fit for them or not; `patience_s`: until it counts as one that is silent."""
    return in_own_process(_judge_unchecked, url, out, config, budget_s, patience_s)


def _judge_unchecked(url: str, out: Path, config: Path, budget_s: float, patience_s: float) -> None:
    vars(asking)["DEADLINE_S"] = vars(pulse)["_UNANSWERED_S"] = patience_s
    asked = given(
        target_name=url,
        config=config,
        out=out,
        concurrency=64,
        budget_s=budget_s,
        confirm=0,
        keep="all",  # deleting it would wait for more answers
        insist_on_fitness=False,
    )
    raise SystemExit(judge(open_session(asked, lambda *_: None)).exit_code)


@pytest.mark.parametrize("server", KINDS_OF_SERVERS, ids=lambda each: each.name)
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


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(each, id=each.name, marks=() if each.name == "empty object" else pytest.mark.slow)
        for each in KINDS_OF_SERVERS
    ],
)
def test_no_judge_passes_a_null_server(server: NullServer, tmp_path: Path) -> None:
    """Without the self-check, and although the server claims to have every capability."""
    (tmp_path / "boastful.toml").write_text(BOASTFUL, "utf-8")
    # Those that hang are given up after a while: what they did not answer cannot pass later either.
    patience = {} if server.prompt else {"budget_s": 15.0, "patience_s": 1.0}
    with up(server) as url:
        done = unchecked(url, tmp_path, tmp_path / "boastful.toml", **patience)
    verdicts = judged(tmp_path / "report.json")
    assert [id for id, verdict in verdicts if verdict == "pass"] == []  # noqa: A001
    assert done.returncode in {1, 3}, done.stdout[-2000:]
    assert "harness-error" not in {verdict for _, verdict in verdicts}


@pytest.mark.slow
def test_no_judge_passes_under_plain_pytest(tmp_path: Path) -> None:
    """The same by `pytest suites --no-self-check`, with all plugins of this environment."""
    suites = [sys.executable, "-m", "pytest", str(locate("suites")), "-q", "-p", "no:cacheprovider"]
    with up(next(each for each in NULL_SERVERS if each.name == "empty object")) as url:
        command = [*suites, "--target", url, "--no-self-check", "--out", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    verdicts = {verdict for _, verdict in judged(tmp_path / "report.json")}
    assert done.returncode == 1, done.stdout[-2000:]
    assert not {"pass", "harness-error"} & verdicts
