"""`runstone serve`: the embedded reference runtime, until Ctrl-C."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from runstone.cli.embedded import reference_runtime
from runstone.errors import UsageError
from runstone.locations import locate


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=2024, show_default=True)
@click.option("--db", type=click.Path(path_type=Path), help="Default: a temporary folder, gone at the end.")
@click.option(
    "--graphs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A langgraph.json; may be repeated. Default: the conformance graphs.",
)
@click.option(
    "--profile", type=click.Choice(["langgraph", "wait-state"]), default="langgraph", show_default=True
)
@click.option(
    "--auth-secret", envvar="RUNSTONE_AUTH_SECRET", help="Demand bearer tokens (JWT, HS256) signed with it."
)
@click.option(
    "--run-time-limit", multiple=True, metavar="[GRAPH=]SECONDS", help="End longer runs as timeout."
)
@click.option(
    "--fault",
    multiple=True,
    envvar="RUNSTONE_FAULT",
    metavar="NAME",
    help="Break this promise (`runstone faults`).",
)
@click.option(
    "--variant",
    multiple=True,
    envvar="RUNSTONE_VARIANT",
    metavar="NAME",
    help="Do this as another correct server may.",
)
def command(
    host: str,
    port: int,
    db: Path | None,
    graphs: tuple[Path, ...],
    profile: Literal["langgraph", "wait-state"],
    auth_secret: str | None,
    run_time_limit: tuple[str, ...],
    fault: tuple[str, ...],
    variant: tuple[str, ...],
) -> None:
    """Run the embedded reference runtime until Ctrl-C."""
    with reference_runtime():
        from runstone import reference
        from runstone.proof import faults
    changes = faults.selected(fault, variant)
    for change in changes:
        click.echo(f"{change.kind} {change.name}: {change.statement}", err=True)
    with faults.planted(changes):
        reference.serve(
            host=host,
            port=port,
            db=db,
            graphs=graphs or (locate("fixtures") / "graphs" / "python" / "langgraph.json",),
            profile=profile,
            auth_secret=auth_secret,
            run_time_limits=_time_limits(run_time_limit),
        )


def _time_limits(words: Sequence[str]) -> dict[str, float]:
    """`limited=1` → {"limited": 1.0}; a bare number holds for every graph, under the key `*`."""
    limits: dict[str, float] = {}
    for word in words:
        graph, _, text = word.rpartition("=")
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise UsageError(f"--run-time-limit {word!r} is not [GRAPH=]SECONDS, like 30 or slow=30")
        limits[graph or "*"] = seconds
    return limits
