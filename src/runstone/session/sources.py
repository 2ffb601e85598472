"""The table of options as the sources of settings need it, and the one rule by which sources are merged.

A source (a command line, the environment, a file, a recipe) sets few of the options: it is a mapping by their
names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import Field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect

from runstone.errors import UsageError
from runstone.session.option import Command, Option
from runstone.session.options import Given, Options
from runstone.target.target import parsed_headers


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table: an option with its field. `hint`: the type as it is written, `kind`: as msgspec's.

    None among the types of a field stands for what nobody has set; no source sets it, no type here has it.
    """

    name: str
    option: Option
    hint: Any
    kind: inspect.Type
    default: Any

    @property
    def parameter(self) -> str:
        """The name that parsers of command lines derive from the flag."""
        return self.option.flag.removeprefix("--").replace("-", "_")

    @property
    def is_flag(self) -> bool:
        """Whether the flag has no value."""
        return isinstance(self.kind, inspect.BoolType)

    @property
    def negative_flag(self) -> str:
        """The flag that turns off what runstone.toml may turn on; "" where there is none."""
        return f"--no-{self.option.flag[2:]}" if self.is_flag and self.option.key else ""

    @property
    def multiple(self) -> bool:
        """Whether it can be given several times."""
        return isinstance(self.kind, inspect.DictType | inspect.VarTupleType)

    @property
    def is_path(self) -> bool:
        """Whether it names a file or a folder."""
        return isinstance(self.kind, inspect.CustomType) and self.kind.cls is Path

    @property
    def metavar(self) -> str:
        """What stands for its value in a help text."""
        if isinstance(self.kind, inspect.LiteralType):
            return "|".join(map(str, self.kind.values))
        return self.option.metavar or "N"

    @property
    def help(self) -> str:
        """What it means, with its default."""
        shown = isinstance(self.default, str | int) and not self.is_flag and self.default != ""
        return f"{self.option.help} Default: {self.default}." if shown else self.option.help

    def parse(self, words: object, place: str = "") -> Any:
        """What the words of a command line or of a variable mean; `place`: where they stand.

        A flag is True where it was given and False where its opposite was; headers are lines `Name: value`.
        Raises UsageError.
        """
        if isinstance(words, bool):
            return words is not self.default
        if isinstance(self.kind, inspect.DictType):
            return parsed_headers(words.splitlines() if isinstance(words, str) else words)  # type: ignore[arg-type]
        if self.multiple and isinstance(words, str):
            words = words.split()
        try:
            return msgspec.convert(words, self.hint, strict=False, dec_hook=lambda kind, text: kind(text))
        except msgspec.ValidationError as error:
            problem = f"{str(error)[:1].lower()}{str(error)[1:]}"
            if isinstance(self.kind, inspect.LiteralType):
                problem = f"expected {' or '.join(map(str, self.kind.values))}"
            raise UsageError(f"{place or self.option.flag} {words!r}: {problem}") from None


def _entries() -> dict[str, Entry]:
    hints = get_type_hints(Options, include_extras=True)
    blank = Options()
    return {each.name: _entry(each, hints[each.name], getattr(blank, each.name)) for each in fields(Options)}


def _entry(field: Field[Any], hint: Any, default: object) -> Entry:
    if get_origin(hint) in (Union, UnionType):
        hint = next(each for each in get_args(hint) if each is not NoneType)
    option: Option = field.metadata["option"]
    return Entry(name=field.name, option=option, hint=hint, kind=inspect.type_info(hint), default=default)


TABLE: Final[Mapping[str, Entry]] = _entries()


def options_of(command: Command) -> list[Entry]:
    """The options that a command or pytest takes, in the order of the table."""
    return [each for each in TABLE.values() if command in each.option.commands]


def from_command_line(parameters: Mapping[str, object], command: Command) -> Given:
    """What a command line sets, from its values by parameter; None and () stand for what it leaves open.

    Raises UsageError.
    """
    words = {each.name: (each, parameters.get(each.parameter)) for each in options_of(command)}
    return {name: each.parse(value) for name, (each, value) in words.items() if value not in (None, (), [])}


def from_environment(environment: Mapping[str, str] = os.environ) -> Given:
    """What the environment sets; a variable that is empty sets nothing. Raises UsageError."""
    named = [each for each in TABLE.values() if environment.get(each.option.envvar)]
    return {each.name: each.parse(environment[each.option.envvar], each.option.envvar) for each in named}


def merged(*sources: Given) -> dict[str, Any]:
    """The values that hold: of each option that of the first source that sets it.

    Mappings are merged by name, however its letters are written: of each name the first one wins.
    """
    found: dict[str, Any] = {}
    for source in reversed(sources):
        for name, value in source.items():
            found[name] = _by_name(found.get(name, {}), value) if isinstance(value, Mapping) else value
    return found


def _by_name(known: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    names = {name.lower() for name in stronger}
    return {name: value for name, value in known.items() if name.lower() not in names} | dict(stronger)
