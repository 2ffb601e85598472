"""Loads side by side, at the same offered rate: what each kept, how fast it answered, and what it took."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

import runstone
from runstone.contracts import Level
from runstone.errors import ExitCode, UsageError
from runstone.load.charts import (
    IN_FLIGHT,
    Chart,
    Curve,
    by_percentile,
    finished,
    megabytes,
    milliseconds,
    number,
    over_time,
    server_mb,
)
from runstone.load.judging import report_of
from runstone.load.model import KINDS, Completeness, Load, Window
from runstone.load.reading import Recorded, holds_load, read
from runstone.verdict.model import Outcome, Report

_SAME: Final = 0.02  # offered rates that differ by less are the same: 49.9 of 50 starts a second
_KEPT: Final = frozenset({"pass"})
_BROKEN: Final = frozenset({"fail", "warn", "not-testable"})


class NotComparable(UsageError):  # noqa: N818 - a diagnosis, named for what it says
    """These loads cannot be set side by side."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One load, judged."""

    name: str
    load: Load
    report: Report


class ComparedLoad(msgspec.Struct, frozen=True, kw_only=True):
    """A load as a comparison names it."""

    name: str
    url: str
    server: str
    started_at: str
    users: int
    rate: float
    seconds: float
    outcome: Completeness


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """How one load stands with a promise."""

    verdict: Outcome
    kept: int
    broken: int
    not_tested: int


class PromiseRow(msgspec.Struct, frozen=True, kw_only=True):
    """A promise, with how each load stands. `split`: one keeps it and another breaks it."""

    id: str
    level: Level
    statement: str
    split: bool
    stands: tuple[Stand, ...]


