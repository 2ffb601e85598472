"""`runstone compare`: two or more targets side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from runstone.cli.checking import progress_bar
from runstone.errors import UsageError
from runstone.session.session import Progress


@click.command()
@click.argument("names", metavar="A B [C …]", nargs=-1, required=True)
@click.option("--profile", default=None, help="Of the targets that are checked; default: langgraph.")
@click.option("--quick", is_flag=True, help="Check targets without what must wait for long.")
@click.option("--concurrency", type=click.IntRange(1, 256), help="Of a check; default: 16, quick: 24.")
@click.option("--area", multiple=True, help="Check targets for this area only; may be repeated.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports/out/compare"),
    show_default=True,
    help="Where compare.html, compare.json and compare.md go, and a folder for each target.",
)
@click.option(
    "--publish",
    type=click.Path(path_type=Path),
    help="Where the comparison and each target's report.json go too, without evidence.",
)
@click.option(
    "--readme",
    type=click.Path(path_type=Path),
    help="A file whose table of results is written anew; with --publish.",
)
@click.option(
    "--config", type=click.Path(path_type=Path), help="Default: runstone.toml in the current folder, if any."
)
def compare(
    names: tuple[str, ...],
    profile: str | None,
    quick: bool,
    concurrency: int | None,
    area: tuple[str, ...],
    out: Path,
    publish: Path | None,
    readme: Path | None,
    config: Path | None,
) -> int:
    """Targets side by side; each is a URL, a recipe, or a folder that check wrote.

    Targets are checked one after the other, folders are judged offline. All are compared with the first. Exit
    code 1 when one keeps a MUST that another breaks.
    """
    from runstone import compare as comparing  # it brings in what only this command needs
    from runstone.report import write_texts
    from runstone.session.opening import Asked

    if readme is not None and publish is None:
        raise UsageError("--readme shows what is published; give --publish DIR too")
    asked = Asked(profile=profile, quick=quick, concurrency=concurrency, areas=area, out=out, config=config)
    with progress_bar() as progress:
        sides = comparing.open_sides(names, asked, _told_by(progress))
    found = comparing.compare(sides)
    texts = comparing.texts_of(found, sides)
    write_texts(texts, out)
    if publish is not None:
        comparing.publish(texts, sides, publish)
        if readme is not None:
            comparing.show_in(readme, publish)
    comparing.print_comparison(found, Console(), out)
    return found.exit_code


def _told_by(progress: Progress) -> Callable[[str], Progress]:
    return lambda name: lambda doing, done, total: progress(f"{name}: {doing}", done, total)
