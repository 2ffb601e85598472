"""Open a session as the user asked: the command line wins over the environment, that over runstone.toml."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from runstone.contracts import Profile, load_profile
from runstone.errors import UsageError
from runstone.session import configuration, evidence
from runstone.session.configuration import Configuration
from runstone.session.session import Progress, Reach, Session, Settings
from runstone.target import recipes
from runstone.target.control import CommandControl, Control, RecipeControl, ServerCommands
from runstone.target.target import Target, checked_url, parsed_headers
from runstone.verdict.model import FailOn
from runstone.wire.network import Network

_CONCURRENCY = 16
# In a quick run no long silence hides the others: 24 took 7.2 s on two cores, 16 took 8.2 s, 32 took 7.8 s.
_QUICK_CONCURRENCY = 24
_STANDARD_PROFILE = "langgraph"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says; None and empty where it says nothing.

    `headers` and `second_headers` are lines `Name: value`. `default_target` is taken when nobody names one;
    `idle`: nothing will be observed, so that no target is needed.
    """

    target: str | None = None
    default_target: str | None = None
    evidence: Path | None = None
    config: Path | None = None
    profile: str | None = None
    headers: Sequence[str] = ()
    second_headers: Sequence[str] = ()
    network: Network = Network()
    quick: bool = False
    patient: bool = False
    concurrency: int | None = None
    budget_s: float | None = None
    seed: int = 0
    fail_on: FailOn | None = None
    areas: Sequence[str] = ()
    select: Sequence[str] = ()
    waivers: Path | None = None
    out: Path | None = None
    insist_on_fitness: bool = True
    bare_report: bool = False
    idle: bool = False


def open_session(asked: Asked, progress: Progress, *, reach: Reach | None = None) -> Session:
    """The session that is meant; nothing is started or sent yet. Raises UsageError and MalformedContract.

    `reach` starts the server of a recipe in another way than the recipe does.
    """
    path = configuration.find(asked.config)
    file = Configuration() if path is None else configuration.load(path)
    if asked.evidence is not None:
        return Session(_settings_of_evidence(asked, file, asked.evidence), progress)
    name = asked.target or os.environ.get("RUNSTONE_TARGET") or file.target or asked.default_target
    if name is None and not asked.idle:
        raise UsageError(
            "no target: give --target URL, set RUNSTONE_TARGET, or write one into runstone.toml; "
            "or give --evidence DIR"
        )
    profile = _profile(asked, file)
    if name is None:
        return Session(_settings(asked, file, profile, None, None), progress)
    described_here = name == file.target or file.target is None
    if not _is_address(name):
        recipe = recipes.load(name)
        known = file if described_here else _without_server(file)
        return _session_by_recipe(recipe, asked, known, progress, reach)
    # The commands control the server that the file names, and no other.
    commands = file.server if described_here else None
    target = _described(_addressed(name), asked, file, profile, commands.capabilities if commands else {})
    return Session(
        _settings(asked, file, profile, target, None),
        progress,
        control=_by_commands(commands, (path or Path(configuration.FILE)).resolve().parent),
    )


def _session_by_recipe(
    recipe: recipes.Recipe, asked: Asked, file: Configuration, progress: Progress, reach: Reach | None
) -> Session:
    profile = _profile(asked, file)
    options = [recipe.profile_option, profile.name] if _takes_profile(recipe, profile) else []
    target = _described(recipe.target(""), asked, file, profile, {})  # its URL is known once it runs
    return Session(
        _settings(asked, file, profile, target, recipe.waivers),
        progress,
        reach=reach or _by_starting(recipe, options, file.path_prefix),
        control=_by_recipe(recipe, options, file.path_prefix),
    )


def _without_server(file: Configuration) -> Configuration:
    """What the file says of the run, without what it says of a server that is not the one asked for."""
    return Configuration(
        profile=file.profile, limits=file.limits, waivers=file.waivers, fail_on=file.fail_on, out=file.out
    )


def _profile(asked: Asked, file: Configuration) -> Profile:
    name = asked.profile or os.environ.get("RUNSTONE_PROFILE") or file.profile
    return load_profile(name or _STANDARD_PROFILE)


def _is_address(name: str) -> bool:
    if "://" in name:
        return True
    recipe = name in recipes.names() or name.endswith(".yaml")
    return not recipe and (":" in name or "/" in name)


def _addressed(address: str) -> Target:
    url = checked_url(address)
    return Target(name=url.split("://", 1)[1].replace("/", "-"), url=url)


