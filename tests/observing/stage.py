"""Observation: all scenarios at once, each under its deadline, and nothing that goes wrong goes unsaid."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from runstone.scenario.api import Api
from runstone.scenario.observer import Observation, Observer
from runstone.scenario.progress import Told
from runstone.scenario.scenario import Scenario
from runstone.target.target import Target
from runstone.wire.trace import Trace

Drive = Callable[[Api], Awaitable[None]]


class Seen:
    """What an observation handed on, in order."""

    def __init__(self) -> None:
        self.traces: dict[str, Trace] = {}
        self.progress: list[Told] = []
        self.outcome: Observation | None = None

    @property
    def names(self) -> list[str]:
        return [name for name in self.traces if name != "self_check"]


def observed(
    url: str,
    scenarios: Iterable[Scenario],
    *,
    seen: Seen | None = None,
    insist: bool = False,
    concurrency: int = 16,
    may_rise: bool = False,
    budget_s: float | None = None,
    **limits: float,
) -> Seen:
    """Observe the scenarios; with tight limits, so that what hangs ends soon."""
    seen = seen or Seen()
    observer = Observer(
        Target(name="t", url=url),
        concurrency=concurrency,
        may_rise=may_rise,
        budget_s=budget_s,
        on_trace=lambda trace: seen.traces.__setitem__(trace.scenario, trace),
        on_progress=seen.progress.append,
        limits={"request_s": 0.5, "settle_s": 0.5, **limits},
    )
    seen.outcome = asyncio.run(observer.observe(lambda _fitness: list(scenarios), insist_on_fitness=insist))
    return seen


def drive_of(*paths: str) -> Drive:
    async def drive(api: Api) -> None:
        for path in paths:
            await api.request("GET", path, label=path)

    return drive


async def for_ever(api: Api) -> None:
    await api.request("GET", "/first")
    await asyncio.sleep(3600)
