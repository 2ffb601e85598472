"""`runstone faults`: what the reference runtime can do wrong, or otherwise than usual."""

from __future__ import annotations

import click
from rich.console import Console

from runstone import report
from runstone.cli.embedded import reference_runtime


@click.command("faults")
def command() -> None:
    """The faults and the legal variants of the reference runtime (`runstone serve --fault NAME`).

    And those of agents, servers and judges in conversations, which `runstone prove` plays.
    """
    with reference_runtime():
        from runstone.proof import conversations, faults
    of_runtime = [*faults.load_faults().values(), *faults.load_variants().values()]
    report.print_changes([*of_runtime, *conversations.load_faults().values()], Console())
