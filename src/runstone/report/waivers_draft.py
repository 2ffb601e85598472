"""A waiver for each broken case of a report, grouped by cause: a beginning for teams that start with many."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

from runstone.report import digest
from runstone.report.text import for_terminal, shortened
from runstone.verdict.model import Case, Cause, Report, Verdict

_REASON = 200  # characters of what was seen; the report holds the rest
_HEAD = """\
# Drafted from the report on {target} of {started_at}, grouped by cause, the greatest first.
# Each waiver accepts one broken case until it expires; one that is no longer needed is an error, so that the
# list only gets shorter. Say in each reason why it is accepted, and drop what shall be fixed now.
waivers:
"""


def draft(report: Report, *, owner: str, expires: dt.date, link: str = "") -> str:
    """The YAML of a waiver file that accepts what the report shows as broken; without causes an empty one."""
    head = _HEAD.format(target=for_terminal(report.target.name), started_at=report.started_at)
    groups = ["\n".join(_group(report, cause, owner, expires, link)) for cause in report.causes]
    return head + "\n".join(groups) + "\n" if groups else "waivers: []\n"


def _group(report: Report, cause: Cause, owner: str, expires: dt.date, link: str) -> Iterator[str]:
    words = shortened(" ".join(for_terminal(digest.cause_words(cause)).split()), _REASON)
    yield f"  # {cause.id}, {digest.cause_weight(cause)}: {words}"
    for verdict in report.verdicts:
        for case in verdict.cases:
            if case.cause == cause.id:
                yield f"  - requirement: {_quoted(_name(verdict, case))}"
                yield f"    reason: {_quoted(shortened(case.reason or 'broken', _REASON))}"
                yield f"    owner: {_quoted(owner)}"
                yield f"    expires: {expires.isoformat()}"
                yield f"    link: {_quoted(link or f'report.html#{cause.id}')}"
                if case.verdict == "flaky":
                    yield "    flaky: true"


def _name(verdict: Verdict, case: Case) -> str:
    return f"{verdict.id}:{case.case}" if case.case else verdict.id


def _quoted(text: str) -> str:
    """A text as YAML has it: as JSON, which every text can be written in."""
    return json.dumps(for_terminal(text), ensure_ascii=False)
