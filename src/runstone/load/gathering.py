"""What all workers told, put together: windows as they end, totals, the starts that are kept in full."""

from __future__ import annotations

import gc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

import msgspec

from runstone.load.counting import Histogram
from runstone.load.messages import Began, Found, Gone, Hello, Message, Refused, Tested, Tick, Totals
from runstone.load.model import (
    MOST_BROKEN,
    SAMPLED,
    Counts,
    Latency,
    OfKind,
    Plan,
    Tally,
    Throttled,
    Window,
    Worker,
)
from runstone.load.tokens import together

_CURVE: Final = (0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0)
_TICK_S: Final = 1.0


@dataclass
class _Worker:
    """What is known of a worker while it works. The numbers are those of its last tick."""

    hello: Hello
    last: Tick | None = None
    totals: Totals | None = None
    lag_max_s: float = 0.0
    gone: bool = False


@dataclass
class _Open:
    """A window that goes on."""

    latencies: Histogram = field(default_factory=Histogram)
    by_kind: defaultdict[str, Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    due: int = 0
    started: int = 0
    finished: int = 0
    errors: int = 0
    broken: int = 0
    lag_max_s: float = 0.0
    draining: bool = True


@dataclass(frozen=True)
class Gauge:
    """What the server shows of itself: threads of this load that it calls busy, and its memory in bytes.

    `others`: the share of its machine's CPU that others took meanwhile, where it is this one.
    """

    in_flight: int | None = None
    rss: int | None = None
    others: float | None = None


class Gathering:
    """Takes the messages of a load. `on_window` is told of each window as it ends, `on_made` of threads."""

    def __init__(
        self,
        plan: Plan,
        on_window: Callable[[Window], None],
        on_made: Callable[[tuple[str, ...]], None],
        on_found: Callable[[Found], None],
    ) -> None:
        self.plan = plan
        self.gauge = Gauge()
        self.refused = ""
        self.windows: list[Window] = []
        self.in_flight_max = 0
        self._on_window = on_window
        self._on_made = on_made
        self._on_found = on_found
        self._workers: dict[str, _Worker] = {}
        self._numbers: dict[int, str] = {}
        self._open: defaultdict[int, _Open] = defaultdict(_Open)
        self._next = 0  # the window that ends next
        self._broken = self._drawn = 0
        self._others: list[float] = []  # since the last window

    def take(self, message: Message) -> None:
        """What a worker, or the master, told."""
        match message:
            case Hello():
                self._workers[message.id] = _Worker(message)
            case Began():
                self._numbers[message.worker] = message.id
            case Refused():
                self.refused = self.refused or message.reason
            case Gone():
                self._workers[message.id].gone = True
            case Tick():
                self._take_tick(message)
            case Found():
                self._take_found(message)
            case Totals():
                self._workers[message.id].totals = message
            case _:
                pass

    def _take_tick(self, tick: Tick) -> None:
        worker = self._workers[self._numbers[tick.worker]]
        before = worker.last or _NOTHING
        window = self._open[self._window_of(tick.second)]
        window.due += tick.due - before.due
        window.started += tick.started - before.started
        window.finished += tick.finished - before.finished
        window.errors += tick.errors - before.errors
        window.broken += tick.broken - before.broken
        window.lag_max_s = max(window.lag_max_s, tick.lag_max_s)
        window.draining &= tick.draining
        for kind, encoded in tick.latencies.items():
            window.latencies.add(encoded)
            window.by_kind[kind].add(encoded)
        worker.last = tick
        worker.lag_max_s = max(worker.lag_max_s, tick.lag_max_s)
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        if tick.made:
            self._on_made(tick.made)
        # A histogram refers to itself by its decoder. Each is few objects and 100 KB: Python, which counts
        # objects, would let them pile up by 7 MB a second.
        gc.collect(2 if self._end_windows() else 0)

    def _take_found(self, found: Found) -> None:
        """The first hundred that broke something, and twenty others."""
        if found.broken:
            self._broken += 1
            wanted = self._broken <= MOST_BROKEN
        else:
            self._drawn += 1
            wanted = self._drawn <= SAMPLED
        if wanted:
            self._on_found(found)

    def note_gauge(self, gauge: Gauge) -> None:
        """What the server shows at present."""
        self.gauge = gauge
        if gauge.others is not None:
            self._others.append(gauge.others)

    # --- while it goes on ----------------------------------------------------------------------------------

    @property
    def ticks(self) -> list[Tick]:
        """The last one of each worker."""
        return [each.last for each in self._workers.values() if each.last is not None]

    @property
    def in_flight(self) -> int:
        """Starts that clients wait for at present."""
        return sum(each.in_flight for each in self.ticks)

    @property
    def broken(self) -> int:
        """Starts that broke something so far."""
        return sum(each.broken for each in self.ticks)

    @property
    def started(self) -> int:
        """Starts so far."""
        return sum(each.started for each in self.ticks)

    @property
    def seconds(self) -> int:
        """How far the workers are."""
        return max((each.second + 1 for each in self.ticks), default=0)

    def _window_of(self, second: int) -> int:
        return int(second * _TICK_S // self.plan.window_s)

    def _end_windows(self, *, all_of_them: bool = False) -> bool:
        """Those of which every worker that is still there has told its part; whether there is one."""
        going = [each for each in self._workers.values() if not each.gone and each.totals is None]
        reached = [self._window_of(each.last.second + 1) if each.last else 0 for each in going]
        until = max(self._open, default=-1) + 1 if all_of_them else min(reached, default=0)
        ended = self._next < until
        while self._next < until:
            self._end(self._next, self._open.pop(self._next, _Open()))
            self._next += 1
        return ended

    def _end(self, number: int, seen: _Open) -> None:
        seconds = self.plan.window_s
        window = Window(
            at=number * seconds,
            seconds=seconds,
            offered=round(seen.due / seconds, 3),
            achieved=round(seen.started / seconds, 3),
            finished=seen.finished,
            errors=seen.errors,
            p50_ms=seen.latencies.ms(50),
            p95_ms=seen.latencies.ms(95),
            p99_ms=seen.latencies.ms(99),
            max_ms=seen.latencies.ms(100),
            kinds={
                kind: OfKind(finished=each.count, p99_ms=each.ms(99))
                for kind, each in sorted(seen.by_kind.items())
            },
            in_flight=self.in_flight,
            server_in_flight=self.gauge.in_flight,
            server_rss=self.gauge.rss,
            others_cpu=self._others_cpu(),
            lag_max_s=seen.lag_max_s,
            broken=seen.broken,
            draining=seen.draining,
        )
        self.windows.append(window)
        self._on_window(window)

    def _others_cpu(self) -> float | None:
        seen, self._others = self._others, []
        return round(fmean(seen), 3) if seen else self.gauge.others

    # --- when it is over -----------------------------------------------------------------------------------

    def close(self) -> None:
        """Nothing more comes: what is open ends."""
        self._end_windows(all_of_them=True)

    @property
    def totals(self) -> list[Totals]:
        """Those that arrived."""
        return [each.totals for each in self._workers.values() if each.totals is not None]

    @property
    def workers(self) -> tuple[Worker, ...]:
        """All that were there."""
        return tuple(_described(each) for each in self._workers.values())

    @property
    def counts(self) -> dict[str, Counts]:
        """By kind."""
        sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for totals in self.totals:
            for kind, counts in totals.counts.items():
                sums[kind].update(msgspec.structs.asdict(counts))
        return {kind: msgspec.convert(dict(counts), Counts) for kind, counts in sorted(sums.items())}

    @property
    def issued(self) -> Tally:
        """The runs that were asked for."""
        return _summed([each.issued for each in self.totals])

    @property
    def settled(self) -> Tally:
        """Those of which it is known what became of them."""
        return _summed([each.settled for each in self.totals])

    @property
    def lag(self) -> Histogram:
        """The generator's own, of all workers."""
        return _merged(each.lag for each in self.totals)

    @property
    def throttled(self) -> Throttled:
        """The answers that asked for patience, and how long all workers waited for them."""
        answers = _counted(each.throttled for each in self.totals)
        return Throttled(answers=answers, waited_s=round(sum(each.throttled_s for each in self.totals), 1))

    @property
    def errors(self) -> dict[str, int]:
        """How often what failed, by the reason."""
        return _counted(each.errors for each in self.totals)

    def tested(self, name: str) -> Tested:
        """What all workers saw of an invariant."""
        seen = [each.tested[name] for each in self.totals if name in each.tested]
        return Tested(
            kept=sum(each.kept for each in seen),
            broken=sum(each.broken for each in seen),
            not_tested=sum(each.not_tested for each in seen),
            why=_counted(each.why for each in seen),
        )

    def latencies(self) -> tuple[Latency, ...]:
        """By kind and by operation, the histograms of all workers added up."""
        by_name: defaultdict[str, list[str]] = defaultdict(list)
        for totals in self.totals:
            for name, encoded in totals.latencies.items():
                by_name[name].append(encoded)
        return tuple(_latency(name, encoded) for name, encoded in sorted(by_name.items()))


_NOTHING: Final = Tick(
    worker=0,
    second=-1,
    due=0,
    started=0,
    finished=0,
    errors=0,
    in_flight=0,
    lag_max_s=0.0,
    broken=0,
)


def _counted(every: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in every:
        total.update(each)
    return dict(total)


def _summed(tallies: list[Tally]) -> Tally:
    total = Tally(count=0, sum="0" * 32)
    for each in tallies:
        total = together(total, each)
    return total


def _merged(encoded: Iterable[str]) -> Histogram:
    whole = Histogram()
    for each in encoded:
        whole.add(each)
    return whole


def _latency(name: str, encoded: list[str]) -> Latency:
    whole = _merged(encoded)
    return Latency(
        name=name.removeprefix("kind "),
        of="kind" if name.startswith("kind ") else "operation",
        count=whole.count,
        p50_ms=whole.ms(50),
        p90_ms=whole.ms(90),
        p95_ms=whole.ms(95),
        p99_ms=whole.ms(99),
        max_ms=whole.ms(100),
        curve=tuple((each, whole.ms(each)) for each in _CURVE),
        histogram=whole.encoded(),
    )


def _described(worker: _Worker) -> Worker:
    totals, last = worker.totals, worker.last
    return Worker(
        id=worker.hello.id,
        host=worker.hello.host,
        pid=worker.hello.pid,
        reported=totals is not None,
        starts=last.started if last else 0,
        cpu=totals.cpu if totals else 0.0,
        max_rss=totals.max_rss if totals else 0,
        lag_max_s=worker.lag_max_s,
    )
