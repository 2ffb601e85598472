"""`runstone history`: keep what each night said."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click


@click.group("history")
def command() -> None:
    """A file that keeps a line for each night and target."""


@command.command()
@click.argument("report", metavar="REPORT", type=click.Path(path_type=Path))
@click.option("--to", "path", type=click.Path(path_type=Path), required=True, help="Such as history.jsonl.")
@click.option("--target", default="", help="Another name for the target than the report has.")
@click.option("--backfill", is_flag=True, help="The report may be older than the newest of its target.")
def add(report: Path, path: Path, target: str, backfill: bool) -> None:
    """Add a line for REPORT: a report.json, or a folder that check wrote."""
    from runstone import trend
    from runstone.errors import UsageError
    from runstone.report import from_json

    file = report / "report.json" if report.is_dir() else report
    try:
        text = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from None
    night = trend.night_of(from_json(text), target)
    added = trend.add(night, path, now=dt.datetime.now(dt.UTC), backfill=backfill)
    click.echo(f"{night.target}: {'added to' if added else 'is already in'} {path}")
