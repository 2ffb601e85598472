"""`runstone compare` as a user meets it: real evidence, bad input, and what is published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from runstone.compare import results_table
from runstone.compare.published import BEGIN, END
from runstone.contracts import violations
from tests.command_line import runstone

ROOT = Path(__file__).parents[1]
AREAS = ["--area", "meta", "--area", "thr-get", "--area", "run-wait"]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checks of the embedded runtime, which differ in nothing."""
    out = tmp_path_factory.mktemp("compared")
    done = runstone("compare", "embedded", "embedded", *AREAS, "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def copied(checked: Path, folder: Path) -> Path:
    return Path(shutil.copytree(checked / "embedded", folder / "copy"))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def test_two_runs_of_one_server_show_no_difference(checked: Path) -> None:
    found = json.loads((checked / "compare.json").read_bytes())
    assert violations("compare", found) == []
    assert [each["name"] for each in found["targets"]] == ["embedded", "embedded-2"]
    (pair,) = found["pairs"]
    assert pair["compared"] == pair["alike"] > 10
    assert not any(row["differs"] for row in found["requirements"])
    assert "keep the same promises" in (checked / "compare.md").read_text("utf-8")


def test_folders_are_judged_offline_and_a_good_report_is_taken_as_it_is(
    checked: Path, tmp_path: Path
) -> None:
    second = copied(checked, tmp_path)
    (second / "report.json").unlink()
    done = runstone(
        "compare", str(checked / "embedded"), str(second / "evidence"), "--out", str(tmp_path / "out")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("embedded and embedded-2 keep the same promises")
    assert (tmp_path / "out/embedded-2/report.json").exists()


def test_a_difference_is_found_in_the_traces(checked: Path, tmp_path: Path) -> None:
    second = copied(checked, tmp_path)
    done = runstone("compare", str(checked / "embedded"), str(second), "--out", str(tmp_path / "out"))
    assert done.returncode == 0
    assert "keep the same promises" in done.stdout
    assert all(len(line) <= 110 for line in done.stdout.splitlines()[:-1])


@pytest.mark.parametrize(
    "words, said",
    [
        (["{one}"], "name two or more"),
        (["{one}", "{one}/evidence"], "given twice"),
        (["{one}", "no/such/folder"], "neither a folder nor a recipe"),
        (["{one}", "{empty}"], "no manifest.json"),
        (["{one}", "embeded"], "did you mean embedded"),
        (["{one}", "http://"], "is no URL"),
        (["{one}", "{copy}", "--profile", "wait-state"], "not wait-state"),
        (["{one}", "{copy}", "--readme", "README.md"], "--publish DIR"),
        ([], "Missing argument"),
    ],
)
def test_bad_words(words: list[str], said: str, checked: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    names = {"one": checked / "embedded", "copy": copied(checked, tmp_path), "empty": tmp_path / "empty"}
    refused(said, *(word.format(**names) for word in words), folder=tmp_path)


def refused(said: str, *words: str, folder: Path) -> None:
    done = runstone("compare", *words, "--out", str(folder / "out"))
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_evidence_of_another_profile_or_version_is_refused(checked: Path, tmp_path: Path) -> None:
    second = copied(checked, tmp_path)
    manifest = second / "evidence/manifest.json"
    edit(manifest, profile="wait-state")
    refused("the same --profile", str(checked / "embedded"), str(second), folder=tmp_path)
    edit(manifest, profile="langgraph", runstone="0.0.1")
    refused("check both with the same version", str(checked / "embedded"), str(second), folder=tmp_path)


def test_a_damaged_trace_is_refused(checked: Path, tmp_path: Path) -> None:
    second = copied(checked, tmp_path)
    trace = next((second / "evidence/traces").iterdir())
    trace.write_bytes(trace.read_bytes()[:-20])
    refused("the evidence was altered", str(checked / "embedded"), str(second), folder=tmp_path)


def test_reports_alone_are_compared_by_their_verdicts(checked: Path, tmp_path: Path) -> None:
    second = tmp_path / "alone"
    second.mkdir()
    report = json.loads((checked / "embedded/report.json").read_bytes())
    broken = next(
        each for each in report["verdicts"] if each["verdict"] == "pass" and each["level"] == "MUST"
    )
    broken["verdict"] = "fail"
    (second / "report.json").write_text(json.dumps(report), "utf-8")
    done = runstone("compare", str(checked / "embedded"), str(second), "--out", str(tmp_path / "out"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert broken["id"] in done.stdout
    assert done.stdout.splitlines()[-1].startswith("embedded and embedded-2 differ in 1 MUST")


def test_what_is_published(checked: Path, tmp_path: Path) -> None:
    readme, published = tmp_path / "README.md", tmp_path / "reports/published"
    readme.write_text(f"# Title\n{BEGIN}\n{END}\n", "utf-8")
    second = copied(checked, tmp_path)
    places = ["--out", str(tmp_path / "out"), "--publish", str(published), "--readme", str(readme)]
    done = runstone("compare", str(checked / "embedded"), str(second), *places)
    assert done.returncode == 0, done.stdout + done.stderr
    files = {str(path.relative_to(published)) for path in published.rglob("*") if path.is_file()}
    reports = {"embedded/report.json", "embedded-2/report.json"}
    assert files == {"compare.html", "compare.json", "compare.md", *reports}
    assert not any(str(tmp_path) in path.read_text("utf-8") for path in published.rglob("*.*"))
    assert results_table(published) in readme.read_text("utf-8")


def test_the_readme_shows_what_the_published_reports_say() -> None:
    table = results_table(ROOT / "reports/published")
    assert f"{BEGIN}\n{table}\n{END}" in (ROOT / "README.md").read_text("utf-8")
    for name in ("compare.md", "compare.json"):
        assert (ROOT / "reports/published" / name).exists()
    assert violations("compare", json.loads((ROOT / "reports/published/compare.json").read_bytes())) == []
