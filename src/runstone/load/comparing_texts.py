"""Loads side by side as text: compare.json, compare.md, compare.html, and on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup
from rich.console import Console

from runstone import report
from runstone.load.comparing import FigureRow, LoadComparison, Side, Stand, charts_of
from runstone.load.page import duration
from runstone.report.digest import OUTCOME_WORDS
from runstone.report.drawing import HEIGHT, WIDTH
from runstone.report.html import page_style
from runstone.report.paper import Page
from runstone.report.summary import inline
from runstone.report.templates import environment
from runstone.report.terminal import STYLES
from runstone.report.text import for_terminal

_STEM: Final = "compare"


def texts_of(found: LoadComparison, sides: Sequence[Side]) -> dict[str, str]:
    """The three files by their names."""
    words = {
        "found": found,
        "headline": headline(found),
        "words": OUTCOME_WORDS,
        "figure": figure,
        "change": change,
        "counts": counts,
        "duration": duration,
    }
    markdown = environment(autoescape=False, finalize=inline).get_template("load-compare.md.j2")
    page = environment(autoescape=True, finalize=_shown).get_template("load-compare.html.j2")
    return {
        f"{_STEM}.json": report.to_json(found, indent=1),
        f"{_STEM}.md": markdown.render(words),
        f"{_STEM}.html": page.render(
            words,
            charts=charts_of(sides),
            width=WIDTH,
            height=HEIGHT,
            **page_style(["report.css", "charts.css", "load.css"]),
        ),
    }


def headline(found: LoadComparison) -> str:
    """`a and b differ in 1 MUST under load`, or that they keep the same."""
    names = [each.name for each in found.loads]
    who = f"{', '.join(names[:-1])} and {names[-1]}"
    split = [row.level for row in found.promises if row.split]
    said = [f"{split.count(level)} {level}" for level in dict.fromkeys(split)]
    return f"{who} differ in {', '.join(said)} under load" if said else f"{who} keep the same under load"


def figure(value: float | None, row: FigureRow) -> str:
    """`21.0 ms`; `-` for none."""
    if value is None:
        return "-"
    digits = 0 if value == int(value) and row.unit != "ms" else 1
    return f"{value:,.{digits}f} {row.unit}".strip()


def change(row: FigureRow, place: int) -> str:
    """How a load's figure differs from the first one's, in percent; '' where that cannot be told."""
    first, value = row.values[0], row.values[place]
    if not place or value is None or not first or not row.better:
        return ""
    return f"{100 * (value - first) / first:+.0f} %"


def counts(stand: Stand) -> str:
    """`3,999 kept, 1 broke it`."""
    told = [f"{stand.kept:,} kept it"] if stand.kept else []
    told += [f"{stand.broken:,} broke it"] if stand.broken else []
    told += [f"{stand.not_tested:,} not tested"] if stand.not_tested else []
    return ", ".join(told) or "nothing was counted"


def print_comparison(found: LoadComparison, console: Console, folder: Path) -> None:
    """Promises with different verdicts, then the figures; the last line says it in one."""
    out = Page(console)
    width = max(16, *(len(each.name) for each in found.loads)) + 2
    out.line(f"{'':<20}" + "".join(f"{each.name:>{width}}" for each in found.loads), "bold")
    for row in found.promises:
        if len({stand.verdict for stand in row.stands}) > 1:
            cells = [(f"{OUTCOME_WORDS[each.verdict]:>{width}}", STYLES[each.verdict]) for each in row.stands]
            out.spans((f"{row.id} {row.level:<11}", ""), *cells)
    for figures in found.figures:
        told = [f"{figure(value, figures):>{width}}" for value in figures.values]
        out.line(f"{figures.name:<20}{''.join(told)}")
    out.line()
    out.line(f"{headline(found)}; {folder / 'compare.html'}", "bold red" if found.exit_code else "bold green")


def _shown(value: Any) -> Any:
    return for_terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value
