"""What of this machine a check may need: what is there, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

import platformdirs

import runstone
from runstone.locations import locate
from runstone.target import npm, recipes

Standing = Literal["ok", "missing", "later"]  # later: it is installed when it is first needed

_EXTRAS: Final = {
    "embedded": "the reference runtime: `runstone serve`, and the recipe embedded",
    "clients": "the official Python clients, for area sdk",
    "fuzz": "areas explore and fuzz",
    "signoff-keyless": "`signoff --keyless`",
}
_PARTS: Final = ("contracts", "suites", "fixtures", "reports/templates")
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "firefox")
_EXTRA: Final = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing. `fix`: how to get it, where it is missing."""

    what: str
    standing: Standing
    detail: str
    fix: str = ""


def examine() -> Iterator[Finding]:
    """Everything that a check may need, the most general first."""
    yield Finding("runstone", "ok", f"{runstone.__version__} in {Path(runstone.__file__).parent}")
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable} ({platform.system()})")
    for part in _PARTS:
        yield Finding(part, "ok", str(locate(part)))
    for extra, use in _EXTRAS.items():
        yield _extra(extra, use)
    yield _node()
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    told = browser or "none on PATH"
    yield Finding(
        "browser", "ok" if browser else "missing", told, "" if browser else "reports need any browser"
    )
    yield _cache()
    for name in recipes.names():
        yield _recipe(name)


def _extra(extra: str, use: str) -> Finding:
    lacking = [name for name in _packages_of(extra) if not _is_installed(name)]
    if not lacking:
        return Finding(f"extra {extra}", "ok", use)
    detail = f"{use}; lacks {', '.join(lacking)}"
    return Finding(f"extra {extra}", "missing", detail, f"pip install 'runstone[{extra}]'")


def _packages_of(extra: str) -> list[str]:
    """The packages of an extra, as the installed Runstone names them; none where it is not installed."""
    try:
        required = metadata.requires("runstone") or []
    except metadata.PackageNotFoundError:
        return []
    lines = (line.partition(";") for line in required)
    of_it = (name for name, _, marker in lines if (found := _EXTRA.search(marker)) and found[1] == extra)
    return sorted({found[0] for name in of_it if (found := _NAME.match(name)) and found[0] != "runstone"})


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return package == "tzdata" and sys.platform != "win32"  # the system brings the timezones
    return True


def _node() -> Finding:
    use = "the recipe langgraph-js and the official JavaScript client"
    try:
        found = npm.node(locate("fixtures/clients/javascript"))
    except npm.NpmError as error:
        return Finding(
            "node", "missing", f"{error}; for {use}", "install Node.js 20 or newer, with npm, on PATH"
        )
    return Finding("node", "ok", f"{found}, for {use}")


def _cache() -> Finding:
    folder = platformdirs.user_cache_path("runstone")
    place = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    if os.access(place, os.W_OK):
        return Finding("cache", "ok", str(folder))
    return Finding(
        "cache", "missing", f"{place} cannot be written to", "point XDG_CACHE_HOME at a folder of yours"
    )


def _recipe(name: str) -> Finding:
    recipe = recipes.load(name)
    if lacks := recipes.lacks(recipe):
        told = "; ".join(each.told for each in lacks)
        fixes = "; ".join(each.fix for each in lacks)
        return Finding(f"recipe {name}", "missing", f"{recipe.description}; {told}", fixes)
    if recipe.install is None:
        return Finding(f"recipe {name}", "ok", recipe.description)
    if recipes.is_installed(recipe):
        return Finding(f"recipe {name}", "ok", f"{recipe.description}; installed")
    version = f" for Python {recipe.install.python_version}" if recipe.install.python_version else ""
    needs = [
        kind
        for kind, given in (
            (f"Python packages{version}", recipe.install.python),
            ("Node.js", recipe.install.npm),
        )
        if given
    ]
    detail = f"{recipe.description}; needs {' and '.join(needs)}, installed at its first use"
    return Finding(f"recipe {name}", "later", detail, f"runstone check {name}")
