"""`runstone judge` of the folder of a load: the same verdicts offline, and its reports written again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runstone.load.reading import read
from runstone.load.rejudging import contradicted
from tests.command_line import runstone
from tests.load.made import TWICE, made
from tests.signoff.case import rewrite

pytestmark = pytest.mark.slow

WAIVER = """
waivers:
  - requirement: LOAD-102
    reason: known
    owner: runtime team
    expires: 2099-01-01
    link: docs/divergences.md
  - requirement: META-001  # a check's, in the same file
    reason: known
    owner: runtime team
    expires: 2099-01-01
    link: docs/divergences.md
"""


@pytest.mark.parametrize("inside", ["", "evidence"])
def test_a_load_is_judged_again_from_its_folder(inside: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "load", broken=[TWICE])
    done = runstone("judge", str(folder / inside))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "LOAD-102" in done.stdout
    report = json.loads((folder / "report.json").read_bytes())
    assert {each["id"]: each["verdict"] for each in report["verdicts"]}["LOAD-102"] == "fail"
    for name in ("report.html", "load.html"):
        assert f"{TWICE.scenario}#2" in (folder / name).read_text("utf-8")


def test_waivers_of_a_file_that_checks_read_too_are_applied(tmp_path: Path) -> None:
    folder = made(tmp_path / "load", broken=[TWICE])
    waivers = tmp_path / "waivers.yaml"
    waivers.write_text(WAIVER, "utf-8")
    done = runstone("judge", str(folder), "--waivers", str(waivers), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "waived" in (tmp_path / "out" / "summary.md").read_text("utf-8")
    assert not (folder / "report.json").exists()


def test_what_a_load_cannot_be_asked_is_one_line(tmp_path: Path) -> None:
    folder = made(tmp_path / "load")
    done = runstone("judge", str(folder), "--area", "meta")
    assert done.returncode == 2
    assert done.stderr.strip().endswith("is a load, of which everything is judged; leave out --area")
    (folder / "evidence/traces" / f"{TWICE.scenario}.json").write_text("{}", "utf-8")
    altered = runstone("judge", str(folder))
    assert altered.returncode == 2
    assert "does not have the SHA-256 of the manifest" in altered.stderr
    assert len(altered.stderr.strip().splitlines()) == 1


def test_a_load_is_a_course_of_its_own(tmp_path: Path) -> None:
    folder = made(tmp_path / "load")
    assert runstone("judge", str(folder)).returncode == 0
    history = tmp_path / "history.jsonl"
    assert runstone("history", "add", str(folder), "--to", str(history)).returncode == 0
    assert json.loads(history.read_text("utf-8"))["target"] == "made-up-load"


@pytest.mark.parametrize(
    "changes, says",
    [
        ({}, ""),
        ({"samples": ()}, "there is a recording load-background-"),
        ({"invariants": ()}, "the recordings show LOAD-102 broken in other places, or for other reasons"),
        ({"windows": ()}, "its windows show LOAD-109 not tested, and it says kept"),
        ({"workers": ()}, "its counts show that it is incomplete, and it says whole"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_said_of_a_load_follows_from_what_is_left_of_it(
    changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    recorded = read(made(tmp_path / "load", broken=[TWICE]))
    load = msgspec.structs.replace(recorded.load, **changes)
    assert contradicted(load, recorded.traces).startswith(says)
    assert bool(contradicted(load, recorded.traces)) == bool(says)


def test_a_load_json_that_was_altered_is_one_line(tmp_path: Path) -> None:
    folder = made(tmp_path / "load")
    rewrite(folder / "load.json", server="another")
    done = runstone("judge", str(folder))
    assert done.returncode == 2
    assert done.stderr.strip().endswith("load.json says something else than its evidence; load again")
    assert len(done.stderr.strip().splitlines()) == 1


def test_evidence_of_a_load_is_not_judged_as_a_check(tmp_path: Path) -> None:
    folder = made(tmp_path / "load")
    (folder / "load.json").unlink()
    done = runstone("judge", str(folder / "evidence"))
    assert done.returncode == 2
    assert done.stderr.strip().endswith("is of a load; name the folder that its load.json is in")
