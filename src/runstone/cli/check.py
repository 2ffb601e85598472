"""`runstone check`: observe a server, judge what was recorded, report."""

from __future__ import annotations

from pathlib import Path

import click

from runstone.cli.asking import Asking, asking
from runstone.cli.options import shared_options
from runstone.errors import UsageError
from runstone.session.options import Given, given
from runstone.session.session import Session


@click.command("check")
@shared_options("check")
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
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only scenarios with it; may be repeated.")
@asking
@click.option("--plan", is_flag=True, help="Only tell what would be done; sends nothing but the self-check.")
@click.option("--json", "as_json", is_flag=True, help="With --plan: as JSON.")
def command(
    asks: Asking,
    asked: Given,
    scenarios: tuple[Path, ...],
    settings: tuple[str, ...],
    tags: tuple[str, ...],
    plan: bool,
    as_json: bool,
) -> int:
    """Observe a server, judge it and report. TARGET is a URL or a recipe; default: embedded."""
    defaults = given(target_name="embedded")
    if (settings or tags) and not scenarios:
        raise UsageError("--set and --tag are about acceptance scenarios: name some with --scenarios PATH")
    if plan and scenarios:
        raise UsageError("--plan tells nothing of acceptance scenarios: `runstone scenarios list PATH` does")
    if plan:
        from runstone.cli import planned  # they bring in all that --help does not need

        return planned.tell(asked, defaults, as_json=as_json)
    if as_json:
        raise UsageError("--json is how --plan is told; a check writes report.json to its --out folder")
    from runstone.cli import checking

    if not scenarios:
        return checking.check(asked, defaults)[1]
    from runstone.conversations.reading import read
    from runstone.conversations.running import Batch, play_beside

    if "shard" in asked:
        raise UsageError("acceptance scenarios are not shared out: leave out --shard, or --scenarios")
    own = asks.own(*(path if path.is_dir() else path.parent for path in scenarios))
    batch = Batch(cases=read(scenarios, settings, tags), talker=asks.talker(), own=own)

    def prepare(session: Session) -> None:
        play_beside(session, batch)

    return checking.check(asked, defaults, prepare)[1]
