"""The pytest plugin: its options; `pytest suites --target URL` judges as `runstone check` does."""

from __future__ import annotations

from typing import Any

import pytest

from runstone.errors import RunstoneError
from runstone.judge.hooks import Judging
from runstone.judge.items import Collecting
from runstone.locations import locate
from runstone.scenario.progress import Told
from runstone.session.opening import open_session
from runstone.session.options import Given, given
from runstone.session.session import Session
from runstone.session.sources import Entry, from_command_line, merged, options_of


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("runstone", "conformance of a server that speaks the LangGraph run API")
    for each in options_of("pytest"):
        words: dict[str, Any] = {"dest": _dest(each), "default": None, "help": each.help.replace("%", "%%")}
        if each.is_flag:
            group.addoption(each.option.flag, action="store_true", **words)
        else:
            action = "append" if each.multiple else "store"
            group.addoption(each.option.flag, action=action, metavar=each.metavar, **words)
        if each.negative_flag:
            words["help"] = f"not {each.option.flag}, whatever runstone.toml sets"
            group.addoption(each.negative_flag, action="store_false", **words)


def _dest(option: Entry) -> str:
    return f"runstone_{option.name}"  # other plugins have an `out` or a `seed` of their own


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(id): this test judges a requirement of the catalogue")
    config.pluginmanager.register(Collecting(), "runstone-collecting")
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


def _asked(config: pytest.Config) -> Given:
    values = {each.parameter: getattr(config.option, _dest(each)) for each in options_of("pytest")}
    return merged(from_command_line(values, "pytest"), given(idle=config.option.collectonly))
