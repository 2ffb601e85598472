"""`--out` of the commands whose results are not those of one session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


def out_option(
    default: str, holds: str
) -> Callable[[Callable[_Params, _Result]], Callable[_Params, _Result]]:
    """The folder where this command's results go."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        default=Path(default),
        show_default=True,
        help=f"Where {holds} go.",
    )
