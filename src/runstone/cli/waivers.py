"""`runstone waivers`: known failures that somebody answers for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from runstone.errors import UsageError


@click.group("waivers")
def command() -> None:
    """Known failures that are accepted until a date (docs/configuration.md)."""


@command.command()
@click.argument("report", metavar="REPORT", type=click.Path(path_type=Path))
@click.option("--owner", required=True, help="Who answers for them.")
@click.option("--expires", required=True, metavar="YYYY-MM-DD", help="The day after which they count again.")
@click.option("--link", default="", help="Where more is told. Default: the cause in report.html.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="A new file. Default: print it.")
def draft(report: Path, owner: str, expires: str, link: str, out: Path | None) -> None:
    """Write a waiver for each broken case of REPORT (report.json, packed or not, or its folder), by cause."""
    from runstone import report as reports
    from runstone.files import replace_file
    from runstone.report.waivers_draft import draft as drafted

    try:
        found = reports.read(report)
    except OSError as error:
        path = error.filename or report
        raise UsageError(f"cannot read {path}: {error.strerror}; name what `runstone check` wrote") from None
    if not owner.strip():
        raise UsageError("--owner is empty; name who answers for the waivers")
    text = drafted(found, owner=owner, expires=_day(expires), link=link)
    if out is None:
        click.echo(text, nl=False)
        return
    if out.exists():
        raise UsageError(f"{out} exists; name a new file, or move what is still needed from one to the other")
    try:
        replace_file(out, text)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}; name another file") from None
    click.echo(f"wrote {out}; say in each reason why it is accepted, then check with --waivers {out}")


def _day(text: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--expires {text!r} is not a day; write it like 2027-03-31") from None
    if day < dt.datetime.now(dt.UTC).date():
        raise UsageError(f"--expires {text} is past; such waivers would be errors at once")
    return day
