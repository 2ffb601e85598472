"""Nothing of a server outlives the harness that started it, whatever ends the harness."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runstone.target.recipes.supervisor import running

# A server with a child; neither heeds SIGTERM.
STUBBORN = """
import http.server, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    time.sleep(600)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("up on http://127.0.0.1:%s" % sys.argv[1], flush=True)
server.serve_forever()
"""
HARNESS = """
import os, sys, time
from runstone.target import recipes
with recipes.running(recipes.load(sys.argv[1])) as server:
    print(server.pid, flush=True)
    {then}
    time.sleep(600)
"""
# It is forked, not started, so that it has a copy of all that the harness has open.
FORKED = "os.fork() == 0 and (time.sleep(6), os._exit(0))"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "server.py").write_text(STUBBORN, "utf-8")
    path = tmp_path / "stubborn.yaml"
    path.write_text(
        "name: stubborn\ndescription: it heeds no SIGTERM\n"
        f"command: ['{{python}}', {tmp_path / 'server.py'}, '{{port}}']\n"
        "ready: {says: 'http://127.0.0.1:{port}', timeout_s: 20}\n",
        "utf-8",
    )
    return path


def within(seconds: float, true: Callable[[], object]) -> bool:
    """Whether it becomes true in this time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return bool(true())


@pytest.mark.parametrize("then", ["pass", FORKED], ids=["alone", "a copy of the pipe is held elsewhere"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_a_killed_harness_takes_its_server_along(recipe: Path, number: signal.Signals, then: str) -> None:
    command = [sys.executable, "-c", HARNESS.format(then=then), str(recipe)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout is not None
        group = int(harness.stdout.readline())
        before = list(running(group))
        harness.send_signal(number)
        harness.wait()
        ended = within(5, lambda: not list(running(group)))
        if not ended:
            os.killpg(group, signal.SIGKILL)
    assert len(before) == 3, "the supervisor, the server and its child"
    assert ended


def groups_started_by(harness: int) -> set[int]:
    """The process groups of what a process has started, and of what that has started, other than its own."""
    rows: dict[int, tuple[int, int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        rows[int(stat.parent.name)] = int(words[1]), int(words[2])
    found, pending = set[int](), [harness]
    while pending:
        above = pending.pop()
        children = {pid: group for pid, (parent, group) in rows.items() if parent == above}
        pending += children
        found |= set(children.values())
    return found - {os.getpgid(harness)}


def test_a_check_that_is_killed_leaves_no_server_behind(tmp_path: Path) -> None:
    """In the midst of scenarios that restart and kill servers of their own, beside the target."""
    command = [sys.executable, "-m", "runstone", "check", "embedded", "--area", "persist"]
    with subprocess.Popen([*command, "--out", str(tmp_path)], stdout=subprocess.DEVNULL) as harness:
        assert within(60, lambda: len(groups_started_by(harness.pid)) >= 3)
        groups = groups_started_by(harness.pid)
        harness.kill()
        harness.wait()
        assert within(5, lambda: not any(list(running(group)) for group in groups))
    assert (tmp_path / "evidence/manifest.json").exists(), "it was killed in the midst of the observation"


FORKING = """
import sys, time
from pathlib import Path
from runstone.proof.prove.processes import forked
def serve():
    print("on http://127.0.0.1:1 ", flush=True)
    time.sleep(600)
with forked(serve, Path(sys.argv[1])):
    print("up", flush=True)
    time.sleep(600)
"""


def test_a_killed_proof_takes_its_forked_servers_along(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORKING, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == "up\n"
        assert len(list(running(harness.pid))) == 2
        harness.kill()
        harness.wait()
        assert within(5, lambda: not list(running(harness.pid)))
