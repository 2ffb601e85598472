"""summary.md: the report as GitHub-flavoured Markdown, fit for a CI step summary."""

from __future__ import annotations

import html
import re
from typing import Any

from runstone.report import digest, remarks
from runstone.report.templates import environment
from runstone.report.text import counted, for_terminal, shortened
from runstone.verdict.model import Report

# A step summary holds 1 MiB at most; a dead server breaks some 200 promises.
_FAILURES_IN_FULL = 60
_CAUSES = 10
_CURLS = 3
_CURL = 2_000  # characters; a longer line is in report.json
_REASON = 1_000
_IDS = 12

_SPECIAL = re.compile(r"([\\`*_{}\[\]|~$])")
_BACKTICKS = re.compile("`+")


class Markdown(str):
    """Text that is Markdown already and is written as it stands."""

    __slots__ = ()


def to_markdown(report: Report) -> str:
    """Headline, totals, areas, parity grid, then every finding and what was not judged, with its reason."""
    template = environment(autoescape=False, finalize=inline).get_template("summary.md.j2")
    failures = digest.failing(report)
    rows = digest.area_rows(report)
    return template.render(
        report=report,
        digest=digest,
        remarks=remarks.remarks(report),
        took=remarks.took(report),
        rows=rows,
        total=digest.total_row(rows),
        outcomes=digest.OUTCOME_WORDS,
        failures=failures[:_FAILURES_IN_FULL],
        further_failures=failures[_FAILURES_IN_FULL:],
        seconds=seconds,
        short=short,
        ids=ids,
        fence=fence,
        counted=counted,
        most_causes=_CAUSES,
        longest_script=_CURL,
        repeat=repeat,
    )


def inline(value: Any) -> Any:
    """Any value as text on one line that no Markdown reader mistakes for markup, in table cells too."""
    if isinstance(value, Markdown):
        return value
    line = for_terminal(" ".join(str(value).split()))
    return _SPECIAL.sub(r"\\\1", html.escape(line, quote=False))


def fence(text: str) -> Markdown:
    """A fenced block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    bars = "`" * max(3, longest + 1)
    return Markdown(f"{bars}sh\n{for_terminal(text)}\n{bars}")


def repeat(curls: tuple[str, ...]) -> Markdown | str:
    """The last curl lines in a fenced block; those too long or too many are left to report.json."""
    shown = [line for line in curls if len(line) <= _CURL][-_CURLS:]
    left = len(curls) - len(shown)
    note = f"{counted(left, 'further curl line')} in report.json" if left else ""
    if not shown:
        return note
    return Markdown(fence("\n".join(shown)) + (f"\n\n{note}" if note else ""))


def short(text: str) -> str:
    """A reason, cut where it would crowd out the others."""
    return shortened(text, _REASON)


def ids(names: tuple[str, ...]) -> str:
    """The first of many requirement ids, and how many more there are."""
    shown = ", ".join(names[:_IDS])
    return shown if len(names) <= _IDS else f"{shown} and {len(names) - _IDS} more"


def seconds(value: float) -> str:
    """`8.1 s`."""
    return f"{value:.1f} s"
