"""The pytest plugin as users run it: `python -m pytest` in a process of its own, over a small suite."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from runstone.session import evidence
from tests.command_line import command, in_own_process, plain_pytest
from tests.honest import Honest, uvicorn_serving

SUITE = """
from runstone.suite import Api, Schedule, Trace, cases, none_broken, requirement, row, scenario, some


@scenario
async def life(api: Api) -> None:
    await api.request("GET", "/counted", label="counted")
    await api.server_ok()
    await api.info()
    if api.clock < 0:
        await api.request("GET", "/never", label="never")


@scenario
async def turn(api: Api) -> None:
    thread = await api.create_thread(label="created" if api.clock < 0 else "create_thread")
    await api.wait(thread, "echo", {"messages": [{"role": "user", "content": "hi"}]})
    await api.state(thread)


@scenario(Schedule(waits=6))
async def patient(api: Api) -> None:
    await api.request("GET", "/patient", label="patient")


@scenario(needs=["metrics"])
async def measured(api: Api) -> None:
    await api.request("GET", "/measured")


@requirement("META-001")
def test_ok(life: Trace) -> None:
    assert life.ok.object["ok"] == True


@requirement("META-002")
def test_info_has_a_colour(life: Trace) -> None:
    assert life.info.object.get("colour") == "green"


@requirement("META-003")
def test_something_never_asked(life: Trace) -> None:
    assert life.never.status == 200


@requirement("META-004")
def test_metrics(measured: Trace) -> None:
    assert measured.exchanges


@cases("entry_point", ["wait", row("stream", needs=["metrics"])])
@requirement("META-006")
def test_entry_points(turn: Trace, entry_point: str) -> None:
    assert turn.only(entry_point).ok


@requirement("RUN-WAIT-001")
def test_the_answer_is_upper_case(turn: Trace) -> None:
    assert turn.wait.object["messages"][-1]["content"] == "HI"


@requirement("RUN-WAIT-002")
def test_nothing_was_created(turn: Trace) -> None:
    assert turn.created.ok


@requirement("RUN-WAIT-003")
def test_shape(turn: Trace) -> None:
    assert turn.state.object["values"]["colour"]


@requirement("RUN-WAIT-004")
def test_patience(patient: Trace) -> None:
    assert patient.patient.status == 404


@cases("entry_point", ["wait"])
@cases("outcome", ["success"])
@requirement("PARITY-001")
def test_parity(turn: Trace, outcome: str, entry_point: str) -> None:
    assert turn.wait.object == turn.state.object["values"]


@requirement("MON-001")
def test_every_answer_is_below_500(traces: list[Trace]) -> None:
    exchanges = [exchange for trace in traces for exchange in trace.exchanges]
    assert exchanges
    none_broken((each, f"answered {each.status}") for each in exchanges if each.status >= 500)


@requirement("MON-013")
def test_histories_begin_with_the_newest(traces: list[Trace]) -> None:
    some([each for trace in traces for each in trace.find("history")], "history")
"""
VERDICTS = {
    "META-001": "pass",
    "META-002": "warn",
    "META-003": "not-testable",
    "META-004": "not-applicable",
    "META-006": "pass",
    "RUN-WAIT-001": "fail",
    "RUN-WAIT-002": "not-testable",
    "RUN-WAIT-003": "not-testable",
    "RUN-WAIT-004": "pass",
    "PARITY-001": "pass",
    "MON-001": "pass",
    "MON-013": "not-run",  # that these few suites show no history says nothing about the target
}
CRASHING = """
from runstone.suite import Api, Trace, requirement, scenario


@scenario
async def crash(api: Api) -> None:
    await api.server_ok()
    raise KeyError("own fault")


@requirement("THR-GET-001")
def test_of_a_crashed_scenario(crash: Trace) -> None:
    assert crash.ok.ok
"""
BROKEN_JUDGE = """
from runstone.suite import Trace, requirement


