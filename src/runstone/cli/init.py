"""`runstone init`: ask a server what it is, and write that down as runstone.toml."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from runstone.cli.options import shared_options
from runstone.session.options import Given, given

_USUAL = "http://127.0.0.1:2024"  # where `langgraph dev` and `runstone serve` listen


@click.command("init")
@shared_options("init")
@click.option("--yes", is_flag=True, help="Ask nothing: take the first assistant.")
def command(asked: Given, yes: bool) -> None:
    """Ask the server at TARGET what it is, and write a commented runstone.toml to this folder.

    Default: http://127.0.0.1:2024. It only reads, and never overwrites.
    """
    from runstone.errors import UsageError
    from runstone.files import replace_file
    from runstone.session import configuration
    from runstone.session.first_file import first_file, variable
    from runstone.session.introduction import introduce
    from runstone.session.options import Options
    from runstone.session.sources import from_environment, merged
    from runstone.target.target import checked_url

    path = Path(configuration.FILE)
    if path.exists():
        raise UsageError(f"{path} exists, and is not overwritten; move it away, or change it by hand")
    options = Options(**merged(asked, from_environment(), given(target_name=_USUAL)))
    url = checked_url(str(options.target_name))
    options.network.check(url)
    found = introduce(url, options.headers, options.network)
    if not found.has_graphs and not found.own:
        raise UsageError(
            f"{url} serves neither the conformance graphs nor any assistant that it lists; serve those that "
            "`runstone graphs export DIR` writes, or judge what needs no run: "
            f"`runstone check {url} --no-graphs`"
        )
    assistant = None if found.has_graphs else _chosen(found.own, yes=yes)
    try:
        replace_file(path, first_file(url, found, assistant=assistant, headers=options.headers))
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}; go to a folder that can be written to"
        ) from None
    for note in found.notes:
        click.echo(f"note: {note}")
    serves = "the conformance graphs" if assistant is None else f"the assistant {assistant}"
    click.echo(f"wrote {path}: {url} ({found.server}), to be judged on {serves}")
    for name in options.headers:
        click.echo(f"set {variable(name)} to the value of the header {name}")
    if assistant is not None:
        click.echo("look at its success.input first")
    if found.faster and assistant is None:
        click.echo(f"start the server with {found.faster}: one run at a time makes a check ten times as long")
    click.echo("next:  runstone check --quick   (a first verdict; without --quick all of it)")


def _chosen(assistants: tuple[str, ...], *, yes: bool) -> str:
    """The assistant that is to stand in: the only one, the first, or the one that is picked."""
    if len(assistants) == 1 or yes or not sys.stdin.isatty():
        return assistants[0]
    picked: str = click.prompt("which assistant?", type=click.Choice(assistants), default=assistants[0])
    return picked
