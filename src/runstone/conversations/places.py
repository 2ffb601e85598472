"""A place in a JSON document, such as `$.messages[-1].content`."""

from __future__ import annotations

import re
from typing import Any, Final

_STEP: Final = re.compile(
    r"""\.(?P<name>[^.\[\]'"]+)|\[(?P<index>-?\d+)\]|\[(?P<quote>['"])(?P<key>.*?)(?P=quote)\]"""
)


class BadPlace(ValueError):  # noqa: N818 - named as what it reports
    """The text names no place; the message says what one looks like."""


class NothingThere(LookupError):  # noqa: N818 - named as what it reports
    """The document has nothing at this place."""


def steps_of(place: str) -> list[str | int]:
    """The names and numbers that lead to a place; none for `$`. Raises BadPlace."""
    rest = place[1:] if place.startswith("$") else f".{place}"
    steps: list[str | int] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        if found is None:
            raise BadPlace(f"{place!r} is not a place like $.messages[-1].content")
        index = found["index"]
        steps.append(int(index) if index is not None else found["name"] or found["key"] or "")
        at = found.end()
    return steps


def value_at(document: Any, place: str) -> Any:
    """The value there. Raises NothingThere, which names the step that leads nowhere."""
    for step in steps_of(place):
        try:
            suits = isinstance(document, list) if isinstance(step, int) else isinstance(document, dict)
            if not suits:
                raise NothingThere(f"there is nothing at {place}: {step!r} leads nowhere")
            document = document[step]
        except LookupError:
            raise NothingThere(f"there is nothing at {place}: {step!r} leads nowhere") from None
    return document
