"""`runstone prove`: each judge can fail, none fails a correct server, and silence earns nothing."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from runstone.cli.embedded import reference_runtime
from runstone.cli.out import out_option
from runstone.errors import ExitCode, UsageError


@click.command("prove")
@click.option("--fault", multiple=True, metavar="GLOB", help="Only these faults; may be repeated.")
@click.option(
    "--variant", multiple=True, metavar="GLOB", help="Only these variants, one by one; may be repeated."
)
@click.option(
    "--narrow",
    is_flag=True,
    help="Judge of a fault only what it names, and of a variant what is a MUST.",
)
@click.option("--jobs", type=click.IntRange(1, 64), help="Checks at once; default: four for each core.")
@out_option("reports/out/prove", "the matrix, the reports and the evidence")
@click.option(
    "--publish", type=click.Path(path_type=Path), help="Where the matrix goes too, if nothing was left out."
)
def command(
    fault: tuple[str, ...],
    variant: tuple[str, ...],
    jobs: int | None,
    out: Path,
    publish: Path | None,
    *,
    narrow: bool,
) -> int:
    """Check the reference runtime with each fault and variant, and the null servers: the kill matrix."""
    with reference_runtime():
        from runstone.proof.prove import proving, published
    if publish is not None and (fault or variant or narrow):
        raise UsageError("--publish takes a whole proof: leave out what makes it less, or --publish")
    selection = proving.Selection(out=out, faults=fault, variants=variant, narrow=narrow, jobs=jobs)
    found = proving.prove(selection, lambda line: click.echo(line, err=True))
    published.write(found, out)
    if publish is not None:
        published.write(found, publish, packed=True)
    published.print_matrix(found, Console(), publish or out)
    if found.harness_errors:
        return ExitCode.HARNESS_ERROR
    return ExitCode.CONFORMING if found.proved else ExitCode.NOT_CONFORMING
