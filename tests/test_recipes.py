"""Recipes start real processes, wait for them, and leave none behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import pytest

from runstone.errors import RunstoneError, TargetError, UsageError
from runstone.target import recipes
from runstone.target.recipes import Recipe
from tests.command_line import one_line_of_error, runstone

SERVER = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/ok" else 404)
        self.end_headers()
        seen = {"colour": os.environ.get("COLOUR"), "options": sys.argv[2:], "files": os.listdir(".")}
        self.wfile.write(json.dumps(seen).encode())
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("up on http://127.0.0.1:%s" % sys.argv[1])
"""
SERVE = SERVER + "server.serve_forever()\n"

Write = Callable[..., Recipe]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a recipe that runs the given Python code with the port as its argument, and load it."""

    def written(code: str = SERVE, **fields: object) -> Recipe:
        script = tmp_path / "server.py"
        script.write_text(textwrap.dedent(code), "utf-8")
        document = {
            "name": "tiny",
            "description": "a tiny server",
            "command": ["{python}", str(script), "{port}"],
            "ready": {"says": "http://127.0.0.1:{port}", "timeout_s": 20},
            **fields,
        }
        path = tmp_path / "tiny.yaml"
        path.write_bytes(msgspec.yaml.encode(document))
        return recipes.load(str(path))

    return written


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def busy_port(listener: socket.socket) -> int:
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return int(listener.getsockname()[1])


# loading


def test_every_recipe_of_the_house_loads() -> None:
    assert {"embedded", "langgraph-py", "langgraph-js", "pure-graph"} <= set(recipes.names())
    for name in recipes.names():
        recipe = recipes.load(name)
        assert recipe.name == name
        assert recipe.ready.says.endswith("127.0.0.1:{port}")


def test_the_embedded_recipe_declares_its_run_time_limit() -> None:
    target = recipes.load("embedded").target("http://127.0.0.1:1")
    assert target.run_time_limit is not None
    assert (target.run_time_limit.assistant, target.run_time_limit.seconds) == ("limited", 1)
    assert "limited=1" in recipes.load("embedded").command
    assert target.declared["wait_timeout"] is True


def test_the_official_server_is_pinned_to_the_last_package() -> None:
    install = recipes.load("langgraph-py").install
    assert install is not None
    assert install.python is not None
    lines = [
        line for line in Path(install.python).read_text("utf-8").splitlines() if line[:1] not in {"", "#"}
    ]
    assert len(lines) > 50
    assert [line for line in lines if "==" not in line] == []


def test_an_unknown_recipe_names_the_nearest_and_all() -> None:
    with pytest.raises(recipes.UnknownRecipe, match=r"did you mean langgraph-py\?.*embedded") as caught:
        recipes.load("langgraf-py")
    assert caught.value.exit_code == UsageError.exit_code


@pytest.mark.parametrize("name", ["langgraph-py", "langgraph-js"])
def test_the_official_servers_are_had_in_other_versions(name: str) -> None:
    pinned = recipes.load(name)
    assert pinned.install is not None
    assert pinned.install.versions is not None
    assert recipes.load(f"{name}@{pinned.install.versions.pinned}") == pinned
    other = recipes.load(f"{name}@0.8.7")
    assert (other.name, other.waivers) == (f"{name}@0.8.7", None)
    assert other.install is not None
    assert pinned.install.python_packages == []
    assert pinned.install.npm_packages == {}
    asked = [*other.install.python_packages, *other.install.npm_packages.values()]
    assert any(each.endswith("0.8.7") for each in asked)


def test_the_pinned_version_is_the_one_that_is_installed() -> None:
    python, npm = (recipes.load(name).install for name in ("langgraph-py", "langgraph-js"))
    assert python is not None and python.versions is not None and python.python is not None  # noqa: PT018
    assert f"langgraph-api=={python.versions.pinned}\n" in Path(python.python).read_text("utf-8")
    assert npm is not None and npm.versions is not None and npm.npm is not None  # noqa: PT018
    package = json.loads((Path(npm.npm) / "package.json").read_text("utf-8"))
    assert {package["dependencies"][each] for each in npm.versions.npm} == {npm.versions.pinned}


@pytest.mark.parametrize(
    "name, said",
    [
        ("embedded@1.0", "the recipe 'embedded' takes no version; leave out @1.0"),
        ("langgraph-py@latest", "langgraph-py@latest names no version; write one like langgraph-py@0."),
        ("langgraph-py@", "langgraph-py@ names no version"),
        ("langgraf-py@0.8.7", "no recipe 'langgraf-py'; did you mean langgraph-py?"),
    ],
)
def test_what_is_no_version_of_a_known_server(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        recipes.load(name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [["up"], ["check"], ["compare", "embedded"]])
def test_commands_take_a_version_and_refuse_one_that_is_none(words: list[str]) -> None:
    done = runstone(*words, "langgraph-py@latest")
    assert done.returncode == 2
    assert "langgraph-py@latest names no version" in one_line_of_error(done)


def test_a_missing_recipe_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(recipes.UnknownRecipe, match=r"none\.yaml: No such file"):
        recipes.load(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"comand": []}, "unknown key 'comand'; did you mean command?"),
        ({"command": "one word"}, "expected `array`"),
        ({"command": []}, "command is empty"),
        ({"command": ["{pyhton}"]}, "{pyhton} is not a placeholder"),
        ({"env": {"A": "{"}}, "stray brace"),
        ({"waivers": "none.waivers.yaml"}, "names none.waivers.yaml, which is not next to it"),
        ({"install": {"python": "none.txt"}}, "names none.txt, which is not next to it"),
        ({"install": {"python": "a", "version": "1.0"}}, "install.version needs install.versions"),
        (
            {"install": {"python": "a", "versions": {"pinned": "1.0"}}},
            "install.versions.python says how install.python is had otherwise: give both or none",
        ),
        (
            {"install": {"python": "a", "versions": {"pinned": "1.0", "python": ["tinyserver"]}}},
            "install.versions.python never says {version}",
        ),
        ({"run_time_limit": {"assistant": "limited"}}, "missing required field `seconds`"),
    ],
)
def test_a_malformed_recipe_is_refused_in_one_line(
    write: Write, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(recipes.BadRecipe) as caught:
        write(**fields)
    assert said in str(caught.value)
    assert "tiny.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_is_no_yaml_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("name: [unclosed\nother: }", "utf-8")
    with pytest.raises(recipes.BadRecipe, match=r"broken\.yaml is not valid YAML") as caught:
        recipes.load(str(path))
    assert "\n" not in str(caught.value)


def test_a_key_given_twice_is_refused(write: Write, tmp_path: Path) -> None:
    """The later command would silently win."""
    write()
    path = tmp_path / "tiny.yaml"
    path.write_text(path.read_text("utf-8") + "command: [other]\n", "utf-8")
    with pytest.raises(
        recipes.BadRecipe, match=r"tiny\.yaml is not valid YAML: the key 'command' is given twice"
    ):
        recipes.load(str(path))


def test_waivers_lie_next_to_the_recipe(write: Write, tmp_path: Path) -> None:
    (tmp_path / "tiny.waivers.yaml").write_text("waivers: []", "utf-8")
    assert write(waivers="tiny.waivers.yaml").waivers == str(tmp_path / "tiny.waivers.yaml")


# running


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


# installing


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "runstone" / "targets"


def environments(cache: Path) -> list[Path]:
    """What lies in the cache, apart from locks: half-made environments too."""
    return [path for path in cache.iterdir() if path.suffix != ".lock"]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Requirements that need no index: a wheel on disk, as small as one can be."""
    wheel = tmp_path / "tinyserver-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tinyserver.py", SERVE)
        info = "tinyserver-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinyserver\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    requirements = tmp_path / "tiny.txt"
    requirements.write_text(f"{wheel}\n", "utf-8")
    return requirements