@requirement("META-006")
def test_divides(traces: list[Trace]) -> None:
    assert 1 / 0
"""
HANGING = """
import asyncio
from runstone.suite import Api, Trace, requirement, scenario


@scenario
async def quick(api: Api) -> None:
    await api.server_ok()


@scenario
async def endless(api: Api) -> None:
    await api.server_ok()
    await asyncio.sleep(3600)


@requirement("META-001")
def test_quick(quick: Trace) -> None:
    assert quick.ok.ok


@requirement("META-002")
def test_endless(endless: Trace) -> None:
    assert endless.ok.ok


@requirement("MON-001")
def test_all(traces: list[Trace]) -> None:
    assert traces
"""


class Bench:
    """A suite of our own in a folder, a server, and a way to run pytest over both."""

    def __init__(self, folder: Path, url: str, server: Honest) -> None:
        self.folder = folder
        self.url = url
        self.server = server
        self.out = folder / "out"
        self.suites = folder / "suites"
        self.suites.mkdir()
        self.write("test_small.py", SUITE)

    def write(self, name: str, text: str) -> Path:
        (self.suites / name).write_text(text, "utf-8")
        return self.suites / name

    def words(self, *options: str, target: bool = True) -> list[str]:
        words = [str(self.suites), "-p", "runstone.plugin"]
        words += ["-c", os.devnull, "--rootdir", str(self.folder), "--import-mode=importlib", "-W", "error"]
        words += ["-p", "no:cacheprovider", "--out", str(self.out)]
        words += ["-p", "xdist.plugin"] if "-n" in options else []
        words += ["-p", "allure_pytest"] if "--alluredir" in options else []
        return [*words, *(["--target", self.url] if target else []), *options]

    def run(self, *options: str, target: bool = True) -> subprocess.CompletedProcess[str]:
        words = self.words(*options, target=target)
        return in_own_process(plain_pytest, *words, cwd=self.folder, env=clean_environment(), timeout=120)

    def report(self, out: Path | None = None) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(((out or self.out) / "report.json").read_text("utf-8"))
        return found

    def verdicts(self, out: Path | None = None) -> dict[str, str]:
        """What was judged, or left out for a reason of ours."""
        found = self.report(out)["verdicts"]
        return {each["id"]: each["verdict"] for each in found if each["id"] in VERDICTS}

    def cases(self, requirement: str) -> list[dict[str, Any]]:
        found = next(each for each in self.report()["verdicts"] if each["id"] == requirement)
        cases: list[dict[str, Any]] = found["cases"]
        return cases


def clean_environment() -> dict[str, str]:
    """Without what the surroundings say, and without whatever plugins are installed: 0.4 s of each run."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(("RUNSTONE", "PYTEST"))}
    return {**found, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    server = Honest()
    with uvicorn_serving(server) as url:
        yield Bench(tmp_path, url, server)


# --- verdicts ----------------------------------------------------------------------------------------------


def test_every_outcome_becomes_its_verdict(bench: Bench) -> None:
    junit = bench.folder / "pytest.xml"
    done = bench.run(f"--junitxml={junit}", "-v")
    assert done.returncode == 1, done.stdout
    assert bench.verdicts() == VERDICTS
    others = {each["verdict"] for each in bench.report()["verdicts"] if each["id"] not in VERDICTS}
    assert others <= {"not-run", "not-applicable"}
    check_reasons(bench)
    check_report(bench)
    check_terminal(done.stdout)
    check_junit(junit)


def check_reasons(bench: Bench) -> None:
    (broken,) = bench.cases("RUN-WAIT-001")
    assert broken["reason"] == 'wanted "HI", got "hi"'
    assert broken["exchanges"] == ["turn#2"]
    assert broken["curl"][0].startswith("curl -sS -i -X POST " + bench.url)
    assert bench.cases("META-002")[0]["reason"] == 'wanted "green", got null'
    assert "life has no 'never'" in bench.cases("META-003")[0]["reason"]
    assert bench.cases("RUN-WAIT-003")[0]["reason"] == (
        'exchange 3 GET /threads/…/state at /values has no "colour", only messages'
    )
    assert "the target has no metrics" in bench.cases("META-004")[0]["reason"]
    assert [(each["case"], each["verdict"]) for each in bench.cases("META-006")] == [
        ("wait", "pass"),
        ("stream", "not-applicable"),
    ]


def check_report(bench: Bench) -> None:
    found = bench.report()
    assert (found["exit_code"], found["conforming"], found["complete"]) == (1, False, True)
    assert found["grid"]["cells"]["success"]["wait"] == {
        "verdict": "same",
        "reason": "",
        "requirement": "PARITY-001",
    }
    assert found["totals"]["MUST"]["fail"] == 1
    names = {path.name for path in bench.out.iterdir()}
    assert {"report.json", "report.html", "junit.xml", "summary.md", "evidence"} <= names


def check_terminal(page: str) -> None:
    for word in ("PASS", "WARN", "NOT-TESTABLE", "NOT-APPLICABLE", "FAIL"):
        assert word in page
    assert "promised  RUN-WAIT-001 (MUST): " in page
    assert 'seen      wanted "HI", got "hi"' in page
    assert "where     turn#2" in page
    assert "repeat    curl" in page
    assert "Traceback" not in page


def check_junit(path: Path) -> None:
    root = ET.parse(path).getroot()  # noqa: S314 - pytest wrote it just now
    cases = {
        value.get("value"): case
        for case in root.iter("testcase")
        for value in case.iter("property")
        if value.get("name") == "id"
    }
    assert cases["META-001"].find("failure") is None
    assert cases["META-001"].find("skipped") is None
    assert cases["RUN-WAIT-001"].find("failure") is not None
    assert cases["RUN-WAIT-002"].find("failure") is not None
    assert cases["META-002"].find("skipped") is not None
    assert cases["META-004"].find("skipped") is not None


def test_a_kept_contract_is_0_and_a_broken_should_counts_when_asked(bench: Bench) -> None:
    assert bench.run("--select", "META-001").returncode == 0
    assert bench.run("--select", "META-002").returncode == 0
    assert bench.run("--select", "META-002", "--fail-on", "should").returncode == 1
    assert bench.run("--select", "META-003").returncode == 0  # not-testable, and a SHOULD
    assert bench.run("--select", "RUN-WAIT-002").returncode == 1  # not-testable, and a MUST


def test_a_scenario_or_a_judge_that_crashes_is_a_harness_error(bench: Bench) -> None:
    bench.write("test_crash.py", CRASHING)
    bench.write("test_broken.py", BROKEN_JUDGE)
    done = bench.run("--select", "THR-GET-001", "--select", "META-006", "--select", "META-001")
    assert done.returncode == 4, done.stdout
    found = {each["id"]: each for each in bench.report()["verdicts"]}
    assert found["META-001"]["verdict"] == "pass"
    assert found["THR-GET-001"]["verdict"] == found["META-006"]["verdict"] == "harness-error"
    assert "the scenario itself failed" in found["THR-GET-001"]["cases"][0]["reason"]
    assert "KeyError: 'own fault'" in found["THR-GET-001"]["cases"][0]["reason"]
    divided = next(each for each in found["META-006"]["cases"] if each["verdict"] == "harness-error")
    assert "the judge itself failed: ZeroDivisionError" in divided["reason"]


def test_a_waiver_is_applied_and_one_that_is_not_needed_is_an_error(bench: Bench) -> None:
    waiver = "- {{requirement: {}, reason: known, owner: us, expires: 2999-01-01, link: here}}\n"
    path = bench.folder / "waivers.yaml"
    broken = ["RUN-WAIT-001", "RUN-WAIT-002", "RUN-WAIT-003"]
    path.write_text("waivers:\n" + "".join(waiver.format(each) for each in broken), "utf-8")
    assert bench.run("--waivers", str(path)).returncode == 0
    assert bench.verdicts() == VERDICTS | dict.fromkeys(broken, "waived")
    path.write_text("waivers:\n" + "".join(waiver.format(each) for each in [*broken, "META-001"]), "utf-8")
    assert bench.run("--waivers", str(path)).returncode == 1
    assert "META-001 is not needed" in bench.report()["waiver_errors"][0]


def test_a_waiver_for_a_scenario_that_no_suite_has_is_refused_before_anything_is_sent(bench: Bench) -> None:
    """It would accept nothing, and nobody would be told; scenarios of a user's own suites are known."""
    path = bench.folder / "waivers.yaml"
    waiver = (
        "waivers:\n- requirement: RUN-WAIT-001\n  scenarios: [{}]\n"
        "  reason: known\n  owner: us\n  expires: 2999-01-01\n  link: here\n"
    )
    path.write_text(waiver.format("trun"), "utf-8")
    done = bench.run("--waivers", str(path), "--select", "RUN-WAIT-001")
    assert done.returncode == 2
    assert (
        "waives RUN-WAIT-001 in the scenario 'trun', which no suite has; did you mean turn?"
        in done.stdout + done.stderr
    )
    assert not bench.server.requests
    path.write_text(waiver.format("turn"), "utf-8")
    assert bench.run("--waivers", str(path), "--select", "RUN-WAIT-001").returncode == 0


# --- what is selected --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, judged",
    [
        (["--area", "meta"], {"META-001", "META-002", "META-003", "META-004", "META-006"}),
        (["--select", "RUN-WAIT-00[12]"], {"RUN-WAIT-001", "RUN-WAIT-002"}),
        (["--area", "run-wait", "--select", "*-001"], {"RUN-WAIT-001"}),
        (["-k", "test_ok or test_info"], {"META-001", "META-002"}),
    ],
)
def test_only_what_is_selected_is_judged_and_observed(
    options: list[str], judged: set[str], bench: Bench
) -> None:
    bench.run(*options)
    assert bench.verdicts() == {name: VERDICTS[name] if name in judged else "not-run" for name in VERDICTS}
    assert all(bench.cases(name)[0]["reason"] for name in VERDICTS if name not in judged)
    assert bench.server.requests["GET /patient"] == 0
    assert bench.server.requests["GET /counted"] == int("META-001" in judged)
    assert bench.report()["complete"]


