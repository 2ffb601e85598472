"""What a recipe needs is installed once."""

from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from runstone.errors import TargetError, UsageError
from runstone.target import recipes
from tests.recipes.writing import SERVE, Write


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


@pytest.mark.slow
def test_a_server_is_installed_once_and_used_again(write: Write, cache: Path, package: Path) -> None:
    recipe = write(install={"python": package.name}, command=["{python}", "-m", "tinyserver", "{port}"])
    assert not recipes.is_installed(recipe)
    with ThreadPoolExecutor(2) as pool:  # two that start at once
        first, second = pool.map(recipes.interpreter, [recipe, recipe])
    assert recipes.is_installed(recipe)
    (environment,) = environments(cache)
    assert first == second == environment / "bin" / "python"
    made = environment.stat().st_mtime_ns
    with recipes.running(recipe) as server:
        assert httpx.get(server.url + "/ok").status_code == 200
    assert environment.stat().st_mtime_ns == made

    first.unlink()  # as when the Python behind it was removed
    assert not recipes.is_installed(recipe)
    assert recipes.interpreter(recipe).exists()
    assert environments(cache) == [environment]

    package.write_text(package.read_text("utf-8") + "# other pins\n", "utf-8")
    assert not recipes.is_installed(recipe)


@pytest.mark.slow
def test_an_installation_that_fails_leaves_nothing(write: Write, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text(f"{tmp_path}/none-1.0-py3-none-any.whl\n", "utf-8")
    recipe = write(install={"python": "bad.txt"})
    with pytest.raises(recipes.InstallFailed, match=r"cannot install the server 'tiny': ERROR: ") as caught:
        recipes.interpreter(recipe)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == TargetError.exit_code
    assert environments(cache) == []


@pytest.mark.slow
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


def test_a_cache_that_cannot_be_written_is_named(write: Write, cache: Path, package: Path) -> None:
    cache.parents[1].write_text("a file where the cache should be", "utf-8")
    recipe = write(install={"python": package.name})
    with pytest.raises(recipes.InstallFailed, match=r"cannot install the server 'tiny' in .*cache"):
        recipes.interpreter(recipe)
