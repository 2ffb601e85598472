"""Servers that scenarios restart, kill and start: real processes, real commands, and those that go wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from runstone.errors import TargetError
from runstone.scenario.requests import Blocked
from runstone.session import evidence
from runstone.target import recipes
from runstone.target.commands import ServerCommands
from runstone.target.control import (
    CommandControl,
    ControlFailed,
    NotUpAgain,
    RecipeControl,
)
from tests.command_line import judged, runstone
from tests.recipes.writing import alive
from tests.servers import heard_by

# The reference runtime as somebody's own server, with the commands by which its owner controls it.
OWN_SERVER = """
import os, pathlib, signal, subprocess, sys, time
word, port = sys.argv[1:]
pid = pathlib.Path("pid")
def end(number):
    group = int(pid.read_text())
    os.killpg(group, number)
    while pathlib.Path(f"/proc/{group}/stat").exists():
        if pathlib.Path(f"/proc/{group}/stat").read_text().rpartition(")")[2].split()[0] in "ZX": break
        time.sleep(0.02)
if word in {"restart", "stop"}: end(signal.SIGTERM)
if word == "kill": end(signal.SIGKILL)
if word in {"restart", "start"}:
    command = [sys.executable, "-m", "runstone", "serve", "--port", port, "--db", "data"]
    pid.write_text(str(subprocess.Popen(command, start_new_session=True).pid))
"""


def embedded() -> recipes.Recipe:
    return recipes.load("embedded")


# a server of the scenario's own


@pytest.mark.slow
def test_a_private_server_is_killed_and_started_with_what_it_had() -> None:
    seen: dict[str, object] = {}

    async def use() -> None:
        async with RecipeControl(embedded()).server() as server, httpx.AsyncClient(trust_env=False) as client:
            thread = (await client.post(server.url + "/threads", json={})).json()["thread_id"]
            await server.kill()
            with pytest.raises(httpx.NetworkError):  # on the connection that it had, or on a new one
                await client.get(server.url + "/ok")
            await server.start()
            seen["after a kill"] = (await client.get(f"{server.url}/threads/{thread}")).status_code
            await server.restart()
            seen["after a restart"] = (await client.get(f"{server.url}/threads/{thread}")).status_code
            seen["url"] = server.url

    asyncio.run(use())
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{seen['url']}/ok", trust_env=False)
    assert (seen["after a kill"], seen["after a restart"]) == (200, 200)


def test_a_path_prefix_holds_for_private_servers() -> None:
    async def use() -> str:
        async with RecipeControl(embedded(), path_prefix="/api").server() as server:
            return server.url

    assert asyncio.run(use()).endswith("/api")


def test_a_server_that_does_not_come_up_again_is_a_finding() -> None:
    """The second start of this one finds what the first has left, and dies."""
    code = (
        "import http.server, pathlib, sys\n"
        "mark = pathlib.Path('data')\n"
        "if mark.exists(): sys.exit('the data are spoilt')\n"
        "mark.touch()\n"
        "class Handler(http.server.SimpleHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers()\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()\n"
    )
    fragile = recipes.Recipe(name="fragile", description="", command=[sys.executable, "-c", code, "{port}"])

    async def use() -> None:
        async with RecipeControl(fragile).server() as server:
            await server.kill()
            await server.start()

    with pytest.raises(NotUpAgain, match=r"did not come up again: .*the data are spoilt"):
        asyncio.run(use())


def test_a_private_server_that_cannot_be_started_at_all_ends_the_observation() -> None:
    async def use() -> None:
        async with RecipeControl(recipes.Recipe(name="none", description="", command=["/no/such"])).server():
            pass

    with pytest.raises(TargetError, match="cannot start /no/such"):
        asyncio.run(use())


def test_a_start_is_given_up_when_the_server_is_closed_meanwhile(tmp_path: Path) -> None:
    """As when a scenario's deadline passes while its server starts: nothing of it stays."""
    slow = "import os, time; print(os.getpid()); time.sleep(600)"
    recipe = recipes.Recipe(name="slow", description="", command=[sys.executable, "-c", slow])
    with recipes.server(recipe, log=tmp_path / "log") as server, ThreadPoolExecutor(1) as pool:
        starting = pool.submit(server.start)
        while not (said := (tmp_path / "log").read_text("utf-8")).endswith("\n"):
            time.sleep(0.02)
        assert alive(int(said))
        server.close()
        assert not alive(int(said))
        for late in (starting.result, server.start):
            with pytest.raises(recipes.StartFailed, match="given up"):
                late()


# the user's server, by commands


def failing(folder: Path, **commands: object) -> str:
    """What is said when a scenario restarts a server by these commands."""

    async def use() -> None:
        chosen = ServerCommands(**{"timeout_s": 1.0, **commands})  # type: ignore[arg-type]
        async with CommandControl(chosen, "http://127.0.0.1:9", folder).server() as server:
            await server.restart()

    with pytest.raises(ControlFailed) as caught:
        asyncio.run(use())
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_a_command_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    said = failing(tmp_path, restart=(sys.executable, "-c", "print('no such unit'); raise SystemExit(5)"))
    assert said == f"the restart command {sys.executable!r} ended with code 5; it last said: no such unit"


def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    said = failing(tmp_path, restart=("/no/such/program",))
    assert said == "the restart command cannot be run: /no/such/program: No such file or directory"