def test_quick_leaves_out_what_must_wait(bench: Bench) -> None:
    bench.run("--quick")
    assert bench.verdicts() == VERDICTS | {"RUN-WAIT-004": "not-run"}
    assert "patient must wait 6 s" in bench.cases("RUN-WAIT-004")[0]["reason"]
    assert bench.server.requests["GET /patient"] == 0
    found = bench.report()
    assert (found["quick"], found["complete"]) == (True, True)


def test_what_runstone_toml_turns_on_the_command_line_turns_off(bench: Bench) -> None:
    (bench.folder / "runstone.toml").write_text('quick = true\nselect = ["RUN-WAIT-004"]\n', "utf-8")
    bench.run()
    assert "patient must wait 6 s" in bench.cases("RUN-WAIT-004")[0]["reason"]
    bench.run("--no-quick")
    found = {name: verdict for name, verdict in bench.verdicts().items() if verdict != "not-run"}
    assert found == {"RUN-WAIT-004": "pass"}


def test_a_requirement_of_which_a_case_was_left_out_is_not_kept(bench: Bench) -> None:
    done = bench.run("-k", "test_ok or test_entry_points and wait")
    assert done.returncode == 0, done.stdout
    assert bench.verdicts()["META-006"] == "not-run"
    assert [(each["case"], each["verdict"]) for each in bench.cases("META-006")] == [
        ("wait", "pass"),
        ("stream", "not-run"),
    ]


