"""`runstone list`: every promise."""

from __future__ import annotations

import click
from rich.console import Console

from runstone import report
from runstone.contracts import load_catalogue


@click.command("list")
@click.option("--area", help="Only this area.")
def command(area: str | None) -> None:
    """The catalogue: every requirement with its level."""
    catalogue = load_catalogue()
    report.print_catalogue(catalogue.select(area=area) if area else catalogue.values(), Console())
