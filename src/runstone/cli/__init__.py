"""The command line; everything it does is done elsewhere."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Final, NoReturn

import click

import runstone
from runstone.cli.saying import say_error
from runstone.errors import ExitCode, RunstoneError


def main() -> NoReturn:
    """Run the command line; a diagnosis is one line on standard error and an exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except RunstoneError as error:
        say_error(str(error))
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        say_error("interrupted; what was observed is kept")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.HARNESS_ERROR)
    sys.exit(code if isinstance(code, int) else ExitCode.CONFORMING)


# Command → where it is defined. A server that a scenario starts need not import what a check needs.
_DEFINED: Final = {
    "check": ("checking", "check"),
    "judge": ("checking", "judge_again"),
    "compare": ("comparing", "compare"),
    "explore": ("exploring", "explore"),
    "fuzz": ("exploring", "fuzz"),
    "list": ("reading", "list_requirements"),
    "explain": ("reading", "explain"),
    "up": ("serving", "up"),
    "serve": ("serving", "serve"),
    "faults": ("serving", "list_faults"),
    "prove": ("proving", "prove"),
    "mutate": ("mutating", "mutate"),
    "result": ("retrieving", "result"),
    "signoff": ("signoff", "signoff"),
    "verify": ("verify", "verify"),
    "keys": ("keys", "keys"),
}


class _Commands(click.Group):
    """Commands that are imported when they are asked for."""

    def list_commands(self, _: click.Context) -> list[str]:
        return sorted(_DEFINED)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in _DEFINED:
            return None
        module, attribute = _DEFINED[name]
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), attribute)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(runstone.__version__, prog_name="runstone")
def cli() -> None:
    """Prove whether a server that speaks the LangGraph run API keeps its promises."""
