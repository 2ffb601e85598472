"""`python -m runstone.reference`: the runtime by itself."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from runstone.errors import RunstoneError
from runstone.reference import serve
from runstone.reference.settings import EVERY_GRAPH, Profile


def parse_time_limits(values: tuple[str, ...]) -> dict[str, float]:
    """`SECONDS` for every graph or `GRAPH=SECONDS` for one. Raises click.BadParameter."""
    limits = {}
    for value in values:
        graph, _, seconds = value.rpartition("=")
        try:
            limits[graph or EVERY_GRAPH] = float(seconds)
        except ValueError:
            raise click.BadParameter(f"{value!r} is neither SECONDS nor GRAPH=SECONDS") from None
    if any(not 0 < seconds < float("inf") for seconds in limits.values()):
        raise click.BadParameter("a limit must be a number of seconds above 0")
    return limits


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port", default=2024, show_default=True, type=click.IntRange(0, 65535), help="0: any free port."
)
@click.option("--db", type=click.Path(path_type=Path, file_okay=False), help="The folder for the data.")
@click.option(
    "--graphs", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A langgraph.json."
)
@click.option("--profile", default="langgraph", type=click.Choice(["langgraph", "wait-state"]))
@click.option(
    "--auth-secret", envvar="RUNSTONE_AUTH_SECRET", help="Ask for bearer JWTs signed with it (HS256)."
)
@click.option("--run-time-limit", "limits", multiple=True, metavar="[GRAPH=]SECONDS", help="Can be repeated.")
@click.option("--log-level", default="warning", show_default=True)
def main(
    host: str,
    port: int,
    db: Path | None,
    graphs: Path,
    profile: Profile,
    auth_secret: str | None,
    limits: tuple[str, ...],
    log_level: str,
) -> None:
    """Serve the graphs of a langgraph.json."""
    try:
        serve(
            graphs=graphs,
            host=host,
            port=port,
            db=db,
            profile=profile,
            auth_secret=auth_secret,
            run_time_limits=parse_time_limits(limits),
            log_level=log_level,
        )
    except RunstoneError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
