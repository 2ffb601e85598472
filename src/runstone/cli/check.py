"""`runstone check`: observe a server, judge what was recorded, report."""

from __future__ import annotations

from pathlib import Path

import click

from runstone.cli.asking import Asking, asking
from runstone.cli.options import options_of
from runstone.session.options import Said, said
from runstone.session.session import Session


@click.command("check")
@options_of("check")
@click.option(
    "--scenarios",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Play these acceptance scenarios too, in the same report; may be repeated.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Replace a value in every scenario."
)
@asking
def command(asks: Asking, asked: Said, scenarios: tuple[Path, ...], settings: tuple[str, ...]) -> int:
    """Observe a server, judge it and report. TARGET is a URL or a recipe; default: embedded."""
    from runstone.cli import checking  # it brings in all that --help does not need
    from runstone.conversations.reading import read
    from runstone.conversations.running import Batch, play_beside

    if not scenarios:
        return checking.check(asked, said(target_name="embedded"))[1]
    own = asks.own(*(path if path.is_dir() else path.parent for path in scenarios))
    batch = Batch(cases=read(scenarios, settings), talker=asks.talker(), own=own)

    def prepare(session: Session) -> None:
        play_beside(session, batch)

    return checking.check(asked, said(target_name="embedded"), prepare)[1]
