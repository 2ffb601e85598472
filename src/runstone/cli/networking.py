"""The options that say how a target is reached, for every command that takes its URL."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from runstone.wire.network import Network

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")

_FILE = click.Path(dir_okay=False)
_OPTIONS = (
    click.option("--ca-file", type=_FILE, help="Trust who is certified by these authorities (PEM)."),
    click.option("--client-cert", type=_FILE, help="The certificate that is shown to the target (PEM)."),
    click.option("--client-key", type=_FILE, help="Its key, if that is in a file of its own."),
    click.option("--insecure", is_flag=True, help="Check no certificate; every report says so."),
    click.option(
        "--proxy",
        metavar="URL|env",
        help="Reach the target by this proxy; env: by what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say.",
    ),
)


def network_options(
    command: Callable[Concatenate[Network, _Params], _Result],
) -> Callable[_Params, _Result]:
    """Add the options; the command gets them as its first argument."""

    @wraps(command)
    def packed(*args: _Params.args, **given: _Params.kwargs) -> _Result:
        said: dict[str, Any] = {name: given.pop(name) for name in Network.__struct_fields__}
        return command(Network(**said), *args, **given)

    for option in reversed(_OPTIONS):
        packed = option(packed)
    return packed
