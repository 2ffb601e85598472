"""load.json: what was planned, what came of it, and which promises were kept under it.

Times are seconds after the load began, durations too unless a name says otherwise; rates are a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

FORMAT: Final = 1

# What one start does: a run by an entry point, several runs on one thread, or a run that is left on purpose.
Kind = Literal["wait", "stream", "background", "enqueue", "interrupt", "cancel", "hangup"]
KINDS: Final[tuple[Kind, ...]] = ("wait", "stream", "background", "enqueue", "interrupt", "cancel", "hangup")

Completeness = Literal["whole", "incomplete", "generator-bound"]

MOST_BROKEN: Final = 100  # starts that broke something and are kept in full
SAMPLED: Final = 20  # starts that are kept in full whatever they showed, drawn at random


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was asked for. `rate`: starts, of all workers together, by a schedule that waits for no answer.

    `mix`: kind → its weight. `workers`: processes that take part, on all machines. `session`: what everything
    made carries in its metadata, under `runstone_load`. `digest`: the SHA-256 of all the rest and of the
    files that the workers run; workers of another digest are refused.
    """

    target: str
    url: str
    users: int
    rate: float
    for_s: float
    mix: dict[str, int]
    workers: int
    drain_s: float  # how long unfinished runs are waited for, once nothing more is started
    window_s: float
    webhooks: bool  # whether background runs ask for one, and listeners of the workers count what comes
    seed: int  # of the order of kinds and of the random samples
    session: str
    digest: str = ""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Of one kind: starts, and runs. Every issued run is in exactly one of the piles after it.

    `ended`: it ended as its graph does (an interrupt that is resumed too). `failed`: the target
    told an error of it, or refused it. `cancelled`: as it was asked to. `unknown`: nothing could be learnt
    of it, after the drain either. `not_started`: starts that were due when the time was over.
    """

    starts: int = 0
    not_started: int = 0
    issued: int = 0
    ended: int = 0
    failed: int = 0
    cancelled: int = 0
    unknown: int = 0


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """A bag of runs by count and sum: the sum modulo 2^128 of the hashes of their tokens, in hexadecimal."""

    count: int
    sum: str


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the load was what was planned. `offered`, `achieved`: starts a second while the clock ran.

    `lag_p99_s`, `lag_max_s`: how late the generator itself was, with a user free and nothing in the way.
    `late_for_users`: starts that were late as all users were waiting for the target.
    """

    offered: float
    achieved: float
    finished: float  # runs that ended, a second, drain included
    late_for_users: int
    lag_p99_s: float
    lag_max_s: float
    in_flight_max: int


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """One place where an invariant was broken. `token`: of the start; '' for what the sweep found.

    `trace`: its recording in evidence/traces, without `.json`; '' past the first hundred.
    """

    token: str
    kind: str
    at: float
    reason: str
    trace: str = ""


class Invariant(msgspec.Struct, frozen=True, kw_only=True):
    """One requirement of many runs. It is kept where `broken` is 0 and `kept` is not.

    `of`: what is counted, such as `runs` or `threads`. `why_not_tested`: reason → how many.
    """

    id: str  # LOAD-101 …
    of: str
    kept: int
    broken: int
    not_tested: int
    samples: tuple[Broken, ...] = ()
    why_not_tested: dict[str, int] = {}
    remark: str = ""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long something took. `name`: a kind, from the moment at which it should have started until its
    result was known; or an operation such as `wait` or `state`, from the moment at which it was sent.

    `curve`: percentile, milliseconds; from 0 to 100. `histogram`: HdrHistogram, version 2, compressed,
    base64; values in microseconds, three digits.
    """

    name: str
    of: Literal["kind", "operation"]
    count: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    curve: tuple[tuple[float, float], ...]
    histogram: str


class OfKind(msgspec.Struct, frozen=True, kw_only=True):
    """The starts of one kind in a window."""

    finished: int
    p99_ms: float


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the time. Percentiles are of the starts that were through in it, by their intended start.

    `in_flight`: starts that clients waited for, at its end; `server_in_flight`: threads of this load that the
    target called busy then, None where it does not tell. `server_rss`: bytes, of a server on this machine;
    `others_cpu`: the share of that machine's CPU which others than it and the generator took.
    """

    at: float
    seconds: float
    offered: float  # starts that were due in it, a second
    achieved: float
    finished: int
    errors: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    in_flight: int
    kinds: dict[str, OfKind] = {}
    server_in_flight: int | None = None
    server_rss: int | None = None
    others_cpu: float | None = None
    lag_max_s: float = 0.0
    broken: int = 0
    draining: bool = False


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One process that made the load. `cpu`: its share of a core. `reported`: whether its totals arrived."""

    id: str
    host: str
    pid: int
    reported: bool
    starts: int = 0
    cpu: float = 0.0
    max_rss: int = 0  # bytes
    lag_max_s: float = 0.0


def missing(plan: Plan, workers: Sequence[Worker]) -> list[str]:
    """Workers that did not report, in words."""
    named = [f"{each.host} (process {each.pid})" for each in workers if not each.reported]
    never = plan.workers - len(workers)
    return [*named, *([f"{never} that never came"] if never > 0 else [])]


class Throttled(msgspec.Struct, frozen=True, kw_only=True):
    """Answers 429 and 503 that were obeyed: how many, by code, and how long was waited for them, in all."""

    answers: dict[str, int] = {}
    waited_s: float = 0.0


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One start that is kept in full, in evidence/traces/`trace`.json. `broken`: ids of requirements."""

    token: str
    kind: str
    trace: str
    at: float
    broken: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the load results in: green only where it is whole, and no MUST is broken."""

    kind: Completeness
    reason: str = ""  # why it is not whole
    broken: tuple[str, ...] = ()  # ids of requirements, SHOULD included
    kept: bool = False  # whether every MUST that was tested was kept, and there was one


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A whole load. Schema: contracts/schemas/load.json.

    `errors`: what was told or seen to go wrong, in few words → how often; the rarest are left out.
    `left`: what was made and could not be deleted. `stopped`: why it ended before its time; None otherwise.
    """

    format: int
    runstone: str
    started_at: str
    duration_s: float
    server: str  # as it names itself
    insecure: bool
    soak: bool
    stopped: str | None
    exit_code: int
    plan: Plan
    outcome: Outcome
    figures: Figures
    counts: dict[str, Counts]  # kind → its counts
    issued: Tally
    settled: Tally
    invariants: tuple[Invariant, ...]
    latencies: tuple[Latency, ...]
    windows: tuple[Window, ...]
    workers: tuple[Worker, ...]
    throttled: Throttled
    errors: dict[str, int]
    samples: tuple[Sample, ...]
    left: tuple[str, ...] = ()
