"""The pytest plugin as users run it: `python -m pytest` in a process of its own, over a small suite."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.command_line import in_own_process, plain_pytest
from tests.honest import Honest

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
