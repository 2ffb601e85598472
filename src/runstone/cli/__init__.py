"""The command line; everything it does is done elsewhere."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

import runstone
from runstone.cli.checking import check, judge_again
from runstone.cli.comparing import compare
from runstone.cli.exploring import explore, fuzz
from runstone.cli.mutating import mutate
from runstone.cli.proving import prove
from runstone.cli.reading import explain, list_requirements
from runstone.cli.retrieving import result
from runstone.cli.saying import say_error
from runstone.cli.serving import list_faults, serve, up
from runstone.errors import RunstoneError
from runstone.verdict import HARNESS_ERROR, INTERRUPTED


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
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(HARNESS_ERROR)
    sys.exit(code if isinstance(code, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(runstone.__version__, prog_name="runstone")
def cli() -> None:
    """Prove whether a server that speaks the LangGraph run API keeps its promises."""


for command in (
    check,
    judge_again,
    compare,
    explore,
    fuzz,
    list_requirements,
    explain,
    up,
    serve,
    list_faults,
    prove,
    mutate,
    result,
):
    cli.add_command(command)
