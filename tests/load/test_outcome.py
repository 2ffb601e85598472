"""From what workers tell to windows, totals and a verdict."""

from __future__ import annotations

import gc
from typing import Any

import msgspec
import pytest
from hdrh.histogram import HdrHistogram

from runstone.errors import ExitCode
from runstone.load.counting import Counting, Histogram
from runstone.load.gathering import Gathering
from runstone.load.invariants import NOT_LOST, judged
from runstone.load.messages import Began, Found, Gone, Hello, Tick, Totals
from runstone.load.model import Counts, Figures, Invariant, OfKind, Outcome, Plan, Window
from runstone.load.outcome import exit_code_of, figures_of, outcome_of
from tests.load.loads import sound
from tests.load.starts import OWN, SESSION, waited

PLAN = Plan(
    target="here",
    url="http://127.0.0.1:2024",
    users=10,
    rate=10.0,
    for_s=4.0,
    mix={"wait": 1},
    workers=2,
    drain_s=10.0,
    window_s=2.0,
    webhooks=False,
    seed=0,
    session=SESSION,
)


class Told:
    """A gathering, and what it told in turn."""

    def __init__(self, plan: Plan = PLAN) -> None:
        self.windows: list[Window] = []
        self.made: list[str] = []
        self.found: list[Found] = []
        self.gathering = Gathering(plan, self.windows.append, self.made.extend, self.found.append)
        for number in range(plan.workers):
            hello = Hello(id=f"w{number}", host="box", pid=number, digest="", runstone="")
            self.gathering.take(hello)
            self.gathering.take(Began(worker=number, id=f"w{number}"))

    def tick(self, worker: int, second: int, **changes: Any) -> None:
        latencies = Histogram()
        for milliseconds in changes.pop("took_ms", [10]):
            latencies.record(milliseconds / 1e3)
        done = (second + 1) * 5
        tick = Tick(
            worker=worker,
            second=second,
            due=done,
            started=done,
            finished=done,
            errors=0,
            in_flight=1,
            lag_max_s=0.001,
            broken=0,
            latencies={"wait": latencies.encoded()},
        )
        self.gathering.take(msgspec.structs.replace(tick, **changes))

    def totals(self, worker: int, runs: int = 20, **changes: Any) -> None:
        counting = Counting(SESSION)
        for _ in range(runs):
            counting.counts["wait"]["starts"] += 1
            counting.note("wait", judged(waited()))
            counting.latencies["kind wait"].record(0.01)
        totals = Totals(
            worker=worker,
            id=f"w{worker}",
            host="box",
            pid=worker,
            counts=counting.counts_by_kind(),
            issued=counting.issued.tally,
            settled=counting.settled.tally,
            tested=counting.tested_by_id(),
            latencies={name: each.encoded() for name, each in counting.latencies.items()},
            lag=Histogram().encoded(),
            late=0,
            threads=runs,
            unsure=0,
            errors={},
            throttled={},
            throttled_s=0.0,
            cpu=0.3,
            max_rss=70_000_000,
        )
        self.gathering.take(msgspec.structs.replace(totals, **changes))

    def outcome(self, stopped: str | None = None) -> tuple[Figures, Outcome]:
        self.gathering.close()
        tested = self.gathering.tested(NOT_LOST)
        lost = Invariant(
            id=NOT_LOST,
            of="runs",
            kept=tested.kept,
            broken=tested.broken,
            not_tested=tested.not_tested,
            why_not_tested=tested.why,
        )
        figures = figures_of(self.gathering)
        errors = [name for each in self.gathering.totals for name in each.errors]
        load = msgspec.structs.replace(
            sound(),
            stopped=stopped,
            plan=self.gathering.plan,
            figures=figures,
            counts=self.gathering.counts,
            invariants=(lost,),
            windows=tuple(self.gathering.windows),
            workers=self.gathering.workers,
            errors=dict.fromkeys(errors, 1),
        )
        return figures, outcome_of(load)


def whole() -> Told:
    told = Told()
    for second in range(4):
        for worker in range(2):
            told.tick(worker, second)
    for worker in range(2):
        told.totals(worker)
    return told


def test_totals_of_two_workers_are_those_of_one() -> None:
    told = whole()
    figures, outcome = told.outcome()
    assert outcome == Outcome(kind="whole", kept=True)
    assert (figures.offered, figures.achieved) == (10.0, 10.0)
    assert told.gathering.counts == {"wait": Counts(starts=40, issued=40, ended=40)}
    assert told.gathering.issued == told.gathering.settled
    assert told.gathering.issued.count == 40
    assert told.gathering.tested(NOT_LOST).kept == 40
    (latency,) = told.gathering.latencies()
    assert (latency.name, latency.of, latency.count) == ("wait", "kind", 40)
    assert latency.p99_ms == pytest.approx(10, rel=0.01)


def test_a_window_ends_when_every_worker_has_told_its_part() -> None:
    told = Told()
    for second in range(3):
        told.tick(0, second, took_ms=[10, 20])
    assert told.windows == []
    told.tick(1, 0, took_ms=[500])
    told.tick(1, 1, errors=2, made=("thread",))
    (window,) = told.windows
    assert (window.at, window.finished, window.errors) == (0.0, 20, 2)
    assert window.max_ms == pytest.approx(500, rel=0.01)
    assert window.kinds == {"wait": OfKind(finished=6, p99_ms=window.max_ms)}
    assert window.offered == window.achieved == 10.0
    assert told.made == ["thread"]


