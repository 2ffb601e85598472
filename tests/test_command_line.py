"""The command line as a user meets it: every bad input is one line, with the designed exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from runstone.contracts import load_catalogue, violations
from runstone.contracts.revision import current_revision, promised
from runstone.locations import locate
from runstone.target import recipes
from tests.command_line import embedded_with, judged, one_line_of_error, runstone
from tests.servers import heard_by


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence of a real, small check of the embedded runtime."""
    out = tmp_path_factory.mktemp("checked")
    done = runstone("check", "--area", "meta", "--area", "thr-get", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "evidence"


def altered(evidence: Path, folder: Path) -> Path:
    """A copy of the evidence that a test may spoil."""
    return Path(shutil.copytree(evidence, folder / "evidence"))


@pytest.mark.parametrize(
    "words, said",
    [
        (["chek"], "No such command 'chek'; did you mean check?"),
        (["check", "--profile", "langraph"], "langgraph"),
        (["check", "--area", "run-wiat"], "run-wait"),
        (["check", "--select", "RUN-WIAT-*"], "no requirement matches"),
        (["check", "--area", "under-load"], "judged of thousands of runs, by `runstone load`"),
        (["check", "--select", "LOAD-10?"], "judged of thousands of runs, by `runstone load`"),
        (["check", "http://"], "is not a URL"),
        (["check", "ftp://127.0.0.1:2024"], "is not a URL"),
        (["check", "127.0.0.1:2024"], "is not a URL"),
        (["check", "http://127.0.0.1:99999"], "is not a URL"),
        (["check", "langgraph-pi"], "langgraph-py"),
        (["check", "--header", "Authorization Bearer x"], "colon"),
        (["check", "--waivers", "no-such-file.yaml"], "no-such-file.yaml"),
        (["check", "--concurrency", "0"], "concurrency"),
        (["explain", "RUN-WAITS-002"], "RUN-WAIT-002"),
        (["list", "--area", "run-wiat"], "run-wait"),
        (["judge", "no-such-folder"], "not an evidence folder"),
        (["up", "langgraph-pi"], "langgraph-py"),
        (["serve", "--fault", "cancel-is-no-op"], "did you mean cancel-is-a-no-op"),
        (["serve", "--variant", "lines-end-with-crl"], "did you mean lines-end-with-crlf"),
        (["prove", "--fault", "no-such-*"], "no fault matches"),
        (["prove", "--fault", "one-run-in-500-*"], "is shown by no check"),
        (["mutate", "no-such-folder"], "not an evidence folder"),
        (["explore", "--budget", "0"], "budget"),
        (["fuzz", "--seed", "-1"], "seed"),
        (["result", "not-a-uuid", "neither", "--url", "nonsense"], "is not a URL"),
        (["serve", "--run-time-limit", "slow"], "--run-time-limit"),
    ],
)
def test_bad_words(words: list[str], said: str, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path)] if words[0] in {"check", "judge"} else []
    done = runstone(*words, *out)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert said in done.stderr
    assert done.stdout == ""


_WITHOUT_THE_EXTRA = """
import sys
for package in ("hypothesis", "schemathesis"):
    sys.modules[package] = None
from runstone.cli import main
sys.argv[0] = "runstone"
main()
"""


