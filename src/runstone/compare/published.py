"""Published results: the comparison, the report of each target, and the table that a README shows of them.

    published/compare.html, compare.json, compare.md
    published/<target>/report.json

The table stands between two markers, is written by `runstone compare --readme`, and never by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from runstone import report
from runstone.compare.comparison import Side
from runstone.compare.sides import safe_name
from runstone.compare.texts import STEM
from runstone.errors import UsageError
from runstone.report import digest
from runstone.report.summary import inline

BEGIN: Final = "<!-- results -->"
END: Final = "<!-- /results -->"


class NoPlaceForResults(UsageError):  # noqa: N818 - a diagnosis, named for what it says
    """The file that shall show the results has no markers, or the folder holds no results."""


def publish(texts: Mapping[str, str], sides: Sequence[Side], folder: Path) -> None:
    """Write the texts of a comparison and each target's report.json. Raises UnwritableReport."""
    report.write_texts(texts, folder)
    for side in sides:
        report.write_texts({"report.json": report.to_json(side.report)}, folder / safe_name(side.name))


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
        targets = msgspec.json.decode((folder / f"{STEM}.json").read_bytes())["targets"]
        names = [each["name"] for each in targets]
        reports = [
            report.from_json((folder / safe_name(each) / "report.json").read_bytes()) for each in names
        ]
    except OSError as error:
        raise NoPlaceForResults(
            f"{folder} holds no published results: {error.strerror}; run `make publish`"
        ) from None
    lines = [
        "| Server | Version | MUST kept | SHOULD kept | MAY kept | Waived | Observed |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, each in zip(names, reports, strict=True):
        kept = [share.words.replace(" kept", "") for share in digest.shares(each)]
        waived = str(len(digest.having(each, "waived")) or "none")
        cells = [name, each.target.server or "unknown", *kept, waived, each.started_at[:10]]
        lines.append(f"| {' | '.join(inline(cell) for cell in cells)} |")
    told = (
        f"Runstone {inline(reports[0].runstone)}, profile {inline(reports[0].profile)}; side by side: "
        f"[{STEM}.md]({folder.parent.name}/{folder.name}/{STEM}.md)."
    )
    return "\n".join([told, "", *lines])


def with_results(text: str, table: str) -> str:
    """The text with the table between its markers. Raises NoPlaceForResults where they are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlaceForResults(f"there is no place for the results: write {BEGIN} and {END} on two lines")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"
