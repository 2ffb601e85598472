"""`runstone up`: start a known server and leave it running."""

from __future__ import annotations

import click

from runstone.target import recipes


@click.command("up")
@click.argument("name")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: a free one.")
def command(name: str, port: int | None) -> None:
    """Start a known server and leave it running until Ctrl-C."""
    recipe = recipes.load(name)
    recipes.stay_up(
        recipe, port, lambda server: click.echo(f"{recipe.name} is up: {server.url} (Ctrl-C stops it)")
    )
