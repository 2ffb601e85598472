"""The templates in reports/templates/, in an environment that refuses unknown names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from runstone.locations import locate
from runstone.report.text import moment, prose


def folder() -> Path:
    """Where the templates lie. Raises what `locate` raises when the installation lacks them."""
    return locate("reports") / "templates"


def environment(*, autoescape: bool, finalize: Callable[[Any], Any] | None = None) -> Environment:
    """A strict environment; `finalize` sees the value of every expression before it is written.

    Beside Jinja's filters it has `moment` and `prose` of `report.text`.
    """
    made = Environment(
        loader=FileSystemLoader(folder()),
        autoescape=autoescape,  # noqa: S701 - off for Markdown only, whose `finalize` escapes
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"moment": moment, "prose": prose}
    return made
