"""`runstone mutate`: spoil recorded evidence in thousands of ways, and count what the judges notice."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from runstone.cli.out import out_option
from runstone.errors import ExitCode
from runstone.session.options import given

_PERCENT = click.FloatRange(0, 100)


@click.command("mutate")
@click.argument("evidence", type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draw.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=5_500, show_default=True, help="Mutants that are scored."
)
@click.option(
    "--per-area",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="At least so many for each area, beyond the limit.",
)
@click.option("--at-least", type=_PERCENT, default=0, help="Fail below this percentage of killed mutants.")
@click.option("--area-at-least", type=_PERCENT, default=0, help="The same of every area.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Processes; default: one for each core.")
@out_option("reports/out/mutation", "mutation.json and mutation.md")
def command(
    evidence: Path,
    seed: int,
    limit: int,
    per_area: int,
    at_least: float,
    area_at_least: float,
    jobs: int | None,
    out: Path,
) -> int:
    """Make mutants of recorded EVIDENCE, judge each offline, and report which ones nobody noticed."""
    from runstone.proof.mutate import published, score
    from runstone.session.opening import open_session

    # All of it, whatever runstone.toml selects.
    session = open_session(given(evidence=evidence, out=out, areas=(), select=()), lambda *_: None)
    wanted = score.Wanted(
        seed=seed,
        limit=limit,
        per_area=per_area,
        at_least=at_least,
        area_at_least=area_at_least,
        jobs=jobs,
    )
    found = score.mutate(session, wanted, lambda line: click.echo(line, err=True))
    published.write(found, out)
    published.print_score(found, Console(), out)
    if found.crashes:
        return ExitCode.HARNESS_ERROR
    return ExitCode.NOT_CONFORMING if found.shortfalls else ExitCode.CONFORMING