def test_nothing_selected_is_not_conforming(bench: Bench) -> None:
    done = bench.run("-k", "no_such_test")
    assert done.returncode == 1
    assert not bench.report()["conforming"]


# --- pytest -n ---------------------------------------------------------------------------------------------


def test_two_workers_give_the_same_verdicts_and_observe_once(bench: Bench) -> None:
    bench.run()
    alone, requests = bench.report(), bench.server.requests.copy()
    bench.server.requests.clear()
    shutil.rmtree(bench.out)
    done = bench.run("-n", "2")
    assert done.returncode == 1, done.stdout
    assert bench.verdicts() == VERDICTS
    assert bench.report()["totals"] == alone["totals"]
    assert bench.report()["grid"] == alone["grid"]
    assert bench.server.requests == requests
    assert requests["GET /counted"] == 1


def test_the_judging_is_spread_over_the_workers(bench: Bench) -> None:
    bench.run()
    alone = bench.report()["verdicts"]
    done = bench.run("-n", "2", "-v")
    assert [name for name in ("[gw0]", "[gw1]") if name not in done.stdout] == []
    verdicts = [[(each["id"], case["case"], case["verdict"]) for case in each["cases"]] for each in alone]
    spread = bench.report()["verdicts"]
    assert verdicts == [
        [(each["id"], case["case"], case["verdict"]) for case in each["cases"]] for each in spread
    ]


