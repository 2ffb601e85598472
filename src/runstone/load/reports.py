"""A load judged from its folder, and all that is written of it: the usual reports, and load.html."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from runstone import report as reports
from runstone.load.judging import report_of
from runstone.load.page import to_html
from runstone.load.reading import Recorded, UnreadableLoad, read
from runstone.load.rejudging import contradicted
from runstone.verdict.model import FailOn, Report
from runstone.verdict.waivers import Waiver


def judge(
    folder: Path, *, waivers: Sequence[Waiver] = (), fail_on: FailOn = "must", today: dt.date
) -> tuple[Recorded, Report]:
    """The load of a folder, judged; nothing is sent. Raises UnreadableLoad and EvidenceError.

    What was counted of all starts cannot be counted again. Each recording can be judged again, and must show
    what load.json says of it.
    """
    recorded = read(folder)
    load, traces = recorded.load, recorded.traces
    if recorded.counted not in (None, load):
        raise UnreadableLoad(f"{folder}: load.json says something else than its evidence; load again")
    if contradiction := contradicted(load, traces):
        raise UnreadableLoad(f"{folder}: load.json: {contradiction}; one of them was altered, so load again")
    return recorded, report_of(load, traces, waivers=waivers, fail_on=fail_on, today=today)


def write(recorded: Recorded, report: Report, folder: Path) -> None:
    """report.json, report.html, junit.xml, summary.md and load.html. Raises UnwritableReport."""
    reports.write_all(report, list(recorded.traces.values()), folder)
    reports.write_texts({"load.html": to_html(recorded.load, report, recorded.traces)}, folder)
