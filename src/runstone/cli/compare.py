"""`runstone compare`: two or more targets side by side."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runstone.cli.options import shared_options
from runstone.cli.out import out_option
from runstone.errors import UsageError
from runstone.session.options import Given, given

if TYPE_CHECKING:
    from runstone.cli.progress import Shown
    from runstone.scenario.progress import Progress


@click.command("compare")
@click.argument("names", metavar="A B [C …]", nargs=-1, required=True)
@shared_options("compare")
@out_option("reports/out/compare", "compare.html, compare.json and compare.md, and a folder for each target,")
@click.option(
    "--publish",
    type=click.Path(path_type=Path),
    help="Where an overview goes too: every requirement on every target, their badges and their reports.",
)
@click.option(
    "--readme",
    type=click.Path(path_type=Path),
    help="A file whose table of results is written again; with --publish.",
)
def command(
    asked: Given, names: tuple[str, ...], out: Path, publish: Path | None, readme: Path | None
) -> int:
    """Targets side by side; each is a URL, a recipe, or a folder that check wrote. Or folders of loads.

    Targets are checked one after the other, folders are judged offline. All are compared with the first. Exit
    code 1 when one keeps a MUST that another breaks. Loads must have been offered the same rate and mix.
    """
    from rich.console import Console  # and the others: --help needs none of them

    from runstone import compare as comparing
    from runstone.cli.progress import shown_progress
    from runstone.load import comparing as loads
    from runstone.report import write_texts
    from runstone.session.sources import merged

    if loads.are_loads(names):
        return _compare_loads(names, out, published=publish is not None or readme is not None)
    if readme is not None and publish is None:
        raise UsageError("--readme shows what is published; give --publish DIR too")
    with shown_progress() as progress:
        sides = comparing.open_sides(names, merged(given(out=out), asked), _told_by(progress))
    found = comparing.compare(sides)
    texts = comparing.texts_of(found, sides)
    write_texts(texts, out)
    if publish is not None:
        comparing.publish(found, sides, publish)
        if readme is not None:
            comparing.show_in(readme, publish)
    comparing.print_comparison(found, Console(), out)
    return found.exit_code


def _compare_loads(names: tuple[str, ...], out: Path, *, published: bool) -> int:
    """Folders that `runstone load` wrote, side by side; nothing is loaded again."""
    from rich.console import Console

    from runstone.load import comparing, comparing_texts
    from runstone.report import write_texts

    if published:
        raise UsageError("--publish and --readme are for checks; a comparison of loads is in --out")
    sides = comparing.open_sides(names, today=dt.datetime.now(dt.UTC).date())
    found = comparing.compare(sides)
    write_texts(comparing_texts.texts_of(found, sides), out)
    comparing_texts.print_comparison(found, Console(), out)
    return found.exit_code


def _told_by(shown: Shown) -> Callable[[str], Progress]:
    return lambda name: lambda told: shown(told, name)
