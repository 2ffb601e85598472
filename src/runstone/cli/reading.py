"""`runstone list` and `runstone explain`: what is promised."""

from __future__ import annotations

import click
from rich.console import Console

from runstone import report
from runstone.contracts import load_catalogue


@click.command(name="list")
@click.option("--area", help="Only this area.")
def list_requirements(area: str | None) -> None:
    """The catalogue: every requirement with its level."""
    catalogue = load_catalogue()
    report.print_catalogue(catalogue.select(area=area) if area else catalogue.values(), Console())


@click.command()
@click.argument("requirement")
def explain(requirement: str) -> None:
    """Everything known about one REQUIREMENT, like RUN-WAIT-004."""
    report.print_requirement(load_catalogue()[requirement], Console())
