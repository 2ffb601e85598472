"""`runstone faults`: what the reference runtime can do wrong, or otherwise than usual."""

from __future__ import annotations

import click
from rich.console import Console

from runstone import report
from runstone.cli.embedded import reference_runtime


@click.command("faults")
def command() -> None:
    """The faults and the legal variants of the reference runtime (`runstone serve --fault NAME`)."""
    with reference_runtime():
        from runstone.proof import faults
    report.print_changes([*faults.load_faults().values(), *faults.load_variants().values()], Console())
