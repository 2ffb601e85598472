"""Published results: an overview of known servers, their reports, and the table that a README shows of them.

    published/index.html, index.md, index.json
    published/badges/<target>.svg
    published/<target>/report.json.gz

The table stands between two markers, is written by `runstone compare --readme`, and never by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from markupsafe import Markup

from runstone import report
from runstone.compare.comparison import Comparison, Side, in_full
from runstone.compare.sides import safe_name
from runstone.compare.texts import InShort, to_html, to_markdown
from runstone.contracts import LEVELS
from runstone.errors import UsageError
from runstone.report import digest
from runstone.report.summary import inline
from runstone.report.templates import environment
from runstone.verdict.model import Report

BEGIN: Final = "<!-- results -->"
END: Final = "<!-- /results -->"
_INDEX: Final = "index"
_BADGES: Final = "badges"
_LABEL: Final = "runstone"
_WIDE: Final = 6.6  # pixels of a character in a badge
_COLOURS: Final = {"kept": "#2a7d3f", "waived": "#5d7a2a", "broken": "#b3261e"}


class NoPlaceForResults(UsageError):  # noqa: N818 - a diagnosis, named for what it says
    """The file that shall show the results has no markers, or the folder holds no results."""


def publish(found: Comparison, sides: Sequence[Side], folder: Path) -> None:
    """Write the overview of a comparison, and each target's badge and report. Raises UnwritableReport."""
    badges = {side.name: badge(side.report) for side in sides}
    overview = {
        side.name: InShort(
            badge=Markup(badges[side.name]),  # noqa: S704 - its template escapes
            shares={share.level: share.words for share in digest.shares(side.report)},
            causes=len(side.report.causes),
        )
        for side in sides
    }
    shown = in_full(found, sides)
    targets = {"targets": [side.name for side in sides]}
    texts = {
        f"{_INDEX}.html": to_html(shown, sides, overview),
        f"{_INDEX}.md": to_markdown(shown),
        f"{_INDEX}.json": msgspec.json.format(msgspec.json.encode(targets)).decode() + "\n",
        **{f"{_BADGES}/{safe_name(name)}.svg": text for name, text in badges.items()},
    }
    report.write_texts(texts, folder)
    for side in sides:
        report.write_packed(side.report, folder / safe_name(side.name))


def badge(of: Report) -> str:
    """An image of one line: how many of the MUST that apply it keeps."""
    must = next(share for share in digest.shares(of) if share.level == LEVELS[0])
    message = f"{must.kept} of {must.of} {must.level}"
    colour = "broken" if not of.conforming else "kept" if must.kept == must.of else "waived"
    widths = [round(_WIDE * len(text)) + 10 for text in (_LABEL, message)]
    template = environment(autoescape=True).get_template("badge.svg.j2")
    return template.render(
        label=_LABEL, message=message, colour=_COLOURS[colour], widths=widths, target=of.target.name
    )


def show_in(readme: Path, folder: Path) -> None:
    """Write the table of the published results into a file. Raises NoPlaceForResults and UnwritableReport."""
    try:
        text = readme.read_text("utf-8")
    except OSError as error:
        raise NoPlaceForResults(f"cannot read {readme}: {error.strerror}") from None
    report.write_texts({readme.name: with_results(text, results_table(folder))}, readme.parent)


def results_table(folder: Path) -> str:
    """The published results as a Markdown table, a line for each target, in the order of the comparison.

    Raises NoPlaceForResults where there are none.
    """
    try:
        names = msgspec.json.decode((folder / f"{_INDEX}.json").read_bytes())["targets"]
        reports = [report.read(folder / safe_name(each)) for each in names]
    except OSError as error:
        raise NoPlaceForResults(
            f"{folder} holds no published results: {error.strerror}; run `make publish`"
        ) from None
    place = f"{folder.parent.name}/{folder.name}"
    lines = [
        "| Server | Version | MUST kept | SHOULD kept | MAY kept | Causes | Waived | Observed | Badge |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, each in zip(names, reports, strict=True):
        kept = [share.words.replace(" kept", "") for share in digest.shares(each)]
        counts = [str(number or "none") for number in (len(each.causes), len(digest.having(each, "waived")))]
        cells = [name, each.target.server or "unknown", *kept, *counts, each.started_at[:10]]
        image = f"![{inline(name)}]({place}/{_BADGES}/{safe_name(name)}.svg)"
        lines.append(f"| {' | '.join([*map(inline, cells), image])} |")
    told = (
        f"Runstone {inline(reports[0].runstone)}, profile {inline(reports[0].profile)}. Each requirement on "
        f"each server, down to the exchange: {_INDEX}.html in [{place}]({place}); as text: "
        f"[{_INDEX}.md]({place}/{_INDEX}.md)."
    )
    return "\n".join([told, "", *lines])


def with_results(text: str, table: str) -> str:
    """The text with the table between its markers. Raises NoPlaceForResults where they are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlaceForResults(f"there is no place for the results: write {BEGIN} and {END} on two lines")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"
