"""report.html: one self-contained page that loads nothing and runs no script but its own.

Every value is inserted as text: Jinja escapes what the template writes, the script only sets text contents,
and a content security policy names the hashes of the one script and the one style sheet.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
from markupsafe import Markup

from runstone.report import digest, remarks
from runstone.report.proof import gather, inert_json
from runstone.report.scenarios import page_words
from runstone.report.templates import environment, folder
from runstone.report.text import counted, for_terminal, shortened
from runstone.target.capabilities import Capability
from runstone.verdict.model import Case, Report, Verdict
from runstone.wire.trace import Trace

_CAUSES = 10  # the others are folded
_CURLS = 3  # lines of one case
_CURL = 3_000  # characters; a longer line is in report.json
_REASON = 2_000


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """An acceptance that was verified when the page was made; a page cannot verify itself.

    `covers`: what was signed and what follows from it, by the words for it; `again`: how to verify it again.
    """

    headline: str
    verified: str
    covers: dict[str, str]
    again: str


class Segment(msgspec.Struct, frozen=True):
    """A stretch of a level's bar, in percent of its width."""

    verdict: str
    start: float
    width: float


def to_html(report: Report, traces: Iterable[Trace], seal: Seal | None = None) -> str:
    """The page: verdict and totals, parity grid, capabilities, and each requirement with its exchanges."""
    template = environment(autoescape=True, finalize=_shown).get_template("report.html.j2")
    return template.render(
        report=report,
        seal=seal,
        digest=digest,
        remarks=remarks.remarks(report),
        repeats=remarks.repeats(report),
        took=remarks.took(report),
        areas=areas(report),
        segments=segments,
        consequence=consequence,
        cell_target=cell_target,
        explained=explained,
        shortened=lambda text: shortened(text, _REASON),
        curls=curls,
        curls_left=lambda case: len(case.curl) - len(curls(case)),
        counted=counted,
        most_causes=_CAUSES,
        longest_script=_CURL,
        **page_words(),
        **page_style(["report.css", "scenarios.css"], "page.js", "exchanges.js", "report.js"),
        data=Markup(inert_json(gather(report, traces)).decode()),  # noqa: S704 - made inert
    )


def page_style(styles: Iterable[str], *scripts: str) -> dict[str, str]:
    """Style sheets and scripts from reports/templates, and the hashes by which a page allows only them."""
    style, code = "".join(map(_asset, styles)), "".join(map(_asset, scripts))
    return {
        "style": Markup(style),  # noqa: S704 - Runstone's own files
        "script": Markup(code),  # noqa: S704
        "style_hash": _policy_hash(style),
        "script_hash": _policy_hash(code),
    }


def areas(report: Report) -> list[tuple[str, list[Verdict]]]:
    """The requirements by area, in the order in which the areas come."""
    grouped: dict[str, list[Verdict]] = {}
    for verdict in report.verdicts:
        grouped.setdefault(verdict.area, []).append(verdict)
    return list(grouped.items())


def segments(share: digest.Share) -> list[Segment]:
    """The bar of one level: what applies, by verdict, kept first."""
    bar = []
    start = 0.0
    ordered = ["pass", *(outcome for outcome in share.counts if outcome not in {"pass", "not-applicable"})]
    for outcome in ordered:
        width = 100 * share.counts.get(outcome, 0) / share.of if share.of else 0.0
        if width:
            bar.append(Segment(outcome, round(start, 3), round(width, 3)))
        start += width
    return bar


def consequence(capability: Capability) -> str:
    """What follows for the requirements that need this capability."""
    if not capability.present:
        return capability.reason or "not applicable"
    if capability.declared and capability.probed is False:
        return "judged, and bound to fail"
    if not capability.declared:
        return "judged, because found"
    return "judged"


def cell_target(report: Report, row: str, column: str) -> str:
    """The requirement that a cell of the parity grid speaks of; '' where nothing was judged."""
    cell = report.grid.cells.get(row, {}).get(column)
    return "" if cell is None else cell.requirement


def explained(verdict: Verdict) -> str:
    """The short line under a statement: why it is not kept; '' for a requirement that is."""
    return "" if verdict.verdict == "pass" else shortened(digest.reasons(verdict), 240)


def curls(case: Case) -> list[str]:
    """The last curl lines that the page can hold whole: a judge reads what it judges last."""
    return [line for line in case.curl if len(line) <= _CURL][-_CURLS:]


def _shown(value: Any) -> Any:
    return for_terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _asset(name: str) -> str:
    return (folder() / name).read_text("utf-8")


def _policy_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
