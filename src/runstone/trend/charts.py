"""Lines over the nights, as points for an SVG; they break at another revision or a night without a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import msgspec

from runstone.contracts import Level
from runstone.report.drawing import WIDTH, Line, Point, polylines
from runstone.trend.course import Course
from runstone.trend.history import Night


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines on one scale, which goes from `low` to `high`; `breaks`: where revisions begin."""

    lines: tuple[Line, ...]
    low: str
    high: str
    breaks: tuple[float, ...]


def kept_chart(course: Course, first: int) -> Chart:
    """The share of each level that was kept, in percent; of `first` and the nights after it."""
    levels: tuple[Level, ...] = ("MUST", "SHOULD")
    values = {level: [_share(night, level) for night in course.nights[first:]] for level in levels}
    told = [each for line in values.values() for each in line if each is not None]
    low = min((each for each in told if each < 100), default=90.0)
    low = max(0.0, low - (100 - low) * 0.1)
    lines = tuple(
        Line(name=level, kind=level, points=_polylines(course, first, line, low, 100.0))
        for level, line in values.items()
    )
    return Chart(lines=lines, low=f"{low:.0f} %", high="100 %", breaks=tuple(_breaks(course, first)))


def duration_chart(course: Course, first: int) -> Chart:
    """How long the checks took, from zero on."""
    values = [night.duration_s if night.ended else None for night in course.nights[first:]]
    high = max((each for each in values if each is not None), default=0.0) or 1.0
    line = Line(name="check", kind="time", points=_polylines(course, first, values, 0.0, high))
    return Chart(lines=(line,), low="0 s", high=seconds(high), breaks=tuple(_breaks(course, first)))


def seconds(value: float) -> str:
    """`31 s`, `4.2 min`."""
    return f"{value:.0f} s" if value < 100 else f"{value / 60:.1f} min"


def _share(night: Night, level: Level) -> float | None:
    kept, of = night.kept(level)
    return 100 * kept / of if of and night.ended else None


def _polylines(
    course: Course, first: int, values: Sequence[float | None], low: float, high: float
) -> tuple[str, ...]:
    place = _place(len(values))
    points: list[Point | None] = []
    for index, value in enumerate(values):
        if index and course.begins_revision(first + index):
            points.append(None)
        points.append(None if value is None else (place(index), (value - low) / (high - low)))
    return polylines(points)


def _breaks(course: Course, first: int) -> Iterator[float]:
    shown = range(first, len(course.nights))
    place = _place(len(shown))
    for before, after in pairwise(shown):
        if course.begins_revision(after):
            yield round((place(before - first) + place(after - first)) / 2, 1)


def _place(nights: int) -> Callable[[int], float]:
    """Where a night stands: in the middle of its share of the width, as the cells of the matrix do."""
    return lambda index: WIDTH * (index + 0.5) / nights
