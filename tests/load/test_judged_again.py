"""`runstone judge` of the folder of a load: the same verdicts offline, and its reports written again."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from runstone.contracts.basis import basis_of
from runstone.contracts.revision import current_revision
from runstone.load.model import Load
from runstone.session.evidence import FORMAT, EvidenceWriter, Manifest
from runstone.wire.trace import Trace
from tests.command_line import runstone
from tests.load.loads import TRACE, broken, sound, written
from tests.load.starts import STEPS, streamed, waited

_LOGGED_TWICE = {**STEPS, "log": [*STEPS["log"], *STEPS["log"]]}
TWICE = waited(state=_LOGGED_TWICE, answer=_LOGGED_TWICE)

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


def recorded(load: Load, folder: Path, first: Trace = TWICE) -> Path:
    """The folder of a load, with its evidence: `first`, and one that broke nothing."""
    written(load, folder)
    manifest = Manifest(
        format=FORMAT,
        runstone=load.runstone,
        profile="langgraph",
        basis=basis_of("langgraph", current_revision()),
        target=load.plan.target,
        url=load.plan.url,
        started_at=load.started_at,
    )
    writer = EvidenceWriter(folder / "evidence", manifest)
    for name, trace in ((TRACE, first), (TRACE[:-1] + "7", streamed())):
        exchanges = tuple(msgspec.structs.replace(each, scenario=name) for each in trace.exchanges)
        writer.add(msgspec.structs.replace(trace, scenario=name, exchanges=exchanges))
    writer.save(complete=True)
    return folder


@pytest.mark.parametrize("inside", ["", "evidence"])
def test_a_load_is_judged_again_from_its_folder(inside: str, tmp_path: Path) -> None:
    folder = recorded(broken(), tmp_path / "load")
    done = runstone("judge", str(folder / inside))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "LOAD-102" in done.stdout
    report = json.loads((folder / "report.json").read_bytes())
    assert {each["id"]: each["verdict"] for each in report["verdicts"]}["LOAD-102"] == "fail"
    for name in ("report.html", "load.html"):
        assert f"{TRACE}#2" in (folder / name).read_text("utf-8")


def test_waivers_of_a_file_that_checks_read_too_are_applied(tmp_path: Path) -> None:
    folder = recorded(broken(), tmp_path / "load")
    waivers = tmp_path / "waivers.yaml"
    waivers.write_text(WAIVER, "utf-8")
    done = runstone("judge", str(folder), "--waivers", str(waivers), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "waived" in (tmp_path / "out" / "summary.md").read_text("utf-8")
    assert not (folder / "report.json").exists()


def test_what_a_load_cannot_be_asked_is_one_line(tmp_path: Path) -> None:
    folder = recorded(sound(), tmp_path / "load")
    done = runstone("judge", str(folder), "--area", "meta")
    assert done.returncode == 2
    assert done.stderr.strip().endswith("is a load, of which everything is judged; leave out --area")
    (folder / "evidence/traces" / f"{TRACE}.json").write_text("{}", "utf-8")
    altered = runstone("judge", str(folder))
    assert altered.returncode == 2
    assert "does not have the SHA-256 of the manifest" in altered.stderr
    assert len(altered.stderr.strip().splitlines()) == 1


def test_a_load_is_no_part_of_an_acceptance_and_a_course_of_its_own(tmp_path: Path) -> None:
    folder = recorded(sound(), tmp_path / "load")
    signed = runstone("signoff", str(folder / "evidence"), "--unsigned", "--by", "me", "--yes")
    assert signed.returncode == 2
    assert signed.stderr.strip().endswith(
        "is a load, which does not belong to an acceptance; sign off a check"
    )
    assert runstone("judge", str(folder)).returncode == 0
    history = tmp_path / "history.jsonl"
    assert runstone("history", "add", str(folder), "--to", str(history)).returncode == 0
    assert json.loads(history.read_text("utf-8"))["target"] == "embedded-load"


def test_a_recording_that_shows_something_else_than_load_json_is_one_line(tmp_path: Path) -> None:
    folder = recorded(broken(), tmp_path / "load", first=waited())
    done = runstone("judge", str(folder))
    assert done.returncode == 2
    assert f"{TRACE} shows nothing broken, and load.json says LOAD-102" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
