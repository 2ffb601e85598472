"""Observation: run scenarios concurrently, each under its deadline, and hand on every trace as it ends."""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import msgspec
import pytest

from runstone.errors import RunstoneError, TargetError
from runstone.scenario.api import Api
from runstone.scenario.exploration import Exploration
from runstone.scenario.operations import Blocked
from runstone.scenario.self_check import AGENT_PATIENCE_S, SELF_CHECK_PATHS, Fitness, assess, self_check
from runstone.target.agents import GRAPHS
from runstone.target.control import Control
from runstone.target.target import FURTHER_IDENTITIES, Target
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Story
from runstone.wire.trace import Inapplicable, Missing, Trace

QUICK_S = 5.0  # `--quick` leaves out scenarios that must wait longer than this
PATIENT_S = 60.0  # and only `--patient` holds those that must wait longer than this
_SLEEPS_S = 1.0  # a scenario that waits so long spends most of its time asleep
_CALM_AT_ONCE = 8  # they sleep most of their time
_HEAVY_AT_ONCE = 3  # two cores are busy with two, and the third fills their pauses
_SLOW_TURN_S = 0.3  # the official servers take 0.6 s and more for a turn, the reference runtime 0.03 s
_DEAD_AFTER = 8  # exchanges in a row without any response: the target is gone, not slow

