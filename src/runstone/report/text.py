"""Text that came from a target, made safe for the place where it is shown.

Reasons quote bodies, and bodies are hostile: lone surrogates break UTF-8, control characters break XML, and
escape sequences move a terminal's cursor. Nothing is dropped silently: what cannot be shown is shown escaped.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from markupsafe import Markup, escape

_SURROGATES = re.compile("[\ud800-\udfff]")
# C0 without tab and line feed, DEL and C1: a terminal acts on them.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Marks that reorder the text around them, so that a line reads other than it is.
_REORDERING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CODE = re.compile("`([^`]+)`")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


def well_formed(text: str) -> str:
    """The text with each lone surrogate written as `\\udXXX`, so that it encodes as UTF-8."""
    return _SURROGATES.sub(_escaped, text)


def well_formed_tree(value: Any) -> Any:
    """The same for every string of a value made of dicts, lists and scalars, keys included."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, dict):
        return {well_formed_tree(key): well_formed_tree(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [well_formed_tree(member) for member in value]
    return value


def for_xml(text: str) -> str:
    """The text with each character that XML 1.0 cannot hold written as an escape."""
    return _NOT_XML.sub(_escaped, text)


def for_terminal(text: str) -> str:
    """The text with control and reordering characters written as escapes; line feeds and tabs stay."""
    return _REORDERING.sub(_escaped, _CONTROLS.sub(_escaped, well_formed(text)))


def shortened(text: str, limit: int) -> str:
    """The text, cut to `limit` characters with `...` at its end when it is longer."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def moment(text: str) -> str:
    """An ISO 8601 time as people read it, `2026-11-21 17:42 UTC`; what is none stays as it is."""
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return text


def prose(text: str) -> Markup:
    """A text for a page, escaped, with what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(for_terminal(text)))))  # noqa: S704 - escaped


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 requirement`, `2 requirements`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
