"""The options that commands share, as click has them; what each one is stands in `session.options`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from msgspec import inspect

from runstone.session.option import Command
from runstone.session.options import Given
from runstone.session.sources import Entry, from_command_line, options_of

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


def shared_options(
    name: Command, *, by_flag: bool = False
) -> Callable[[Callable[Concatenate[Given, _Params], _Result]], Callable[_Params, _Result]]:
    """Give a command the options of the table that it takes; their values are its first argument.

    `by_flag`: nothing is taken by its position, which the command needs for what is its own.
    """

    def decorate(command: Callable[Concatenate[Given, _Params], _Result]) -> Callable[_Params, _Result]:
        @wraps(command)
        def called(*args: _Params.args, **parameters: _Params.kwargs) -> _Result:
            values = {each.parameter: parameters.pop(each.parameter) for each in options_of(name)}
            return command(from_command_line(values, name), *args, **parameters)

        for each in reversed(options_of(name)):
            _parameter(each, by_flag=by_flag)(called)
        return called

    return decorate


def _parameter(entry: Entry, *, by_flag: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    option = entry.option
    if option.argument is not None and not by_flag:
        return click.argument(entry.parameter, required=option.argument == "required")
    if entry.is_flag:
        flags = f"{option.flag}/{entry.negative_flag}" if entry.negative_flag else option.flag
        return click.option(flags, is_flag=True, default=None, help=entry.help)
    return click.option(
        option.flag,
        type=_type(entry.kind),
        multiple=entry.multiple,
        metavar=option.metavar or None,
        help=entry.help,
    )


def _type(kind: inspect.Type) -> click.ParamType[Any]:
    """How click checks a value; what it lets through is read as the field's own type."""
    match kind:
        case inspect.IntType():
            return click.IntRange(kind.ge, kind.le)
        case inspect.FloatType():
            return click.FloatRange(kind.ge, kind.le)
        case inspect.LiteralType():
            return click.Choice([str(value) for value in kind.values])
        case inspect.CustomType():
            return click.Path()
        case _:
            return click.STRING