Drive = Callable[[Api], Awaitable[None]]
_CONTROLS = frozenset({"restart", "kill"})
SCENARIO_ATTRIBUTE = "__runstone_scenario__"  # how the plugin knows a fixture for a scenario
SELF_CHECK = "self_check"  # the one scenario that no suite declares
_DECLARED = re.compile(r"^@scenario\b.*?^async def (\w+)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A conversation with the target that asserts nothing.

    `waits` is the time in seconds that it must spend waiting whatever the target's speed; `needs` names the
    capabilities without which it cannot be held. `alone`: it runs after all others and by itself, as it would
    disturb them; one that restarts or kills does so only where there is no other server than the target.
    `heavy`: it costs the server or this machine so much that it waits until only long silences are left; an
    `alone` one comes after all others, as the server may be worn out by it.
    `calm`: it is a matter of a second or two, which a slow server that is busy with the other scenarios would
    stretch; there it waits as a heavy one does.
    `agent`: an agent of the user's own may stand in for the conformance graphs. `explores`: it makes up its
    requests for as long as the session allows.
    """

    name: str
    drive: Drive
    waits: float = 0.0
    needs: tuple[str, ...] = ()
    alone: bool = False
    agent: bool = False
    heavy: bool = False
    calm: bool = False
    explores: bool = False

    @property
    def demands(self) -> tuple[str, ...]:
        """All capabilities without which it cannot be held."""
        return self.needs if self.agent else (*self.needs, GRAPHS)

    @property
    def controls(self) -> bool:
        """Whether it stops and starts a server."""
        return not _CONTROLS.isdisjoint(self.needs)


@overload
def scenario(drive: Drive) -> Any: ...
@overload
def scenario(
    *,
    waits: float = 0.0,
    needs: Sequence[str] = (),
    alone: bool = False,
    agent: bool = False,
    heavy: bool = False,
    calm: bool = False,
    explores: bool = False,
) -> Callable[[Drive], Any]: ...
def scenario(
    drive: Drive | None = None,
    *,
    waits: float = 0.0,
    needs: Sequence[str] = (),
    alone: bool = False,
    agent: bool = False,
    heavy: bool = False,
    calm: bool = False,
    explores: bool = False,
) -> Any:
    """Make an asynchronous function of an `Api` a scenario: a session fixture whose value is its trace.

    `agent`: an agent of the user's own may stand in for the conformance graphs, because the scenario runs
    none or needs no more than the way in which a run ends. Any other one is held with the graphs only.
    """

    def decorate(function: Drive) -> Any:
        name = getattr(function, "__name__", "scenario")
        declared = Scenario(
            name=name,
            drive=function,
            waits=waits,
            needs=tuple(needs),
            alone=alone,
            agent=agent,
            heavy=heavy,
            calm=calm,
            explores=explores,
        )

        def recorded(runstone_session: Any) -> Trace:
            trace: Trace = runstone_session.trace(declared)
            return trace

        recorded.__name__ = name
        recorded.__doc__ = function.__doc__
        setattr(recorded, SCENARIO_ATTRIBUTE, declared)
        return pytest.fixture(scope="session", name=name)(recorded)

    return decorate if drive is None else decorate(drive)


def scenarios_declared_in(suites: Path) -> frozenset[str]:
    """The names of all scenarios of a folder, by the text of its files: importing them takes a second."""
    texts = (path.read_text("utf-8") for path in suites.glob("*.py"))
    return frozenset(name for text in texts for name in _DECLARED.findall(text)) | {SELF_CHECK}


@dataclass(frozen=True, slots=True)
class Observation:
    """What an observation came to. `stopped` says why it ended early, `crashed` by scenario what broke it.

    `lost`: it ended early because the target was lost, so that nothing can be judged.
    """

    fitness: Fitness
    seconds: float
    stopped: str | None
    crashed: dict[str, str]
    lost: bool = False


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
        limits: Mapping[str, float] | None = None,
        control: Control | None = None,
        exploration: Exploration | None = None,
    ) -> None:
        """`limits`: fields of Limits that the user has set. `control`: how servers are restarted.

        `exploration`: how far the scenarios may go that explore; by default there is none of them.
        """
        self.target = target
        self._limits: Mapping[str, Any] = limits or {}
        self._control = control
        self._exploration = exploration
        self._lost = False
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
        others = {who: self.target.headers_of(who) for who in FURTHER_IDENTITIES}
        limits = msgspec.structs.replace(Limits(), **self._limits)
        async with Recorder(self.target.url, self.target.headers, limits, others) as recorder:
            checked = await self._record(self._self_check(), recorder)
            if checked.scenario in self._crashed:
                cause = self._crashed[checked.scenario].splitlines()[-1]
                raise SelfCheckBroken(f"the self-check itself failed: {cause}")
            fitness = assess(checked, self.target.agent)
            if insist_on_fitness:
                fitness.insist(self.target)
            recorder.limits = msgspec.structs.replace(Limits.calibrated(fitness.turn_s), **self._limits)
            began = recorder.clock
            scenarios = sorted(choose(fitness), key=lambda each: -each.waits)
            preparing_s = recorder.clock - began  # long where a client had to be installed first
            stopped = await self._observe_all(scenarios, recorder, preparing_s)
            return Observation(
                fitness=fitness,
                seconds=recorder.clock - preparing_s,
                stopped=stopped,
                crashed=self._crashed,
                lost=self._lost,
            )

    def _self_check(self) -> Scenario:
        waits = 0.0 if self.target.agent is None else len(SELF_CHECK_PATHS) * AGENT_PATIENCE_S
        return Scenario(SELF_CHECK, self_check, waits=waits)

    async def _observe_all(
        self, scenarios: list[Scenario], recorder: Recorder, preparing_s: float
    ) -> str | None:
        # Those that sleep most of the time load nobody, and have slots of their own: nobody waits for them.
        slots = {sleeps: asyncio.Semaphore(self._concurrency) for sleeps in (True, False)}
        done = 0

        async def observe_one(chosen: Scenario) -> None:
            nonlocal done
            async with slots[chosen.waits >= _SLEEPS_S]:
                trace = await self._record(chosen, recorder)
            done += 1
            self._on_progress(chosen.name, done, len(scenarios))
            if not chosen.controls:  # a server that was killed does not answer
                self._notice_silence(trace)

        spent = recorder.clock - preparing_s
        left = None if self._budget_s is None else max(0.0, self._budget_s - spent)
        stopped = None
        shared = self._control is not None and self._control.shared
        last = [each for each in scenarios if each.alone and (shared or not each.controls)]
        last.sort(key=lambda each: each.heavy)  # a server may be worn out by a heavy one
        slow = recorder.limits.turn_s >= _SLOW_TURN_S
        heavy = [each for each in scenarios if (each.heavy or (each.calm and slow)) and each not in last]
        others = [each for each in scenarios if each not in last and each not in heavy]

        async def observe_heavy(after: list[asyncio.Task[None]]) -> None:
            """Beside the long silences, which load nothing, but not beside what is a matter of moments."""
            if after:
                await asyncio.wait(after)
            few = asyncio.Semaphore(_HEAVY_AT_ONCE)
            some = asyncio.Semaphore(_CALM_AT_ONCE)

            async def one(chosen: Scenario) -> None:
                async with few if chosen.heavy else some:
                    await observe_one(chosen)

            async with asyncio.TaskGroup() as group:
                for each in heavy:
                    group.create_task(one(each))

        try:
            async with asyncio.timeout(left):
                async with asyncio.TaskGroup() as group:
                    running = {each.name: group.create_task(observe_one(each)) for each in others}
                    brief = [running[each.name] for each in others if each.waits <= QUICK_S]
                    group.create_task(observe_heavy(brief))
                for each in last:
                    await observe_one(each)
        except TimeoutError:
            stopped = f"the budget of {self._budget_s:g} s was used up"
        except (BaseExceptionGroup, TargetError) as error:
            stopped = _loss(error)
            if stopped is None:
                raise
            self._lost = True
        return stopped and f"{stopped}; {done} of {len(scenarios)} scenarios ended"

    async def _record(self, chosen: Scenario, recorder: Recorder) -> Trace:
        story = Story(chosen.name)
        began = recorder.clock
        cut_short = False
        control = self._control_for(chosen)
        exploration = self._exploration if chosen.explores else None
        seconds = recorder.limits.scenario_s + chosen.waits + (control.patience_s if control else 0.0)
        seconds += exploration.seconds if exploration else 0.0
        try:
            async with asyncio.timeout(seconds):
                await chosen.drive(
                    Api(recorder, self.target, story, control=control, exploration=exploration)
                )
        except Inapplicable as reason:
            story.inapplicable[""] = str(reason)
        except TimeoutError:
            story.blocked[""] = f"the scenario's deadline of {seconds:.0f} s passed"
        except (asyncio.CancelledError, TargetError):
            cut_short = True
            raise
        except Exception as error:
            blocked = _blocked_by(error)
            if blocked is not None:
                story.blocked[""] = blocked
            else:  # it becomes a harness-error of every judge of this trace
                self._crashed[chosen.name] = "".join(traceback.format_exception(error)).strip()
        finally:
            trace = _trace(story, began, recorder.clock, cut_short)
            self._on_trace(trace)
        return trace

    def _control_for(self, chosen: Scenario) -> Control | None:
        """Nobody may restart or kill the target while others use it."""
        if self._control is None or not chosen.controls:
            return None
        return self._control if chosen.alone or not self._control.shared else None

    def _notice_silence(self, trace: Trace) -> None:
        for exchange in trace.exchanges:
            if exchange.code is not None:
                self._silent_in_a_row = 0
            elif not exchange.closed_by_client:
                self._silent_in_a_row += 1
        if self._silent_in_a_row >= _DEAD_AFTER:
            raise _TargetDied("the target stopped answering")


class SelfCheckBroken(RunstoneError):  # noqa: N818 - named as what it reports
    """The self-check raised something that is not the target's doing; nothing can be said of the target."""


class _TargetDied(TargetError):  # noqa: N818 - it ends the observation, it is no error of the harness
    pass


def _blocked_by(error: BaseException) -> str | None:
    """Why the scenario could not go on, be it said within a task group of its own; None for anything else."""
    if isinstance(error, BaseExceptionGroup):
        reasons = [_blocked_by(each) for each in error.exceptions]
        return reasons[0] if None not in reasons else None
    return str(error) if isinstance(error, Blocked | Missing) else None


def _loss(error: BaseException) -> str | None:
    """How the target was lost; None when it was something else that went wrong, or that too."""
    if isinstance(error, BaseExceptionGroup):
        losses = [_loss(each) for each in error.exceptions]
        return losses[0] if None not in losses else None
    return str(error) if isinstance(error, TargetError) else None


def _trace(story: Story, began: float, ended: float, cut_short: bool) -> Trace:
    return Trace(
        scenario=story.scenario,
        exchanges=tuple(sorted(story.exchanges, key=lambda exchange: exchange.number)),
        blocked=dict(story.blocked),
        inapplicable=dict(story.inapplicable),
        notes=dict(story.notes),
        started_at=round(began, 4),
        finished_at=round(ended, 4),
        cut_short=cut_short,
    )