def test_two_workers_end_as_one_does_where_nothing_answers(bench: Bench) -> None:
    done = bench.run("-n", "2", "--target", "http://127.0.0.1:9", target=False)  # the port "discard"
    assert done.returncode == 3, done.stdout
    assert set(bench.verdicts().values()) == {"not-run"}


def test_two_workers_and_an_earlier_report_in_the_same_folder(bench: Bench) -> None:
    bench.run("-n", "2")
    bench.server.requests.clear()
    bench.run("-n", "2")
    assert bench.server.requests["GET /counted"] == 1  # observed anew, not taken from the earlier session
    assert bench.verdicts() == VERDICTS


def test_two_workers_need_no_target_for_tests_without_a_requirement(bench: Bench) -> None:
    bench.write("test_small.py", "def test_of_somebody_else() -> None:\n    assert True\n")
    done = bench.run("-n", "2", target=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert not bench.out.exists()


def test_two_workers_tell_what_was_left_out(bench: Bench) -> None:
    bench.run("-n", "2", "--quick")
    assert bench.verdicts() == VERDICTS | {"RUN-WAIT-004": "not-run"}
    assert "patient must wait 6 s" in bench.cases("RUN-WAIT-004")[0]["reason"]


# --- Allure ------------------------------------------------------------------------------------------------


def allure_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Result by requirement, its labels by name."""
    found = [json.loads(path.read_text("utf-8")) for path in folder.glob("*-result.json")]
    for each in found:
        each["label"] = {label["name"]: label["value"] for label in each["labels"]}
    return {each["label"]["requirement"]: each for each in found if each["name"] != "META-006[stream]"}


def test_allure_results_carry_the_requirement_and_its_exchanges(bench: Bench) -> None:
    bench.write("test_crash.py", CRASHING)
    folder = bench.folder / "allure"
    done = bench.run("--alluredir", str(folder))
    assert done.returncode == 4, done.stdout
    results = allure_results(folder)
    assert set(results) == {*VERDICTS, "THR-GET-001"}
    broken = results["RUN-WAIT-001"]
    assert (
        broken["label"] | {"requirement": "RUN-WAIT-001", "level": "MUST", "story": "run-wait"}
        == broken["label"]
    )
    assert (broken["label"]["severity"], broken["label"]["verdict"]) == ("critical", "fail")
    assert broken["description"].startswith("POST ")
    assert broken["statusDetails"]["trace"].startswith("promised  RUN-WAIT-001 (MUST): ")
    assert results["META-006"]["name"] == "META-006[wait]"
    statuses = {name: each["status"] for name, each in results.items()}
    assert statuses["META-001"] == "passed"
    assert statuses["RUN-WAIT-001"] == "failed"
    assert statuses["META-002"] == statuses["META-004"] == "skipped"
    assert statuses["THR-GET-001"] in {"failed", "broken"}
    (proof,) = broken["attachments"]
    assert proof["name"] == "turn#2"
    text = (folder / proof["source"]).read_text("utf-8")
    assert text.startswith(f"curl -sS -i -X POST {bench.url}/threads/")
    assert "HTTP 200" in text
    assert "content-type: application/json" in text
    assert '"content":"hi"' in text


def test_without_allure_nothing_is_written_for_it(bench: Bench) -> None:
    bench.run("--select", "META-001")
    assert not list(bench.folder.rglob("*-result.json"))


# --- what cannot be run ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, said",
    [
        (["--target", "ftp://host"], "is not a URL"),
        (["--header", "no colon"], "header number 1 has no 'Name: value' form"),
        (["--profile", "nonsense"], "there is no profile 'nonsense'"),
        (["--area", "nonsense"], "nonsense"),
        (["--select", "NOTHING-*"], "NOTHING-*"),
        (["--waivers", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["--concurrency", "0"], "--concurrency '0': expected `int` >= 1"),
        (["--fail-on", "may"], "--fail-on 'may': expected must or should"),
        (["--evidence", "nowhere"], "is not an evidence folder"),
    ],
)
def test_a_call_that_makes_no_sense_is_2_and_one_line(options: list[str], said: str, bench: Bench) -> None:
    done = bench.run(*options)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if said in line]
    assert len(lines) == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert not bench.server.requests


def test_no_target_at_all_is_2(bench: Bench) -> None:
    for workers in ([], ["-n", "2"]):
        done = bench.run(*workers, target=False)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "no target: give --target URL" in done.stdout + done.stderr


def test_collecting_needs_no_target(bench: Bench) -> None:
    done = bench.run("--collect-only", "-q", target=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_parity[success-wait]" in done.stdout


def test_an_unknown_requirement_in_a_suite_is_named(bench: Bench) -> None:
    bench.write("test_odd.py", SUITE.replace("META-001", "META-999"))
    done = bench.run()
    assert done.returncode == 4, done.stdout
    assert "test_odd.py::test_ok: there is no requirement 'META-999'; did you mean META-" in done.stdout
    assert not bench.server.requests


def test_a_judge_that_cannot_be_called_is_named(bench: Bench) -> None:
    bench.write("test_odd.py", SUITE.replace("(life: Trace)", "(live: Trace)"))
    done = bench.run()
    assert done.returncode == 4, done.stdout
    assert "asks for 'live', which is not a scenario" in done.stdout
    assert not bench.server.requests


def test_a_suite_that_cannot_be_imported_is_4_and_nothing_is_observed(bench: Bench) -> None:
    bench.write("test_odd.py", "import no_such_module")
    done = bench.run()
    assert done.returncode == 4, done.stdout
    assert "no_such_module" in done.stdout
    assert not bench.server.requests


def test_a_target_that_cannot_be_judged_is_3_and_nothing_passes(bench: Bench) -> None:
    done = bench.run("--target", "http://127.0.0.1:9")
    assert done.returncode == 3, done.stdout
    assert set(bench.verdicts().values()) == {"not-run"}
    assert "does not answer" in bench.report()["stopped"]


def test_a_budget_that_is_used_up_is_not_conforming(bench: Bench) -> None:
    for path in bench.suites.iterdir():
        path.unlink()
    bench.write("test_hanging.py", HANGING)
    done = bench.run("--budget", "5")
    assert done.returncode == 1, done.stdout
    found = bench.report()
    assert "the budget of 5 s was used up" in found["stopped"]
    assert not found["complete"]
    assert {name: bench.verdicts()[name] for name in ("META-001", "META-002", "MON-001")} == {
        "META-001": "pass",
        "META-002": "not-run",
        "MON-001": "not-run",
    }


# --- Ctrl-C ------------------------------------------------------------------------------------------------


def interrupted(
    command: list[str], bench: Bench, scenario: str, busy: Callable[[], object] = lambda: True
) -> tuple[int, str, str]:
    """Exit code and output of a command, with SIGINT once this scenario is on disk and the server `busy`."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=bench.folder,
        env=clean_environment(),
        start_new_session=True,
    ) as process:
        trace = bench.out / "evidence" / "traces" / f"{scenario}.json"
        deadline = time.monotonic() + 60
        while not (trace.exists() and busy()) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert trace.exists()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        return process.returncode, stdout, stderr