@pytest.mark.parametrize(
    "words", [["check", "--area", "fuzz"], ["check", "--area", "explore"], ["fuzz"], ["explore"]]
)
def test_exploring_without_its_extra_is_2_before_anything_is_sent(words: list[str], tmp_path: Path) -> None:
    with heard_by() as (url, requests):
        command = [sys.executable, "-c", _WITHOUT_THE_EXTRA, *words, url, "--out", str(tmp_path / "out")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "hypothesis, which is not installed; install it with: pip install 'runstone[fuzz]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not requests
    assert not (tmp_path / "out").exists()


def waivers(tmp_path: Path, **changes: object) -> Path:
    """A waiver file with one waiver of META-001, changed as given."""
    waiver = {
        "requirement": "META-001",
        "reason": "not yet",
        "owner": "us",
        "expires": "2999-01-01",
        "link": "docs/divergences.md",
        **changes,
    }
    path = tmp_path / "waivers.yaml"
    path.write_text(yaml.safe_dump({"waivers": [waiver]}), "utf-8")
    return path


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"expires": "next week"}, "expires"),
        ({"expires": "2026-02-30"}, "expires"),
        ({"requirement": "META-01"}, "META-001"),
        ({"owner": 3}, "owner"),
        ({"until": "2027-01-01"}, "until"),
        ({"scenario": ["info"]}, "did you mean scenarios?"),
        ({"scenarios": ["about_the_sever"]}, "which no suite has; did you mean about_the_server?"),
    ],
)
def test_bad_waivers(evidence: Path, changes: dict[str, object], said: str, tmp_path: Path) -> None:
    words = ["judge", str(evidence), "--out", str(tmp_path), "--waivers", str(waivers(tmp_path, **changes))]
    done = runstone(*words)
    assert done.returncode == 2
    assert said in one_line_of_error(done)


def test_a_waiver_with_a_key_given_twice(evidence: Path, tmp_path: Path) -> None:
    """The later `expires` would silently win."""
    path = waivers(tmp_path)
    path.write_text(path.read_text("utf-8") + "  expires: 3000-01-01\n", "utf-8")
    done = runstone("judge", str(evidence), "--out", str(tmp_path), "--waivers", str(path))
    assert done.returncode == 2
    assert "the key 'expires' is given twice, line 7" in one_line_of_error(done)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({}, "is not needed"),
        ({"expires": "2020-01-01"}, "expired"),
        ({"requirement": "META-001:stream"}, "matches nothing"),
    ],
)
def test_waivers_that_do_not_hold(
    evidence: Path, changes: dict[str, object], said: str, tmp_path: Path
) -> None:
    words = ["judge", str(evidence), "--out", str(tmp_path), "--waivers", str(waivers(tmp_path, **changes))]
    done = runstone(*words, "--area", "meta")
    assert done.returncode == 1
    assert said in " ".join(done.stdout.split())


def test_judging_again_gives_the_same(evidence: Path, tmp_path: Path) -> None:
    done = runstone("judge", str(evidence), "--area", "meta", "--area", "thr-get", "--out", str(tmp_path))
    assert done.returncode == 0
    assert judged(tmp_path / "report.json") == judged(evidence.parent / "report.json")


def test_evidence_of_a_part_says_so_where_more_is_judged(evidence: Path, tmp_path: Path) -> None:
    done = runstone("judge", str(evidence), "--out", str(tmp_path))
    assert done.returncode == 1
    assert "first (only --area meta --area thr-get was observed)" in " ".join(done.stdout.split())
    assert json.loads((tmp_path / "report.json").read_bytes())["complete"] is False


# --- by what it was observed, and by what it is judged -----------------------------------------------------


