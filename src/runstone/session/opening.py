"""Open a session as the user asked: all sources of settings are read and merged once, here.

The command line wins over the environment, that over runstone.toml, that over what is known of the server (by
its recipe, its commands and the profile), that over the defaults of the table of options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import msgspec

from runstone.contracts import load_profile
from runstone.errors import UsageError
from runstone.scenario.progress import Progress
from runstone.session import configuration, evidence, own_agent
from runstone.session.options import NOTHING, Given, Options, given
from runstone.session.session import Reach, Session
from runstone.session.settings import Settings
from runstone.session.sources import TABLE, from_environment, merged
from runstone.target import recipes
from runstone.target.commands import ServerCommands
from runstone.target.control import CommandControl, Control, RecipeControl
from runstone.target.target import Target, checked_url


def open_session(
    asked: Given,
    progress: Progress,
    *,
    defaults: Given = NOTHING,
    reach: Reach | None = None,
    beneath: str = "",
) -> Session:
    """The session that is meant; nothing is started or sent yet. Raises UsageError and MalformedContract.

    `asked`: what the command line sets. `defaults`: what holds for this command where nobody sets it.
    `reach` starts the server of a recipe in another way than the recipe does. `beneath`: the folder below the
    target's own that this command writes to where nobody says where, so that it overwrites no check.
    """
    asked = {**asked, **own_agent.of_words(asked)}
    path = configuration.find(asked.get("config"))
    file = NOTHING if path is None else configuration.load(path)
    environment = from_environment()
    folder: Path | None = asked.get("evidence")
    if folder is not None:
        return Session(_settings_of_evidence(folder, asked, environment, file), progress)
    file = _not_contradicted(file, asked)
    wanted = Options(**merged(asked, environment, file, defaults))
    name = wanted.target_name
    if name is None and not wanted.idle:
        raise UsageError(
            "no target: give --target URL, set RUNSTONE_TARGET, or write one into runstone.toml; "
            "or give --evidence DIR"
        )
    recipe = None if name is None or _is_address(name) else recipes.load(name)
    file = _of_target(file, name, recipe)
    own = NOTHING if recipe is None else _given_by(recipe)
    target = None if name is None else _addressed(name) if recipe is None else recipe.target("")
    settings = _settled(target, asked, environment, file, own, defaults, beneath=beneath)
    if recipe is not None:
        return _session_by_recipe(recipe, settings, progress, reach)
    place = (path or Path(configuration.FILE)).resolve().parent
    return Session(settings, progress, control=_by_commands(settings.server_commands, place))


def _not_contradicted(file: Given, asked: Given) -> Given:
    """What runstone.toml sets, without whom to trust and what to show where the command line sets that."""
    overruled = {"ca_file", "insecure"} if asked.keys() & {"ca_file", "insecure"} else set()
    overruled |= {"client_key"} if "client_cert" in asked else set()
    return {option: value for option, value in file.items() if option not in overruled}


def _settled(target: Target | None, *sources: Given, explored: bool = False, beneath: str = "") -> Settings:
    """The values that hold, and what follows from them."""
    options = Options(**merged(*sources))
    profile = load_profile(options.profile_name)
    commands = options.server_commands
    holds = merged(
        *sources,
        given(capabilities={} if commands is None else commands.capabilities),
        given(capabilities=profile.capabilities),
    )
    name = "judged" if target is None else target.name.replace(":", "-")
    out = Path("reports/out") / name / beneath
    if options.shard is not None:
        out /= f"shard-{options.shard.number}-of-{options.shard.of}"
    follows = {
        "profile": profile,
        "target": None if target is None else _described(target, Options(**holds)),
        "out": options.out or out,
        "explored": explored,
    }
    return Settings(**(holds | follows))


def _settings_of_evidence(folder: Path, asked: Given, *further: Given) -> Settings:
    """Judging again: profile and extent are those of the observation, reports go beside the evidence."""
    manifest = evidence.read_manifest(folder)
    observed = given(
        profile_name=manifest.profile, quick=manifest.quick, patient=manifest.patient, out=folder.parent
    )
    waivers = recipes.waivers_of(manifest.target)
    own = NOTHING if waivers is None else given(waivers=Path(waivers))
    return _settled(None, asked, observed, *further, own, explored=manifest.explored)


def _of_target(file: Given, name: str | None, recipe: recipes.Recipe | None) -> Given:
    """What runstone.toml sets, without what it sets for another target than the one asked for.

    The commands of a server control the one that the file names, and no other; a recipe brings its own.
    """
    its_own = file.get("target_name") in (None, name)
    holding = {"any target"}
    if its_own or recipe is None:
        holding |= {"any address"}
    if its_own and recipe is None:
        holding |= {"its target"}
    return {option: value for option, value in file.items() if TABLE[option].option.holds_for in holding}


def _given_by(recipe: recipes.Recipe) -> Given:
    server = recipe.target("")
    known = given(
        headers=server.headers,
        second_headers=server.second_headers,
        restricted_headers=server.restricted_headers,
        agent=server.agent,
        capabilities=server.declared,
        run_time_limit=server.run_time_limit,
        capacity=recipe.capacity,
        waivers=None if recipe.waivers is None else Path(recipe.waivers),
    )
    return {option: value for option, value in known.items() if value is not None}


def _is_address(name: str) -> bool:
    if "://" in name:
        return True
    return not recipes.is_recipe(name) and (":" in name or "/" in name)


def _addressed(address: str) -> Target:
    url = checked_url(address)
    return Target(name=url.split("://", 1)[1].replace("/", "-"), url=url)


def _described(server: Target, options: Options) -> Target:
    """The server with all that is known of it; a recipe's has its URL once it runs. Raises BadNetwork."""
    options.network.check(server.url)
    return msgspec.structs.replace(
        server,
        url=server.url + options.path_prefix if server.url else "",
        headers=options.headers,
        second_headers=options.second_headers,
        restricted_headers=options.restricted_headers,
        assistants=options.assistants,
        agent=None if options.no_graphs else options.agent,
        without_runs=options.no_graphs,
        declared=options.capabilities,
        run_time_limit=options.run_time_limit,
        network=options.network,
    )


def _session_by_recipe(
    recipe: recipes.Recipe, settings: Settings, progress: Progress, reach: Reach | None
) -> Session:
    named = bool(recipe.profile_option) and settings.profile_name != Options().profile_name
    options = [recipe.profile_option, settings.profile_name] if named else []
    started = _Started(recipe, options, settings.path_prefix)
    return Session(
        settings,
        progress,
        reach=reach or started.reach,
        # Nobody waits for what is to be installed first, only to be told that something else is wrong.
        ahead=started.ahead if reach is None and recipe.at_hand else None,
        control=_by_recipe(recipe, options, settings.path_prefix),
    )


class _Started:
    """The server of a recipe, which is started when it is needed, or ahead of that."""

    def __init__(self, recipe: recipes.Recipe, options: Sequence[str], prefix: str) -> None:
        self._recipe = recipe
        self._options = options
        self._prefix = prefix
        self._up: Callable[[], recipes.Running] | None = None

    @contextmanager
    def ahead(self) -> Iterator[None]:
        with recipes.starting(self._recipe, options=self._options) as self._up:
            yield
        self._up = None

    @contextmanager
    def reach(self, target: Target) -> Iterator[Target]:
        with nullcontext() if self._up else self.ahead():
            assert self._up is not None
            yield msgspec.structs.replace(target, url=self._up().url + self._prefix)


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
