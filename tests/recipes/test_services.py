"""The databases of a server: found or told how to get, private to it, and gone when it is gone.

The programs are stand-ins of a few lines, so that these tests need no database; `.ci/run` checks a server on
a real PostgreSQL.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runstone.errors import TargetError
from runstone.target import doctor, recipes
from runstone.target.recipes import install, services
from tests.command_line import one_line_of_error, runstone
from tests.recipes.writing import Write
from tests.test_supervision import HARNESS, within

# Each ends as a `sleep` of as many seconds as its port's number says, by which a test finds it.
PROGRAMS = {
    "initdb": 'for word; do case $word in --pgdata=*) mkdir "${word#--pgdata=}";; esac; done\n',
    "postgres": (
        'test -d "$2" || exit 1\n'
        "for word; do case $word in port=*) port=${word#port=};; esac; done\n"
        "echo 'LOG:  database system is ready to accept connections'; exec sleep $port\n"
    ),
    "redis-server": (
        "grep -q '^requirepass ................' $1 || exit 1\n"
        "echo '* Ready to accept connections tcp'; exec sleep $(sed -n 's/^port //p' $1)\n"
    ),
}
ENVIRONMENT = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("up on http://127.0.0.1:%s" % sys.argv[1], flush=True)
server.serve_forever()
"""
BOTH = {
    "services": ["postgresql", "redis"],
    "env": {"PG": "{postgresql}", "RE": "{redis}", "PW": "{password}"},
}


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the stand-ins, first on PATH; others may read it, as PostgreSQL does not run as root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    for name, text in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}", "utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    yield folder
    shutil.rmtree(folder)


def sleeping(seconds: str) -> bool:
    """Whether a stand-in with this port runs."""
    wanted = f"sleep\0{seconds}\0".encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == wanted:
                return True
        except OSError:
            continue  # it has just ended
    return False


@pytest.mark.usefixtures("programs")
def test_services_are_there_before_the_server_and_gone_after_it(write: Write) -> None:
    with recipes.running(write(ENVIRONMENT, **BOTH)) as server:
        seen = httpx.get(server.url).json()
        assert all(sleeping(seen[name]) for name in ("PG", "RE"))
        assert len(seen["PW"]) == 32
    assert not any(sleeping(seen[name]) for name in ("PG", "RE"))


@pytest.mark.usefixtures("programs")
def test_what_they_hold_outlives_a_restart_of_the_server(write: Write) -> None:
    with recipes.server(write(ENVIRONMENT, **BOTH)) as server:
        server.start()
        first = httpx.get(server.url).json()
        server.kill()
        assert sleeping(first["PG"])
        server.start()
        second = httpx.get(server.url).json()
    assert [first[name] for name in BOTH["env"]] == [second[name] for name in BOTH["env"]]


@pytest.mark.usefixtures("programs")
def test_two_servers_share_nothing(write: Write) -> None:
    recipe = write(ENVIRONMENT, **BOTH)
    with recipes.running(recipe) as one, recipes.running(recipe) as other:
        seen = [httpx.get(server.url).json() for server in (one, other)]
    assert all(seen[0][name] != seen[1][name] for name in BOTH["env"])


@pytest.mark.usefixtures("programs")
def test_services_end_with_a_killed_harness(write: Write, tmp_path: Path) -> None:
    then = "import httpx; print(httpx.get(server.url).text, flush=True)"
    write(ENVIRONMENT, **BOTH)
    command = [sys.executable, "-c", HARNESS.format(then=then), str(tmp_path / "tiny.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout is not None
        harness.stdout.readline()
        seen = json.loads(harness.stdout.readline())
        harness.send_signal(signal.SIGKILL)
        harness.wait()
        assert within(5, lambda: not any(sleeping(seen[name]) for name in ("PG", "RE")))


def test_a_service_that_dies_is_told_with_its_last_words(write: Write, programs: Path) -> None:
    (programs / "redis-server").write_text("#!/bin/sh\necho 'no memory left'\nexit 3\n", "utf-8")
    with pytest.raises(recipes.StartFailed) as caught, recipes.running(write(**BOTH)):
        pass
    assert "'Redis of tiny' died with code 3; it last said: no memory left" in str(caught.value)


def test_a_cluster_that_cannot_be_made_is_told_in_one_line(write: Write, programs: Path) -> None:
    (programs / "initdb").write_text(
        "#!/bin/sh\necho 'initdb: error:\n invalid locale' >&2\nexit 1\n", "utf-8"
    )
    with pytest.raises(recipes.StartFailed) as caught, recipes.running(write(**BOTH)):
        pass
    assert str(caught.value).endswith(": initdb: error: invalid locale")


@pytest.mark.parametrize("name, title", [("postgresql", "PostgreSQL"), ("redis", "Redis")])
def test_a_service_that_is_missing_is_told_before_anything_starts(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, title: str
) -> None:
    monkeypatch.setattr(services, "_FOLDERS", (f"{tmp_path}/postgresql/*/bin", f"{tmp_path}/*"))
    monkeypatch.setenv("PATH", str(tmp_path))
    recipe = write(services=[name])
    with pytest.raises(recipes.InstallFailed) as caught, recipes.running(recipe):
        pass
    assert str(caught.value).startswith(f"cannot run the server 'tiny': it needs {title}, and there is no ")
    assert "install it, such as by `apt-get install " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == TargetError.exit_code


def test_the_newest_postgresql_is_found_where_packages_put_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for version in ("9", "15", "17"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin/initdb").touch()
    monkeypatch.setattr(services, "_FOLDERS", (f"{tmp_path}/*/bin",))
    monkeypatch.setenv("PATH", "/none")
    assert services.found("initdb") == tmp_path / "17/bin/initdb"


def test_without_python_3_12_one_line_tells_and_other_recipes_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A shim of pyenv for a version that is not chosen counts as none."""
    (tmp_path / "python3.12").write_text("#!/bin/sh\nexit 127\n", "utf-8")
    (tmp_path / "python3.12").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    found = {each.what: each for each in doctor.examine()}
    for name in ("langhost", "gaussdb", "skeino"):
        lacking = found[f"recipe {name}"]
        assert lacking.standing == "missing"
        assert f"no python3.12 that runs on PATH or in {tmp_path}/versions" in lacking.detail
        assert "uv python install 3.12" in lacking.fix
    assert found["recipe embedded"].standing == "ok"

    done = runstone("compare", "embedded", "skeino", "--out", str(tmp_path / "out"))
    assert done.returncode == 3
    assert "skeino cannot run here: it needs Python 3.12" in one_line_of_error(done)
    assert not (tmp_path / "out").exists(), "it is told before anything takes time"


def test_a_python_of_pyenv_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "versions/3.99.1/bin/python3.99"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert install.base_python("3.99") == python


def test_gaussdb_is_given_the_conformance_graphs_as_modules() -> None:
    fixtures = Path(__file__).parents[2] / "fixtures"
    graphs = json.loads((fixtures / "graphs/python/langgraph.json").read_bytes())["graphs"]
    modules = json.loads((fixtures / "targets/gaussdb/langgraph.json").read_bytes())["graphs"]
    assert {
        name: f"./{place.replace('.', '/').replace(':', '.py:')}" for name, place in modules.items()
    } == graphs