def check_marked(bench: Bench, whole: str) -> None:
    """The evidence is readable, says that it was interrupted, and holds what was observed."""
    manifest, traces = evidence.read(bench.out / "evidence")
    assert (manifest.complete, manifest.stopped) == (False, "interrupted")
    assert not traces[whole].cut_short
    assert any(trace.cut_short for trace in traces.values())
    found = bench.report()
    assert (found["complete"], found["conforming"], found["stopped"]) == (False, False, "interrupted")
    assert "pass" not in {each["verdict"] for each in found["verdicts"]}


def test_ctrl_c_during_plain_pytest(bench: Bench) -> None:
    for path in bench.suites.iterdir():
        path.unlink()
    bench.write("test_hanging.py", HANGING)
    code, stdout, stderr = interrupted([sys.executable, "-m", "pytest", *bench.words()], bench, "quick")
    assert code == 130, stdout + stderr
    assert "Traceback" not in stderr
    check_marked(bench, "quick")


class Hanging(Honest):
    """Honest until the self-check is on disk; then runs hang, as an observation does that takes its time."""

    def __init__(self, out: Path) -> None:
        super().__init__()
        self._self_check = out / "evidence/traces/self_check.json"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if "/runs" in scope["path"] and self._self_check.exists():
            self.requests["hanging"] += 1
            await receive()
            await receive()  # until the client hangs up
            return
        await super().__call__(scope, receive, send)