def test_a_worker_that_is_gone_holds_no_window_up() -> None:
    told = Told()
    told.tick(1, 0)
    told.gathering.take(Gone(id="w1"))
    told.tick(0, 0)
    told.tick(0, 1)
    assert len(told.windows) == 1


def test_a_worker_that_does_not_report_makes_the_load_incomplete() -> None:
    told = Told()
    told.tick(0, 3)
    told.totals(0)
    told.gathering.take(Gone(id="w1"))
    _, outcome = told.outcome()
    assert outcome.kind == "incomplete"
    assert outcome.reason == "1 of 2 workers did not report: box (process 1)"
    assert exit_code_of(outcome, interrupted=False) == ExitCode.HARNESS_ERROR


def test_a_worker_that_never_came_makes_it_incomplete_too() -> None:
    told = Told(msgspec.structs.replace(PLAN, workers=3))
    told.gathering._workers.pop("w2")
    _, outcome = told.outcome()
    assert "1 that never came" in outcome.reason


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"cpu": 0.97}, "97% of a core"),
        ({"lag": "2 s"}, "2.0 s late"),
        ({"counts": {"wait": Counts(starts=20, issued=20, ended=20, not_started=30)}}, "all 10 users waited"),
    ],
)
def test_a_load_that_is_not_what_was_planned_is_no_verdict(changes: dict[str, Any], reason: str) -> None:
    if "lag" in changes:
        late = Histogram()
        late.record(2.0)
        changes = {"lag": late.encoded()}
    told = whole()
    told.totals(0, **changes)
    _, outcome = told.outcome()
    assert outcome.kind == "generator-bound"
    assert reason in outcome.reason
    assert exit_code_of(outcome, interrupted=False) == ExitCode.HARNESS_ERROR


def test_where_nothing_was_accepted_nothing_is_kept() -> None:
    told = whole()
    for worker in range(2):
        told.totals(worker, runs=0)
    _, outcome = told.outcome()
    assert (outcome.kind, outcome.reason) == ("incomplete", "nothing could be judged: no run was accepted")
    assert not outcome.kept


def test_a_target_that_refuses_most_was_not_under_load() -> None:
    told = whole()
    told.tick(0, 4, started=20, finished=2)
    told.totals(0, errors={"wait: answered 500": 18})
    _, outcome = told.outcome()
    assert outcome.kind == "incomplete"
    assert outcome.reason == "18 of 40 starts were left without a result, most often as wait: answered 500"


def test_runs_that_stay_unknown_make_it_incomplete() -> None:
    told = whole()
    told.totals(0, counts={"wait": Counts(starts=20, issued=20, ended=19, unknown=1)})
    _, outcome = told.outcome()
    assert outcome.reason.startswith("1 runs stayed unknown after the drain")


@pytest.mark.parametrize(
    "outcome, interrupted, code",
    [
        (Outcome(kind="whole", kept=True), False, ExitCode.CONFORMING),
        (Outcome(kind="whole", kept=True, broken=("LOAD-109",)), False, ExitCode.CONFORMING),
        (Outcome(kind="whole", broken=("LOAD-101",)), False, ExitCode.NOT_CONFORMING),
        (Outcome(kind="incomplete", broken=("LOAD-101",)), False, ExitCode.NOT_CONFORMING),
        (Outcome(kind="incomplete", kept=True), False, ExitCode.HARNESS_ERROR),
        (Outcome(kind="incomplete", kept=True), True, ExitCode.INTERRUPTED),
        (Outcome(kind="incomplete", broken=("LOAD-101",)), True, ExitCode.NOT_CONFORMING),
        (Outcome(kind="generator-bound", kept=True), False, ExitCode.HARNESS_ERROR),
        (Outcome(kind="whole", kept=False), False, ExitCode.HARNESS_ERROR),
    ],
)
def test_exit_codes(outcome: Outcome, interrupted: bool, code: ExitCode) -> None:
    assert exit_code_of(outcome, interrupted=interrupted) == code


def test_the_first_hundred_broken_starts_are_kept_and_twenty_others() -> None:
    told = Told()
    for number in range(150):
        broken = {NOT_LOST: "lost"} if number % 2 else {}
        found = Found(token=f"{OWN}{number}", kind="wait", at=0.0, broken=broken, trace=waited())
        told.gathering.take(found)
        told.gathering.take(found)
    assert sum(1 for each in told.found if each.broken) == 100
    assert sum(1 for each in told.found if not each.broken) == 20


def test_what_was_decoded_does_not_pile_up() -> None:
    """Python looks for garbage after so many objects, of which a histogram of 100 KB has a handful."""
    told, before = Told(), gc.get_threshold()
    gc.set_threshold(1_000_000)
    try:
        for second in range(40):
            told.tick(0, second)
            told.tick(1, second)
        kept = sum(isinstance(each, HdrHistogram) for each in gc.get_objects())
    finally:
        gc.set_threshold(*before)
    assert len(told.windows) >= 19
    assert kept < 40
