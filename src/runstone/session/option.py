"""What an option is: its meaning, and the commands and places where it can be set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Concatenate, Literal, ParamSpec, TypeVar, cast

Command = Literal[
    "check",
    "explore",
    "fuzz",
    "judge",
    "merge",
    "compare",
    "result",
    "init",
    "load",
    "scenarios",
    "pytest",
]
_Params = ParamSpec("_Params")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Option:
    """What a field of `Options` means, and where it can be set.

    `help`: for command lines and docs/configuration.md; the default is added, unless it must be explained.
    `flag`: of command lines, "" for what only runstone.toml or the program sets; a flag without a value sets
    the opposite of the default. `argument`: commands take it by its position, pytest by its flag. `commands`:
    those that take it. `key`: of runstone.toml, with its table. `holds_for`: which targets take it
    from there: any at all, any but another recipe than the file's own, or only the one that the file names.
    """

    help: str
    flag: str = ""
    metavar: str = ""
    argument: Literal["optional", "required"] | None = None
    commands: tuple[Command, ...] = ()
    envvar: str = ""
    key: str = ""
    holds_for: Literal["any target", "any address", "its target"] = "any target"


def _with_default(make: Callable[_Params, Option]) -> Callable[Concatenate[_Value, _Params], _Value]:
    """The field of a dataclass with this default, and with an option of these members."""

    def described(default: _Value, /, *args: _Params.args, **members: _Params.kwargs) -> _Value:
        metadata = {"option": make(*args, **members)}
        if isinstance(default, dict):
            return cast(_Value, field(default_factory=dict, metadata=metadata))
        return field(default=default, metadata=metadata)

    return described


option = _with_default(Option)
