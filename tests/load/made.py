"""Loads written by the engine itself, of starts and workers that are made up: no server, no generator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from runstone.load.counting import Counting, Histogram
from runstone.load.digests import digest_of, digest_of_files
from runstone.load.invariants import judged
from runstone.load.messages import Began, Found, Hello, Tick, Totals
from runstone.load.model import Plan
from runstone.load.running import Running, Wanted
from runstone.session.left_over import Journal
from runstone.target.target import Target
from runstone.wire.trace import Trace
from tests.load.starts import OWN, SESSION, STEPS, background, enqueued, said, streamed, waited
from tests.load.test_sweep import swept

KINDS = ("wait", "stream", "background", "enqueue")


def named(trace: Trace) -> Trace:
    """The same, with exchanges that bear its name, as a worker records them."""
    exchanges = tuple(msgspec.structs.replace(each, scenario=trace.scenario) for each in trace.exchanges)
    return msgspec.structs.replace(trace, exchanges=exchanges)


KEPT = tuple(map(named, (waited(), streamed(), background(1), enqueued(said(1, 2, 3)))))
_LOGGED_TWICE = {**STEPS, "log": [*STEPS["log"], *STEPS["log"]]}
TWICE = named(waited(state=_LOGGED_TWICE, answer=_LOGGED_TWICE))
_A_SECOND = 10  # of each kind, for nine seconds, so that thirds can be compared
_SECONDS = 9


def made(
    folder: Path,
    *,
    starts: Sequence[Trace] = KEPT,
    broken: Sequence[Trace] = (),
    plan: dict[str, Any] | None = None,
    totals: dict[str, Any] | None = None,
    stopped: str | None = None,
) -> Path:
    """The folder of a load of `starts`, many of each; of `broken`, once each. It is whole and keeps all.

    `plan`, `totals`: what is changed of the plan, and of what its worker tells at its end.
    """
    planned = _plan(**(plan or {}))
    wanted = Wanted(plan=planned, out=folder, local=1, host="", port=0, server="made up 1.0")
    folder.mkdir(parents=True)
    journal = Journal(folder.parent / f"{folder.name}.journal", [])
    running = Running(Target(name=planned.target, url=planned.url), wanted, lambda _: None, journal)
    running._stopped = stopped
    gathering = running._gathering
    gathering.take(Hello(id="w0", host="box", pid=1, digest="", runstone=""))
    gathering.take(Began(worker=0, id="w0"))
    for second in range(_SECONDS):
        gathering.take(_tick(second, starts))
    counted = _counting([*(each for each in starts for _ in range(_A_SECOND * _SECONDS)), *broken])
    for trace in {each.scenario: each for each in (*starts, *broken)}.values():
        kind, found = trace.notes["load"]["kind"], judged(trace).broken
        gathering.take(Found(token=f"{kind}-{OWN}", kind=kind, at=1.5, broken=found, trace=trace))
    gathering.take(msgspec.structs.replace(_totals(counted), **(totals or {})))
    gathering.close()
    threads = gathering.totals[0].threads
    sweep = named(swept(count=threads, made=threads))
    running._evidence.add(sweep)
    running._written(running._load(sweep, []))
    journal.close()
    return folder


def _plan(**changes: Any) -> Plan:
    plan = Plan(
        target="made-up",
        url="http://127.0.0.1:2024",
        users=50,
        rate=float(_A_SECOND * len(KINDS)),
        for_s=float(_SECONDS),
        mix=dict.fromkeys(KINDS, 1),
        workers=1,
        drain_s=10.0,
        window_s=1.0,
        webhooks=True,
        seed=0,
        session=SESSION,
    )
    plan = msgspec.structs.replace(plan, **changes)
    return msgspec.structs.replace(plan, digest=digest_of(plan, digest_of_files()))


def _tick(second: int, starts: Sequence[Trace]) -> Tick:
    latencies = Histogram()
    for _ in range(_A_SECOND):
        latencies.record(0.02)
    kinds = [each.notes["load"]["kind"] for each in starts]
    done = (second + 1) * _A_SECOND * len(KINDS)
    return Tick(
        worker=0,
        second=second,
        due=done,
        started=done,
        finished=done,
        errors=0,
        in_flight=1,
        lag_max_s=0.001,
        broken=0,
        latencies=dict.fromkeys(kinds, latencies.encoded()),
    )


def _counting(starts: Sequence[Trace]) -> Counting:
    counting = Counting(SESSION)
    for trace in starts:
        kind = trace.notes["load"]["kind"]
        counting.counts[kind]["starts"] += 1
        counting.note(kind, judged(trace))
        counting.latencies[f"kind {kind}"].record(0.02)
    return counting


def _totals(counting: Counting) -> Totals:
    return Totals(
        worker=0,
        id="w0",
        host="box",
        pid=1,
        counts=counting.counts_by_kind(),
        issued=counting.issued.tally,
        settled=counting.settled.tally,
        tested=counting.tested_by_id(),
        latencies={name: each.encoded() for name, each in counting.latencies.items()},
        lag=Histogram().encoded(),
        late=0,
        threads=sum(each["starts"] for each in counting.counts.values()),
        unsure=0,
        errors={},
        throttled={},
        throttled_s=0.0,
        cpu=0.3,
        max_rss=70_000_000,
    )
