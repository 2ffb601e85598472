"""How a command says what went wrong: one line on standard error."""

import click


def say_error(message: str) -> None:
    """The diagnosis, on one line."""
    click.echo(f"runstone: {' '.join(message.split())}", err=True)
