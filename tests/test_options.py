"""The table of options: each option is defined once, and means the same wherever it is set."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import get_args

import click
import pytest
from msgspec import inspect

from runstone.cli import cli
from runstone.errors import UsageError
from runstone.scenario.api import Api
from runstone.scenario.scenario import Scenario, Schedule
from runstone.session import configuration
from runstone.session.opening import open_session
from runstone.session.option import Command
from runstone.session.options import Given, Options, given
from runstone.session.settings import Settings
from runstone.session.sources import TABLE, Entry, from_command_line, from_environment, merged, options_of
from tests.option_tables import PAGE, renewed

EVERYWHERE = [each for each in TABLE.values() if each.option.flag and each.option.key]
COMMANDS = [name for name in get_args(Command) if name != "pytest"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def command(name: str) -> click.Command:
    """A command, as the command line finds it."""
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def taking(name: Command) -> click.Command:
    """The command that takes the options of this taker: of those of scenarios, the one that observes."""
    found = command(name)
    return found.commands["run"] if isinstance(found, click.Group) and name == "scenarios" else found


def settings(asked: Given) -> Settings:
    """What a session would be opened with."""
    return open_session(asked, lambda *_: None, defaults=given(target_name="embedded")).settings


def words_of(entry: Entry) -> tuple[list[str], str, object]:
    """A value of the option: the words of a command line, the same in TOML, and what both mean."""
    flag = entry.option.flag
    match entry.kind:
        case inspect.BoolType():
            return [flag], str(not entry.default).lower(), not entry.default
        case inspect.IntType() | inspect.FloatType():
            number = 7 if entry.kind.le is None or entry.kind.le >= 7 else 1 - int(entry.default)
            return [flag, str(number)], str(number), number
        case inspect.LiteralType():
            other = next(value for value in entry.kind.values if value != entry.default)
            return [flag, str(other)], f'"{other}"', other
        case inspect.DictType():
            return [flag, "A: b", flag, "C: d"], '{A = "b", C = "d"}', {"A": "b", "C": "d"}
        case inspect.VarTupleType():
            return [flag, "a", flag, "b"], '["a", "b"]', ("a", "b")
        case inspect.CustomType():
            return [flag, "x/y"], '"x/y"', Path("x/y")
        case _:
            return ([] if entry.option.argument else [flag]) + ["word"], '"word"', "word"


# the table


@pytest.mark.parametrize("of", ["flag", "key", "envvar"])
def test_nothing_has_two_meanings(of: str) -> None:
    names = Counter(getattr(each.option, of) for each in TABLE.values())
    del names[""]
    assert max(names.values()) == 1


def test_what_a_command_line_takes_has_a_flag() -> None:
    assert [name for name, each in TABLE.items() if each.option.commands and not each.option.flag] == []
    assert [name for name, each in TABLE.items() if each.option.flag and not each.option.commands] == []


def test_the_page_shows_the_table() -> None:
    page = PAGE.read_text("utf-8")
    assert page == renewed(page), "write it anew: python -m tests.option_tables"


# each source means the same


@pytest.mark.parametrize("entry", EVERYWHERE, ids=lambda entry: entry.name)
def test_the_file_means_what_the_command_line_means(entry: Entry) -> None:
    words, text, meant = words_of(entry)
    Path("runstone.toml").write_text(f"{entry.option.key} = {text}\n", "utf-8")
    assert configuration.load(Path("runstone.toml"))[entry.name] == meant
    for name in COMMANDS:
        if name in entry.option.commands:
            found = taking(name)
            if name == "scenarios" and entry.option.argument:  # what stands there by itself are its files
                words = [entry.option.flag, *words]
            required = [each for each in found.params if each.required and each.name != entry.parameter]
            given = found.make_context(name, [*("x" for _ in required), *words]).params
            asked = from_command_line(given, name)
            assert asked[entry.name] == meant


@pytest.mark.parametrize(
    "entry", [each for each in TABLE.values() if each.option.envvar], ids=lambda e: e.name
)
def test_the_environment_means_what_the_command_line_means(entry: Entry) -> None:
    _, _, meant = words_of(entry)
    text = "A: b\nC: d" if isinstance(meant, dict) else str(meant)
    assert from_environment({entry.option.envvar: text}) == {entry.name: meant}
    assert from_environment({entry.option.envvar: "", "UNRELATED": "x"}) == {}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_options_of_the_table_and_their_help(name: Command) -> None:
    params = {each.name: each for each in taking(name).params}
    for entry in options_of(name):
        found = params[entry.parameter]
        by_position = entry.option.argument and name != "scenarios"
        assert isinstance(found, click.Argument if by_position else click.Option)
        assert isinstance(found, click.Argument) or found.help == entry.help


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_each_command_is_in_the_module_of_its_name(name: str) -> None:
    assert command(name).name == name
    module = "listing" if name == "list" else name
    assert import_module(f"runstone.cli.{module}").command is command(name)


def test_a_flag_sets_the_opposite_of_the_default() -> None:
    assert from_command_line({"no_self_check": True, "quick": False}, "pytest") == {
        "insist_on_fitness": False,
        "quick": False,
    }
    assert from_command_line({"no_self_check": None, "quick": None}, "pytest") == {}


def test_what_cannot_be_meant_names_its_place() -> None:
    with pytest.raises(UsageError, match=r"--concurrency '0': expected `int` >= 1"):
        from_command_line({"concurrency": "0"}, "pytest")
    with pytest.raises(UsageError, match=r"PLACE 'soon': expected `float`"):
        TABLE["budget_s"].parse("soon", "PLACE")


# merging


def test_the_first_source_that_sets_an_option_wins() -> None:
    holds = merged(given(quick=False, areas=()), given(quick=True, seed=3), given(seed=4, areas=("turn",)))
    assert holds == {"quick": False, "areas": (), "seed": 3}


def test_mappings_are_merged_by_name() -> None:
    holds = merged(given(headers={"x-a": "1"}), given(headers={"X-A": "2", "X-B": "2"}))
    assert holds == {"headers": {"x-a": "1", "X-B": "2"}}


def test_settings_have_every_option() -> None:
    assert {each.name for each in fields(Options)} <= {each.name for each in fields(Settings)}


def test_the_file_may_narrow_a_check_and_the_command_line_widen_it() -> None:
    Path("runstone.toml").write_text(
        'quick = true\npatient = true\nareas = ["turn"]\nselect = ["TURN-*"]\nseed = 4\n', "utf-8"
    )
    found = settings(given())
    assert (found.quick, found.patient, found.areas, found.select) == (True, True, ("turn",), ("TURN-*",))
    assert (found.seed, found.scenarios_at_once) == (4, 24)
    whole = settings(given(quick=False, patient=False, areas=(), select=(), seed=0))
    assert (whole.quick, whole.patient, whole.areas, whole.select) == (False, False, (), ())
    assert (whole.seed, whole.scenarios_at_once) == (0, 16)


@pytest.mark.parametrize(
    "schedule, told",
    [
        (Schedule(waits=4.9), None),
        (Schedule(waits=6), "left out by --quick: talk must wait 6 s"),
        (Schedule(waits=6, heavy=True), "left out by --quick: talk must wait 6 s"),
        (Schedule(heavy=True), "left out by --quick: talk asks for much"),
        (Schedule(thorough=True), "left out by --quick: talk asks for much"),
    ],
)
def test_a_quick_check_says_why_it_leaves_a_scenario_out(schedule: Schedule, told: str | None) -> None:
    async def drive(api: Api) -> None:
        """Nothing of it is run here."""

    talk = Scenario("talk", drive, schedule)
    assert settings(given(quick=True)).too_long(talk) == told
    assert settings(given()).too_long(talk) is None


def test_a_recipe_that_the_file_does_not_name_is_checked_as_the_file_says() -> None:
    Path("runstone.toml").write_text(
        'target = "http://127.0.0.1:1"\nquick = true\npath_prefix = "/api"\nserver.restart = ["true"]\n'
        "capabilities = {crons = false}\n",
        "utf-8",
    )
    found = settings(given(target_name="embedded"))
    assert (found.quick, found.path_prefix, found.server_commands) == (True, "", None)
    assert found.target is not None
    assert found.target.declared["crons"]
