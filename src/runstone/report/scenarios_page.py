"""report.html of `runstone scenarios`."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from runstone.report.digest import scenario_totals
from runstone.report.html import page_style
from runstone.report.scenarios import page_words
from runstone.report.templates import environment
from runstone.report.text import counted, for_terminal
from runstone.verdict.scenarios import ScenariosReport


def scenarios_to_html(report: ScenariosReport) -> str:
    """The page: every scenario with its conversations, turn by turn. It loads nothing and runs no script."""
    template = environment(autoescape=True, finalize=_shown).get_template("scenarios.html.j2")
    style = page_style(["report.css", "scenarios.css"])
    return template.render(
        report=report,
        headline=headline(report),
        totals=scenario_totals(report.results),
        **page_words(),
        **style,
    )


def headline(report: ScenariosReport) -> str:
    """The first line of a page."""
    word = "Accepted" if report.accepted else "Not accepted"
    return f"{word}: {counted(len(report.results.scenarios), 'scenario')} on {report.target}"


def _shown(value: Any) -> Any:
    return for_terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value
