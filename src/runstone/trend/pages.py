"""The pages of a history: an overview, a page for each target, and a badge for each.

    index.html   TARGET.html   badges/TARGET.json

A page cannot know when it is opened, so its script compares the newest night with the reader's clock and says
when nothing was checked for longer than the schedule allows.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from markupsafe import Markup

import runstone
from runstone.report.digest import OUTCOME_WORDS
from runstone.report.drawing import HEIGHT, WIDTH
from runstone.report.html import page_style
from runstone.report.proof import inert_json
from runstone.report.templates import environment
from runstone.report.text import counted, for_terminal, shortened, well_formed_tree
from runstone.trend.charts import duration_chart, kept_chart, seconds
from runstone.trend.course import FLAKY_NIGHTS, Course, Row
from runstone.trend.history import Night
from runstone.verdict.model import Outcome

# One character a cell: 400 requirements over 60 nights are then 24 kB.
SIGNS: Final[dict[Outcome | None, str]] = {
    None: " ",
    "pass": "p",
    "fail": "f",
    "warn": "w",
    "flaky": "l",
    "not-testable": "t",
    "waived": "a",
    "not-run": "r",
    "not-applicable": "n",
    "harness-error": "e",
}
_NOT_IN_A_NAME: Final = re.compile(r"[^\w.@+-]")
_COLOURS: Final = {"kept": "brightgreen", "waived": "green", "broken": "red", "unknown": "lightgrey"}


class Badge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What a badge of shields.io reads from an address (its endpoint schema)."""

    schema_version: int
    label: str
    message: str
    color: str
    is_error: bool = False


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A course and where its page lies. `late`: when the page was made, its newest night was too old."""

    course: Course
    stem: str
    late: bool

    @property
    def good(self) -> bool:
        """Whether the newest night says that the target conforms, and is new enough to say so."""
        return self.course.newest.exit_code == 0 and not self.late


def texts_of(
    courses: Sequence[Course], *, now: dt.datetime, late_after: dt.timedelta, nights: int
) -> dict[str, str]:
    """Every page and badge by its name. `nights`: how many of the last ones matrix and charts show."""
    shown = [
        Shown(course=course, stem=stem, late=is_late(course, now, late_after))
        for course, stem in zip(courses, _stems([each.target for each in courses]), strict=True)
    ]
    words = {
        "runstone": runstone.__version__,
        "made": now.isoformat(timespec="seconds"),
        "late_after": late_after,
        "counted": counted,
        "shortened": shortened,
        "words": OUTCOME_WORDS,
        "at": at,
        "day": day,
        "standing": standing,
        **page_style(["report.css", "charts.css", "trend.css"], "page.js", "trend.js"),
    }
    pages = environment(autoescape=True, finalize=_shown)
    texts = {"index.html": pages.get_template("trend-index.html.j2").render(words, shown=shown, strip=_strip)}
    for each in shown:
        first = max(0, len(each.course.nights) - nights)
        texts[f"{each.stem}.html"] = pages.get_template("trend.html.j2").render(
            words,
            shown=each,
            course=each.course,
            first=first,
            charts=[
                ("Kept, in percent", kept_chart(each.course, first)),
                ("How long the check took", duration_chart(each.course, first)),
            ],
            width=WIDTH,
            height=HEIGHT,
            flaky_nights=FLAKY_NIGHTS,
            seconds=seconds,
            data=Markup(inert_json(_data(each.course, first)).decode()),  # noqa: S704 - made inert
        )
        badge = badge_of(each.course, late=each.late)
        texts[f"badges/{each.stem}.json"] = msgspec.json.encode(badge).decode() + "\n"
    return texts


def is_late(course: Course, now: dt.datetime, late_after: dt.timedelta) -> bool:
    """Whether the newest night is older than the schedule allows."""
    return now - course.newest.night > late_after


def badge_of(course: Course, *, late: bool) -> Badge:
    """What the newest night says, with its day: whoever shows the badge sees how old it is."""
    newest = course.newest
    kept, of = newest.kept("MUST")
    if late:
        message, colour = f"nothing checked since {day(newest)}", "unknown"
    elif not newest.ended:
        message, colour = f"no verdict, {day(newest)}", "unknown"
    else:
        message = f"{kept} of {of} MUST, {day(newest)}"
        colour = "broken" if newest.exit_code else "waived" if kept < of else "kept"
    return Badge(
        schema_version=1,
        label=f"runstone: {course.target}",
        message=message,
        color=_COLOURS[colour],
        is_error=colour == "unknown",
    )


def standing(course: Course) -> str:
    """`conforms`, `2 MUST broken`, or that there is no verdict."""
    newest = course.newest
    if not newest.ended:
        return "gave no verdict"
    if newest.exit_code == 0:
        return "conforms"
    counts = {
        level: sum(each.row.level == level for each in course.broken)
        for level in (["MUST"] if newest.fail_on == "must" else ["MUST", "SHOULD"])
    }
    said = [f"{count} {level}" for level, count in counts.items() if count]
    return f"breaks {' and '.join(said)}" if said else "does not conform"


def at(night: Night) -> str:
    """When a night was, to the minute, in UTC."""
    return night.night.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def day(night: Night) -> str:
    """The day of a night in UTC."""
    return night.night.astimezone(dt.UTC).strftime("%Y-%m-%d")


def _data(course: Course, first: int) -> Any:
    """What the script of a page draws the matrix from."""
    nights = course.nights[first:]
    return well_formed_tree(
        {
            "nights": [
                {
                    "at": at(night),
                    "day": day(night),
                    "server": night.server,
                    "ended": night.ended,
                    "stopped": night.stopped or "",
                    "revision": night.revision,
                    "breaks": first + index > 0 and course.begins_revision(first + index),
                }
                for index, night in enumerate(nights)
            ],
            "rows": [
                {
                    "id": row.id,
                    "level": row.level,
                    "area": row.area,
                    "statement": row.statement,
                    "cells": "".join(SIGNS[each] for each in row.outcomes[first:]),
                    "reasons": _reasons(course, row, first),
                }
                for row in course.rows
            ],
            "words": {sign: OUTCOME_WORDS[each] for each, sign in SIGNS.items() if each is not None},
        }
    )


def _reasons(course: Course, row: Row, first: int) -> dict[str, str]:
    """By night, wherever the verdict changed: a reason stands until the next one, or 60 nights repeat it."""
    found: dict[str, str] = {}
    before: Outcome | None = None
    for index in range(first, len(course.nights)):
        outcome = row.outcomes[index]
        if outcome != before and (reason := course.reason(index, row)):
            found[str(index - first)] = reason
        before = outcome
    return found


def _strip(course: Course) -> list[tuple[Night, str]]:
    """The last 60 nights of a target, each with how it ended."""
    kinds = {0: "good", 1: "bad"}
    return [(night, kinds.get(night.exit_code, "none")) for night in course.nights[-60:]]


def _stems(names: Sequence[str]) -> list[str]:
    """The name of each target's page; two that come out the same are numbered."""
    stems: list[str] = []
    for name in names:
        plain = _NOT_IN_A_NAME.sub("-", name).lstrip(".") or "target"
        stem, number = plain, 1
        while stem.casefold() in {"index", *(each.casefold() for each in stems)}:
            number += 1
            stem = f"{plain}-{number}"
        stems.append(stem)
    return stems


def _shown(value: Any) -> Any:
    return for_terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value
