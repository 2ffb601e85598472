"""What a recipe says: a YAML file that tells how a known server is started, and what it can do."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from runstone.contracts.reading import read_yaml
from runstone.errors import RunstoneError, TargetError, UsageError, suggestion
from runstone.locations import locate
from runstone.target.agents import Agent
from runstone.target.target import RunTimeLimit, Target

ServiceName = Literal["postgresql", "redis"]

_OF_NPM: Final = ("node", "modules")  # placeholders that need `install.npm`
_OF_SERVICES: Final = "password"  # a placeholder that needs `services`
_PLACEHOLDERS: Final = (
    *("python", "port", "workdir", "graphs", "fixtures"),
    *_OF_NPM,
    *get_args(ServiceName),
    _OF_SERVICES,
)
_FILE: Final = ".yaml"

NPM_FILES: Final = ("package.json", "package-lock.json")  # what `install.npm` must hold
_ASKED_FOR: Final = "{version}"
_VERSION: Final = re.compile(r"\d[\w.+!-]*", re.ASCII)


class RecipeError(RunstoneError):
    """A recipe cannot be used, or what it starts does not run."""


class UnknownRecipe(RecipeError, UsageError):  # noqa: N818 - errors here are named as what they report
    """There is no recipe of that name."""


class UnknownVersion(RecipeError, UsageError):  # noqa: N818
    """The recipe's server cannot be had in that version."""


class BadRecipe(RecipeError, UsageError):  # noqa: N818
    """The recipe's file does not say what a recipe must say."""


class PortTaken(RecipeError, UsageError):  # noqa: N818
    """The port that the user asked for is in use."""


class InstallFailed(RecipeError, TargetError):  # noqa: N818
    """The server's packages cannot be installed."""


class StartFailed(RecipeError, TargetError):  # noqa: N818
    """The server's process cannot be started, died, or never became ready."""


class StopFailed(RecipeError):  # noqa: N818
    """A process of the server outlived SIGKILL."""


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that a recipe needs, this machine has not, and Runstone does not install; how to get it."""

    told: str
    fix: str

    def __str__(self) -> str:
        return f"{self.told}; {self.fix}"


class Versions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the server is had in another version than the pinned one: `NAME@VERSION`.

    `python`: what pip is asked for instead of the pinned requirements; `npm`: packages of package.json and
    the version that each is to have. {version} stands for the one that is asked for. What else the server
    needs is what its packages demand on the day when it is installed. `env`: beside the recipe's own.
    `waivers`: files next to the recipe, by the version whose known failures they name.
    """

    pinned: str
    python: tuple[str, ...] = ()
    npm: dict[str, str] = {}
    env: dict[str, str] = {}
    waivers: dict[str, str] = {}


