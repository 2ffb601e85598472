"""One load, from the first request to the last thread deleted.

This process starts the others, listens to them, looks at the server meanwhile, sweeps up, and writes. It
makes no load itself.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import queue
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, Literal

import msgspec

import runstone
from runstone.contracts.basis import basis_of
from runstone.contracts.revision import current_revision
from runstone.errors import ExitCode, UsageError
from runstone.files import replace_file
from runstone.load.gathering import Gathering
from runstone.load.invariants import (
    AGREE,
    BY_START,
    IN_ORDER,
    ISOLATED,
    WEBHOOKS,
)
from runstone.load.messages import Done, Found, Listening, Message, Orders
from runstone.load.model import (
    FORMAT,
    MOST_BROKEN,
    Broken,
    Invariant,
    Load,
    Outcome,
    Plan,
    Sample,
    Window,
    missing,
)
from runstone.load.outcome import exit_code_of, figures_of, late_generator, outcome_of
from runstone.load.processes import GeneratorFailed, Processes, processes
from runstone.load.reading import LOAD_JSON, counted
from runstone.load.steadiness import steady
from runstone.load.sweep import Sweep, invariants_of, stuck_in
from runstone.load.watching import Watching
from runstone.scenario.clean_up import Thing, clean_up
from runstone.session.evidence import FORMAT as EVIDENCE_FORMAT
from runstone.session.evidence import EvidenceWriter, Manifest
from runstone.session.left_over import Journal, journal_of
from runstone.target.target import Target
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.trace import Trace

_BEGIN_S: Final = 120.0  # for workers to come
_SILENT_S: Final = 30.0  # beyond the drain, without a word of anybody
_POLL_S: Final = 0.25
_UNITS: Final = {
    **dict.fromkeys(BY_START, "runs"),
    AGREE: "starts",
    IN_ORDER: "threads",
    ISOLATED: "threads",
    WEBHOOKS: "webhooks",
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be done, and where. `local`: how many workers are started here; the others come.

    `host`, `port`: where the master is met; 0 for any port that is free. `keep`: what stays on the target at
    the end: nothing, the threads of the broken starts that are recorded, or all.
    """

    plan: Plan
    out: Path
    local: int
    host: str
    port: int
    server: str
    soak: bool = False
    keep_going: bool = False
    keep: Literal["none", "failed", "all"] = "none"


@dataclass(frozen=True)
class Progress:
    """How far a load is, for whoever watches."""

    doing: str
    seconds: float = 0.0
    of_s: float = 0.0
    rate: float = 0.0
    in_flight: int = 0
    server_in_flight: int | None = None
    broken: int = 0


Tell = Callable[[Progress], None]