def _described(
    server: Target, asked: Asked, file: Configuration, profile: Profile, controls: Mapping[str, bool]
) -> Target:
    """The server with all that the user says of it."""
    second = _merged(
        server.second_headers,
        file.identity("second_identity"),
        _header_lines("RUNSTONE_SECOND_HEADERS", asked.second_headers),
    )
    return msgspec.structs.replace(
        server,
        url=server.url + file.path_prefix if server.url else "",
        headers=_merged(server.headers, file.headers, _header_lines("RUNSTONE_HEADERS", asked.headers)),
        second_headers=second,
        restricted_headers=_merged(server.restricted_headers, file.identity("restricted_identity")),
        assistants=file.assistants,
        agent=file.agent or server.agent,
        declared={**profile.capabilities, **server.declared, **controls, **file.capabilities},
        run_time_limit=file.run_time_limit or server.run_time_limit,
        network=_network(asked.network, file.network, server.url),
    )


def _network(asked: Network, file: Network, url: str) -> Network:
    """The command line wins; where it says whom to trust or what to show, the file says nothing of that.

    Raises BadNetwork.
    """
    said = {name: value for name, value in msgspec.structs.asdict(asked).items() if value}
    trusting = {"ca_file": None, "insecure": False} if asked.ca_file or asked.insecure else {}
    showing = {"client_key": None} if asked.client_cert else {}
    network = msgspec.structs.replace(file, **{**trusting, **showing, **said})
    network.check(url)
    return network


def _header_lines(variable: str, lines: Sequence[str]) -> dict[str, str]:
    return parsed_headers([*os.environ.get(variable, "").splitlines(), *lines])


def _merged(*headers: Mapping[str, str]) -> dict[str, str]:
    """The later ones win, however the letters of a name are written."""
    found: dict[str, tuple[str, str]] = {}
    for each in headers:
        found |= {name.lower(): (name, value) for name, value in each.items()}
    return dict(found.values())


def _settings(
    asked: Asked, file: Configuration, profile: Profile, target: Target | None, own_waivers: str | None
) -> Settings:
    name = "judged" if target is None else target.name.replace(":", "-")
    return Settings(
        profile=profile,
        target=target,
        out=asked.out or _path(file.out) or Path("reports/out") / name,
        concurrency=asked.concurrency or file.limits.concurrency or _concurrency(asked.quick),
        budget_s=asked.budget_s or file.limits.budget_s,
        seed=asked.seed,
        quick=asked.quick,
        patient=asked.patient,
        fail_on=asked.fail_on or file.fail_on or "must",
        areas=tuple(asked.areas),
        select=tuple(asked.select),
        waivers=asked.waivers or _path(file.waivers or own_waivers),
        insist_on_fitness=asked.insist_on_fitness,
        bare_report=asked.bare_report,
        limits=file.limits.given(),
    )


def _settings_of_evidence(asked: Asked, file: Configuration, folder: Path) -> Settings:
    """Judging again: profile and extent are those of the observation, reports go beside the evidence."""
    manifest = evidence.read_manifest(folder)
    recipe = recipes.load(manifest.target) if manifest.target in recipes.names() else None
    return Settings(
        profile=load_profile(asked.profile or manifest.profile),
        evidence=folder,
        out=asked.out or folder.parent,
        quick=manifest.quick or asked.quick,
        patient=manifest.patient,
        explored=manifest.explored,
        fail_on=asked.fail_on or file.fail_on or "must",
        areas=tuple(asked.areas),
        select=tuple(asked.select),
        waivers=asked.waivers or _path(file.waivers or (recipe.waivers if recipe else None)),
    )


def _concurrency(quick: bool) -> int:
    return _QUICK_CONCURRENCY if quick else _CONCURRENCY


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


def _takes_profile(recipe: recipes.Recipe, profile: Profile) -> bool:
    return bool(recipe.profile_option) and profile.name != _STANDARD_PROFILE


def _by_starting(
    recipe: recipes.Recipe, options: Sequence[str], prefix: str
) -> Callable[[Target], AbstractContextManager[Target]]:
    @contextmanager
    def reach(target: Target) -> Iterator[Target]:
        with recipes.running(recipe, options=options) as server:
            yield msgspec.structs.replace(target, url=server.url + prefix)

    return reach


def _by_commands(commands: ServerCommands | None, folder: Path) -> Callable[[Target], Control] | None:
    if commands is None:
        return None
    return lambda target: CommandControl(commands, target.url, folder, target.network)


def _by_recipe(
    recipe: recipes.Recipe, options: Sequence[str], prefix: str
) -> Callable[[Target], Control] | None:
    if not recipe.restartable:
        return None
    return lambda _: RecipeControl(recipe, options=options, path_prefix=prefix)
