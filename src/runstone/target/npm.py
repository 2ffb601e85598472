"""Programs that need Node.js: where it is, and their npm packages, installed once into the user's cache."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runstone.errors import RunstoneError
from runstone.target import cache
from runstone.wire.exchange import excerpt

_OLDEST: Final = 18  # the first with fetch; a package.json that says `engines` may ask for a newer one
_VERSION_S: Final = 10.0
_FETCH_MS: Final = 15_000  # for one package; npm's own five minutes would stop a machine without a network
# Nothing that a package brings along is run while it is installed. Peer dependencies are those of the lock
# file: npm's own search for them does not end with the packages of LangGraph.
_OPTIONS: Final = (
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--legacy-peer-deps",
    "--prefer-offline",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
    f"--fetch-timeout={_FETCH_MS}",
)
_QUIET: Final = {"npm_config_loglevel": "error", "npm_config_update_notifier": "false"}
_NO_SUCH: Final = re.compile(r"No matching version found for (\S+)@([^\s@]+?)\.?\s")
_AS_LOCKED: Final[Mapping[str, str]] = {}
_FIXES: Final = {
    "ENOSPC": "the disk is full: make room there, or point XDG_CACHE_HOME at a disk with more",
    "EACCES": "may this user write npm's own cache, and ours?",
    "EUSAGE": "package.json and package-lock.json do not belong together: write the lock file again",
    "EINTEGRITY": "a package is not what the lock file says; run: npm cache verify",
}


class NpmError(RunstoneError):
    """Node.js is missing or too old, or npm cannot install what is asked for."""


class NoSuchVersion(NpmError):  # noqa: N818 - named as what it reports
    """A package is not to be had in the version that is asked for."""


def node(source: Path) -> str:
    """The path of the Node.js that the package in the folder `source` runs with. Raises NpmError."""
    oldest = _oldest(source)
    found = _on_path("node", oldest)
    _version(found, oldest)
    return found


def is_installed(
    kind: str,
    name: str,
    source: Path,
    files: tuple[str, ...] | None = None,
    versions: Mapping[str, str] = _AS_LOCKED,
) -> bool:
    """Whether `installed` would answer at once; the arguments are its own."""
    try:
        return _folder(kind, name, source, _carried(source, files), versions).exists()
    except NpmError:
        return False


def installed(
    kind: str,
    name: str,
    source: Path,
    files: tuple[str, ...] | None = None,
    versions: Mapping[str, str] = _AS_LOCKED,
    *,
    seconds: float,
) -> Path:
    """A folder in the user's cache with the files of `source` and, beside them, their node_modules.

    `source` holds package.json and package-lock.json; `files` are those of its files that are needed
    (default: all, without folders). Other files or another Node.js are another folder, named after `kind`
    (clients, targets) and `name`. `versions`: packages that have another version than package.json says; then
    npm decides what they need, as the lock file does not know. npm gets `seconds`. Raises NpmError, of which
    NoSuchVersion is one; a half-made folder is never answered.
    """
    npm = _on_path("npm", _oldest(source))
    carried = _carried(source, files)
    folder = _folder(kind, name, source, carried, versions)

    def make(making: Path) -> None:
        for path in carried:
            shutil.copy(path, making)
        if versions:
            _ask_for(making, versions)
        command = ["install", "--no-package-lock"] if versions else ["ci"]
        _output([npm, *command, "--prefix", str(making), *_OPTIONS], _QUIET, seconds)

    try:
        cache.make_once(folder, folder, make)
    except OSError as error:
        raise NpmError(f"cannot install it in {folder}: {error}") from None
    return folder


def _carried(source: Path, files: tuple[str, ...] | None) -> list[Path]:
    named = source.iterdir() if files is None else (source / name for name in files)
    return sorted(path for path in named if path.is_file())


def _oldest(source: Path) -> int:
    """The oldest major version that the package takes."""
    try:
        asked = json.loads((source / "package.json").read_text("utf-8")).get("engines", {}).get("node", "")
    except (OSError, ValueError, AttributeError) as error:
        raise NpmError(f"cannot read {source / 'package.json'}: {error}") from None
    number = re.search(r">=\s*(\d+)", str(asked))
    return max(_OLDEST, int(number[1])) if number is not None else _OLDEST


def _on_path(name: str, oldest: int) -> str:
    found = shutil.which(name)
    if found is None:
        raise NpmError(f"{name} is not on PATH; install Node.js {oldest} or newer, with npm")
    return found


@functools.cache
def _version(node: str, oldest: int) -> str:
    said = _output([node, "--version"], {}, _VERSION_S).strip()
    major = re.match(r"v(\d+)\.", said)
    if major is None or int(major[1]) < oldest:
        raise NpmError(f"Node.js {oldest} or newer is needed, got {excerpt(said)}")
    return said


def _ask_for(folder: Path, versions: Mapping[str, str]) -> None:
    """Let the package.json of a folder ask for these versions, and forget what was locked."""
    path = folder / "package.json"
    package = json.loads(path.read_text("utf-8"))
    package["dependencies"] |= versions
    path.write_text(json.dumps(package), "utf-8")
    (folder / "package-lock.json").unlink(missing_ok=True)


def _folder(kind: str, name: str, source: Path, carried: list[Path], versions: Mapping[str, str]) -> Path:
    oldest = _oldest(source)
    asked = [json.dumps(versions, sort_keys=True).encode()] if versions else []
    files = [f"{path.name}\n".encode() + path.read_bytes() for path in carried]
    return cache.folder(kind, name, [_version(_on_path("node", oldest), oldest).encode(), *files, *asked])


def _output(command: list[str], env: Mapping[str, str], seconds: float) -> str:
    """What a command prints. Raises NpmError when it fails or takes too long."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **env},
        )
    except subprocess.TimeoutExpired:
        raise NpmError(
            f"{name} did not end within {seconds:.0f} s (is its registry in reach? Try again)"
        ) from None
    except OSError as error:
        raise NpmError(f"cannot start {name}: {error.strerror}") from None
    if done.returncode < 0:
        killer = signal.Signals(-done.returncode).name
        raise NpmError(f"{name} was killed by {killer} (is there enough memory?); nothing is kept, try again")
    if done.returncode != 0:
        said = done.stderr or done.stdout or f"exit code {done.returncode}"
        if (missing := _NO_SUCH.search(said)) is not None:
            raise NoSuchVersion(
                f"{missing[1]} has no version {missing[2]}; npm view {missing[1]} versions lists all"
            )
        errors = [line for line in said.splitlines() if "error" in line.lower()] or [said]
        code = next((code for code in _FIXES if code in said), None)
        fix = _FIXES[code] if code is not None else "is its registry in reach?"
        raise NpmError(f"{name} failed: {excerpt(errors[0])} ({fix})")
    return done.stdout
