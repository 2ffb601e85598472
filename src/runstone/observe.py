"""Observation: run scenarios concurrently, each under its deadline, and hand on every trace as it ends."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import pytest

from runstone.api import Api, Blocked, Story
from runstone.client import Recorder
from runstone.errors import RunstoneError
from runstone.limits import Limits
from runstone.selfcheck import Fitness, assess, self_check
from runstone.target import Target
from runstone.trace import Missing, Trace

QUICK_S = 5.0  # `--quick` leaves out scenarios that must wait longer than this
_DEAD_AFTER = 8  # exchanges in a row without any response: the target is gone, not slow

Drive = Callable[[Api], Awaitable[None]]
SCENARIO_ATTRIBUTE = "__runstone_scenario__"  # how the plugin knows a fixture for a scenario


@dataclass(frozen=True, slots=True)
class Scenario:
    """A conversation with the target that asserts nothing.

    `waits` is the time in seconds that it must spend waiting whatever the target's speed; `needs` names the
    capabilities without which it cannot be held.
    """

    name: str
    drive: Drive
    waits: float = 0.0
    needs: tuple[str, ...] = ()


@overload
def scenario(drive: Drive) -> Any: ...
@overload
def scenario(*, waits: float = 0.0, needs: Sequence[str] = ()) -> Callable[[Drive], Any]: ...
def scenario(drive: Drive | None = None, *, waits: float = 0.0, needs: Sequence[str] = ()) -> Any:
    """Make an asynchronous function of an `Api` a scenario: a session fixture whose value is its trace."""

    def decorate(function: Drive) -> Any:
        name = getattr(function, "__name__", "scenario")
        declared = Scenario(name=name, drive=function, waits=waits, needs=tuple(needs))

        def recorded(runstone_session: Any) -> Trace:
            trace: Trace = runstone_session.trace(declared)
            return trace

        recorded.__name__ = name
        recorded.__doc__ = function.__doc__
        setattr(recorded, SCENARIO_ATTRIBUTE, declared)
        return pytest.fixture(scope="session", name=name)(recorded)

    return decorate if drive is None else decorate(drive)


@dataclass(frozen=True, slots=True)
class Observation:
    """What an observation came to. `stopped` says why it ended early, `crashed` by scenario what broke it."""

    fitness: Fitness
    seconds: float
    stopped: str | None
    crashed: dict[str, str]


class Observer:
    """Observes one target: the self-check first, then all scenarios at once, the longest first."""

    def __init__(
        self,
        target: Target,
        *,
        concurrency: int,
        budget_s: float | None,
        on_trace: Callable[[Trace], None],
        on_progress: Callable[[str, int, int], None],
    ) -> None:
        self.target = target
        self._concurrency = concurrency
        self._budget_s = budget_s
        self._on_trace = on_trace
        self._on_progress = on_progress
        self._crashed: dict[str, str] = {}
        self._silent_in_a_row = 0

    async def observe(
        self, choose: Callable[[Fitness], Iterable[Scenario]], *, insist_on_fitness: bool = True
    ) -> Observation:
        """Check the target's fitness, then record the scenarios that `choose` picks for it.

        Raises TargetError when the target does not answer or serves no fit conformance graphs,
        SelfCheckBroken when Runstone's own check failed.
        """
        async with Recorder(self.target.url, self.target.headers, Limits()) as recorder:
            checked = await self._record(Scenario("self_check", self_check), recorder)
            if checked.scenario in self._crashed:
                raise SelfCheckBroken(f"the self-check itself failed: {self._crashed[checked.scenario]}")
            fitness = assess(checked)
            if insist_on_fitness:
                fitness.insist(self.target)
            recorder.limits = Limits.calibrated(fitness.turn_s)
            scenarios = sorted(choose(fitness), key=lambda each: -each.waits)
            stopped = await self._observe_all(scenarios, recorder)
            return Observation(
                fitness=fitness, seconds=recorder.clock, stopped=stopped, crashed=self._crashed
            )

    async def _observe_all(self, scenarios: list[Scenario], recorder: Recorder) -> str | None:
        slots = asyncio.Semaphore(self._concurrency)
        done = 0

        async def observe_one(chosen: Scenario) -> None:
            nonlocal done
            async with slots:
                trace = await self._record(chosen, recorder)
            done += 1
            self._on_progress(chosen.name, done, len(scenarios))
            self._notice_silence(trace)

        left = None if self._budget_s is None else max(0.0, self._budget_s - recorder.clock)
        stopped = None
        try:
            async with asyncio.timeout(left), asyncio.TaskGroup() as group:
                for each in scenarios:
                    group.create_task(observe_one(each))
        except TimeoutError:
            stopped = f"the budget of {self._budget_s:g} s was used up"
        except BaseExceptionGroup as errors:
            if errors.split(_TargetDied)[1] is not None:
                raise
            stopped = "the target stopped answering"
        return stopped and f"{stopped}; {done} of {len(scenarios)} scenarios ended"

    async def _record(self, chosen: Scenario, recorder: Recorder) -> Trace:
        story = Story(chosen.name)
        began = recorder.clock
        cut_short = False
        try:
            async with asyncio.timeout(recorder.limits.scenario_s + chosen.waits):
                await chosen.drive(Api(recorder, self.target, story))
        except (Blocked, Missing) as reason:
            story.blocked[""] = str(reason)
        except TimeoutError:
            story.blocked[""] = (
                f"the scenario's deadline of {recorder.limits.scenario_s + chosen.waits:.0f} s passed"
            )
        except asyncio.CancelledError:
            cut_short = True
            raise
        except Exception as error:  # it becomes a harness-error of every judge of this trace
            self._crashed[chosen.name] = "".join(traceback.format_exception(error)).strip()
        finally:
            trace = _trace(story, began, recorder.clock, cut_short)
            self._on_trace(trace)
        return trace

    def _notice_silence(self, trace: Trace) -> None:
        for exchange in trace.exchanges:
            if exchange.code is not None:
                self._silent_in_a_row = 0
            elif not exchange.closed_by_client:
                self._silent_in_a_row += 1
        if self._silent_in_a_row >= _DEAD_AFTER:
            raise _TargetDied


class SelfCheckBroken(RunstoneError):  # noqa: N818 - named as what it reports
    """The self-check raised something that is not the target's doing; nothing can be said of the target."""


class _TargetDied(Exception):  # noqa: N818 - it ends the observation, it is no error of the harness
    pass


def _trace(story: Story, began: float, ended: float, cut_short: bool) -> Trace:
    return Trace(
        scenario=story.scenario,
        exchanges=tuple(sorted(story.exchanges, key=lambda exchange: exchange.number)),
        blocked=dict(story.blocked),
        notes=dict(story.notes),
        started_at=round(began, 4),
        finished_at=round(ended, 4),
        cut_short=cut_short,
    )
