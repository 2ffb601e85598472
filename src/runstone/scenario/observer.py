"""Observation: run scenarios concurrently, each under its deadline, and hand on every trace as it ends."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from runstone.contracts import may_last
from runstone.errors import RunstoneError, TargetError
from runstone.scenario.api import Api
from runstone.scenario.canaries import Canaries
from runstone.scenario.capacity import WAVES, measure_capacity
from runstone.scenario.clean_up import Made, Thing, clean_up
from runstone.scenario.exploration import Exploration
from runstone.scenario.phases import SLOW_TURN_S, Phases
from runstone.scenario.pulse import Dead, Pulse
from runstone.scenario.requests import Blocked
from runstone.scenario.runs import unfinished
from runstone.scenario.scenario import SELF_CHECK, Scenario, Schedule
from runstone.scenario.self_check import AGENT_PATIENCE_S, SELF_CHECK_PATHS, Fitness, assess, self_check
from runstone.scenario.slots import MANY, Lease, Slots
from runstone.target.agents import Agent, Turn
from runstone.target.control import Control
from runstone.target.target import Target
from runstone.wire.documents import Missing
from runstone.wire.identity import FURTHER_IDENTITIES
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Story
from runstone.wire.trace import Inapplicable, Trace

ASKS_PLAINLY: Final = (
    "runs are refused with the fields that official clients send along (multitask_strategy, on_disconnect): "
    "they were left out"
)
EXECUTES_NO_RUNS: Final = (
    "runs that had a worker to themselves were not executed: the target has lost its workers"
)


@dataclass(frozen=True, slots=True)
class Observation:
    """What an observation resulted in. `stopped`: why it ended early; `crashed`: by scenario what broke it.

    `capacity`: how many runs the target was seen, or is said, to execute at once; None where nobody knows.
    `findings`: what was noticed of the target beside all scenarios.
    """

    fitness: Fitness
    seconds: float
    stopped: str | None
    crashed: dict[str, str]
    capacity: int | None = None
    findings: tuple[str, ...] = ()


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when the scenarios begin; `measured`: the capacity was found out, and not declared."""

    scenarios: tuple[Scenario, ...]
    capacity: int
    measured: bool
    turn_s: float


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
        on_begin: Callable[[Begun], None] = lambda _: None,
        limits: Mapping[str, float] | None = None,
        control: Control | None = None,
        exploration: Exploration | None = None,
        capacity: int | None = None,
        made: Made | None = None,
        left_over: Sequence[Thing] = (),
    ) -> None:
        """`limits`: fields of Limits that the user has set. `control`: how servers are restarted.

        `exploration`: how far the scenarios may go that explore; by default there is none of them.
        `capacity`: how many runs the target executes at once; by default it is found out. `made` learns what
        is made on the target, which is deleted at the end; without it, all is left there. `left_over`, of
        sessions that were killed, is deleted first.
        """
        self.target = target
        self._limits: Mapping[str, Any] = limits or {}
        self._control = control
        self._exploration = exploration
        self._concurrency = concurrency
        self._budget_s = budget_s
        self._on_trace = on_trace
        self._on_progress = on_progress
        self._on_begin = on_begin
        self._capacity = capacity
        self._made = made
        self._left_over = left_over
        self._slots = Slots(MANY)
        self._crashed: dict[str, str] = {}
        self._fitness: Fitness | None = None
        self.left: tuple[str, ...] = ()  # what could not be deleted
        self.cleaning_s = 0.0

    async def observe(
        self, choose: Callable[[Fitness], Iterable[Scenario]], *, insist_on_fitness: bool = True
    ) -> Observation:
        """Check the target's fitness, then record the scenarios that `choose` picks for it.

        Raises TargetError when the target does not answer or serves no fit conformance graphs,
        SelfCheckBroken when Runstone's own check failed.
        """
        others = {who: self.target.headers_of(who) for who in FURTHER_IDENTITIES}
        limits = msgspec.structs.replace(Limits(), **self._limits)
        target = self.target
        recorder = Recorder(target.url, target.headers, limits, others, target.network, may_last)
        async with recorder, self._leaving_nothing(recorder):
            checked = await self._record(self._self_check(), recorder)
            if checked.scenario in self._crashed:
                cause = self._crashed[checked.scenario].splitlines()[-1]
                raise SelfCheckBroken(f"the self-check itself failed: {cause}")
            fitness = assess(checked, self.target)
            self._fitness = fitness
            recorder.alive_path = fitness.answered_path
            if fitness.plain:
                self.target = msgspec.structs.replace(self.target, plain=True)
            if target.without_runs:
                self.target = _standing_for(self.target, fitness)
                asyncio.get_running_loop().set_exception_handler(_passing_over_what_is_inapplicable)
            if insist_on_fitness:
                fitness.insist(self.target)
            measured = Limits.calibrated(fitness.turn_s, fitness.answer_s)
            recorder.limits = msgspec.structs.replace(measured, **self._limits)
            began = recorder.clock
            scenarios = sorted(choose(fitness), key=lambda each: -each.schedule.waits)
            preparing_s = recorder.clock - began  # long where a client had to be installed first
            await clean_up(recorder, self._left_over)
            stopped, findings = await self._observe_with_pulse(scenarios, recorder, fitness, preparing_s)
            return Observation(
                fitness=fitness,
                seconds=recorder.clock - preparing_s,
                stopped=stopped,
                crashed=self._crashed,
                capacity=self._capacity,
                findings=tuple(findings),
            )

    async def observe_again(self, scenarios: Sequence[Scenario], budget_s: float) -> None:
        """Record these once more, one after the other, as long as the budget lasts, under their own names.

        For a target that was observed before.
        """
        others = {who: self.target.headers_of(who) for who in FURTHER_IDENTITIES}
        target, fitness = self.target, self._fitness
        if fitness is None:
            return
        limits = msgspec.structs.replace(Limits.calibrated(fitness.turn_s), **self._limits)
        recorder = Recorder(target.url, target.headers, limits, others, target.network, may_last)
        async with recorder, self._leaving_nothing(recorder):
            recorder.alive_path = fitness.answered_path
            recorder.limits = msgspec.structs.replace(limits, capacity=self._capacity or 1)
            self._slots = Slots(self._capacity or 1)
            pulse = self._pulse(recorder, fitness)
            with suppress(TimeoutError):
                async with pulse.beating(), asyncio.timeout(budget_s):
                    recorder.grows = pulse.grows
                    for each in scenarios:
                        await self._record(each, recorder)

    def _pulse(self, recorder: Recorder, fitness: Fitness) -> Pulse:
        canaries = Canaries(recorder, self.target, self._slots, fitness)
        may_run = fitness.fit and self.target.agent is None and not self.target.without_runs
        runs = canaries.run if may_run else None
        return Pulse(canaries.request, runs, canaries.run_s, recorder.pace.clear)

    @asynccontextmanager
    async def _leaving_nothing(self, recorder: Recorder) -> AsyncIterator[None]:
        """Delete at the end of the block what was made within it, after Ctrl-C too."""
        made = self._made
        if made is None:
            yield
            return
        recorder.heard = made.note
        try:
            yield
        finally:
            recorder.heard = None
            began = recorder.clock
            self.left = tuple(await clean_up(recorder, made.things()))
            self.cleaning_s = recorder.clock - began

    def _self_check(self) -> Scenario:
        waits = 0.0 if self.target.agent is None else len(SELF_CHECK_PATHS) * AGENT_PATIENCE_S
        return Scenario(SELF_CHECK, self_check, Schedule(waits=waits))

    async def _observe_with_pulse(
        self, scenarios: list[Scenario], recorder: Recorder, fitness: Fitness, preparing_s: float
    ) -> tuple[str | None, list[str]]:
        """Why the observation ended early, and what was noticed beside the scenarios."""
        if not fitness.answers:
            return await self._observe_all(scenarios, recorder, preparing_s), []
        pulse = self._pulse(recorder, fitness)
        async with pulse.beating():
            recorder.grows = pulse.grows
            if fitness.fit and not self.target.without_runs:
                await self._learn_capacity(recorder)
            capacity = self._capacity or 1
            self._slots.capacity = capacity
            recorder.limits = msgspec.structs.replace(recorder.limits, capacity=capacity)
            scenarios = self._within_capacity(scenarios)
            self._on_begin(
                Begun(
                    scenarios=tuple(scenarios),
                    capacity=capacity,
                    measured=True,
                    turn_s=recorder.limits.turn_s,
                )
            )
            stopped = await self._observe_all(scenarios, recorder, preparing_s, pulse)
        noticed = {ASKS_PLAINLY: fitness.plain, EXECUTES_NO_RUNS: pulse.executes_no_runs}
        return stopped, [finding for finding, seen in noticed.items() if seen]

    def _within_capacity(self, scenarios: list[Scenario]) -> list[Scenario]:
        """Those that the target can execute; of every other one a trace that says why it does not apply."""
        capacity = self._slots.capacity
        for each in scenarios:
            if each.schedule.runs > capacity:
                why = f"capacity: it needs {each.schedule.runs} runs at once, the target executes {capacity}"
                self._on_trace(Trace(scenario=each.name, inapplicable={"": why}))
        return [each for each in scenarios if each.schedule.runs <= capacity]

    async def _learn_capacity(self, recorder: Recorder) -> None:
        if self._capacity is None and self.target.agent is None:
            trace = await self._record(Scenario("capacity", measure_capacity), recorder)
            found = trace.notes.get("capacity")
            self._capacity = found if isinstance(found, int) else None

    async def _observe_all(
        self,
        scenarios: list[Scenario],
        recorder: Recorder,
        preparing_s: float,
        pulse: Pulse | None = None,
    ) -> str | None:
        # Those that sleep most of the time load nobody, and have slots of their own: nobody waits for them.
        at_once = {sleeps: asyncio.Semaphore(self._concurrency) for sleeps in (True, False)}
        done = 0

        async def observe_one(chosen: Scenario) -> None:
            nonlocal done
            async with at_once[chosen.schedule.sleeps]:
                trace = await self._record(chosen, recorder)
            done += 1
            self._on_progress(chosen.name, done, len(scenarios))
            # A server that was killed on purpose does not answer; a canary tells whether any other lives.
            if pulse is not None and not chosen.controls and _unanswered(trace):
                await pulse.grows(asyncio.get_running_loop().time())

        spent = recorder.clock - preparing_s
        left = None if self._budget_s is None else max(0.0, self._budget_s - spent)
        stopped = None
        phases = Phases.of(
            scenarios,
            shared=self._control is not None and self._control.shared,
            slow=recorder.limits.turn_s >= SLOW_TURN_S,
        )
        try:
            async with asyncio.timeout(left), _until_dead(pulse):
                await phases.run(observe_one)
        except TimeoutError:
            stopped = f"the budget of {self._budget_s:g} s was used up"
        except (BaseExceptionGroup, TargetError) as error:
            stopped = _loss(error)
            if stopped is None:
                raise
        return stopped and f"{stopped}; {done} of {len(scenarios)} scenarios ended"

    async def _record(self, chosen: Scenario, recorder: Recorder) -> Trace:
        story = Story(chosen.name)
        began = recorder.clock
        cut_short = False
        control = self._control_for(chosen)
        exploration = self._exploration if chosen.explores else None
        seconds = (
            recorder.limits.scenario_s + chosen.schedule.waits + (control.patience_s if control else 0.0)
        )
        seconds += exploration.seconds if exploration else 0.0
        lease = Lease(
            self._slots,
            chosen.schedule.runs,
            steady=chosen.schedule.takes_turns,
            end=self._ending(story, recorder),
        )
        api = Api(recorder, self.target, story, lease=lease, control=control, exploration=exploration)
        try:
            # Time in the queue for a slot, and time that the target asked for, are not the scenario's own.
            async with recorder.pace.within(seconds, recorder.grows, lease.elapsed):
                await chosen.drive(api)
        except Inapplicable as reason:
            story.inapplicable[""] = str(reason)
        except TimeoutError:
            story.blocked[""] = f"the scenario's deadline of {seconds:.0f} s passed"
        except (asyncio.CancelledError, TargetError):
            cut_short = True
            raise
        except Exception as error:
            blocked, inapplicable = _reason(error, Blocked, Missing), _reason(error, Inapplicable)
            if blocked is not None:
                story.blocked[""] = blocked
            elif inapplicable is not None:
                story.inapplicable[""] = inapplicable
            else:  # it becomes a harness-error of every judge of this trace
                self._crashed[chosen.name] = "".join(traceback.format_exception(error)).strip()
        finally:
            trace = _trace(story, began, recorder.clock, cut_short)
            self._on_trace(trace)
            if not cut_short:
                await lease.leave_all()
        return trace

    def _ending(self, story: Story, recorder: Recorder) -> Callable[[str], Awaitable[None]]:
        """What ends the runs that a part of a scenario has left under way: they would keep a worker busy.

        Where there are workers in abundance they are left to themselves.
        """

        async def end(part: str) -> None:
            own = [each for each in story.exchanges if f"{each.part}.".startswith(f"{part}." if part else "")]
            apart = Api(recorder, self.target, Story("after"), lease=Lease(Slots(MANY), 1, steady=False))
            for thread, run in unfinished(own) if self._slots.capacity < WAVES[-1] else ():
                await apart.cancel(thread, run, wait="0")
                await apart.poll_run(thread, run)

        return end

    def _control_for(self, chosen: Scenario) -> Control | None:
        """Nobody may restart or kill the target while others use it."""
        if self._control is None or not chosen.controls:
            return None
        return self._control if chosen.schedule.alone or not self._control.shared else None


