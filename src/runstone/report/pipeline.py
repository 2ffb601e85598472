"""What a step of a pipeline says of a report: a summary that fits, and outputs for the steps after it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from runstone.errors import ExitCode
from runstone.report import digest
from runstone.verdict.model import Report

SUMMARY_BYTES: Final = 1_000_000  # GitHub drops a step summary of more than 1 MiB as a whole
CAUSES: Final = 20  # of the greatest, as one output; the report has all

_NOTE_BYTES: Final = 200
_HEADING: Final = re.compile(r"#{2,6} ")
_FENCE: Final = re.compile(r"`{3,}|~{3,}")
_VERDICTS: Final[dict[int, str]] = {
    ExitCode.CONFORMING: "conforming",
    ExitCode.NOT_CONFORMING: "not-conforming",
}


def cut(summary: str, limit: int) -> str:
    """As many whole sections of a summary as fit into `limit` bytes, and a note where some did not."""
    if len(summary.encode()) <= limit:
        return summary
    taken: list[str] = []
    room = limit - _NOTE_BYTES
    every = _sections(summary)
    for section in every:
        room -= len(section.encode())
        if room < 0:
            break
        taken.append(section)
    left = len(every) - len(taken)
    return (
        "".join(taken)
        + f"\n\n{left} of {len(every)} sections did not fit; summary.md of the report has all.\n"
    )


def outputs(report: Report | None, folder: Path, exit_code: int) -> dict[str, str]:
    """`verdict`, `exit-code`, `must-kept`, `report` and `causes`, each on one line; '' for what is not known.

    `report`: None where the check wrote none. `causes`: a JSON list, the greatest first.
    """
    known = {"verdict": _VERDICTS.get(exit_code, "none"), "exit-code": str(exit_code)}
    if report is None:
        return known | dict.fromkeys(("must-kept", "report"), "") | {"causes": "[]"}
    must = digest.shares(report)[0]
    causes = [
        {name: getattr(cause, name) for name in ("operation", "answer", "reason", "must", "should")}
        for cause in report.causes[:CAUSES]
    ]
    return known | {
        "must-kept": f"{must.kept} of {must.of}",
        "report": " ".join(str(folder).split()),
        "causes": json.dumps(causes),  # ASCII, without a line feed whatever the server said
    }


def no_report(exit_code: int) -> str:
    """The summary of a check that wrote none."""
    return f"Runstone ended with exit code {exit_code} and wrote no report; its log says why.\n"


def _sections(text: str) -> list[str]:
    """The text, parted before each heading that stands outside a fence."""
    sections = [""]
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if not fence and _HEADING.match(line):
            sections.append("")
        elif not fence and mark:
            fence = mark[0]
        elif fence and mark and mark[0].startswith(fence) and line.strip() == mark[0]:
            fence = ""
        sections[-1] += line
    return [section for section in sections if section]