def test_ctrl_c_during_check(tmp_path: Path) -> None:
    server = Hanging(tmp_path / "out")
    with uvicorn_serving(server) as url:
        bench = Bench(tmp_path, url, server)
        command = [sys.executable, "-m", "runstone", "check", url, "--out", str(bench.out)]
        # Left-overs are looked for and capacity is measured first; only scenarios patch threads.
        code, stdout, stderr = interrupted(
            command, bench, "self_check", lambda: server.requests["PATCH /threads/*"]
        )
    assert (code, stdout) == (130, "")
    assert stderr.splitlines()[-1] == "runstone: interrupted; what was observed is kept"
    check_marked(bench, "self_check")


# --- judging again -----------------------------------------------------------------------------------------


def test_evidence_is_judged_again_with_the_same_verdicts_and_no_request(bench: Bench) -> None:
    bench.run()
    bench.server.requests.clear()
    again = bench.folder / "again"
    done = bench.run("--evidence", str(bench.out / "evidence"), "--out", str(again), target=False)
    assert done.returncode == 1, done.stdout
    assert bench.report(again)["verdicts"] == bench.report()["verdicts"]
    assert bench.report(again)["grid"] == bench.report()["grid"]
    assert not bench.server.requests


def test_runstone_judge_gives_the_verdicts_of_runstone_check(bench: Bench) -> None:
    def runstone(*words: str) -> int:
        words = (*words, "--area", "meta", "--area", "thr-get")
        done = in_own_process(command, *words, cwd=bench.folder, env=clean_environment())
        assert "Traceback" not in done.stderr
        return done.returncode

    code = runstone("check", bench.url, "--out", str(bench.out))
    again = bench.folder / "again"
    assert runstone("judge", str(bench.out / "evidence"), "--out", str(again)) == code
    assert bench.report(again)["verdicts"] == bench.report()["verdicts"]
    assert "pass" in {each["verdict"] for each in bench.report()["verdicts"]}