def test_a_command_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    code = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path('pid').write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    said = failing(tmp_path, restart=(sys.executable, "-c", code), timeout_s=3.0)
    assert "did not end within 3 s" in said
    child = int((tmp_path / "pid").read_text("utf-8"))
    patience = time.monotonic() + 5.0  # the signal is sent; the kernel ends the child when it gets to it
    while alive(child) and time.monotonic() < patience:
        time.sleep(0.02)
    assert not alive(child)


def test_a_server_that_does_not_answer_after_its_command_is_named(tmp_path: Path) -> None:
    said = failing(tmp_path, restart=(sys.executable, "-c", ""))
    assert said == "http://127.0.0.1:9 was not up 1 s after the restart command: nothing answered"


def test_no_shell_reads_a_command(tmp_path: Path) -> None:
    said = failing(tmp_path, restart=("touch", "made; touch injected", "$(touch injected)"))
    assert "was not up" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["$(touch injected)", "made; touch injected"]


def test_a_server_left_down_is_started_on_the_way_out(tmp_path: Path) -> None:
    def word(name: str) -> tuple[str, ...]:
        return (sys.executable, "-c", f"open('words', 'a').write('{name} ')")

    async def use(url: str) -> None:
        commands = ServerCommands(kill=word("kill"), start=word("start"), timeout_s=10)
        async with CommandControl(commands, url, tmp_path).server() as server:
            await server.kill()
            raise Blocked("the scenario ends here")

    with heard_by() as (url, _), pytest.raises(Blocked):
        asyncio.run(use(url))
    assert (tmp_path / "words").read_text("utf-8") == "kill start "


# observation


# the whole command


@pytest.fixture
def commanded_server(tmp_path: Path) -> Iterator[str]:
    """A server that its owner controls by commands, in a folder with them; yields its URL."""
    (tmp_path / "control.py").write_text(OWN_SERVER, "utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    commands = {
        word: [sys.executable, "control.py", word, str(port)] for word in ("restart", "kill", "start")
    }
    lines = [f'target = "http://127.0.0.1:{port}"', "[server]", "timeout_s = 60"]
    lines += [f"{word} = {json.dumps(command)}" for word, command in commands.items()]
    (tmp_path / "runstone.toml").write_text("\n".join(lines), "utf-8")
    subprocess.run(commands["start"], cwd=tmp_path, check=True, timeout=60)
    try:
        _await_answer(f"http://127.0.0.1:{port}/ok")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(int((tmp_path / "pid").read_text("utf-8")), signal.SIGKILL)


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(url, trust_env=False).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{url} did not answer within 60 s")


def test_the_users_server_is_killed_and_restarted(commanded_server: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = runstone(
        "check", "--config", str(tmp_path / "runstone.toml"), "--area", "persist", "--out", str(out)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = {name: verdict for name, verdict in judged(out / "report.json") if name.startswith("PERS-")}
    assert verdicts == dict.fromkeys([f"PERS-00{number}" for number in range(1, 9)], "pass")
    assert httpx.get(commanded_server + "/ok", trust_env=False).status_code == 200
    _, traces = evidence.read(out / "evidence")
    ends = {name: trace.finished_at for name, trace in traces.items() if "restarted_at" in trace.notes}
    assert len(ends) == 2
    first = min(ends, key=lambda name: ends[name])
    (second,) = set(ends) - {first}
    assert traces[second].started_at >= traces[first].finished_at


@pytest.mark.parametrize(
    "command, said",
    [
        (
            [sys.executable, "-c", "raise SystemExit('unit not found')"],
            "ended with code 1; it last said: unit not",
        ),
        ([sys.executable, "-c", "import time; time.sleep(600)"], "did not end within 2 s"),
    ],
)
def test_a_command_that_goes_wrong_ends_the_check(command: list[str], said: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with recipes.running(embedded()) as server:
        (tmp_path / "runstone.toml").write_text(
            f'target = "{server.url}"\nserver = {{restart = {json.dumps(command)}, timeout_s = 2}}\n', "utf-8"
        )
        file = str(tmp_path / "runstone.toml")
        done = runstone(
            "check", "--config", file, "--area", "persist", "--area", "thr-get", "--out", str(out)
        )
    assert done.returncode == 1, "what was observed is judged, and the run is not whole"
    assert "incomplete: " in done.stdout
    assert said in " ".join(done.stdout.split())
    persisting = [verdict for name, verdict in judged(out / "report.json") if name.startswith("PERS-")]
    assert set(persisting) <= {"not-run", "not-applicable"}
    manifest, traces = evidence.read(out / "evidence")
    assert said in (manifest.stopped or "")
    assert len(traces) > 2
    assert traces["self_check"].exchanges


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_server_and_keeps_what_was_seen(number: signal.Signals, tmp_path: Path) -> None:
    """The signal comes while a scenario has a server of its own."""
    command = [
        sys.executable,
        "-m",
        "runstone",
        "check",
        "embedded",
        "--area",
        "persist",
        "--out",
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while len(servers := children_of(process.pid)) < 2:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "runstone: interrupted; what was observed is kept"
    assert [pid for pid in servers if alive(pid)] == []
    manifest, traces = evidence.read(tmp_path / "evidence")
    assert manifest.stopped == "interrupted"
    assert "self_check" in traces


def children_of(parent: int) -> list[int]:
    """The processes that this one has started and that run."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):  # it ended between the listing and the reading
            state, its_parent = stat.read_text("utf-8").rpartition(")")[2].split()[:2]
            found += [int(stat.parent.name)] if int(its_parent) == parent and state not in "ZX" else []
    return found