def _standing_for(target: Target, fitness: Fitness) -> Target:
    """The target with the first assistant that it serves in the place of the graphs, which nothing runs."""
    if not fitness.served:
        return target
    return msgspec.structs.replace(target, agent=Agent(assistant=fitness.served[0], success=Turn(input={})))


def _passing_over_what_is_inapplicable(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A scenario that ends where it would start a run leaves the task behind that was to start it."""
    if not isinstance(context.get("exception"), Inapplicable):
        loop.default_exception_handler(context)


class SelfCheckBroken(RunstoneError):  # noqa: N818 - named as what it reports
    """The self-check raised something that is not the target's doing; nothing can be said of the target."""


@asynccontextmanager
async def _until_dead(pulse: Pulse | None) -> AsyncIterator[None]:
    """End the block by Dead as soon as the target is."""
    if pulse is None:
        yield
        return
    async with asyncio.TaskGroup() as group:

        async def watch() -> None:
            raise Dead(await asyncio.shield(pulse.dead))

        watching = group.create_task(watch())
        yield
        watching.cancel()


def _unanswered(trace: Trace) -> bool:
    """Whether some request of the scenario got no answer at all."""
    return any(each.code is None and not each.closed_by_client for each in trace.exchanges)


def _reason(error: BaseException, *kinds: type[Exception]) -> str | None:
    """Why the scenario could not go on, be it said within a task group of its own; None for anything else."""
    if isinstance(error, BaseExceptionGroup):
        reasons = [_reason(each, *kinds) for each in error.exceptions]
        return reasons[0] if None not in reasons else None
    return str(error) if isinstance(error, kinds) else None


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
