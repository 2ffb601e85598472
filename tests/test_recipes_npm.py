"""Recipes that need Node.js: installed once by the real npm, and one line for whatever is in the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import pytest

from runstone.errors import TargetError
from runstone.locations import locate
from runstone.target import npm, recipes
from runstone.target.recipes import Recipe
from tests.command_line import runstone
from tests.recipes.test_installing import environments
from tests.recipes.writing import alive

SERVER = """
import { readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { greeting } from 'tiny';
const [port, modules] = process.argv.slice(2);
const seen = { greeting, modules, files: readdirSync('.') };
createServer((_, response) => response.end(JSON.stringify(seen))).listen(Number(port), '127.0.0.1',
  () => console.log(`up on http://127.0.0.1:${port}`));
"""

Write = Callable[..., Recipe]


def real_npm(folder: Path, *words: str) -> None:
    """Run npm where it reaches nothing but this disk."""
    command = ["npm", *words, "--offline", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with package.json and a lock file; the one dependency is a package on disk, so no network."""
    root = tmp_path_factory.mktemp("npm")
    tiny = root / "tiny"
    tiny.mkdir()
    (tiny / "tiny.js").write_text("export const greeting = 'hello';\n", "utf-8")
    for version in ("1.0.0", "2.0.0"):
        manifest = {"name": "tiny", "version": version, "type": "module", "exports": "./tiny.js"}
        (tiny / "package.json").write_text(json.dumps(manifest), "utf-8")
        real_npm(root, "pack", str(tiny))
    folder = root / "server"
    folder.mkdir()
    wanted = {"name": "server", "private": True, "dependencies": {"tiny": f"file:{root}/tiny-1.0.0.tgz"}}
    (folder / "package.json").write_text(json.dumps(wanted), "utf-8")
    real_npm(folder, "install", "--package-lock-only")
    return folder


@pytest.fixture
def folder(package: Path, tmp_path: Path) -> Path:
    """A copy of the package, to be changed at will."""
    return Path(shutil.copytree(package, tmp_path / "packages"))


@pytest.fixture
def write(folder: Path, tmp_path: Path) -> Write:
    """Write a recipe that runs a server of Node.js, and load it."""

    def written(**fields: object) -> Recipe:
        document = {
            "name": "tiny",
            "description": "a tiny server",
            "install": {"npm": folder.name},
            "command": ["{node}", "server.mjs", "{port}", "{modules}"],
            "ready": {"says": "http://127.0.0.1:{port}", "timeout_s": 20},
            **fields,
        }
        path = tmp_path / "tiny.yaml"
        path.write_bytes(msgspec.yaml.encode(document))
        return recipes.load(str(path))

    return written


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "runstone" / "targets"


def program(folder: Path, name: str, text: str) -> None:
    """An executable of this name."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a shell script in npm's place; the programs of the machine stay within its reach."""

    def put(text: str) -> None:
        program(tmp_path / "bin", "npm", text)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    return put


def refusal(recipe: Recipe) -> str:
    """Why the recipe's packages cannot be installed."""
    with pytest.raises(recipes.InstallFailed) as caught:
        recipes.node_modules(recipe)
    assert caught.value.exit_code == TargetError.exit_code
    line = str(caught.value)
    assert line.startswith("cannot install the server 'tiny': ")
    assert "\n" not in line
    return line.removeprefix("cannot install the server 'tiny': ")


# by the real npm


def test_a_server_of_node_runs_with_its_packages(write: Write, cache: Path) -> None:
    recipe = write(copy=["graphs/python", "clients/javascript"])
    assert not recipes.is_installed(recipe)
    with recipes.server(recipe) as server:
        (Path(server._workdir) / "server.mjs").write_text(SERVER, "utf-8")  # what `copy` does for a fixture
        first = server.start()
        seen = httpx.get(first.url, trust_env=False).json()
        server.stop()
        second = server.start()  # the link to the packages is there already
        assert httpx.get(second.url, trust_env=False).json() == seen
    assert recipes.is_installed(recipe)
    assert not alive(second.pid)
    (installed,) = environments(cache)
    assert (seen["greeting"], seen["modules"]) == ("hello", str(installed / "node_modules"))
    assert {"langgraph.json", "client.mjs", "node_modules"} <= {*seen["files"]}


def test_packages_are_installed_once_per_lock_file(write: Write, cache: Path, folder: Path) -> None:
    recipe = write()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(recipes.node_modules, [recipe, recipe])
    assert first == second
    (installed,) = environments(cache)
    made = installed.stat().st_mtime_ns
    assert recipes.node_modules(recipe) == first
    assert installed.stat().st_mtime_ns == made

    (folder / "notes.txt").write_text("what npm does not read changes nothing", "utf-8")
    assert recipes.is_installed(recipe)
    lock = folder / "package-lock.json"
    lock.write_text(lock.read_text("utf-8") + "\n", "utf-8")
    assert not recipes.is_installed(recipe)


def test_another_node_is_another_folder(write: Write, cache: Path, fake_npm: Callable[[str], None]) -> None:
    recipe = write()
    assert recipes.node_modules(recipe) is not None
    fake_npm("exit 1")
    assert recipes.node_modules(recipe) is not None, "npm is not asked again"
    bin_folder = Path(str(shutil.which("npm"))).parent
    program(bin_folder, "node", "echo v99.0.0")
    assert not recipes.is_installed(recipe)
    assert len(environments(cache)) == 1


def test_a_lock_file_that_does_not_belong_to_the_package_is_named(
    write: Write, cache: Path, folder: Path
) -> None:
    manifest = (folder / "package.json").read_text("utf-8")
    (folder / "package.json").write_text(manifest.replace("tiny-1.0.0", "tiny-2.0.0"), "utf-8")
    said = refusal(write())
    assert "npm failed: npm error code EUSAGE (package.json and package-lock.json do not belong" in said
    assert environments(cache) == []


def test_another_version_is_installed_without_the_lock_file(
    write: Write, cache: Path, package: Path, tmp_path: Path
) -> None:
    tiny = f"file:{package.parent}/tiny-{{version}}.tgz"
    pinned = write(install={"npm": "packages", "versions": {"pinned": "1.0.0", "npm": {"tiny": tiny}}})
    for recipe, version in ((pinned, "1.0.0"), (recipes.load(f"{tmp_path}/tiny.yaml@2.0.0"), "2.0.0")):
        assert not recipes.is_installed(recipe)
        found = recipes.node_modules(recipe)
        assert found is not None
        installed = json.loads((found[1] / "tiny/package.json").read_text("utf-8"))
        assert installed["version"] == version
        assert recipes.is_installed(recipe)
    assert len(environments(cache)) == 2


def test_a_version_that_npm_does_not_find_is_told_in_one_line(
    write: Write, cache: Path, fake_npm: Callable[[str], None], tmp_path: Path
) -> None:
    write(install={"npm": "packages", "versions": {"pinned": "1.0.0", "npm": {"tiny": "{version}"}}})
    fake_npm(
        "echo 'npm error code ETARGET' >&2\n"
        "echo 'npm error notarget No matching version found for @of/tiny@9.9.9.' >&2\nexit 1"
    )
    with pytest.raises(recipes.UnknownVersion) as caught:
        recipes.node_modules(recipes.load(f"{tmp_path}/tiny.yaml@9.9.9"))
    said = (
        "there is no server 'tiny@9.9.9': @of/tiny has no version 9.9.9; npm view @of/tiny versions lists all"
    )
    assert str(caught.value) == said
    assert environments(cache) == []


def test_without_a_network_nothing_is_left(
    write: Write, cache: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")  # the port "discard": nobody listens
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    manifest = {"name": "server", "private": True, "dependencies": {"absent": "1.0.0"}}
    entry = {"version": "1.0.0", "integrity": "sha512-" + "A" * 86 + "=="}
    lock = {"name": "server", "lockfileVersion": 3, "requires": True}
    lock["packages"] = {"": manifest, "node_modules/absent": entry}
    (folder / "package.json").write_text(json.dumps(manifest), "utf-8")
    (folder / "package-lock.json").write_text(json.dumps(lock), "utf-8")
    assert refusal(write()) == "npm failed: npm error code ECONNREFUSED (is its registry in reach?)"
    assert environments(cache) == []


# what is in the way


def test_without_node_the_command_ends_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    done = runstone("up", "pure-graph")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == (
        "runstone: cannot install the server 'pure-graph': node is not on PATH; "
        "install Node.js 20 or newer, with npm"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("cache")
def test_a_node_that_is_too_old_is_named(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "node", "echo v16.20.2")
    program(tmp_path / "bin", "npm", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert refusal(write()) == "Node.js 18 or newer is needed, got v16.20.2"


@pytest.mark.usefixtures("cache")
def test_the_package_says_which_node_it_takes(write: Write, folder: Path) -> None:
    manifest = json.loads((folder / "package.json").read_text("utf-8"))
    (folder / "package.json").write_text(json.dumps({**manifest, "engines": {"node": ">=999.1"}}), "utf-8")
    assert refusal(write()).startswith("Node.js 999 or newer is needed, got v")


@pytest.mark.usefixtures("cache")
def test_without_npm(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "node", "echo v20.1.0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert refusal(write()) == "npm is not on PATH; install Node.js 18 or newer, with npm"


HALF = 'while [ "$1" != --prefix ]; do shift; done; mkdir -p "$2/node_modules/half"; '


@pytest.mark.parametrize(
    "text, said",
    [
        (HALF + "kill -9 $$", "npm was killed by SIGKILL (is there enough memory?); nothing is kept"),
        (HALF + "echo 'npm error code ENOSPC' >&2; exit 228", "npm error code ENOSPC (the disk is full: "),
        (HALF + "echo 'npm error code EINTEGRITY' >&2; exit 1", "run: npm cache verify"),
        (HALF + "echo 'npm error code ENOTFOUND' >&2; exit 1", "ENOTFOUND (is its registry in reach?)"),
        (HALF + "exit 1", "npm failed: exit code 1 ("),
    ],
    ids=["killed", "disk-full", "integrity", "no-network", "mute"],
)
def test_an_npm_that_fails_half_way_leaves_nothing(
    write: Write, cache: Path, fake_npm: Callable[[str], None], text: str, said: str
) -> None:
    fake_npm(text)
    recipe = write()
    assert said in refusal(recipe)
    assert environments(cache) == []
    assert not recipes.is_installed(recipe)


@pytest.mark.usefixtures("cache")
def test_after_a_failure_the_next_try_installs(
    write: Write, fake_npm: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write()
    with monkeypatch.context():
        before = os.environ["PATH"]
        fake_npm(HALF + "kill -9 $$")
        refusal(recipe)
        monkeypatch.setenv("PATH", before)
    found = recipes.node_modules(recipe)
    assert found is not None
    assert (found[1] / "tiny" / "tiny.js").is_file()
    assert not (found[1] / "half").exists()


def test_what_a_killed_runstone_left_half_made_is_not_used(write: Write, cache: Path) -> None:
    recipe = write()
    (cache / ".tiny-000000000000-left" / "node_modules").mkdir(parents=True)
    assert not recipes.is_installed(recipe)
    found = recipes.node_modules(recipe)
    assert found is not None
    assert (found[1] / "tiny" / "tiny.js").is_file()


def test_an_npm_that_never_ends_is_given_up(
    cache: Path, folder: Path, fake_npm: Callable[[str], None]
) -> None:
    fake_npm("exec sleep 600")
    with pytest.raises(npm.NpmError, match=r"npm did not end within 1 s \(is its registry in reach"):
        npm.installed("targets", "tiny", folder, seconds=1.0)
    assert environments(cache) == []


def test_a_cache_that_cannot_be_written_is_named(write: Write, cache: Path) -> None:
    cache.parents[1].write_text("a file where the cache should be", "utf-8")
    assert refusal(write()).startswith(f"cannot install it in {cache}")


# what a recipe may say


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"install": {}}, "install names neither python nor npm"),
        ({"install": {"npm": "none"}}, "names none/package.json, which is not next to it"),
        ({"install": None}, "{node} needs install: {npm: FOLDER}"),
        ({"install": None, "command": ["x"], "env": {"A": "{modules}"}}, "{modules} needs install: {npm"),
    ],
)
def test_a_malformed_recipe_is_refused_in_one_line(
    write: Write, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(recipes.BadRecipe) as caught:
        write(**fields)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_lock_file_is_refused(write: Write, folder: Path) -> None:
    (folder / "package-lock.json").unlink()
    with pytest.raises(
        recipes.BadRecipe, match=r"names packages/package-lock\.json, which is not next to it"
    ):
        write()


@pytest.mark.parametrize("name", [name for name in recipes.names() if recipes.load(name).install])
def test_the_lock_files_of_the_house_name_no_registry_and_pin_every_package(name: str) -> None:
    install = recipes.load(name).install
    if install is None or install.npm is None:
        return
    folder = Path(install.npm)
    packages = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    assert len(packages) > 20
    assert [path for path, entry in packages.items() if "resolved" in entry] == []
    own = {path for path, entry in packages.items() if not entry.get("inBundle")} - {""}  # not of another's
    assert [path for path in own if "integrity" not in packages[path]] == []
    wanted = json.loads((folder / "package.json").read_text("utf-8"))["dependencies"]
    assert {path: packages[f"node_modules/{path}"]["version"] for path in wanted} == wanted


def test_the_third_server_brings_its_app() -> None:
    assert {path.name for path in locate("fixtures/targets/pure-graph").iterdir()} >= {
        "package.json",
        "package-lock.json",
        "server.mjs",
    }
