"""`runstone trend`: pages of a history, and whether something is newly broken."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runstone.cli.out import out_option
from runstone.errors import ExitCode

if TYPE_CHECKING:
    from runstone.trend import Course


@click.command("trend")
@click.argument("history", metavar="HISTORY", type=click.Path(path_type=Path))
@out_option("reports/out/trend", "index.html, a page and a badge for each target,")
@click.option(
    "--fail-on",
    type=click.Choice(["new"]),
    help="Exit code 1 when the newest night of a target broke what the night before it kept.",
)
@click.option(
    "--late-after",
    type=click.FloatRange(min=0.1),
    default=36.0,
    show_default=True,
    help="Hours after which a page says that nothing was checked.",
)
@click.option(
    "--nights",
    type=click.IntRange(min=1),
    default=90,
    show_default=True,
    help="How many nights the pages show.",
)
def command(history: Path, out: Path, fail_on: str | None, late_after: float, nights: int) -> int:
    """Show what HISTORY says: what fails since which night and version, what is flaky, what is new."""
    from runstone import trend
    from runstone.contracts import load_catalogue
    from runstone.errors import UsageError
    from runstone.report import write_texts

    now = dt.datetime.now(dt.UTC)
    allowed = dt.timedelta(hours=late_after)
    catalogue = load_catalogue()
    courses = [trend.course_of(target, of, catalogue) for target, of in trend.read(history, now=now).items()]
    if not courses:
        raise UsageError(f"{history} has no line yet; add one: runstone history add REPORT --to {history}")
    write_texts(trend.texts_of(courses, now=now, late_after=allowed, nights=nights), out)
    new = False
    for course in courses:
        late = trend.is_late(course, now, allowed)
        for line in _told(course, late=late):
            click.echo(line)
        new = new or (not late and bool(course.new or course.newly_unfinished))
    click.echo(f"pages in {out / 'index.html'}")
    return ExitCode.NOT_CONFORMING if fail_on == "new" and new else ExitCode.CONFORMING


def _told(course: Course, *, late: bool) -> list[str]:
    """A line for the target, and one for each requirement that is newly broken."""
    from runstone.trend.pages import at, standing

    newest = course.newest
    if late:
        return [f"{course.target}: nothing was checked since {at(newest)}"]
    lines = [f"{course.target} {standing(course)} ({newest.server}, {at(newest)})"]
    if course.newly_unfinished:
        before = course.nights[-2]
        lines.append(
            f"  new: no verdict: {newest.stopped or 'Runstone broke'}; "
            f"the last was of {at(before)}, {before.server}"
        )
    for each in course.new:
        good = f"last kept {at(each.kept)} by {each.kept.server}" if each.kept else "never kept"
        lines.append(f"  new: {each.row.id} ({each.row.level}) {each.outcome}, {good}: {each.reason}")
    return lines
