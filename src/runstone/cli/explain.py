"""`runstone explain`: one promise."""

from __future__ import annotations

import click
from rich.console import Console

from runstone import report
from runstone.contracts import load_catalogue


@click.command("explain")
@click.argument("requirement")
def command(requirement: str) -> None:
    """Everything known about one REQUIREMENT, like RUN-WAIT-004."""
    report.print_requirement(load_catalogue()[requirement], Console())
