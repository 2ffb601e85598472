"""Lines as points of an SVG that is stretched to the width of a page, without scales and keys."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

WIDTH, HEIGHT = 600, 100  # units of the drawing
_MARGIN = 4
_DOT = 1.5  # half the width of a point that stands alone between two breaks

Point = tuple[float, float]  # across in units of the drawing, and a share of the height


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity. `kind`: what its class is called. `points`: an SVG polyline for each unbroken stretch."""

    name: str
    kind: str
    points: tuple[str, ...]


def polylines(points: Iterable[Point | None]) -> tuple[str, ...]:
    """A polyline for each stretch of points; None breaks the line."""
    stretches: list[list[Point]] = [[]]
    for point in points:
        if point is None:
            stretches.append([])
        else:
            x, share = point
            stretches[-1].append((x, height_of(share)))
    return tuple(" ".join(f"{x:.1f},{y:.1f}" for x, y in _drawn(each)) for each in stretches if each)


def height_of(share: float) -> float:
    """Where a share of the height is drawn."""
    return HEIGHT - _MARGIN - share * (HEIGHT - 2 * _MARGIN)


def _drawn(stretch: list[Point]) -> list[Point]:
    if len(stretch) > 1:
        return stretch
    ((x, y),) = stretch
    return [(x - _DOT, y), (x + _DOT, y)]