def with_basis(evidence: Path, folder: Path, basis: dict[str, Any] | None) -> Path:
    """A copy of the evidence that names another basis; None: that of format 1, which names none."""
    copy = altered(evidence, folder)
    manifest = json.loads((copy / "manifest.json").read_bytes())
    if basis is None:
        for name in ("basis", "areas", "select"):
            del manifest[name]
        manifest["format"] = 1
    else:
        manifest["basis"] |= basis
    (copy / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return copy


_JUDGE = ("--area", "meta", "--area", "thr-get")


def head(done: subprocess.CompletedProcess[str]) -> str:
    """What a report says about itself: all up to the first table, on one line."""
    return " ".join(done.stdout.partition("area  ")[0].split())


def test_a_report_names_the_contract_that_it_was_made_by(evidence: Path) -> None:
    report = json.loads((evidence.parent / "report.json").read_bytes())
    assert violations("report", report) == []
    assert report["judged_by"]["revision"] == current_revision()
    assert report["observed_by"] == report["judged_by"]
    assert report["changes"] is None
    manifest = json.loads((evidence / "manifest.json").read_bytes())
    assert manifest["basis"] == report["judged_by"]
    assert (manifest["areas"], manifest["select"]) == (["meta", "thr-get"], [])


@pytest.mark.parametrize(
    "basis, said",
    [
        (None, "the evidence names no revision, so nothing tells what changed since it was recorded"),
        ({"revision": "2999.01"}, "the evidence is of revision 2999.01, which this Runstone does not know"),
        (
            {"suites": "0" * 64, "judging": "0" * 64},
            "since the evidence was recorded were edited: the suites, the judging configuration",
        ),
    ],
)
def test_evidence_of_another_contract_is_judged_and_says_so(
    basis: dict[str, Any] | None, said: str, evidence: Path, tmp_path: Path
) -> None:
    done = runstone("judge", str(with_basis(evidence, tmp_path, basis)), *_JUDGE, "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"contract revision {current_revision()}; {said}" in head(done)
    assert judged(tmp_path / "report.json") == judged(evidence.parent / "report.json")
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert violations("report", report) == []
    assert report["changes"] is None
    assert (report["observed_by"] is None) is (basis is None)
    assert said in (tmp_path / "report.html").read_text("utf-8")
    assert said in (tmp_path / "summary.md").read_text("utf-8")


_WITH_OTHER_CONTRACTS = """
import sys
from pathlib import Path

from runstone.cli import main
from runstone.contracts import revision

own = Path(sys.argv.pop(1))
revision.locate = lambda _part: own
main()
"""


def test_what_changed_since_an_older_revision_is_told(evidence: Path, tmp_path: Path) -> None:
    contracts = Path(shutil.copytree(locate("contracts"), tmp_path / "contracts"))
    older = {name: kept for name, kept in promised(load_catalogue()).items() if name != "META-002"}
    older |= {"META-001": "MAY 0123456789abcdef", "META-999": "MUST 0123456789abcdef"}
    (contracts / "revisions/2026.01.yaml").write_text(yaml.safe_dump(older), "utf-8")
    copy = with_basis(evidence, tmp_path, {"revision": "2026.01"})
    words = [str(contracts), "judge", str(copy), *_JUDGE, "--out", str(tmp_path)]
    called = [sys.executable, "-c", _WITH_OTHER_CONTRACTS, *words]
    done = subprocess.run(called, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "the evidence is of revision 2026.01, and of the requirements "
        "1 new (META-002), 1 gone (META-999), 1 reworded (META-001)"
    ) in head(done)
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert violations("report", report) == []
    assert report["changes"] == {"new": ["META-002"], "gone": ["META-999"], "reworded": ["META-001"]}


_WITH_OTHER_SUITES = """
import sys
from pathlib import Path

from runstone.cli import main
from runstone.judge import coverage, suites

own = Path(sys.argv.pop(1))
coverage.locate = suites.locate = lambda _part: own
main()
"""


def test_a_judge_that_crashes_is_4_and_the_report_tells_of_it(evidence: Path, tmp_path: Path) -> None:
    suites = tmp_path / "suites"
    suites.mkdir()
    (suites / "test_crash.py").write_text(
        "from runstone.suite import requirement\n\n\n"
        '@requirement("META-001")\ndef test_ok() -> None:\n    raise LookupError("own fault")\n',
        "utf-8",
    )
    words = [str(suites), "judge", str(evidence), "--area", "meta", "--out", str(tmp_path / "out")]
    called = [sys.executable, "-c", _WITH_OTHER_SUITES, *words]
    done = subprocess.run(called, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 4, done.stdout + done.stderr
    assert dict(judged(tmp_path / "out" / "report.json"))["META-001"] == "harness-error"
    assert "own fault" in done.stdout
    assert "Traceback" not in done.stderr


def test_monitors_read_what_the_areas_beside_them_need(tmp_path: Path) -> None:
    words = [word for area in ("monitor", "thr-get") for word in ("--area", area)]
    done = runstone("check", *words, "--quick", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = dict(judged(tmp_path / "report.json"))
    assert verdicts["MON-004"] == "pass"
    assert verdicts["MON-013"] == "not-run"  # no history in so little, which is not the server's doing
    assert not {"not-testable", "fail", "warn"} & set(verdicts.values())
    observed = list((tmp_path / "evidence" / "traces").iterdir())
    assert 0 < len(observed) < 10


def _alter_a_trace(folder: Path) -> None:
    trace = next((folder / "traces").iterdir())
    trace.write_text(trace.read_text("utf-8").replace("200", "201", 1), "utf-8")


def _drop_a_trace(folder: Path) -> None:
    next((folder / "traces").iterdir()).unlink()


def _change_the_format(folder: Path) -> None:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 99}), "utf-8")


def _cut_the_manifest(folder: Path) -> None:
    text = (folder / "manifest.json").read_text("utf-8")
    (folder / "manifest.json").write_text(text[: len(text) // 2], "utf-8")


@pytest.mark.parametrize(
    "spoil, said",
    [
        (_alter_a_trace, "altered"),
        (_drop_a_trace, "truncated"),
        (_change_the_format, "format 99"),
        (_cut_the_manifest, "damaged"),
    ],
)
def test_spoilt_evidence(evidence: Path, spoil: Any, said: str, tmp_path: Path) -> None:
    folder = altered(evidence, tmp_path)
    spoil(folder)
    done = runstone("judge", str(folder), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert said in one_line_of_error(done)


def test_a_server_without_the_conformance_graphs(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(
        "from typing import TypedDict\n"
        "from langgraph.graph import StateGraph\n"
        "class State(TypedDict):\n    text: str\n"
        "graph = StateGraph(State).add_node('n', lambda s: s).set_entry_point('n').compile()\n"
    )
    graphs = tmp_path / "langgraph.json"
    graphs.write_text(json.dumps({"dependencies": ["."], "graphs": {"other": "./other.py:graph"}}))
    with recipes.running(embedded_with(graphs)) as server:
        done = runstone("check", server.url, "--out", str(tmp_path / "out"))
    assert done.returncode == 3
    assert "no fit conformance graphs" in one_line_of_error(done)


def test_list_and_explain() -> None:
    listed = runstone("list", "--area", "wait")
    assert listed.returncode == 0
    assert "RUN-WAIT-004" in listed.stdout
    explained = runstone("explain", "RUN-WAIT-004")
    assert explained.returncode == 0
    assert "__error__" in explained.stdout
    assert "MUST" in explained.stdout


def test_result_says_which_path_worked() -> None:
    with recipes.running(recipes.load("embedded")) as server:
        with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
            good = _run(client, "steps", {"note": "x"})
            failed = _run(client, "fail", {"message": "the boiler is cold"})
        done = runstone("result", *good, "--url", server.url)
        bad = runstone("result", *failed, "--url", server.url)
        none = runstone("result", good[0], good[0], "--url", server.url)
    assert done.returncode == 0
    assert "answered by: state" in done.stdout
    assert '"s3"' in done.stdout
    assert bad.returncode == 1
    assert "the boiler is cold" in bad.stdout
    assert none.returncode == 1
    assert good[0] in one_line_of_error(none)


def _run(client: httpx.Client, graph: str, given: dict[str, str]) -> tuple[str, str]:
    """A new run in the background: its thread and its own id."""
    thread = client.post("/threads", json={}).json()["thread_id"]
    fields = {"assistant_id": graph, "input": given}
    return thread, client.post(f"/threads/{thread}/runs", json=fields).json()["run_id"]
