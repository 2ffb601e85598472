"""The charts of a load: latency over time and by percentile, throughput, runs in flight, memory.

Latencies are drawn on a scale of powers of ten: the slowest answers would flatten all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from runstone.load.model import Load, Window
from runstone.report.drawing import HEIGHT, WIDTH, Line, Point, height_of, polylines

_PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9, 99.99)
_LINES: Final = 4  # of a linear scale, above zero
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_CLOCK_S: Final = (
    *(1, 2, 5, 10, 20, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 7 * _DAY),
)
_MB: Final = 1_000_000

Value = Callable[[Window], float | None]


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """A mark of a scale. `at`: its place, in percent of the drawing from the left or from the top."""

    at: float
    text: str


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time, in units of the drawing, that is not like the others."""

    kind: str
    start: float
    width: float


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines on one scale. `across`, `up`: the marks of its scales. `bands`: where time is drawn."""

    name: str
    title: str
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    bands: tuple[Band, ...] = ()


def charts_of(load: Load) -> list[Chart]:
    """Those that the load has something to draw for."""
    windows = load.windows
    if not windows:
        return [each for each in [_by_percentile(load)] if each.lines]
    started = [each for each in windows if not each.draining]
    found = [
        _over_time(
            "latency",
            "Latency over time, from the moment at which each should have started",
            windows,
            {
                "p50": lambda each: each.p50_ms,
                "p95": lambda each: each.p95_ms,
                "p99": lambda each: each.p99_ms,
                "max": lambda each: each.max_ms,
            },
            _milliseconds,
            powers=True,
        ),
        _by_percentile(load),
        _over_time(
            "throughput",
            "Throughput, starts and ends a second",
            windows,
            {
                "offered": lambda each: each.offered,
                "achieved": lambda each: each.achieved,
                "finished": lambda each: each.finished / each.seconds if each.seconds else None,
            },
            _number,
        ),
        _over_time(
            "in-flight",
            "Runs in flight, as clients wait for them and as the server calls threads busy",
            windows,
            {"clients": lambda each: each.in_flight, "server": lambda each: each.server_in_flight},
            _number,
        ),
        _over_time(
            "memory",
            "Memory of the server",
            windows,
            {"memory": lambda each: None if each.server_rss is None else each.server_rss / _MB},
            lambda value: f"{_number(value)} MB",
        ),
        _over_time("errors", "Errors in each window", windows, {"errors": lambda each: each.errors}, _number),
    ]
    anything = any(each.errors for each in started)
    return [each for each in found if each.lines and (each.name != "errors" or anything)]


def _over_time(
    name: str,
    title: str,
    windows: Sequence[Window],
    values: dict[str, Value],
    told: Callable[[float], str],
    *,
    powers: bool = False,
) -> Chart:
    ends = windows[-1].at + windows[-1].seconds
    across = _across(windows[0].at, ends)
    seen = {key: [value(each) for each in windows] for key, value in values.items()}
    known = [each for line in seen.values() for each in line if each is not None]
    scale = _powers(known) if powers else _linear(known)
    places = [across(each.at + each.seconds / 2) for each in windows]
    lines = tuple(
        Line(name=key, kind=key, points=polylines(_points(places, line, scale)))
        for key, line in seen.items()
        if any(each is not None for each in line)
    )
    return Chart(
        name=name,
        title=title,
        lines=lines,
        across=tuple(
            Tick(at=round(100 * across(second) / WIDTH, 2), text=_time(second))
            for second in _steps(windows[0].at, ends)
        ),
        up=scale.ticks(told),
        bands=tuple(_bands(windows, across)),
    )


def _by_percentile(load: Load) -> Chart:
    """A line for each kind of start; to the right each mark is ten times as rare as the one before."""
    kinds = [each for each in load.latencies if each.of == "kind" and each.count]
    known = [ms for each in kinds for _, ms in each.curve]
    scale = _powers(known)
    return Chart(
        name="percentile",
        title="Latency by percentile, from the moment at which each should have started",
        lines=tuple(
            Line(
                name=each.name,
                kind=each.name,
                points=polylines(
                    (_rarity(percent), share)
                    for percent, ms in each.curve
                    if (share := scale.share(ms)) is not None
                ),
            )
            for each in kinds
        ),
        across=tuple(
            Tick(at=round(100 * _rarity(each) / WIDTH, 2), text=f"{each:g} %") for each in _PERCENTILES
        ),
        up=scale.ticks(_milliseconds),
    )


class _Scale(msgspec.Struct, frozen=True, kw_only=True):
    """From values to shares of the height. `marks`: the values that are told."""

    low: float
    high: float
    marks: tuple[float, ...]
    powers: bool

    def share(self, value: float | None) -> float | None:
        if value is None or (self.powers and value <= 0):
            return None
        if self.powers:
            return (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        return (value - self.low) / (self.high - self.low)

    def ticks(self, told: Callable[[float], str]) -> tuple[Tick, ...]:
        found = [(self.share(each), told(each)) for each in self.marks]
        return tuple(
            Tick(at=round(100 * height_of(share) / HEIGHT, 2), text=text)
            for share, text in found
            if share is not None
        )


def _linear(values: Iterable[float]) -> _Scale:
    highest = max(values, default=0.0) or 1.0
    step = _round_step(highest / _LINES)
    steps = math.ceil(highest / step)
    return _Scale(
        low=0.0, high=step * steps, marks=tuple(step * each for each in range(steps + 1)), powers=False
    )


def _powers(values: Iterable[float]) -> _Scale:
    positive = [each for each in values if each > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    high = max(high, low + 1)
    marks = tuple(10.0**each for each in range(low, high + 1))
    return _Scale(low=10.0**low, high=10.0**high, marks=marks, powers=True)


def _points(places: Sequence[float], values: Sequence[float | None], scale: _Scale) -> Iterable[Point | None]:
    for x, value in zip(places, values, strict=True):
        share = scale.share(value)
        yield None if share is None else (x, share)


def _bands(windows: Sequence[Window], across: Callable[[float], float]) -> Iterable[Band]:
    """Where nothing was started any more, and where something was found broken."""
    for each in windows:
        for kind, holds in (("draining", each.draining), ("broken", each.broken > 0)):
            if holds:
                start, end = across(each.at), across(each.at + each.seconds)
                yield Band(kind=kind, start=round(start, 1), width=round(end - start, 1))


def _across(first: float, last: float) -> Callable[[float], float]:
    return lambda second: WIDTH * (second - first) / ((last - first) or 1.0)


def _rarity(percent: float) -> float:
    """Where a percentile stands: 90, 99 and 99.9 at equal distances."""
    rarest = 100 - _PERCENTILES[-1]
    return WIDTH * min(1.0, math.log10(100 / max(100 - percent, rarest)) / math.log10(100 / rarest))


def _steps(first: float, last: float) -> list[float]:
    least = (last - first) / _LINES
    step = next((each for each in _CLOCK_S if each >= least), _CLOCK_S[-1])
    return [first + step * each for each in range(int((last - first) / step) + 1)]


def _round_step(least: float) -> float:
    """The next of 1, 2, 5, 10, 20 …"""
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next(power * each for each in (1, 2, 5, 10) if power * each >= least * (1 - 1e-9))


def _milliseconds(value: float) -> str:
    return f"{value:g} ms" if value < 1_000 else f"{value / 1_000:g} s"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _time(seconds: float) -> str:
    for size, unit in ((_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
