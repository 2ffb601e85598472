"""The map of the contract as text: coverage.md, coverage.html, and lines for a terminal."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console

from runstone.contracts.coverage import COLUMNS, Coverage
from runstone.report.html import page_style
from runstone.report.summary import inline
from runstone.report.templates import environment

STEM: Final = "coverage"


def coverage_texts(found: Coverage) -> dict[str, str]:
    """Both pages, by the name of their file."""
    return {f"{STEM}.md": coverage_markdown(found), f"{STEM}.html": coverage_html(found)}


def coverage_markdown(found: Coverage) -> str:
    """A line for each operation, and below the reasons for each hole."""
    return environment(autoescape=False, finalize=inline).get_template(f"{STEM}.md.j2").render(**_told(found))


def coverage_html(found: Coverage) -> str:
    """One page that loads nothing."""
    template = environment(autoescape=True).get_template(f"{STEM}.html.j2")
    return template.render(**_told(found), **page_style(["report.css", f"{STEM}.css"]))


def print_coverage(found: Coverage, console: Console) -> None:
    """The counts, and what is open."""
    counts = {kind: found.count(kind) for kind in ("covered", "excused", "open")}
    console.print(
        f"{len(found.rows)} operations in {len(COLUMNS)} respects: {counts['covered']} cells covered, "
        f"{counts['excused']} excused, {counts['open']} open",
        highlight=False,
    )
    for each in found.open:
        console.print(f"  open  {each}", highlight=False, markup=False)


def _told(found: Coverage) -> dict[str, Any]:
    reasons: list[str] = []
    for row in found.rows:
        for cell in row.cells.values():
            if cell.excuse and cell.excuse not in reasons:
                reasons.append(cell.excuse)
    return {
        "columns": COLUMNS,
        "rows": found.rows,
        "counts": {kind: found.count(kind) for kind in ("covered", "excused", "open")},
        "reasons": reasons,
    }