class Running:
    """One load under way."""

    def __init__(self, target: Target, wanted: Wanted, tell: Tell, journal: Journal) -> None:
        self._target = target
        self._wanted = wanted
        self._tell = tell
        self._journal = journal
        self._made: list[str] = []
        self._of_broken: set[str] = set()  # threads
        self._samples: dict[str, Sample] = {}
        self._broken: defaultdict[str, list[Broken]] = defaultdict(list)
        self._stopped: str | None = None
        self._interrupted = self._given_up = False
        self._began = time.monotonic()
        self._started_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self._evidence = EvidenceWriter(wanted.out / "evidence", self._manifest())
        self._windows = wanted.out / "load.jsonl"
        self._windows.unlink(missing_ok=True)
        self._gathering = Gathering(wanted.plan, self._note_window, self._note_made, self._note_found)

    def run(self) -> Load:
        """Make the load, sweep, clean up, write. Raises GeneratorFailed, TargetError and UsageError."""
        try:
            with processes(self._wanted.out / "locust.log") as generator:
                self._start(generator)
                with Watching(self._target, self._wanted.plan, self._gathering):
                    self._listen(generator)
                generator.wait(_SILENT_S / 6)
            self._gathering.close()
        finally:
            swept, left = asyncio.run(self._sweep_and_clean())
        return self._written(self._load(swept, left))

    def _written(self, load: Load) -> Load:
        """The load in its evidence, which vouches for what was counted too, and as load.json."""
        self._evidence.add(counted(load))
        whole = load.outcome.kind == "whole"
        self._evidence.save(
            complete=whole,
            stopped=None if whole else f"{load.outcome.kind}: {load.outcome.reason}",
            observe_s=load.duration_s,
            left=load.left,
        )
        replace_file(self._wanted.out / LOAD_JSON, msgspec.json.format(msgspec.json.encode(load), indent=1))
        return load

    # --- while it goes on ----------------------------------------------------------------------------------

    def _start(self, generator: Processes) -> None:
        wanted, target = self._wanted, self._target
        orders = Orders(
            plan=wanted.plan, headers=target.headers, network=target.network, assistants=target.assistants
        )
        self._tell(Progress("starting the generator"))
        generator.start_master(orders, wanted.host, wanted.port)

    def _start_workers(self, generator: Processes, port: int) -> None:
        for _ in range(self._wanted.local):
            generator.start_worker("127.0.0.1", port)
        generator.sealed()

    def _listen(self, generator: Processes) -> None:
        """Take what is told until all is; Ctrl-C ends the starting, a second one everything."""
        heard = time.monotonic()
        with _interrupts() as pressed:
            while True:
                try:
                    message: Message = generator.told.get(timeout=_POLL_S)
                    heard = time.monotonic()
                    if isinstance(message, Done):
                        return
                    if isinstance(message, Listening):
                        self._start_workers(generator, message.port)
                    self._gathering.take(message)
                except queue.Empty:
                    self._look_after(generator, time.monotonic() - heard)
                    if self._given_up:
                        return
                if pressed and not self._interrupted:
                    self._interrupt(generator)
                self._show()
                self._judge_so_far(generator)

    def _look_after(self, generator: Processes, silent_s: float) -> None:
        if self._gathering.refused:
            raise WorkersDiffer(self._gathering.refused)
        if not generator.alive:
            raise GeneratorFailed(f"the generator ended before the load did{generator.last_words()}")
        if not self._gathering.ticks and silent_s > _BEGIN_S:
            self._stopped = f"not all of the {self._wanted.plan.workers} workers came within {_BEGIN_S:.0f} s"
            self._given_up = True
        elif self._gathering.ticks and silent_s > self._wanted.plan.drain_s + _SILENT_S:
            self._stopped = f"the generator fell silent{generator.last_words()}"
            self._given_up = True

    def _interrupt(self, generator: Processes) -> None:
        self._interrupted = True
        plan = self._wanted.plan
        self._stopped = f"interrupted after {self._gathering.seconds} s of {plan.for_s:g} s"
        generator.drain()

    def _judge_so_far(self, generator: Processes) -> None:
        """A soak that has broken a promise has said what it can, unless its owner wants to know more."""
        broken = self._gathering.broken
        if self._wanted.soak and broken and self._stopped is None and not self._wanted.keep_going:
            self._stopped = f"ended at the first broken promise, after {self._gathering.seconds} s"
            generator.drain()

    def _show(self) -> None:
        gathering, plan = self._gathering, self._wanted.plan
        draining = gathering.seconds >= plan.for_s or self._stopped is not None
        last = gathering.windows[-1] if gathering.windows else None
        self._tell(
            Progress(
                "draining" if draining else "under load",
                seconds=gathering.seconds,
                of_s=plan.for_s,
                rate=last.achieved if last else gathering.started / max(1, gathering.seconds),
                in_flight=gathering.in_flight,
                server_in_flight=gathering.gauge.in_flight,
                broken=gathering.broken,
            )
        )

    def _note_window(self, window: Window) -> None:
        if self._wanted.soak:
            with self._windows.open("ab") as lines:
                lines.write(msgspec.json.encode(window) + b"\n")

    def _note_made(self, threads: tuple[str, ...]) -> None:
        self._made += threads
        if self._wanted.keep != "all":  # or the next load would delete what is to stay
            for thread in threads:
                self._journal.add(Thing(kind="thread", id=thread))

    def _note_found(self, found: Found) -> None:
        self._evidence.add(found.trace)
        name = found.trace.scenario
        self._samples[found.token] = Sample(
            token=found.token, kind=found.kind, trace=name, at=found.at, broken=tuple(sorted(found.broken))
        )
        if found.broken:
            self._of_broken.add(found.thread)
        for requirement, reason in found.broken.items():
            if len(self._broken[requirement]) < MOST_BROKEN:
                self._broken[requirement].append(
                    Broken(token=found.token, kind=found.kind, at=found.at, reason=reason, trace=name)
                )

    # --- when it is over -----------------------------------------------------------------------------------

    async def _sweep_and_clean(self) -> tuple[Trace | None, list[str]]:
        swept: Trace | None = None
        async with Recorder(
            self._target.url, self._target.headers, Limits(), network=self._target.network
        ) as way:
            if totals := self._gathering.totals:
                self._tell(Progress("sweeping"))
                made, unsure = sum(each.threads for each in totals), sum(each.unsure for each in totals)
                known = None if missing(self._wanted.plan, self._gathering.workers) else made
                swept = await Sweep(way, self._wanted.plan.session).run(known, unsure)
                self._evidence.add(swept)
                if (last := swept.exchanges[-1]).code is None and self._stopped is None:
                    self._stopped = f"the target stopped answering: {last.failure}"
            things = [Thing(kind="thread", id=each) for each in self._unwanted(swept)]
            self._tell(Progress(f"cleaning up {len(things):,} threads"))
            return swept, await clean_up(way, things)

    def _unwanted(self, swept: Trace | None) -> list[str]:
        """The threads that nobody wants to look at."""
        if self._wanted.keep == "all":
            return []
        if self._wanted.keep == "none":
            return self._made
        kept = self._of_broken.union(stuck_in(swept) if swept is not None else ())
        return [each for each in self._made if each not in kept]

    def _load(self, swept: Trace | None, left: Sequence[str]) -> Load:
        gathering, wanted = self._gathering, self._wanted
        figures = figures_of(gathering)
        made = sum(each.threads for each in gathering.totals)
        invariants = (
            *map(self._by_start, BY_START),
            *invariants_of(swept, made, gathering.seconds),
            steady(gathering.windows, late_generator(figures, gathering.workers)),
        )
        load = Load(
            format=FORMAT,
            runstone=runstone.__version__,
            started_at=self._started_at,
            duration_s=round(time.monotonic() - self._began, 3),
            server=wanted.server,
            insecure=self._target.network.marks(self._target.url),
            soak=wanted.soak,
            stopped=self._stopped,
            exit_code=ExitCode.HARNESS_ERROR,
            plan=wanted.plan,
            outcome=Outcome(kind="incomplete"),  # until all else is known
            figures=figures,
            counts=gathering.counts,
            issued=gathering.issued,
            settled=gathering.settled,
            invariants=tuple(sorted(invariants, key=lambda each: each.id)),
            latencies=gathering.latencies(),
            windows=tuple(gathering.windows),
            workers=gathering.workers,
            throttled=gathering.throttled,
            errors=gathering.errors,
            samples=tuple(sorted(self._samples.values(), key=lambda each: each.at)),
            left=tuple(left),
        )
        outcome = outcome_of(load)
        ended = exit_code_of(outcome, interrupted=self._interrupted)
        return msgspec.structs.replace(load, outcome=outcome, exit_code=ended)

    def _by_start(self, name: str) -> Invariant:
        tested = self._gathering.tested(name)
        looked = tested.kept or tested.broken or tested.not_tested
        return Invariant(
            id=name,
            of=_UNITS[name],
            kept=tested.kept,
            broken=tested.broken,
            not_tested=tested.not_tested,
            samples=tuple(self._broken[name]),
            why_not_tested=tested.why,
            remark="" if looked else "nothing of this load asks for it",
        )

    def _manifest(self) -> Manifest:
        return Manifest(
            format=EVIDENCE_FORMAT,
            runstone=runstone.__version__,
            kind="load",
            profile="langgraph",
            basis=basis_of("langgraph", current_revision()),
            target=self._target.name,
            url=self._target.url,
            server=self._wanted.server,
            started_at=self._started_at,
            insecure=self._target.network.marks(self._target.url),
            stopped="the load was broken off",
        )


class WorkersDiffer(UsageError):  # noqa: N818 - named as what it reports
    """Workers run other files than this machine, or another plan."""


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Ctrl-C as it was pressed: noted, so that nothing is cut in two; only a second one ends everything."""
    pressed: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        pressed.append(number)
        if len(pressed) > 1:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def run(target: Target, wanted: Wanted, tell: Tell) -> Load:
    """Make a load, judge it, and leave nothing behind."""
    with journal_of(target.url) as journal:
        if journal.left_over:
            asyncio.run(_after_the_dead(target, journal.left_over))
        return Running(target, wanted, tell, journal).run()


async def _after_the_dead(target: Target, things: Sequence[Thing]) -> None:
    """Delete what a killed session has left on this target."""
    async with Recorder(target.url, target.headers, Limits(), network=target.network) as way:
        await clean_up(way, things)
