"""How many runs the target executes at a time: found out by runs that sleep.

The answer decides how many runs are asked for at once. A server with one worker is not worse than another;
who sends it thirty runs at once sees thirty queue, and would take the queue for a fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from runstone.contracts import lifecycle
from runstone.scenario.api import Api
from runstone.scenario.requests import Blocked
from runstone.scenario.scenario import Scenario
from runstone.wire.documents import Missing
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace

WAVES: Final = (
    2,
    8,
    32,
)  # runs that are asked for at once; each wave only when the one before ran as a whole
OF_CAPACITY: Final = "capacity: "  # how the reason begins of what needs more runs at once than there are
_SLEEP_S: Final = 1.0
_SLEEPS_TURNS: Final = (
    2.0  # beyond that, in turns: a queue that is asked twice a second starts runs that late
)
_ROUND_TRIPS: Final = 4 * len(WAVES)  # each makes threads and runs and looks twice, while those before sleep
_POLL_S: Final = 0.1


@dataclass(slots=True)
class _Probe:
    """One sleeping run. `seen`: how often it was seen at work; `over`: it has ended."""

    thread: str
    run: str
    seen: int = 0
    over: bool = False


@dataclass(slots=True)
class _Count:
    probes: list[_Probe] = field(default_factory=list)
    at_once: int = 0

    def note(self) -> None:
        # Seen twice: while all are asked, one may end and make room for the next, which is not two at once.
        self.at_once = max(self.at_once, sum(each.seen > 1 and not each.over for each in self.probes))

    @property
    def all_at_once(self) -> bool:
        return self.at_once == len(self.probes)

    @property
    def any_over(self) -> bool:
        return any(each.over for each in self.probes)


async def measure_capacity(api: Api, most: int = WAVES[-1]) -> None:
    """Start sleeping runs in growing waves until one more would wait; the result is the note `capacity`.

    `most` stands for that many or more. Raises Blocked where no run can be started or seen to work.
    """
    count = _Count()
    sleep_s = _SLEEP_S + _SLEEPS_TURNS * api.limits.turn_s + _ROUND_TRIPS * api.limits.answer_s
    for size in (*(each for each in WAVES if each < most), most):
        starting = (_started(api, sleep_s) for _ in range(size - len(count.probes)))
        count.probes += await asyncio.gather(*starting)
        patience = api.clock + sleep_s + api.limits.settle_s
        while not (count.all_at_once or count.any_over or api.clock > patience):
            await asyncio.gather(*(_look(api, each) for each in count.probes if not each.over))
            count.note()
            await asyncio.sleep(_POLL_S)
        if not count.all_at_once:
            break
    api.note(capacity=max(1, count.at_once))
    await asyncio.gather(*(_end(api, each) for each in count.probes))


async def _started(api: Api, sleep_s: float) -> _Probe:
    thread = await api.create_thread()
    return _Probe(thread, await api.create_run(thread, "slow", {"sleep": sleep_s}))


async def _look(api: Api, probe: _Probe) -> None:
    """Ask for the run, and where its status does not tell, for what its nodes have written."""
    reading = await api.run(probe.thread, probe.run, label="capacity")
    status = _member(reading, "status")
    if status in lifecycle().runs.terminal:
        probe.over = True
    elif status == "running":
        probe.seen += 1
    elif not isinstance(status, str):
        raise Blocked(f"{reading.where} tells no status of a run")


async def _end(api: Api, probe: _Probe) -> None:
    """Leave no run behind that would take a worker from the scenarios."""
    if not probe.over:
        await api.cancel(probe.thread, probe.run, wait="0")
        await api.poll_run(probe.thread, probe.run, label="capacity")


def _member(exchange: Exchange, key: str) -> object:
    try:
        return exchange.object.get(key)
    except Missing:
        return None


def fitting(
    scenarios: Iterable[Scenario], capacity: int, on_trace: Callable[[Trace], None]
) -> list[Scenario]:
    """Those that the target can execute; of every other one a trace that says why it does not apply."""
    found = []
    for each in scenarios:
        if each.schedule.runs <= capacity:
            found.append(each)
            continue
        needed = f"it needs {each.schedule.runs} runs at once, the target executes {capacity}"
        on_trace(Trace(scenario=each.name, inapplicable={"": OF_CAPACITY + needed}))
    return found
