"""What each source says of the table of options, and what holds when all were asked.

A source (a command line, the environment, a file, a recipe) says few of the options: it is a mapping by their
names. `merged` makes one of several.
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
from runstone.session.options import Option, Options, Said, Taker
from runstone.target.target import parsed_headers


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table: an option with its field. `hint`: the type as it is written, `kind`: as msgspec's.

    None among the types of a field stands for what nobody says; no source says it, and no type here has it.
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
    def switch(self) -> bool:
        """Whether the flag has no value."""
        return isinstance(self.kind, inspect.BoolType)

    @property
    def no_flag(self) -> str:
        """The flag that turns off what runstone.toml may turn on; "" where there is none."""
        return f"--no-{self.option.flag[2:]}" if self.switch and self.option.key else ""

    @property
    def repeated(self) -> bool:
        """Whether it can be said several times."""
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
        told = isinstance(self.default, str | int) and not self.switch and self.default != ""
        return f"{self.option.help} Default: {self.default}." if told else self.option.help

    def read(self, words: object, place: str = "") -> Any:
        """What the words of a command line or of a variable mean; `place`: where they stand.

        Raises UsageError. Headers are lines `Name: value`.
        """
        if isinstance(self.kind, inspect.DictType):
            return parsed_headers(words.splitlines() if isinstance(words, str) else words)  # type: ignore[arg-type]
        if self.repeated and isinstance(words, str):
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


def taken_by(taker: Taker) -> list[Entry]:
    """The options that a command or pytest takes, in the order of the table."""
    return [each for each in TABLE.values() if taker in each.option.takers]


def of_command_line(given: Mapping[str, object], taker: Taker) -> Said:
    """What a command line says, from its values by parameter; None and () where it says nothing.

    Raises UsageError.
    """
    words = {each.name: (each, given.get(each.parameter)) for each in taken_by(taker)}
    return {name: each.read(value) for name, (each, value) in words.items() if value not in (None, (), [])}


def of_environment(environment: Mapping[str, str] = os.environ) -> Said:
    """What the environment says; a variable that is empty says nothing. Raises UsageError."""
    named = [each for each in TABLE.values() if environment.get(each.option.variable)]
    return {each.name: each.read(environment[each.option.variable], each.option.variable) for each in named}


def merged(*sources: Said) -> dict[str, Any]:
    """What holds of what the sources say: the first one that says something wins.

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
