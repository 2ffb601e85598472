"""The page that shows batches while they are played. It loads nothing but what this server tells."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

import runstone
from runstone.report.digest import RESULT_WORDS
from runstone.report.html import page_style
from runstone.report.proof import inert_json
from runstone.report.templates import environment


@dataclass(frozen=True, slots=True)
class Page:
    """The text of the page, and what a browser may do with it."""

    text: str
    policy: str


def page_for(target: str) -> Page:
    """The page of a server that plays on this target."""
    style = page_style(
        ["report.css", "scenarios.css", "live.css"], "page.js", "live_conversations.js", "live.js"
    )
    policy = (
        "default-src 'none'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; style-src '{style['style_hash']}'; script-src '{style['script_hash']}'"
    )
    words = Markup(inert_json(RESULT_WORDS).decode())  # noqa: S704 - made inert
    template = environment(autoescape=True).get_template("live.html.j2")
    text = template.render(target=target, runstone=runstone.__version__, words=words, **style)
    return Page(text, policy)
