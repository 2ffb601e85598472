"""`runstone coverage`: which requirements judge which operation, in which respect."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from runstone import report
from runstone.contracts.coverage import coverage
from runstone.errors import ExitCode
from runstone.report.coverage import coverage_texts, print_coverage


@click.command("coverage")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where coverage.md and coverage.html go; without it the counts alone are shown.",
)
def command(out: Path | None) -> int:
    """The map of the contract: each operation, by what is asked of it, with the requirements in each cell.

    Exit code 1 where a cell is judged by nobody and no written reason excuses it.
    """
    found = coverage()
    print_coverage(found, Console())
    if out is not None:
        report.write_texts(coverage_texts(found), out)
    return ExitCode.NOT_CONFORMING if found.open else ExitCode.CONFORMING