def test_a_server_is_installed_once_and_used_again(write: Write, cache: Path, package: Path) -> None:
    recipe = write(install={"python": package.name}, command=["{python}", "-m", "tinyserver", "{port}"])
    assert not recipes.is_installed(recipe)
    with recipes.running(recipe) as server:
        assert httpx.get(server.url + "/ok").status_code == 200
    assert recipes.is_installed(recipe)
    (environment,) = environments(cache)
    made = environment.stat().st_mtime_ns
    assert recipes.interpreter(recipe) == environment / "bin" / "python"
    assert environment.stat().st_mtime_ns == made

    package.write_text(package.read_text("utf-8") + "# other pins\n", "utf-8")
    assert not recipes.is_installed(recipe)


def test_an_installation_that_fails_leaves_nothing(write: Write, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text(f"{tmp_path}/none-1.0-py3-none-any.whl\n", "utf-8")
    recipe = write(install={"python": "bad.txt"})
    with pytest.raises(recipes.InstallFailed, match=r"cannot install the server 'tiny': ERROR: ") as caught:
        recipes.interpreter(recipe)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == TargetError.exit_code
    assert environments(cache) == []


def test_another_version_has_an_environment_of_its_own(write: Write, cache: Path, package: Path) -> None:
    wheels = ["--no-index", f"--find-links={package.parent}", "tinyserver=={version}"]
    install = {"python": package.name, "versions": {"pinned": "0.9", "python": wheels}}
    write(install=install, command=["{python}", "-m", "tinyserver", "{port}"])
    recipe = recipes.load(f"{package.parent / 'tiny.yaml'}@1.0")
    with recipes.running(recipe) as server:
        assert httpx.get(server.url + "/ok").status_code == 200
    (environment,) = environments(cache)
    assert environment.name.startswith("tiny@1.0-")


def test_a_version_that_does_not_exist_is_told_in_one_line(write: Write, cache: Path, package: Path) -> None:
    wheels = ["--no-index", f"--find-links={package.parent}", "tinyserver=={version}"]
    write(install={"python": package.name, "versions": {"pinned": "0.9", "python": wheels}})
    with pytest.raises(recipes.UnknownVersion) as caught:
        recipes.interpreter(recipes.load(f"{package.parent / 'tiny.yaml'}@9.9"))
    assert str(caught.value) == (
        "there is no server 'tiny@9.9': tinyserver has no such version (the last are 1.0); "
        "pip index versions tinyserver lists all"
    )
    assert caught.value.exit_code == UsageError.exit_code
    assert environments(cache) == []


def test_two_that_start_at_once_install_once(write: Write, cache: Path, package: Path) -> None:
    recipe = write(install={"python": package.name})
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(recipes.interpreter, [recipe, recipe])
    assert first == second
    assert environments(cache) == [first.parents[1]]


def test_a_cache_that_cannot_be_written_is_named(write: Write, cache: Path, package: Path) -> None:
    cache.parents[1].write_text("a file where the cache should be", "utf-8")
    recipe = write(install={"python": package.name})
    with pytest.raises(recipes.InstallFailed, match=r"cannot install the server 'tiny' in .*cache"):
        recipes.interpreter(recipe)


def test_a_half_made_installation_is_not_used(write: Write, cache: Path, package: Path) -> None:
    recipe = write(install={"python": package.name})
    finished = recipes.interpreter(recipe).parents[1]
    (finished / "bin" / "python").unlink()  # as when the Python behind it was removed
    assert not recipes.is_installed(recipe)
    assert recipes.interpreter(recipe).exists()
    assert environments(cache) == [finished]


def test_every_failure_is_an_error_for_people() -> None:
    family = (recipes.UnknownRecipe, recipes.BadRecipe, recipes.PortTaken, recipes.InstallFailed)
    assert all(
        issubclass(error, RunstoneError) for error in (*family, recipes.StartFailed, recipes.StopFailed)
    )
    assert [error.exit_code for error in family] == [2, 2, 2, 3]
    assert (recipes.StartFailed.exit_code, recipes.StopFailed.exit_code) == (3, 4)


# starting again


def test_a_server_is_started_again_on_its_port_with_its_folder(write: Write) -> None:
    """The tiny server lists its folder: what an earlier start has left is there."""
    recipe = write("import os, time; open(f'start-{time.time_ns()}', 'w').close()\n" + SERVE)
    with recipes.server(recipe) as server:
        first = server.start()
        with pytest.raises(recipes.StartFailed, match="is running already"):
            server.start()
        server.kill()
        assert not alive(first.pid)
        second = server.start()
        assert second.url == first.url
        server.stop()
        third = server.start()
        seen = httpx.get(third.url + "/ok", trust_env=False).json()["files"]
    assert len([name for name in seen if name.startswith("start-")]) == 3
    assert not alive(third.pid)


def test_only_what_is_said_since_the_last_start_counts(write: Write) -> None:
    """The first start announces itself, the second one is silent: the old line makes nothing ready."""
    code = SERVE.replace('print("up', 'if not os.listdir("."): print("up')
    code = code.replace("server.serve_forever()", "open('started', 'w').close(); server.serve_forever()")
    recipe = write(code, ready={"says": "http://127.0.0.1:{port}", "timeout_s": 2})
    with recipes.server(recipe) as server:
        server.start()
        server.stop()
        with pytest.raises(recipes.StartFailed, match="its output does not say"):
            server.start()


def test_a_closed_server_is_not_started(write: Write) -> None:
    with recipes.server(write()) as server:
        server.close()
        with pytest.raises(recipes.StartFailed, match="given up"):
            server.start()


def test_the_recipes_declare_what_outlives_what() -> None:
    declared = {name: recipes.load(name).target("").declared for name in ("embedded", "langgraph-py")}
    assert (declared["embedded"]["restart"], declared["embedded"]["kill"]) == (True, True)
    assert (declared["langgraph-py"]["restart"], declared["langgraph-py"]["kill"]) == (True, False)


def test_the_recipe_with_authentication_is_the_embedded_one_with_two_users() -> None:
    plain, closed = recipes.load("embedded"), recipes.load("embedded-auth")
    at = closed.command.index("--auth-secret")
    assert closed.command[:at] + closed.command[at + 2 :] == plain.command
    assert {**plain.capabilities, "auth": True} == closed.capabilities
    users = {"headers", "second_headers", "restricted_headers"}
    users = {"headers", "second_headers", "restricted_headers"}
    differ = {"name", "description", "command", "capabilities"} | users
    assert {
        name for name in plain.__struct_fields__ if getattr(plain, name) != getattr(closed, name)
    } == differ
    target = closed.target("")
    capabilities = target.capabilities({}, ())
    assert {capabilities[f"{who}_identity"].declared for who in ("second", "restricted")} == {True}
    assert target.headers != target.second_headers


def test_each_user_of_the_recipe_with_authentication_sees_his_own_threads() -> None:
    recipe = recipes.load("embedded-auth")
    with recipes.running(recipe) as server:
        first = httpx.Client(base_url=server.url, headers=recipe.headers, trust_env=False)
        second = httpx.Client(base_url=server.url, headers=recipe.second_headers, trust_env=False)
        with first, second:
            thread = first.post("/threads", json={}).json()["thread_id"]
            codes = [client.get(f"/threads/{thread}").status_code for client in (first, second)]
        codes.append(httpx.get(f"{server.url}/threads/{thread}", trust_env=False).status_code)
    assert codes == [200, 404, 401]
