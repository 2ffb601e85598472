"""Install what a server needs, each recipe in folders of its own under the user's cache.

Python packages go into a virtual environment, those of Node.js into a folder with their node_modules.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from runstone.target import cache, npm
from runstone.target.recipes.recipe import NPM_FILES, Install, InstallFailed, Lack, Recipe, UnknownVersion

_KIND: Final = "targets"  # the folder of the cache
_NO_SUCH: Final = re.compile(r"No matching distribution found for ([\w.-]+)==\S+")
_FOUND: Final = re.compile(r"\(from versions: ([^)]*)\)")
_TOLD: Final = 5  # versions; the index has hundreds
_PYTHON_S: Final = 20.0  # for the start of an interpreter
_NPM_S: Final = 420.0  # a server's few hundred packages; 20 s on an idle machine with a near registry


def is_installed(recipe: Recipe) -> bool:
    """Whether `running` can start the server at once, or has to install it first (that takes a minute)."""
    wanted = recipe.install
    if wanted is None:
        return True
    base = base_python(wanted.python_version)
    there = wanted.python is None or (
        base is not None and _interpreter(_environment(recipe.name, wanted, base)).exists()
    )
    return there and (
        wanted.npm is None
        or npm.is_installed(_KIND, recipe.name, Path(wanted.npm), NPM_FILES, wanted.npm_packages)
    )


def node_modules(recipe: Recipe) -> tuple[Path, Path] | None:
    """The Node.js that the recipe runs with and its node_modules, installed if need be; None: it needs none.

    Raises InstallFailed.
    """
    if recipe.install is None or recipe.install.npm is None:
        return None
    source = Path(recipe.install.npm)
    try:
        node = npm.node(source)
        packages = recipe.install.npm_packages
        folder = npm.installed(_KIND, recipe.name, source, NPM_FILES, packages, seconds=_NPM_S)
    except npm.NoSuchVersion as error:
        raise UnknownVersion(f"there is no server {recipe.name!r}: {error}") from None
    except npm.NpmError as error:
        raise InstallFailed(f"cannot install the server {recipe.name!r}: {error}") from None
    return Path(node), folder / "node_modules"


def interpreter(recipe: Recipe) -> Path:
    """The Python that the recipe runs with, its environment installed if need be. Raises InstallFailed."""
    if recipe.install is None or recipe.install.python is None:
        return Path(sys.executable)
    wanted = recipe.install
    base = base_python(wanted.python_version)
    if base is None:
        raise InstallFailed(f"cannot install the server {recipe.name!r}: {lacking_python(recipe)}")
    environment = _environment(recipe.name, wanted, base)
    try:
        cache.make_once(
            environment, _interpreter(environment), lambda making: _install(recipe.name, wanted, base, making)
        )
    except OSError as error:
        raise InstallFailed(f"cannot install the server {recipe.name!r} in {environment}: {error}") from None
    return _interpreter(environment)


def base_python(version: str) -> Path | None:
    """A Python of this version, on PATH or among those of pyenv; '' is the one that runs this."""
    if version in {"", f"{sys.version_info.major}.{sys.version_info.minor}"}:
        return Path(sys.executable)
    on_path = shutil.which(f"python{version}")
    candidates = [] if on_path is None else [Path(on_path)]
    candidates += sorted(_of_pyenv().glob(f"{version}.*/bin/python{version}"), reverse=True)
    return next(filter(_runs, candidates), None)


def lacking_python(recipe: Recipe) -> Lack | None:
    """The Python that the recipe's packages are for, unless it is there."""
    version = "" if recipe.install is None else recipe.install.python_version
    if base_python(version) is not None:
        return None
    return Lack(
        f"it needs Python {version}, and there is no python{version} that runs on PATH or in {_of_pyenv()}",
        f"install it, such as by `uv python install {version}` or `pyenv install {version}`",
    )


def _of_pyenv() -> Path:
    return Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"


@functools.cache
def _runs(python: Path) -> bool:
    """Whether it is more than a shim of pyenv for a version that is not chosen here."""
    try:
        done = subprocess.run([python, "-c", ""], capture_output=True, check=False, timeout=_PYTHON_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _environment(name: str, wanted: Install, base: Path) -> Path:
    """The recipe's folder in the user's cache. Other packages or another Python are another folder."""
    packages = "\n".join(wanted.python_packages).encode()
    pins = packages or Path(wanted.python or "").read_bytes()
    own = base == Path(sys.executable)
    made_by = f"{sys.version}\n{sys.base_prefix}" if own else f"{wanted.python_version}\n{base}"
    return cache.folder(_KIND, name, [made_by.encode(), pins])


def _interpreter(environment: Path) -> Path:
    return environment / "bin" / "python"  # a dead link, when the Python behind it is gone, does not exist


def _install(name: str, wanted: Install, base: Path, environment: Path) -> None:
    """Build the environment.

    Its scripts do not survive being moved (they hold the path that they were made in): recipes call
    {python} -m.
    """
    packages = wanted.python_packages or ["-r", wanted.python or ""]
    pip = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", *packages]
    _step(name, [str(base), "-m", "venv", str(environment)], "is Python's venv module there?")
    _step(name, [str(_interpreter(environment)), *pip], "is the package index within reach?")


def _step(name: str, command: list[str], fix: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if (missing := _NO_SUCH.search(done.stderr)) is not None:
            raise UnknownVersion(_told(name, missing[1], done.stderr))
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in said if line.lower().startswith("error")] or said[-1:]
        raise InstallFailed(f"cannot install the server {name!r}: {' '.join(errors)[:400]} ({fix})")


def _told(name: str, package: str, said: str) -> str:
    """That pip found no such version, with the newest that it found."""
    found = _FOUND.search(said)
    versions = [] if found is None else [each.strip() for each in found[1].split(",")]
    newest = [each for each in versions if each.replace(".", "").isdecimal()][-_TOLD:]
    last = f" (the last are {', '.join(newest)})" if newest else ""
    where = f"pip index versions {package} lists all"
    return f"there is no server {name!r}: {package} has no such version{last}; {where}"
