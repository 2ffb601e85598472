"""`runstone doctor`: what of this machine a check may need, and how to get what is missing."""

from __future__ import annotations

import click


@click.command("doctor")
def command() -> None:
    """Show what is installed here, what is missing for which use, and how to get it."""
    from runstone.target.doctor import examine

    for found in examine():
        click.echo(f"{found.standing:<8}{found.what:<26}{found.detail}")
        if found.fix:
            click.echo(f"{'':<34}to get it: {found.fix}")