class Install(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the server needs, in Python, in Node.js or in both.

    `python`: a file of pinned requirements next to the recipe; `python_version`: the one that they are for,
    such as 3.12 (default: that of Runstone). `npm`: a folder, relative to the recipe, with package.json and
    package-lock.json. `version`: another one than `versions.pinned`, by `NAME@VERSION`.
    """

    python: str | None = None
    python_version: str = ""
    npm: str | None = None
    versions: Versions | None = None
    version: str = ""

    @property
    def python_packages(self) -> list[str]:
        """What pip is asked for instead of the requirements; empty for the pinned version."""
        asked = self.versions.python if self.versions is not None and self.version else ()
        return [each.replace(_ASKED_FOR, self.version) for each in asked]

    @property
    def npm_packages(self) -> dict[str, str]:
        """The packages that have another version than in package.json; empty for the pinned version."""
        asked = self.versions.npm if self.versions is not None and self.version else {}
        return {name: version.replace(_ASKED_FOR, self.version) for name, version in asked.items()}


class Ready(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the server is up: `path` answers 200 and its output holds `says`, within `timeout_s` seconds.

    `says` is the URL as the server prints it. Without it, a server that moves to another port by itself could
    not be told from whoever answers on the port that was asked for.
    """

    path: str = "/ok"
    says: str = ""
    timeout_s: float = 60.0


class MoreRuns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How servers of this kind are made to execute more runs at a time, whoever started them.

    `member`: of GET /info, which only they have. `how`: what to give them, for `capacity` runs at a time.
    """

    member: str
    how: str
    capacity: int


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to start a known server, and what it can do.

    `command`, `env` and `ready.says` may hold {python} (that of `install`, else this one), {port}, {workdir},
    {fixtures} and {graphs} (fixtures/graphs); with `install.npm` also {node} and {modules}, the installed
    node_modules, to which the working folder has a link of that name. `services`: databases that the server
    needs, started for it alone; each has a placeholder for its port, {postgresql} or {redis}, and all ask for
    the {password}, PostgreSQL for its user and database `postgres`. `copy` names a folder of the fixtures,
    or several, whose content is copied to the working folder: of files of one name the last counts, and what
    each langgraph.json names counts together. `waivers` and `install` name files and folders
    next to the recipe; absolute once loaded.
    `headers`, `second_headers` and `restricted_headers` are the credentials of two users and of one who may
    only read. `agent`: the assistant that stands in for the conformance graphs, where the server does not
    serve them. `restartable`: its data outlive a restart and a kill; `capabilities: {kill: false}` beside it
    says that they outlive the restart only. `capacity`: how many runs the server of `command` executes
    at once; it is measured where nothing is said.
    """

    name: str
    description: str
    command: list[str]
    env: dict[str, str] = {}
    install: Install | None = None
    services: tuple[ServiceName, ...] = ()
    copy: str | list[str] | None = None
    ready: Ready = Ready()
    capabilities: dict[str, bool] = {}
    run_time_limit: RunTimeLimit | None = None
    profile_option: str = ""  # the option by which the command takes a profile's name
    headers: dict[str, str] = {}
    second_headers: dict[str, str] = {}
    restricted_headers: dict[str, str] = {}
    agent: Agent | None = None
    restartable: bool = False
    waivers: str | None = None
    capacity: int | None = None
    more_runs: MoreRuns | None = None

    @property
    def at_hand(self) -> bool:
        """Whether it needs nothing but this installation."""
        return self.install is None and not self.services

    def target(self, url: str) -> Target:
        """The server as a target, once it runs at `url`."""
        controls = dict.fromkeys(("restart", "kill"), True) if self.restartable else {}
        return Target(
            name=self.name,
            url=url,
            headers=self.headers,
            second_headers=self.second_headers,
            restricted_headers=self.restricted_headers,
            agent=self.agent,
            declared={**controls, **self.capabilities},
            run_time_limit=self.run_time_limit,
        )


def names() -> list[str]:
    """The built-in recipes, sorted."""
    return sorted(path.stem for path in locate("fixtures/targets").glob("*.yaml") if "." not in path.stem)


def is_recipe(text: str) -> bool:
    """Whether this names a recipe: NAME or FILE.yaml, with @VERSION or without."""
    name, _ = _parted(text)
    return "://" not in text and (name in names() or name.endswith(_FILE))


def load(name_or_path: str) -> Recipe:
    """Read a built-in recipe by its name, or any by the path of its file (it ends in .yaml).

    With `@VERSION` behind it, of that version of the server. Raises UnknownRecipe, UnknownVersion, BadRecipe.
    """
    name, version = _parted(name_or_path)
    path = Path(name)
    if path.suffix != _FILE:
        if name not in names():
            hint = suggestion(name, names())
            raise UnknownRecipe(f"no recipe {name!r}{hint} (there are: {', '.join(names())})")
        path = locate(f"fixtures/targets/{name}{_FILE}")
    if not path.exists():
        raise UnknownRecipe(f"cannot read the recipe {path}: No such file; there are {', '.join(names())}")
    return _of_version(_resolved(read_yaml(path, Recipe, BadRecipe), path.resolve()), version)


def waivers_of(target: str) -> str | None:
    """The file of the known failures of a built-in recipe, by its name or NAME@VERSION; None for no file."""
    return load(target).waivers if _parted(target)[0] in names() else None


def _parted(text: str) -> tuple[str, str | None]:
    """Name or path, and the version behind an @; None where there is none."""
    name, at, version = text.rpartition("@")
    return (name, version) if at and "/" not in version and not version.endswith(_FILE) else (text, None)


def _of_version(recipe: Recipe, version: str | None) -> Recipe:
    """The recipe of this version of its server; the waivers of the pinned one hold for that one only."""
    if version is None:
        return recipe
    install = recipe.install
    versions = None if install is None else install.versions
    if install is None or versions is None:
        raise UnknownVersion(f"the recipe {recipe.name!r} takes no version; leave out @{version}")
    if not _VERSION.fullmatch(version):
        like = f"{recipe.name}@{versions.pinned}"
        raise UnknownVersion(f"{recipe.name}@{version} names no version; write one like {like}")
    if version == versions.pinned:
        return recipe
    install = msgspec.structs.replace(install, version=version)
    return msgspec.structs.replace(
        recipe,
        name=f"{recipe.name}@{version}",
        install=install,
        env={**recipe.env, **versions.env},
        waivers=versions.waivers.get(version),
    )


def more_runs(members: Collection[str]) -> MoreRuns | None:
    """How the server gets more workers whose GET /info has these members; None where no recipe tells."""
    paths = (locate(f"fixtures/targets/{name}.yaml") for name in names())
    told = (read_yaml(path, Recipe, BadRecipe).more_runs for path in paths)
    return next((each for each in told if each is not None and each.member in members), None)


def _resolved(recipe: Recipe, path: Path) -> Recipe:
    """The recipe with its files found and its placeholders checked."""
    if not recipe.command:
        raise BadRecipe(f"{path}: command is empty")
    if recipe.install is not None and recipe.install.python is recipe.install.npm is None:
        raise BadRecipe(f"{path}: install names neither python nor npm")
    _check_placeholders(recipe, path)

    def beside(name: str) -> str:
        if not (path.parent / name).is_file():
            raise BadRecipe(f"{path} names {name}, which is not next to it")
        return str((path.parent / name).resolve())

    if recipe.waivers is not None:
        recipe = msgspec.structs.replace(recipe, waivers=beside(recipe.waivers))
    if recipe.install is not None:
        recipe = msgspec.structs.replace(recipe, install=_found(recipe.install, path, beside))
    return recipe


def _check_placeholders(recipe: Recipe, path: Path) -> None:
    """Demand that each stands for something that the recipe has. Raises BadRecipe."""
    install = recipe.install
    needs = {name: "install: {npm: FOLDER}" for name in _OF_NPM if install is None or install.npm is None}
    needs |= {name: f"services: [{name}]" for name in get_args(ServiceName) if name not in recipe.services}
    needs |= {} if recipe.services else {_OF_SERVICES: "services"}
    others = None if install is None else install.versions
    further = others.env.values() if others is not None else ()
    for text in (*recipe.command, *recipe.env.values(), *further, recipe.ready.says):
        try:
            used = {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}
        except ValueError as error:
            raise BadRecipe(f"{path}: {text!r} has a stray brace ({error}); write {{{{ or }}}}") from None
        if homeless := used.intersection(needs):
            raise BadRecipe(f"{path}: {{{min(homeless)}}} needs {needs[min(homeless)]}")
        if unknown := used.difference(_PLACEHOLDERS):
            known = ", ".join(f"{{{name}}}" for name in _PLACEHOLDERS)
            raise BadRecipe(f"{path}: {{{min(unknown)}}} is not a placeholder; there are {known}")


def _found(install: Install, path: Path, beside: Callable[[str], str]) -> Install:
    """What is to be installed, absolute."""
    if (problem := _problem(install)) is not None:
        raise BadRecipe(f"{path}: {problem}")
    if install.npm is not None:
        for file in NPM_FILES:
            beside(f"{install.npm}/{file}")
    if (versions := install.versions) is not None:
        files = {version: beside(file) for version, file in versions.waivers.items()}
        install = msgspec.structs.replace(install, versions=msgspec.structs.replace(versions, waivers=files))
    return msgspec.structs.replace(
        install,
        python=beside(install.python) if install.python is not None else None,
        npm=str((path.parent / install.npm).resolve()) if install.npm is not None else None,
    )


def _problem(install: Install) -> str | None:
    """What cannot be meant of other versions; None for nothing."""
    versions = install.versions
    if install.python_version and install.python is None:
        return "install.python_version needs install.python"
    if versions is None:
        return "install.version needs install.versions" if install.version else None
    for kind, words in (("python", versions.python), ("npm", tuple(versions.npm.values()))):
        pinned = install.python if kind == "python" else install.npm
        if (pinned is None) != (not words):
            return f"install.versions.{kind} says how install.{kind} is had otherwise: give both or none"
        if words and not any(_ASKED_FOR in each for each in words):
            return f"install.versions.{kind} never says {_ASKED_FOR}"
    return None
