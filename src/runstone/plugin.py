"""The pytest plugin: options and fixtures; `pytest suites --target URL` judges as `runstone check` does."""

from __future__ import annotations

from typing import Any

import pytest

from runstone.contracts import Profile
from runstone.errors import RunstoneError
from runstone.judge.hooks import JUDGING, Judging
from runstone.locations import locate
from runstone.scenario.progress import Told
from runstone.session.opening import open_session
from runstone.session.options import Said, said
from runstone.session.session import Session
from runstone.session.sources import Entry, merged, of_command_line, taken_by
from runstone.wire.trace import Trace


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("runstone", "conformance of a server that speaks the LangGraph run API")
    for each in taken_by("pytest"):
        words: dict[str, Any] = {"dest": _dest(each), "default": None, "help": each.help.replace("%", "%%")}
        if each.switch:
            group.addoption(each.option.flag, action="store_const", const=not each.default, **words)
        else:
            action = "append" if each.repeated else "store"
            group.addoption(each.option.flag, action=action, metavar=each.metavar, **words)
        if each.no_flag:
            words["help"] = f"not {each.option.flag}, whatever runstone.toml says"
            group.addoption(each.no_flag, action="store_const", const=each.default, **words)


def _dest(option: Entry) -> str:
    return f"runstone_{option.name}"  # other plugins have an `out` or a `seed` of their own


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(id): this test judges a requirement of the catalogue")
    config.addinivalue_line("markers", "needs(*capabilities): this case applies only to targets with them")
    if not any(isinstance(plugin, Judging) for plugin in config.pluginmanager.get_plugins()):
        judging = Judging(lambda: _session_from(config), demanding=_names_all_suites(config))
        config.pluginmanager.register(judging, "runstone-judging")


def _names_all_suites(config: pytest.Config) -> bool:
    """Whether pytest was given the folder of Runstone's suites, and not only some files of it."""
    given = [(config.invocation_params.dir / word).resolve() for word in config.args]
    return any(locate("suites").is_relative_to(path) for path in given)


def _session_from(config: pytest.Config) -> Session:
    """The session of a plain `pytest suites`; where there is none, pytest ends with one line and our code."""
    try:
        return open_session(_asked(config), _quiet)
    except RunstoneError as error:
        pytest.exit(str(error), returncode=error.exit_code)


def _quiet(_: Told) -> None:
    """Plain pytest shows its own progress."""


def _asked(config: pytest.Config) -> Said:
    values = {each.parameter: getattr(config.option, _dest(each)) for each in taken_by("pytest")}
    return merged(of_command_line(values, "pytest"), said(idle=config.option.collectonly))


@pytest.fixture(scope="session")
def runstone_session(pytestconfig: pytest.Config) -> Session:
    """The session that holds the traces; scenarios' fixtures take theirs from it."""
    return pytestconfig.stash[JUDGING].session


@pytest.fixture(scope="session")
def profile(runstone_session: Session) -> Profile:
    """The profile in force: where a wait's body carries values, error and interrupts."""
    return runstone_session.settings.profile


@pytest.fixture(scope="session")
def traces(runstone_session: Session) -> list[Trace]:
    """Every trace of the session, for monitors; by name, so that evidence judged again reads alike."""
    seen = sorted(runstone_session.seen().items())
    return [trace for _, trace in seen if not trace.cut_short]
