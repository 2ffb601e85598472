"""`runstone compare` as a user meets it: real evidence, bad input, and what is published."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from runstone.cli import main
from runstone.compare.published import BEGIN, END, badge, results_table
from runstone.contracts import violations
from runstone.report import read, to_json
from tests.command_line import runstone

ROOT = Path(__file__).parents[1]


class Done(NamedTuple):
    """What a command ended with."""

    code: int
    out: str
    err: str


Compared = Callable[..., Done]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checks of the embedded runtime, which differ in nothing; one small area, as each takes seconds."""
    out = tmp_path_factory.mktemp("compared")
    done = runstone("compare", "embedded", "embedded", "--area", "thr-get", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    # A report of one area is not taken as it is: it may tell less than the evidence.
    runstone("judge", str(out / "embedded/evidence"))
    return out


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Compared:
    """`runstone compare` in this process: a process of its own takes a second to begin."""

    def called(*words: str | Path) -> Done:
        arguments = ["runstone", "compare", *map(str, words), "--out", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, *capsys.readouterr())

    return called


def copied(checked: Path, folder: Path) -> Path:
    return Path(shutil.copytree(checked / "embedded", folder / "copy"))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def test_two_runs_of_one_server_show_no_difference(checked: Path) -> None:
    found = json.loads((checked / "compare.json").read_bytes())
    assert violations("compare", found) == []
    assert [each["name"] for each in found["targets"]] == ["embedded", "embedded-2"]
    (pair,) = found["pairs"]
    assert pair["compared"] == pair["alike"] > 1
    assert not any(row["differs"] for row in found["requirements"])
    assert "keep the same promises" in (checked / "compare.md").read_text("utf-8")


def test_folders_are_judged_offline_and_a_good_report_is_taken_as_it_is(
    checked: Path, tmp_path: Path
) -> None:
    second, out = copied(checked, tmp_path), tmp_path / "out"
    (second / "report.json").unlink()
    done = runstone("compare", str(checked / "embedded"), str(second / "evidence"), "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("embedded and embedded-2 keep the same promises")
    assert [path.name for path in out.iterdir() if path.is_dir()] == ["embedded-2"]


def test_a_difference_is_told_with_the_scenarios_that_show_it(
    checked: Path, tmp_path: Path, compared: Compared
) -> None:
    """In every trace of a copy the threads lack a member: one difference, however many scenarios show it."""
    second = copied(checked, tmp_path)
    manifest = json.loads((second / "evidence/manifest.json").read_bytes())
    for name in manifest["files"]:
        path = second / "evidence" / name
        content = path.read_bytes().replace(b'\\"interrupts\\":', b'\\"stops\\":')
        path.write_bytes(content)
        manifest["files"][name] = hashlib.sha256(content).hexdigest()
    edit(second / "evidence/manifest.json", **manifest)
    done = compared(checked / "embedded", second)
    assert done.code == 0, done.err
    (pair,) = json.loads((tmp_path / "out/compare.json").read_bytes())["pairs"]
    told = {(each["operation"], each["place"]): len(each["scenarios"]) for each in pair["differences"]}
    assert told["POST /threads", "/body/interrupts"] == told["POST /threads", "/body/stops"] > 1
    assert "only embedded has interrupts; only embedded-2 has stops" in done.out
    assert all(len(line) <= 110 for line in done.out.splitlines()[:-1])


@pytest.mark.parametrize(
    "words, said",
    [
        (["{one}"], "name two or more"),
        (["{one}", "{one}/evidence"], "given twice"),
        (["{one}", "no/such/folder"], "neither a folder nor a recipe"),
        (["{one}", "{empty}"], "no manifest.json"),
        (["{one}", "embeded"], "did you mean embedded"),
        (["{one}", "http://"], "is not a URL"),
        (["{one}", "{copy}", "--profile", "wait-state"], "not wait-state"),
        (["{one}", "{copy}", "--readme", "README.md"], "--publish DIR"),
        ([], "Missing argument"),
    ],
)
def test_bad_words(words: list[str], said: str, checked: Path, tmp_path: Path, compared: Compared) -> None:
    (tmp_path / "empty").mkdir()
    names = {"one": checked / "embedded", "copy": copied(checked, tmp_path), "empty": tmp_path / "empty"}
    refused(compared(*(word.format(**names) for word in words)), said)


def refused(done: Done, said: str) -> None:
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_evidence_of_another_profile_or_version_is_refused(
    checked: Path, tmp_path: Path, compared: Compared
) -> None:
    second = copied(checked, tmp_path)
    manifest = second / "evidence/manifest.json"
    edit(manifest, profile="wait-state")
    refused(compared(checked / "embedded", second), "the same --profile")
    edit(manifest, profile="langgraph", runstone="0.0.1")
    refused(compared(checked / "embedded", second), "is by Runstone 0.0.1")


def test_a_damaged_trace_is_refused(checked: Path, tmp_path: Path, compared: Compared) -> None:
    second = copied(checked, tmp_path)
    trace = next((second / "evidence/traces").iterdir())
    trace.write_bytes(trace.read_bytes()[:-20])
    refused(compared(checked / "embedded", second), "the evidence was altered")


def test_reports_alone_are_compared_by_their_verdicts(
    checked: Path, tmp_path: Path, compared: Compared
) -> None:
    second = tmp_path / "alone"
    second.mkdir()
    report = json.loads((checked / "embedded/report.json").read_bytes())
    broken = next(
        each for each in report["verdicts"] if each["verdict"] == "pass" and each["level"] == "MUST"
    )
    broken["verdict"] = "fail"
    (second / "report.json").write_text(json.dumps(report), "utf-8")
    done = compared(checked / "embedded", second)
    assert done.code == 1, done.out + done.err
    assert broken["id"] in done.out
    assert done.out.splitlines()[-1].startswith("embedded and embedded-2 differ in 1 MUST")


def test_what_is_published(checked: Path, tmp_path: Path, compared: Compared) -> None:
    readme, published = tmp_path / "README.md", tmp_path / "reports/published"
    readme.write_text(f"# Title\n{BEGIN}\n{END}\n", "utf-8")
    second = copied(checked, tmp_path)
    done = compared(checked / "embedded", second, "--publish", published, "--readme", readme)
    assert done.code == 0, done.out + done.err
    files = {str(path.relative_to(published)) for path in published.rglob("*") if path.is_file()}
    badges = {"badges/embedded.svg", "badges/embedded-2.svg"}
    reports = {"embedded/report.json.gz", "embedded-2/report.json.gz"}
    assert files == {"index.html", "index.md", "index.json", *badges, *reports}
    texts = [published / name for name in ("index.html", "index.md", "index.json", *badges)]
    assert not any(str(tmp_path) in path.read_text("utf-8") for path in texts)
    assert re.search(r">\d+ of \d+ MUST</text>", (published / "badges/embedded.svg").read_text("utf-8"))
    assert results_table(published) in readme.read_text("utf-8")


def test_the_readme_shows_what_the_published_reports_say() -> None:
    table = results_table(ROOT / "reports/published")
    assert f"{BEGIN}\n{table}\n{END}" in (ROOT / "README.md").read_text("utf-8")
    names = json.loads((ROOT / "reports/published/index.json").read_bytes())["targets"]
    for name in names:
        assert violations("report", json.loads(to_json(read(ROOT / "reports/published" / name)))) == []
        assert badge(read(ROOT / "reports/published" / name)) == (
            (ROOT / f"reports/published/badges/{name}.svg").read_text("utf-8")
        )


def test_what_is_published_is_small() -> None:
    """It is kept in git, with every exchange that a cell rests on; nothing else grows with each night."""
    files = [path for path in (ROOT / "reports/published").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000


def test_packed_reports_are_compared_as_they_are(tmp_path: Path, compared: Compared) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        shutil.copytree(ROOT / "reports/published/embedded", folder)
    done = compared(first, second)
    assert done.code == 0, done.out + done.err
    assert "keep the same promises" in done.out
