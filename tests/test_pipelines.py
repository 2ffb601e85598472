"""The shell of action.yml, the workflows and the GitLab template, run under bash with their runner faked."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from runstone import report as reports
from runstone.locations import CHECKOUT
from runstone.report import pipeline
from tests.command_line import one_line_of_error, runstone
from tests.nights import published, report, single_faults
from tests.pipelines import Place, document, step
from tests.test_trend import MUST

pytestmark = pytest.mark.slow

ACTION: Final = document("action.yml")
WORKFLOW: Final = document(".github/workflows/conformance.yml")
GITLAB: Final = document("ci/gitlab/runstone.yml")
DEFAULTS: Final = {f"inputs.{name}": each["default"] for name, each in ACTION["inputs"].items()}
CLOSED: Final = "http://127.0.0.1:9"
FAULT: Final = "health-is-a-status-text"
# How a check ends: its target, the fault in it, its exit code, and what the action puts out.
ENDS: Final = {
    "passes": ("embedded", "", 0, "conforming"),
    "fails": ("embedded", FAULT, 1, "not-conforming"),
    "closed": (CLOSED, "", 3, "none"),
}


class Ended:
    """An action that ran: its place, and how its check ended."""

    def __init__(self, folder: Path, target: str, fault: str) -> None:
        self.place = Place(folder)
        context = DEFAULTS | {
            "inputs.target": target,
            "inputs.args": "--area=meta\n\n--concurrency=4\n",
            "github.job": "nightly",
            "strategy.job-index": "3",
        }
        self.done = self.place.run(step(ACTION["runs"]["steps"], "Check"), context, RUNSTONE_FAULT=fault)
        self.report = folder / "runstone-report"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    return {
        name: Ended(tmp_path_factory.mktemp(name), target, fault)
        for name, (target, fault, *_) in ENDS.items()
    }


# --- the action -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENDS)
def test_the_action_fails_as_the_exit_code_says_and_puts_out_what_it_found(
    name: str, ended: dict[str, Ended]
) -> None:
    target, _, code, verdict = ENDS[name]
    done, place = ended[name].done, ended[name].place
    assert done.returncode == code, done.stderr
    kept, _, of = place.outputs["must-kept"].partition(" of ")
    assert {"passes": kept == of, "fails": int(kept) < int(of), "closed": kept == "0"}[name], kept
    assert int(of) > 0
    artifact = f"runstone-{target}-nightly-3".replace("://", "---").replace(":", "-")
    told = {"verdict": verdict, "exit-code": str(code), "report": "runstone-report"}
    assert place.outputs | told | {"artifact": artifact} == place.outputs
    assert isinstance(json.loads(place.outputs["causes"]), list)
    assert place.outputs.keys() == ACTION["outputs"].keys()
    assert place.summary == (ended[name].report / "summary.md").read_text("utf-8")
    assert "META-001" in place.summary or name != "fails"


def test_the_action_tells_a_wrong_call(tmp_path: Path) -> None:
    place = Place(tmp_path)
    context = DEFAULTS | {"inputs.args": "--aera=meta", "github.job": "j", "strategy.job-index": "0"}
    done = place.run(step(ACTION["runs"]["steps"], "Check"), context)
    assert done.returncode == 2
    assert "--aera" in done.stderr
    assert (place.outputs["verdict"], place.outputs["report"]) == ("none", "")
    assert "exit code 2" in place.summary


def test_nothing_of_an_input_is_run(tmp_path: Path) -> None:
    place = Place(tmp_path)
    evil = '"; touch owned; $(touch owned) `touch owned` #'
    context = dict.fromkeys(DEFAULTS, evil) | {"github.job": evil, "strategy.job-index": "0"}
    done = place.run(step(ACTION["runs"]["steps"], "Check"), context)
    assert done.returncode == 2
    assert list(tmp_path.rglob("owned")) == []
    assert re.fullmatch(r"[\w.@+-]+", place.outputs["artifact"])


def test_the_action_installs_what_it_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path)
    log = tmp_path / "pip"
    place.program(
        "python3",
        f'mkdir -p "$3/bin"; printf \'echo "$@" >> {log}\' > "$3/bin/python"; chmod +x "$3/bin/python"',
    )
    install = step(ACTION["runs"]["steps"], "Install Runstone")
    for package in ("", "runstone==0.1.0", "git+https://example.org/runstone@abc"):
        context = DEFAULTS | {"inputs.package": package, "steps.python.outputs.python-path": ""}
        assert place.run(install, context).returncode == 0
    asked = [line.split()[-1] for line in log.read_text("utf-8").splitlines()]
    assert asked == [f"{CHECKOUT}[clients]", "runstone==0.1.0", "git+https://example.org/runstone@abc"]


@pytest.mark.parametrize(
    "path", ["action.yml", *(f".github/workflows/{name}.yml" for name in ("conformance", "release"))]
)
def test_actions_are_pinned_by_their_commit(path: str) -> None:
    used = re.findall(r"^[^#]*uses: (\S+)(.*)", (CHECKOUT / path).read_text("utf-8"), re.MULTILINE)
    assert used
    for action, version in used:
        assert re.fullmatch(r"[\w/.-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", version), action


# --- the reusable workflow --------------------------------------------------------------------------------


def steps_of(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = WORKFLOW["jobs"][job]["steps"]
    return found


def let_check_end(place: Place, ended: Ended) -> None:
    """Let `runstone check` end as that one did; all other commands are what they are."""
    place.program("real", f'exec "{sys.executable}" -m runstone "$@"')
    place.program(
        "runstone",
        '[ "$1" = check ] || exec real "$@"\n'
        f'echo "$@" > "{place.temporary}/asked"\n'
        'while [ "$1" != --out ]; do shift; done\n'
        f'mkdir -p "$2" && cp -r "{ended.report}/." "$2"\n'
        f"exit {ended.done.returncode}",
    )


def observe(place: Place, name: str, ended: Ended) -> subprocess.CompletedProcess[str]:
    """The job that observes, whose check ends as that one did, and the artifact that it leaves."""
    let_check_end(place, ended)
    context = {
        "matrix.target": "http://127.0.0.1:1",
        "matrix.shard": "",
        "inputs.args": "--quick\n--capacity=4",
        "inputs.waivers": "my waivers.yaml",
        "secrets.headers": "",
    }
    done = place.run(step(steps_of("observe"), "Observe"), context)
    shard = place.folder / f"runstone-shards/shard--{name}--1-of-1"
    shard.parent.mkdir(exist_ok=True)
    (place.folder / "runstone-observed").rename(shard)
    return done


def judge(place: Place, name: str, fail_on: str = "new") -> subprocess.CompletedProcess[str]:
    """The job that judges, and the artifact that it leaves."""
    context = {"matrix.shards": "1", "inputs.fail-on": fail_on, "inputs.waivers": ""}
    done = place.run(step(steps_of("judge"), "Judge"), context)
    report = place.folder / f"reports/report--{name}"
    report.parent.mkdir(exist_ok=True)
    (place.folder / "runstone-report").rename(report)
    return done


def remember(place: Place, remote: Path, fail_on: str = "new") -> subprocess.CompletedProcess[str]:
    context = {
        "github.server_url": str(remote.parent),
        "github.repository": remote.name,
        "inputs.history": "runstone-history",
        "inputs.fail-on": fail_on,
        "inputs.late-after": "36",
        "github.token": "secret",
    }
    return place.run(step(steps_of("remember"), "Remember"), context)


def remembered(remote: Path) -> list[dict[str, Any]]:
    command = ["git", "-C", str(remote), "show", "runstone-history:history.jsonl"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in shown.stdout.splitlines()]


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    made = tmp_path / "remote"
    subprocess.run(["git", "init", "--quiet", "--bare", str(made)], check=True)  # noqa: S607
    return made


def test_plan_is_a_matrix_of_targets_and_shards(tmp_path: Path) -> None:
    place = Place(tmp_path)
    targets = "langgraph-py@0.8.7 mine=http://u:p@127.0.0.1:2\nhttps://a.b/c many=http://s-{shard}:1"
    done = place.run(step(steps_of("plan"), "Plan"), {"inputs.targets": targets, "inputs.shards": "2"})
    assert done.returncode == 0, done.stderr
    assert place.outputs.keys() == WORKFLOW["jobs"]["plan"]["outputs"].keys()
    legs = json.loads(place.outputs["observe"])["include"]
    assert [(each["artifact"], each["target"], each["shard"]) for each in legs] == [
        ("shard--langgraph-py@0.8.7--1-of-2", "langgraph-py@0.8.7", "1/2"),
        ("shard--langgraph-py@0.8.7--2-of-2", "langgraph-py@0.8.7", "2/2"),
        # Two shards would meet on one server.
        ("shard--mine--1-of-1", "http://u:p@127.0.0.1:2", ""),
        ("shard--a.b-c--1-of-1", "https://a.b/c", ""),
        ("shard--many--1-of-2", "http://s-1:1", "1/2"),
        ("shard--many--2-of-2", "http://s-2:1", "2/2"),
    ]
    targets_of = json.loads(place.outputs["targets"])["include"]
    assert {each["name"]: each["shards"] for each in targets_of} == {
        "langgraph-py@0.8.7": 2,
        "mine": 1,
        "a.b-c": 1,
        "many": 2,
    }


def test_nights_are_observed_judged_and_remembered(
    ended: dict[str, Ended], tmp_path: Path, remote: Path
) -> None:
    """One night all is well; on the next one the server is broken, then it is closed: both are new."""
    codes = {}
    for name in ("passes", "fails", "closed"):
        place = Place(tmp_path / name)
        told = [observe(place, "mine", ended[name]), judge(place, "mine"), remember(place, remote)]
        codes[name] = [each.returncode for each in told]
        assert (place.folder / "trend/mine.html").exists(), told[2].stderr
        assert place.summary.startswith("## Nights")
        asked = (place.temporary / "asked").read_text("utf-8")
        options = "--out runstone-observed --quick --capacity=4 --waivers my waivers.yaml"
        assert asked == f"check {options} -- http://127.0.0.1:1\n"
        assert "secret" not in told[2].stdout + told[2].stderr
    assert codes == {"passes": [0, 0, 0], "fails": [0, 0, 1], "closed": [1, 3, 1]}
    assert [each["exit_code"] for each in remembered(remote)] == [0, 1, 3]
    assert {each["target"] for each in remembered(remote)} == {"mine"}


def test_what_is_asked_for_fails(ended: dict[str, Ended], tmp_path: Path, remote: Path) -> None:
    for number, (fail_on, code) in enumerate((("verdict", 1), ("never", 0))):
        place = Place(tmp_path / str(number))
        observe(place, "mine", ended["fails"])
        assert judge(place, "mine", fail_on).returncode == code
        assert place.outputs["verdict"] == "not-conforming"
        assert remember(place, remote, fail_on).returncode == 0
    assert len(remembered(remote)) == 1  # the same report is remembered once


def test_what_others_pushed_meanwhile_is_kept(ended: dict[str, Ended], tmp_path: Path, remote: Path) -> None:
    first, second = Place(tmp_path / "a"), Place(tmp_path / "b")
    for place, name in ((first, "passes"), (second, "fails")):
        observe(place, name, ended[name])
        judge(place, name)
    remember(first, remote)
    # Its first push fails as if the other one had come in between.
    git = shutil.which("git")
    second.program(
        "git",
        f'if [ "$3" = push ] && [ ! -e "{tmp_path}/tried" ]; then touch "{tmp_path}/tried"; exit 1; fi\n'
        f'exec "{git}" "$@"',
    )
    assert remember(second, remote).returncode == 0
    assert {each["target"] for each in remembered(remote)} == {"passes", "fails"}


def test_only_what_conforms_is_signed(ended: dict[str, Ended], tmp_path: Path) -> None:
    context = {"inputs.sign-off": "the nightly check", "inputs.waivers": "w.yaml"}
    for name, signed in (("passes", True), ("fails", False)):
        place = Place(tmp_path / name)
        observe(place, "mine", ended[name])
        judge(place, "mine")
        (place.folder / "reports/report--mine").rename(place.folder / "runstone-report")
        place.program("runstone", f'echo "$@" > "{place.temporary}/asked"')
        done = place.run(step(steps_of("sign"), "Sign"), context)
        assert done.returncode == 0
        words = (place.temporary / "asked").read_text("utf-8").split()
        assert (words[:3] == ["signoff", "runstone-report/evidence", "--keyless"]) == signed
        assert (words[-2:] == ["--waivers", "w.yaml"]) == signed
        assert signed or "nothing to sign" in done.stdout


@pytest.mark.parametrize("path", ["conformance", "nightly", "release"])
def test_a_job_may_do_only_what_it_says(path: str) -> None:
    text = document(f".github/workflows/{path}.yml")
    assert text["permissions"] == {}
    assert all("permissions" in job for job in text["jobs"].values())


# --- GitLab -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, codes", [("passes", (0, 0)), ("fails", (0, 0)), ("closed", (1, 3))])
def test_gitlab_observes_and_judges(
    name: str, codes: tuple[int, int], ended: dict[str, Ended], tmp_path: Path
) -> None:
    place = Place(tmp_path)
    let_check_end(place, ended[name])
    variables = {key: str(value) for key, value in GITLAB["variables"].items()} | {
        "RUNSTONE_TARGET": "https://a.b:1/c",
        "CI_NODE_INDEX": "2",
    }
    done = [
        place.run({"run": "\n".join(GITLAB[f"runstone:{job}"]["script"])}, {}, **variables)
        for job in ("observe", "judge")
    ]
    assert tuple(each.returncode for each in done) == codes, done
    assert (tmp_path / "runstone/reports/a.b-1-c/junit.xml").exists()
    (line,) = (tmp_path / "runstone/history.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["target"] == "a.b-1-c"
    assert (tmp_path / "runstone/trend/a.b-1-c.html").exists()


# --- cron -------------------------------------------------------------------------------------------------


def test_the_script_for_cron_wakes_somebody_for_what_is_new(ended: dict[str, Ended], tmp_path: Path) -> None:
    text = (CHECKOUT / "docs/ci.md").read_text("utf-8")
    (script,) = re.findall(r"^```sh\n(#!/bin/sh\n.*?)^```", text, re.MULTILINE | re.DOTALL)
    codes: list[int] = []
    for name in ("passes", "fails", "fails"):
        place = Place(tmp_path / str(len(codes)))
        let_check_end(place, ended[name])
        place.program("uvx", 'exec "$@"')
        night = script.replace("/srv/runstone", str(tmp_path)).replace(
            "/var/www/runstone", str(tmp_path / "www")
        )
        codes.append(place.run({"run": night}, {}).returncode)
    assert codes == [0, 1, 1]  # the same report again is still the newest night
    assert (tmp_path / "www/index.html").exists()


# --- what steps say ---------------------------------------------------------------------------------------


def test_a_summary_is_cut_by_whole_sections() -> None:
    section = "### Section {0}\n\n```sh\n## no heading\n" + "x" * 1000 + "\n```\n"
    text = "## Report\n" + "".join(section.format(number) for number in range(100))
    short = pipeline.cut(text, 10_000)
    assert len(short.encode()) <= 10_000
    assert short.count("### Section") == short.count("x" * 1000) == 9
    assert short.count("```") == 18
    assert "91 of 101 sections did not fit" in short
    assert pipeline.cut(text, len(text)) == text
    assert len(pipeline.cut("ä" * 4_000, 5_000).encode()) < 5_000


def test_outputs_are_lines_whatever_the_server_says(tmp_path: Path) -> None:
    (broken, _), *_ = single_faults()
    told = pipeline.outputs(report(0, broken), tmp_path / "a\nb=c", 1)
    assert all("\n" not in value for value in told.values())
    assert told["must-kept"] == f"{MUST - 1} of {MUST}"
    assert pipeline.outputs(published(), tmp_path, 137)["verdict"] == "none"


@pytest.mark.parametrize(
    "targets, said",
    [
        ("", "there is no target"),
        ("a=http://x a=http://y", "two targets are named a"),
        ("http://a/b http://a-b", "two targets are named a-b"),
        ("://", "is not a target"),
        (" ".join(f"recipe{number}" for number in range(65)), "more than the 256"),
    ],
)
def test_a_plan_that_cannot_be_is_one_line(targets: str, said: str) -> None:
    done = runstone("ci", "plan", "--shards", "4", targets)
    assert (done.returncode, said in one_line_of_error(done)) == (2, True), done.stderr


def test_outputs_are_printed_where_no_file_is_named(tmp_path: Path) -> None:
    reports.write_all(published(), [], tmp_path, bare=True)
    done = runstone("ci", "outputs", str(tmp_path), "--exit-code", "0")
    assert "verdict=conforming\n" in done.stdout
    assert f"must-kept={MUST} of {MUST}\n" in done.stdout