class FigureRow(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of each load, in the order of the loads; None where one has none.

    `better`: whether less of it is better, or more; '' where neither is.
    """

    name: str
    unit: str
    better: str
    values: tuple[float | None, ...]


class LoadComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Loads side by side, as contracts/schemas/load-comparison.json has it; code 1 where a MUST is split."""

    runstone: str
    compared_at: str
    exit_code: int
    loads: tuple[ComparedLoad, ...]
    promises: tuple[PromiseRow, ...]
    figures: tuple[FigureRow, ...]


def are_loads(names: Sequence[str]) -> bool:
    """Whether each of these names the folder of a load. Raises NotComparable where only some do."""
    found = [name for name in names if holds_load(Path(name))]
    if found and len(found) < len(names):
        other = next(name for name in names if name not in found)
        raise NotComparable(
            f"{found[0]} is a load and {other} is none; compare loads with loads, and checks with checks"
        )
    return bool(found)


def open_sides(names: Sequence[str], *, today: dt.date) -> list[Side]:
    """The loads of these folders, judged. Raises UnreadableLoad, EvidenceError and NotComparable."""
    if len(names) < 2:
        raise NotComparable(f"only {names[0]} was given; name a second load to compare it with")
    recorded = [read(Path(name)) for name in names]
    _demand_alike(names, [each.load for each in recorded])
    targets = [each.load.plan.target for each in recorded]
    told = targets if len(set(targets)) == len(targets) else list(names)
    return [_side(name, each, today) for name, each in zip(told, recorded, strict=True)]


def _side(name: str, recorded: Recorded, today: dt.date) -> Side:
    return Side(
        name=name,
        load=recorded.load,
        report=report_of(recorded.load, recorded.traces, today=today),
    )


def _demand_alike(names: Sequence[str], loads: Sequence[Load]) -> None:
    """Raises NotComparable for loads of different work: what comes of them says nothing together."""
    first = loads[0]
    for name, load in zip(names[1:], loads[1:], strict=True):
        rates = (first.plan.rate, load.plan.rate)
        if abs(rates[0] - rates[1]) > _SAME * max(rates):
            raise NotComparable(
                f"{names[0]} was offered {rates[0]:g} starts a second and {name} {rates[1]:g}; "
                f"load one of them again with --rate {rates[0]:g}/s"
            )
        if _shares(first) != _shares(load):
            raise NotComparable(
                f"{names[0]} and {name} were offered different kinds of runs; load one of them again with "
                f"--mix {','.join(f'{kind}={weight}' for kind, weight in first.plan.mix.items())}"
            )


def _shares(load: Load) -> dict[str, float]:
    whole = sum(load.plan.mix.values()) or 1
    return {kind: round(weight / whole, 6) for kind, weight in load.plan.mix.items() if weight}


def compare(sides: Sequence[Side]) -> LoadComparison:
    """The comparison; every load after the first is compared with the first."""
    promises = _promises(sides)
    return LoadComparison(
        runstone=runstone.__version__,
        compared_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        exit_code=ExitCode.NOT_CONFORMING
        if any(row.split and row.level == "MUST" for row in promises)
        else ExitCode.CONFORMING,
        loads=tuple(
            ComparedLoad(
                name=side.name,
                url=side.load.plan.url,
                server=side.load.server,
                started_at=side.load.started_at,
                users=side.load.plan.users,
                rate=side.load.plan.rate,
                seconds=side.load.plan.for_s,
                outcome=side.load.outcome.kind,
            )
            for side in sides
        ),
        promises=promises,
        figures=tuple(_figures(sides)),
    )


def _promises(sides: Sequence[Side]) -> tuple[PromiseRow, ...]:
    rows = []
    for together in zip(*(side.report.verdicts for side in sides), strict=True):
        outcomes = {each.verdict for each in together}
        first = together[0]
        rows.append(
            PromiseRow(
                id=first.id,
                level=first.level,
                statement=first.statement,
                split=bool(outcomes & _KEPT) and bool(outcomes & _BROKEN),
                stands=tuple(
                    _stand(first.id, each.verdict, side.load)
                    for each, side in zip(together, sides, strict=True)
                ),
            )
        )
    return tuple(rows)


def _stand(name: str, verdict: Outcome, load: Load) -> Stand:
    seen = next((each for each in load.invariants if each.id == name), None)
    counted = (0, 0, 0) if seen is None else (seen.kept, seen.broken, seen.not_tested)
    return Stand(verdict=verdict, kept=counted[0], broken=counted[1], not_tested=counted[2])


def _figures(sides: Sequence[Side]) -> list[FigureRow]:
    loads = [side.load for side in sides]

    def row(name: str, unit: str, better: str, value: Callable[[Load], float | None]) -> FigureRow:
        return FigureRow(name=name, unit=unit, better=better, values=tuple(map(value, loads)))

    rows = [
        row("offered", "starts/s", "", lambda each: each.figures.offered),
        row("achieved", "starts/s", "more", lambda each: each.figures.achieved),
        row("runs ended", "runs/s", "more", lambda each: each.figures.finished),
        row("most in flight", "starts", "less", lambda each: each.figures.in_flight_max),
        row("errors", "", "less", lambda each: sum(each.errors.values())),
        row("memory at the end", "MB", "less", _last_memory),
        row("memory grown by", "MB", "less", _grown_memory),
    ]
    for kind in (each for each in KINDS if any(_latency(load, each) for load in loads)):
        for percentile in ("p50_ms", "p99_ms", "max_ms"):
            word = percentile.removesuffix("_ms")
            rows.append(row(f"{kind} {word}", "ms", "less", _latency_of(kind, percentile)))
    return [each for each in rows if any(value is not None for value in each.values)]


def _latency_of(kind: str, percentile: str) -> Callable[[Load], float | None]:
    return lambda load: _latency(load, kind).get(percentile)


def _latency(load: Load, kind: str) -> Mapping[str, float]:
    for each in load.latencies:
        if (each.name, each.of) == (kind, "kind") and each.count:
            return {"p50_ms": each.p50_ms, "p99_ms": each.p99_ms, "max_ms": each.max_ms}
    return {}


def _last_memory(load: Load) -> float | None:
    told = _memory(load)
    return told[-1] if told else None


def _grown_memory(load: Load) -> float | None:
    told = _memory(load)
    return told[-1] - told[0] if told else None


def _memory(load: Load) -> list[float]:
    return [value for each in load.windows if (value := server_mb(each)) is not None]


def charts_of(sides: Sequence[Side]) -> list[Chart]:
    """A chart for each quantity, with a line for each load."""

    def curves(value: Callable[[Window], float | None]) -> list[Curve]:
        return [
            Curve(name=side.name, kind=f"side-{place}", windows=side.load.windows, value=value)
            for place, side in enumerate(sides)
        ]

    found = [
        over_time(
            "p50", "Latency over time, p50", curves(lambda each: each.p50_ms), milliseconds, powers=True
        ),
        over_time(
            "p99", "Latency over time, p99", curves(lambda each: each.p99_ms), milliseconds, powers=True
        ),
        *(_by_percentile(kind, sides) for kind in KINDS),
        over_time("throughput", "Ended, a second", curves(finished), number),
        over_time("in-flight", IN_FLIGHT.partition(" and ")[0], curves(lambda each: each.in_flight), number),
        over_time("memory", "Memory of the server", curves(server_mb), megabytes),
    ]
    return [each for each in found if each.lines]


def _by_percentile(kind: str, sides: Sequence[Side]) -> Chart:
    latencies = [
        (side.name, f"side-{place}", each)
        for place, side in enumerate(sides)
        for each in side.load.latencies
        if (each.name, each.of) == (kind, "kind") and each.count
    ]
    return by_percentile(f"percentile-{kind}", f"Latency by percentile, {kind}", latencies)
