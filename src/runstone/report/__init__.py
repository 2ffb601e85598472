"""Reports: pure functions from a Report (and, for the page, its traces) to text; only `write_all` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from runstone.errors import UsageError
from runstone.files import replace_file
from runstone.report.document import MalformedReport, from_json, to_json
from runstone.report.html import to_html
from runstone.report.junit import to_junit
from runstone.report.scenarios import (
    print_scenarios,
    print_scenarios_report,
    scenarios_to_junit,
)
from runstone.report.scenarios_page import scenarios_to_html
from runstone.report.summary import to_markdown
from runstone.report.terminal import print_catalogue, print_changes, print_requirement, print_summary
from runstone.report.transcript import to_text
from runstone.verdict.model import Report
from runstone.verdict.scenarios import ScenariosReport
from runstone.wire.trace import Trace

__all__ = [
    "MalformedReport",
    "UnwritableReport",
    "from_json",
    "print_catalogue",
    "print_changes",
    "print_requirement",
    "print_scenarios",
    "print_scenarios_report",
    "print_summary",
    "scenarios_to_html",
    "scenarios_to_junit",
    "to_html",
    "to_json",
    "to_junit",
    "to_markdown",
    "to_text",
    "write_all",
    "write_scenarios",
    "write_texts",
]


class UnwritableReport(UsageError):  # noqa: N818 - named as what it reports
    """The folder for the report cannot be made or written to."""


def write_all(report: Report, traces: Sequence[Trace], folder: Path, *, bare: bool = False) -> None:
    """Write report.json, report.html, junit.xml and summary.md; each appears whole or not at all.

    `bare`: report.json alone. Raises UnwritableReport when the folder cannot be written to.
    """
    texts = {"report.json": to_json(report)}
    if not bare:
        texts |= {
            "report.html": to_html(report, traces),
            "junit.xml": to_junit(report),
            "summary.md": to_markdown(report),
        }
    write_texts(texts, folder)


def write_scenarios(report: ScenariosReport, folder: Path) -> None:
    """Write report.json, report.html and junit.xml of scenarios. Raises UnwritableReport."""
    write_texts(
        {
            "report.json": to_json(report),
            "report.html": scenarios_to_html(report),
            "junit.xml": scenarios_to_junit(report),
        },
        folder,
    )


def write_texts(texts: Mapping[str, str], folder: Path) -> None:
    """Write texts by the name of their file; each appears whole or not at all. Raises UnwritableReport."""
    try:
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            replace_file(folder / name, text)
    except OSError as error:
        reason = error.strerror or error
        raise UnwritableReport(f"cannot write the report to {folder}: {reason}; use --out DIR") from error
