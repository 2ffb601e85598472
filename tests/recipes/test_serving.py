"""A server of a recipe runs inside its block, and only there."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import httpx
import msgspec
import pytest

from runstone.errors import TargetError
from runstone.locations import locate
from runstone.target import recipes
from tests.recipes.writing import SERVE, SERVER, Write, alive, busy_port


def test_a_server_runs_inside_the_block_and_only_there(write: Write, tmp_path: Path) -> None:
    recipe = write(env={"COLOUR": "red-{port}"}, copy="graphs/python")
    log = tmp_path / "kept.log"
    with recipes.running(recipe, log=log, options=["--more", "{as is}"]) as server:
        port = server.url.rpartition(":")[2]
        seen = httpx.get(server.url + "/ok").json()
        assert alive(server.pid)
        assert (seen["colour"], seen["options"]) == (f"red-{port}", ["--more", "{as is}"])
        assert "langgraph.json" in seen["files"]
    assert not alive(server.pid)
    assert f"up on {server.url}" in log.read_text("utf-8")
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url + "/ok")


def test_what_several_folders_serve_is_served_together(write: Write) -> None:
    with recipes.server(write(copy=["agents/python", "graphs/python", "auth/python"])) as server:
        served = json.loads((Path(server._workdir) / "langgraph.json").read_text("utf-8"))
    agents, graphs, auth = (
        json.loads(locate(f"fixtures/{name}/python/langgraph.json").read_text("utf-8"))
        for name in ("agents", "graphs", "auth")
    )
    assert served == {**graphs, **auth, "graphs": {**agents["graphs"], **graphs["graphs"]}}


def test_a_server_gets_the_port_that_was_asked_for(write: Write) -> None:
    with socket.socket() as probe:
        port = busy_port(probe)
    with recipes.running(write(), port=port) as server:
        assert server.url == f"http://127.0.0.1:{port}"


def test_a_taken_port_is_refused_before_the_start(write: Write) -> None:
    with socket.socket() as listener:
        port = busy_port(listener)
        with (
            pytest.raises(recipes.PortTaken, match=f"port {port} .* is taken"),
            recipes.running(write(), port=port),
        ):
            pass


def test_a_server_stops_when_the_block_raises(write: Write) -> None:
    with pytest.raises(KeyboardInterrupt), recipes.running(write()) as server:
        raise KeyboardInterrupt
    assert not alive(server.pid)


def test_two_servers_of_one_recipe_do_not_meet(write: Write) -> None:
    recipe = write()
    with recipes.running(recipe) as one, recipes.running(recipe) as other:
        assert one.url != other.url


def test_a_server_starts_while_something_else_is_done(write: Write) -> None:
    with recipes.starting(write()) as started:
        server = started()
        assert httpx.get(server.url + "/ok").status_code == 200
        assert started() == server  # who asks again is told the same
    assert not alive(server.pid)


def test_a_start_that_fails_meanwhile_is_told_to_who_waits_for_it(write: Write) -> None:
    with (
        recipes.starting(write("raise SystemExit(7)")) as started,
        pytest.raises(recipes.StartFailed, match="died with code 7"),
    ):
        started()


def test_a_start_that_nobody_waits_for_is_given_up(write: Write, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"""
        import os, pathlib, time
        pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))
        time.sleep(600)
    """
    with recipes.starting(write(code)):
        while not pid.exists() or not pid.read_text("utf-8"):
            time.sleep(0.02)
    assert not alive(int(pid.read_text("utf-8")))


def test_a_server_that_dies_leaves_its_last_words(write: Write) -> None:
    recipe = write("print('first'); print('no licence'); raise SystemExit(7)")
    with pytest.raises(recipes.StartFailed) as caught, recipes.running(recipe):
        pass
    assert str(caught.value) == "the server 'tiny' died with code 7; it last said: first | no licence"
    assert caught.value.exit_code == TargetError.exit_code


def test_a_command_that_does_not_exist_is_named(write: Write) -> None:
    recipe = write(command=["/no/such/program"])
    with pytest.raises(recipes.StartFailed, match="cannot start /no/such/program: No such file"):
        recipes.running(recipe).__enter__()


def test_a_server_that_never_answers_is_given_up_and_stopped(write: Write, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"""
        import os, pathlib, time
        pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))
        print("loading")
        time.sleep(600)
    """
    recipe = write(code, ready={"timeout_s": 1})
    with (
        pytest.raises(
            recipes.StartFailed, match=r"not ready after 1 s .*nothing answered.*loading"
        ) as caught,
        recipes.running(recipe),
    ):
        pass
    assert caught.value.exit_code == TargetError.exit_code
    assert not alive(int(pid.read_text("utf-8")))


def test_a_server_that_only_answers_with_errors_is_not_ready(write: Write) -> None:
    recipe = write(ready={"path": "/other", "timeout_s": 1})
    with pytest.raises(recipes.StartFailed, match=r"GET .*/other: 404"), recipes.running(recipe):
        pass


def test_a_server_that_went_to_another_port_is_noticed(write: Write) -> None:
    # Somebody answers on the port that was asked for; the server itself says that it runs elsewhere.
    recipe = write(SERVE.replace("up on http://127.0.0.1:%s", "moved to http://127.0.0.1:9%s"))
    recipe = msgspec.structs.replace(recipe, ready=msgspec.structs.replace(recipe.ready, timeout_s=1))
    with pytest.raises(recipes.StartFailed, match=r"its output does not say"), recipes.running(recipe):
        pass


def test_a_child_that_ignores_sigterm_is_killed(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runstone.target.recipes.process.GRACE_S", 0.5)
    child = tmp_path / "child"
    code = f"""
        import subprocess, sys
        stubborn = "import pathlib, os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " \\
                   "pathlib.Path({str(child)!r}).write_text(str(os.getpid())); time.sleep(600)"
        subprocess.Popen([sys.executable, "-c", stubborn])
        while not __import__("os").path.exists({str(child)!r}): pass
    """
    recipe = write(textwrap.dedent(code) + SERVE)
    with recipes.running(recipe) as server:
        pid = int(child.read_text("utf-8"))
        assert alive(pid)
        assert os.getpgid(pid) == server.pid
    assert not alive(pid)
    assert not alive(server.pid)


# staying up

STAY = """
import sys
from runstone.target import recipes
recipes.stay_up(recipes.load(sys.argv[1]), None, lambda server: print(server.pid, server.url, flush=True))
print("ended well")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stay_up_ends_at_a_signal_with_its_server(
    write: Write, tmp_path: Path, number: signal.Signals
) -> None:
    write()
    command = [sys.executable, "-c", STAY, str(tmp_path / "tiny.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid, url = process.stdout.readline().split()
        assert httpx.get(url + "/ok").status_code == 200
        process.send_signal(number)
        rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "ended well\n")
    assert not alive(int(pid))


def test_sigterm_in_the_block_ends_the_server_too(write: Write, tmp_path: Path) -> None:
    write()
    code = """
import sys, time
from runstone.target import recipes
with recipes.running(recipes.load(sys.argv[1])) as server:
    print(server.pid, flush=True)
    time.sleep(600)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "tiny.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert not alive(pid)


def test_stay_up_says_when_the_server_dies(write: Write) -> None:
    recipe = write(SERVER + "server.handle_request()\nprint('out of memory')\n")
    with pytest.raises(recipes.StartFailed, match=r"'tiny' died; it last said: .*out of memory"):
        recipes.stay_up(recipe, None, lambda _: None)
