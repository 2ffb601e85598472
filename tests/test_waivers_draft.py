"""`runstone waivers draft`: a waiver per broken case, that accepts it and nothing else."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from runstone import report as reports
from runstone.contracts import load_catalogue
from runstone.report.causes import causes_of
from runstone.report.waivers_draft import draft
from runstone.verdict import waivers
from runstone.verdict.model import Case, Report
from tests.command_line import one_line_of_error, runstone
from tests.example_reports import EXAMPLES, example

SOON = dt.date(2027, 3, 31)


def broken_report() -> Report:
    """A report of two requirements: one broken in one case of two, one flaky, with a hostile reason."""
    kept = example("conforming")
    cases = (
        Case(case="wait", verdict="pass"),
        Case(case="stream", verdict="fail", reason='said "no": \x1b[1m# {}', exchanges=("turn#1",)),
    )
    first = msgspec.structs.replace(kept.verdicts[0], id="RUN-WAIT-001", verdict="fail", cases=cases)
    flaky = (Case(case="", verdict="flaky", reason="at times", exchanges=("turn#2",)),)
    second = msgspec.structs.replace(kept.verdicts[0], id="RUN-WAIT-002", verdict="flaky", cases=flaky)
    causes, verdicts = causes_of((first, second), {})
    return msgspec.structs.replace(kept, verdicts=tuple(verdicts), causes=causes)


def test_what_is_drafted_accepts_all_that_is_broken_and_is_needed(tmp_path: Path) -> None:
    found = broken_report()
    path = tmp_path / "waivers.yaml"
    path.write_text(draft(found, owner="team: runtime", expires=SOON), "utf-8")
    loaded = waivers.load(path, load_catalogue())
    assert [(each.requirement, each.flaky) for each in loaded] == [
        ("RUN-WAIT-001:stream", False),
        ("RUN-WAIT-002", True),
    ]
    verdicts, errors = waivers.apply(found.verdicts, loaded, {"turn"}, dt.date(2026, 12, 1))
    assert errors == []
    assert [each.verdict for each in verdicts] == ["waived", "waived"]


def test_each_cause_is_told_above_its_waivers() -> None:
    found = broken_report()
    text = draft(found, owner="me", expires=SOON)
    assert [line.split()[1].rstrip(",") for line in text.splitlines() if line.startswith("  # ")] == [
        each.id for each in found.causes
    ]


def test_nothing_broken_is_an_empty_list() -> None:
    kept = example("conforming")
    assert draft(kept, owner="me", expires=SOON) == "waivers: []\n"


@pytest.mark.parametrize(
    "words, said",
    [
        (["nowhere.json", "--owner", "me", "--expires", "2099-01-01"], "cannot read nowhere.json"),
        (["{report}", "--owner", "me", "--expires", "soon"], "write it like 2027-03-31"),
        (["{report}", "--owner", "me", "--expires", "2020-01-01"], "is past"),
        (["{report}", "--owner", " ", "--expires", "2099-01-01"], "--owner is empty"),
        (["{report}", "--owner", "me", "--expires", "2099-01-01", "--out", "{report}"], "exists"),
    ],
)
def test_what_cannot_be_drafted_is_told_in_one_line(words: list[str], said: str) -> None:
    given = [word.format(report=EXAMPLES / "conforming.json") for word in words]
    done = runstone("waivers", "draft", *given)
    assert done.returncode == 2
    assert said in one_line_of_error(done)


@pytest.mark.parametrize("named", ["report.json.gz", "."])
def test_a_packed_report_is_drafted_from_as_well(tmp_path: Path, named: str) -> None:
    found = broken_report()
    reports.write_packed(found, tmp_path)
    done = runstone("waivers", "draft", str(tmp_path / named), "--owner", "me", "--expires", SOON.isoformat())
    assert (done.returncode, done.stdout) == (0, draft(found, owner="me", expires=SOON)), done.stderr


def test_a_packed_report_that_is_broken_off_is_told_in_one_line(tmp_path: Path) -> None:
    reports.write_packed(broken_report(), tmp_path)
    packed = tmp_path / "report.json.gz"
    packed.write_bytes(packed.read_bytes()[:-20])
    done = runstone("waivers", "draft", str(packed), "--owner", "me", "--expires", "2099-01-01")
    assert done.returncode == 2
    assert "report.json.gz cannot be unpacked" in one_line_of_error(done)


def test_a_draft_is_written_to_a_new_file(tmp_path: Path) -> None:
    out = tmp_path / "waivers.yaml"
    words = ("--owner", "me", "--expires", "2099-01-01", "--out", str(out))
    done = runstone("waivers", "draft", str(EXAMPLES / "every-verdict.json"), *words)
    assert done.returncode == 0, done.stderr
    assert out.read_text("utf-8").startswith("# Drafted from the report on ")
