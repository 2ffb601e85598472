"""Loads as `runstone load` writes them, made by hand: a sound one, and one that broke something."""

from __future__ import annotations

from pathlib import Path

import msgspec

from runstone.load.model import (
    Broken,
    Counts,
    Figures,
    Invariant,
    Latency,
    Load,
    Outcome,
    Plan,
    Sample,
    Tally,
    Throttled,
    Window,
    Worker,
)
from runstone.wire.exchange import Event, Exchange
from runstone.wire.trace import Trace

OWNED = "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">"
STARTED = "a1b2c3d4e5f6-1-0-00000042"
TRACE = f"load-wait-{STARTED}"
_COUNTED = {
    "LOAD-101": "runs",
    "LOAD-102": "runs",
    "LOAD-103": "runs",
    "LOAD-104": "threads",
    "LOAD-105": "runs",
    "LOAD-106": "threads",
    "LOAD-107": "threads",
    "LOAD-108": "webhooks",
    "LOAD-109": "answers",
}


def sound(*, rate: float = 50.0, slower: float = 1.0) -> Load:
    """A minute of 3,000 starts that kept everything."""
    return Load(
        format=1,
        runstone="0.2.0",
        started_at="2026-11-28T10:00:00+00:00",
        duration_s=63.5,
        server="runstone 0.2.0",
        insecure=False,
        soak=False,
        stopped=None,
        exit_code=0,
        plan=Plan(
            target="embedded",
            url="http://127.0.0.1:2024",
            users=50,
            rate=rate,
            for_s=60.0,
            mix={"wait": 3, "stream": 2, "enqueue": 1},
            workers=2,
            drain_s=60.0,
            window_s=5.0,
            webhooks=True,
            seed=7,
            session="a1b2c3d4e5f6",
            digest="0" * 64,
        ),
        outcome=Outcome(kind="whole", kept=True),
        figures=Figures(
            offered=rate,
            achieved=rate - 0.2,
            finished=61.3,
            late_for_users=3,
            lag_p99_s=0.004,
            lag_max_s=0.021,
            in_flight_max=17,
        ),
        counts={
            "wait": Counts(starts=1500, issued=1500, ended=1500),
            "stream": Counts(starts=1000, issued=1000, ended=1000),
            "enqueue": Counts(starts=500, issued=1500, ended=1500),
        },
        issued=Tally(count=4000, sum="7f" * 16),
        settled=Tally(count=4000, sum="7f" * 16),
        invariants=tuple(
            Invariant(id=name, of=of, kept=4000, broken=0, not_tested=0) for name, of in _COUNTED.items()
        ),
        latencies=(
            *(
                _latency(name, "kind", slower * ms)
                for name, ms in (("wait", 20), ("stream", 24), ("enqueue", 60))
            ),
            *(_latency(name, "operation", slower * ms) for name, ms in (("wait", 18), ("state", 4))),
        ),
        windows=tuple(_window(number, slower, rate) for number in range(13)),
        workers=tuple(
            Worker(
                id=str(number),
                host="box",
                pid=4710 + number,
                reported=True,
                starts=1500,
                cpu=0.31,
                max_rss=81_000_000,
                lag_max_s=0.02,
            )
            for number in (1, 2)
        ),
        throttled=Throttled(),
        errors={},
        samples=(Sample(token=STARTED[:-1] + "7", kind="stream", trace=TRACE[:-1] + "7", at=11.0),),
    )


def broken(id: str = "LOAD-102", number: int = 1) -> Load:  # noqa: A002 - the catalogue's own name
    """The same, with one promise broken by some starts, of which the first is recorded."""
    load = sound()
    samples = tuple(
        Broken(
            token=STARTED,
            kind="wait",
            at=3.25 + place,
            reason="log is ['s1', 's2', 's3', 's1', 's2', 's3'], wanted ['s1', 's2', 's3']",
            trace=TRACE if not place else "",
        )
        for place in range(min(number, 100))
    )
    invariants = tuple(
        msgspec.structs.replace(each, kept=4000 - number, broken=number, samples=samples)
        if each.id == id
        else each
        for each in load.invariants
    )
    return msgspec.structs.replace(
        load,
        exit_code=1,
        outcome=Outcome(kind="whole", broken=(id,)),
        invariants=invariants,
        samples=(Sample(token=STARTED, kind="wait", trace=TRACE, at=3.25, broken=(id,)), *load.samples),
    )


def traces(said: str = "twice") -> dict[str, Trace]:
    """The recordings of the broken start and of one drawn at random. `said`: what the state's body tells."""
    return {name: _trace(name, said) for name in (TRACE, TRACE[:-1] + "7")}


def written(load: Load, folder: Path) -> Path:
    """The folder, with the load in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "load.json").write_bytes(msgspec.json.encode(load))
    return folder


def _trace(name: str, said: str) -> Trace:
    url = "http://127.0.0.1:2024/threads/7b0e8f2a-0000-4000-8000-000000000042"
    asked = Exchange(
        scenario=name,
        number=1,
        label="wait",
        method="POST",
        url=f"{url}/runs/wait",
        sent_at=3.25,
        request_body='{"assistant_id":"steps"}',
        code=200,
        content='{"log":["s1","s2","s3"]}',
        finished_after=0.02,
    )
    state = Exchange(
        scenario=name,
        number=2,
        label="state",
        method="GET",
        url=f"{url}/state",
        sent_at=3.28,
        code=200,
        content=said,
        events=(Event(event="values", data=said, at=0.001),),
        finished_after=0.004,
    )
    return Trace(scenario=name, exchanges=(asked, state))


def _latency(name: str, of: str, ms: float) -> Latency:
    curve = tuple(
        (place, ms * factor)
        for place, factor in ((0.0, 0.5), (50.0, 1), (90.0, 2), (99.0, 3), (99.9, 5), (100.0, 6))
    )
    return Latency(
        name=name,
        of="kind" if of == "kind" else "operation",
        count=1000,
        p50_ms=ms,
        p90_ms=2 * ms,
        p95_ms=2.5 * ms,
        p99_ms=3 * ms,
        max_ms=6 * ms,
        curve=curve,
        histogram="HISTFAAAABx4nJNpmSzMwMDAxQABzFCaEUoz2X+AsQBBYwLr",
    )


def _window(number: int, slower: float, rate: float) -> Window:
    draining = number == 12
    return Window(
        at=5.0 * number,
        seconds=3.5 if draining else 5.0,
        offered=0.0 if draining else rate,
        achieved=0.0 if draining else rate - 0.2,
        finished=20 if draining else 240 + number,
        errors=0,
        p50_ms=20.0 * slower,
        p95_ms=(40.0 + number) * slower,
        p99_ms=(66.0 + number) * slower,
        max_ms=(90.0 + number) * slower,
        in_flight=0 if draining else 5 + number % 3,
        server_in_flight=None if number == 4 else number % 4,
        server_rss=120_000_000 + 1_000_000 * number,
        lag_max_s=0.01,
        draining=draining,
    )
