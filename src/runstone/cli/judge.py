"""`runstone judge`: judge what was recorded again, offline."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from runstone.cli.options import shared_options
from runstone.errors import UsageError
from runstone.session.options import Given


@click.command("judge")
@shared_options("judge")
def command(asked: Given) -> int:
    """Judge recorded EVIDENCE again, or the folder of a load, offline."""
    from runstone.cli.checking import show  # they bring in all that --help does not need
    from runstone.conversations.running import judge_beside
    from runstone.judge.suites import judge
    from runstone.load import reading
    from runstone.session.opening import open_session

    folder = reading.folder_of(asked["evidence"]) if "evidence" in asked else None
    if folder is not None:
        return _judge_load(folder, asked)
    session = open_session(asked, lambda *_: None)
    judge_beside(session)
    return show(judge(session), session.settings.out)


def _judge_load(folder: Path, asked: Given) -> int:
    """Judge a load again, and write its reports beside it. Raises UsageError for options of checks alone."""
    from rich.console import Console

    from runstone import report
    from runstone.contracts import load_catalogue
    from runstone.load import reports
    from runstone.session import configuration
    from runstone.session.options import Options, given
    from runstone.session.sources import TABLE, from_environment, merged
    from runstone.verdict import waivers

    foreign = sorted(asked.keys() - {"evidence", "out", "fail_on", "waivers", "config"})
    if foreign:
        flags = ", ".join(TABLE[each].option.flag for each in foreign)
        raise UsageError(f"{folder} is a load, of which everything is judged; leave out {flags}")
    path = configuration.find(asked.get("config"))
    file = {} if path is None else configuration.load(path)
    options = Options(**merged(asked, given(out=folder), from_environment(), file))
    file_of_waivers, of_loads = options.waivers, load_catalogue().of_loads
    accepted = [] if file_of_waivers is None else waivers.load_for(file_of_waivers, of_loads)
    today = dt.datetime.now(dt.UTC).date()
    recorded, found = reports.judge(folder, waivers=accepted, fail_on=options.fail_on, today=today)
    out = options.out or folder
    reports.write(recorded, found, out)
    report.print_summary(found, Console(), report_dir=out)
    return found.exit_code
