"""What a server does wrong now and then only is broken, however well it does when it is looked at again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import judged, runstone

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "fault, area, broken",
    [
        ("every-fifth-stream-names-another-run", "run-stream", "MON-002"),
        ("every-tenth-reading-of-a-run-is-its-creation", "run-status", "MON-007"),
        ("every-twentieth-reading-of-a-thread-is-its-creation", "thr-status", "MON-007"),
    ],
)
def test_it_is_a_failure_or_flaky(
    fault: str, area: str, broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTONE_FAULT", fault)
    done = runstone(
        "check", "embedded", "--quick", "--area", area, "--area", "monitor", "--out", str(tmp_path / "out")
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert dict(judged(tmp_path / "out" / "report.json"))[broken] in {"fail", "flaky"}
