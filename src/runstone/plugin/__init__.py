"""The pytest plugin: its options; `pytest suites --target URL` judges as `runstone check` does.

`pytest fixtures/scenarios --target URL` plays acceptance scenarios, one test each.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
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

    scenarios = parser.getgroup("runstone-scenarios", "acceptance scenarios")
    scenarios.addoption(
        "--judge-model", metavar="NAME", help="judges rubrics and plays users; or RUNSTONE_JUDGE_MODEL"
    )
    scenarios.addoption(
        "--judge-url",
        metavar="URL",
        help="of its OpenAI API (key: OPENAI_API_KEY); or RUNSTONE_JUDGE_URL",
    )
    scenarios.addoption("--trust-python", action="store_true", help="run the functions that scenarios name")


def _dest(option: Entry) -> str:
    return f"runstone_{option.name}"  # other plugins have an `out` or a `seed` of their own


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(id): this test judges a requirement of the catalogue")
    config.addinivalue_line("markers", "scenario: this test plays an acceptance scenario")
    config.pluginmanager.register(Collecting(), "runstone-collecting")
    if not any(isinstance(plugin, Judging) for plugin in config.pluginmanager.get_plugins()):
        judging = Judging(lambda: _session_from(config), demanding=_names_all_suites(config))
        config.pluginmanager.register(judging, "runstone-judging")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A file of scenarios is a test for each of its cases."""
    if file_path.suffix not in {".yaml", ".yml"}:
        return None
    from runstone.plugin import scenarios  # who judges suites alone need not wait for it

    def open_for(place: str) -> Session:
        session = open_session(_asked(parent.config), _quiet, defaults=given(concurrency=scenarios.AT_ONCE))
        session.settings = replace(session.settings, out=session.settings.out / place)
        return session

    return scenarios.collected(file_path, parent, open_for)


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
