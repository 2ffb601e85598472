"""`runstone graphs`: the conformance graphs, for a server that shall serve them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click


@click.group("graphs")
def command() -> None:
    """The conformance graphs, which a check runs on a server."""


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--language",
    type=click.Choice(["python", "typescript"]),
    default="python",
    show_default=True,
    help="Of the server that shall serve them.",
)
def export(folder: Path, language: str) -> None:
    """Write the conformance graphs to the new folder DIR, with langgraph.json and SERVING.md."""
    from runstone.target import graphs

    chosen = cast(graphs.Language, language)
    written = graphs.export(folder, chosen)
    click.echo(f"wrote {len(written)} files to {folder}; serve them there (SERVING.md says more):\n")
    click.echo(
        "\n".join(f"    {line}" for line in (f"cd {folder}", *graphs.how_to_serve(chosen).splitlines()))
    )
    click.echo("\nand then, for a first verdict (without --quick: for all of it):\n")
    click.echo("    runstone check http://127.0.0.1:2024 --quick")
