"""The charts of a load: latency over time and by percentile, throughput, runs in flight, memory.

Latencies are drawn on a scale of powers of ten: the slowest answers would flatten all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from runstone.load.model import Latency, Load, Window
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

LATENCY: Final = "Latency over time, from the moment at which each should have started"
PERCENTILE: Final = "Latency by percentile, from the moment at which each should have started"
THROUGHPUT: Final = "Throughput, starts and ends a second"
IN_FLIGHT: Final = "Runs in flight, as clients wait for them and as the server calls threads busy"


def finished(window: Window) -> float | None:
    """Runs that ended in it, a second."""
    return window.finished / window.seconds if window.seconds else None


def server_mb(window: Window) -> float | None:
    """The server's memory at its end, in MB."""
    return None if window.server_rss is None else window.server_rss / _MB


_LATENCIES: Final[Mapping[str, Value]] = {
    "p50": lambda each: each.p50_ms,
    "p95": lambda each: each.p95_ms,
    "p99": lambda each: each.p99_ms,
    "max": lambda each: each.max_ms,
}
_RATES: Final[Mapping[str, Value]] = {
    "offered": lambda each: each.offered,
    "achieved": lambda each: each.achieved,
    "finished": finished,
}
_IN_FLIGHT: Final[Mapping[str, Value]] = {
    "clients": lambda each: each.in_flight,
    "server": lambda each: each.server_in_flight,
}


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


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity of some windows, and the class of its line."""

    name: str
    kind: str
    windows: tuple[Window, ...]
    value: Value


def charts_of(load: Load) -> list[Chart]:
    """Those that the load has something to draw for."""
    found = [
        over_time("latency", LATENCY, _curves(load, _LATENCIES), milliseconds, powers=True),
        _by_kind(load),
        over_time("throughput", THROUGHPUT, _curves(load, _RATES), number),
        over_time("in-flight", IN_FLIGHT, _curves(load, _IN_FLIGHT), number),
        over_time("memory", "Memory of the server", _curves(load, {"memory": server_mb}), megabytes),
    ]
    if any(each.errors for each in load.windows):
        errors: dict[str, Value] = {"errors": lambda each: each.errors}
        found.append(over_time("errors", "Errors in each window", _curves(load, errors), number))
    return [each for each in found if each.lines]


def over_time(
    name: str, title: str, curves: Sequence[Curve], told: Callable[[float], str], *, powers: bool = False
) -> Chart:
    """A chart over the time of the longest curve. `told`: how a value is written."""
    seen = {curve.name: [curve.value(each) for each in curve.windows] for curve in curves}
    known = [each for line in seen.values() for each in line if each is not None]
    if not known:
        return Chart(name=name, title=title, lines=(), across=(), up=())
    first = min(curve.windows[0].at for curve in curves if curve.windows)
    last = max(each.at + each.seconds for curve in curves for each in curve.windows)
    across = _across(first, last)
    scale = _powers(known) if powers else _linear(known)
    return Chart(
        name=name,
        title=title,
        lines=tuple(
            Line(
                name=curve.name,
                kind=curve.kind,
                points=polylines(
                    _point(across(each.at + each.seconds / 2), scale.share(value))
                    for each, value in zip(curve.windows, seen[curve.name], strict=True)
                ),
            )
            for curve in curves
            if any(each is not None for each in seen[curve.name])
        ),
        across=tuple(
            Tick(at=round(100 * across(second) / WIDTH, 2), text=_time(second))
            for second in _steps(first, last)
        ),
        up=scale.ticks(told),
        bands=tuple(_bands(curves[0].windows, across)) if _of_one_load(curves) else (),
    )


def by_percentile(name: str, title: str, latencies: Sequence[tuple[str, str, Latency]]) -> Chart:
    """A line for each name, class and latency; each mark is ten times as rare as the one before."""
    scale = _powers([ms for _, _, latency in latencies for _, ms in latency.curve])
    return Chart(
        name=name,
        title=title,
        lines=tuple(
            Line(
                name=of,
                kind=kind,
                points=polylines(_point(_rarity(percent), scale.share(ms)) for percent, ms in latency.curve),
            )
            for of, kind, latency in latencies
        ),
        across=tuple(
            Tick(at=round(100 * _rarity(each) / WIDTH, 2), text=f"{each:g} %") for each in _PERCENTILES
        ),
        up=scale.ticks(milliseconds),
    )


def _by_kind(load: Load) -> Chart:
    kinds = [(each.name, each.name, each) for each in load.latencies if each.of == "kind" and each.count]
    return by_percentile("percentile", PERCENTILE, kinds)


def _curves(load: Load, values: Mapping[str, Value]) -> list[Curve]:
    return [Curve(name=name, kind=name, windows=load.windows, value=value) for name, value in values.items()]


def _of_one_load(curves: Sequence[Curve]) -> bool:
    return all(each.windows == curves[0].windows for each in curves)


def _point(x: float, share: float | None) -> Point | None:
    return None if share is None else (x, share)


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


def milliseconds(value: float) -> str:
    """`20 ms`, `1.5 s`."""
    return f"{value:g} ms" if value < 1_000 else f"{value / 1_000:g} s"


def number(value: float) -> str:
    """`1,200`, `0.25`."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def megabytes(value: float) -> str:
    """`120 MB`."""
    return f"{number(value)} MB"


def _time(seconds: float) -> str:
    for size, unit in ((_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
