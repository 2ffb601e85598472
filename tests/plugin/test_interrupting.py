"""Ctrl-C, and judging again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runstone.session import evidence
from tests.command_line import command, in_own_process
from tests.honest import Honest, uvicorn_serving
from tests.plugin.bench import HANGING, Bench, clean_environment

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
    """Honest until a scenario patches a thread; then runs hang, as if an observation took its time."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if "/runs" in scope["path"] and self.requests["PATCH /threads/*"]:
            self.requests["hanging"] += 1
            await receive()
            await receive()  # until the client hangs up
            return
        await super().__call__(scope, receive, send)


def test_ctrl_c_during_check(tmp_path: Path) -> None:
    server = Hanging()
    with uvicorn_serving(server) as url:
        bench = Bench(tmp_path, url, server)
        command = [sys.executable, "-m", "runstone", "check", url, "--out", str(bench.out)]
        # Left-overs are looked for and capacity is measured first; only scenarios patch threads.
        code, stdout, stderr = interrupted(command, bench, "self_check", lambda: server.requests["hanging"])
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
