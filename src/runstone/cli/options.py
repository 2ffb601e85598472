"""The options that commands share, as click has them; what each one is stands in `session.options`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from msgspec import inspect

from runstone.session.options import Said, Taker
from runstone.session.sources import TABLE, Entry, of_command_line, taken_by

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


def options_of(
    taker: Taker, *, by_flag: bool = False
) -> Callable[[Callable[Concatenate[Said, _Params], _Result]], Callable[_Params, _Result]]:
    """Give a command the options of the table that it takes; it gets what they say as its first argument.

    `by_flag`: nothing is taken by its position, which the command needs for what is its own.
    """

    def decorate(command: Callable[Concatenate[Said, _Params], _Result]) -> Callable[_Params, _Result]:
        @wraps(command)
        def called(*args: _Params.args, **given: _Params.kwargs) -> _Result:
            values = {each.parameter: given.pop(each.parameter) for each in taken_by(taker)}
            return command(of_command_line(values, taker), *args, **given)

        for each in reversed(taken_by(taker)):
            _parameter(each, by_flag=by_flag)(called)
        return called

    return decorate


def out_option(
    default: str, holds: str
) -> Callable[[Callable[_Params, _Result]], Callable[_Params, _Result]]:
    """`--out` of a command whose results are not those of one session."""
    return click.option(
        TABLE["out"].option.flag,
        type=click.Path(path_type=Path),
        metavar=TABLE["out"].option.metavar,
        default=Path(default),
        show_default=True,
        help=f"Where {holds} go.",
    )


def _parameter(entry: Entry, *, by_flag: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    option = entry.option
    if option.argument is not None and not by_flag:
        return click.argument(entry.parameter, required=option.argument == "required")
    if entry.switch:
        flags = f"{option.flag}/{entry.no_flag}" if entry.no_flag else option.flag
        return click.option(flags, is_flag=True, default=None, help=entry.help)
    return click.option(
        option.flag,
        type=_type(entry.kind),
        multiple=entry.repeated,
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
