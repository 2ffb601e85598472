"""Reports: pure functions from a Report (and, for the page, its traces) to text; only `write_all` writes."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

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
    "pack",
    "print_catalogue",
    "print_changes",
    "print_requirement",
    "print_scenarios",
    "print_scenarios_report",
    "print_summary",
    "read",
    "scenarios_to_html",
    "scenarios_to_junit",
    "to_html",
    "to_json",
    "to_junit",
    "to_markdown",
    "to_text",
    "write_all",
    "write_packed",
    "write_scenarios",
    "write_texts",
]


_REPORT: Final = "report.json"


class UnwritableReport(UsageError):  # noqa: N818 - named as what it reports
    """The folder for the report cannot be made or written to."""


def write_all(report: Report, traces: Sequence[Trace], folder: Path, *, bare: bool = False) -> None:
    """Write report.json, report.html, junit.xml and summary.md; each appears whole or not at all.

    `bare`: report.json alone. Raises UnwritableReport when the folder cannot be written to.
    """
    texts = {_REPORT: to_json(report)}
    if not bare:
        texts |= {
            "report.html": to_html(report, traces),
            "junit.xml": to_junit(report),
            "summary.md": to_markdown(report),
        }
    write_texts(texts, folder)


def write_packed(report: Report, folder: Path) -> None:
    """Write report.json.gz, the same bytes each time. Raises UnwritableReport."""
    pack(to_json(report, indent=-1), _REPORT, folder)


def pack(text: str, name: str, folder: Path) -> None:
    """Write NAME.gz, the same bytes each time. Raises UnwritableReport."""
    with _written(folder):
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / f"{name}.gz", gzip.compress(text.encode(), mtime=0))


def read(path: Path) -> Report:
    """The report of a folder or a file: report.json, packed or not. Raises OSError and MalformedReport."""
    plain, packed = path / _REPORT, path / f"{_REPORT}.gz"
    if path.is_dir():
        path = packed if packed.exists() and not plain.exists() else plain
    said = path.read_bytes()
    return from_json(_unpacked(said) if path.suffix == ".gz" else said)


def _unpacked(said: bytes) -> bytes:
    try:
        return gzip.decompress(said)
    except (OSError, EOFError, zlib.error) as error:
        raise MalformedReport(f"{_REPORT}.gz cannot be unpacked: {error}; write it again") from None


def write_scenarios(report: ScenariosReport, folder: Path) -> None:
    """Write report.json, report.html and junit.xml of scenarios. Raises UnwritableReport."""
    write_texts(
        {
            _REPORT: to_json(report),
            "report.html": scenarios_to_html(report),
            "junit.xml": scenarios_to_junit(report),
        },
        folder,
    )


def write_texts(texts: Mapping[str, str], folder: Path) -> None:
    """Write texts by the name of their file; each appears whole or not at all. Raises UnwritableReport."""
    with _written(folder):
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            replace_file(folder / name, text)


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UnwritableReport(f"cannot write the report to {folder}: {reason}; use --out DIR") from error
