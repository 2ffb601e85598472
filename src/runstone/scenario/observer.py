"""Observation: run scenarios concurrently, each under its deadline, and hand on every trace as it ends."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from runstone.contracts import creates_at_once, may_last, reads
from runstone.errors import RunstoneError, TargetError
from runstone.scenario import without_runs
from runstone.scenario.api import Api
from runstone.scenario.canaries import Canaries
from runstone.scenario.capacity import WAVES, fitting, measure_capacity
from runstone.scenario.clean_up import Made, Thing
from runstone.scenario.cleaner import Cleaner
from runstone.scenario.ending import blocked_by, loss, trace_of, unanswered, until_dead
from runstone.scenario.estimate import own_seconds
from runstone.scenario.exploration import Exploration
from runstone.scenario.fitness import Fitness, Unfit, assess, clock_off
from runstone.scenario.left_running import ending
from runstone.scenario.mark import marking
from runstone.scenario.phases import Phases
from runstone.scenario.progress import Course, Known, Progress, Step, begun_of
from runstone.scenario.pulse import Pulse
from runstone.scenario.scenario import CAPACITY_LOOKS, SELF_CHECK, Drive, Scenario, Schedule
from runstone.scenario.self_check import AGENT_PATIENCE_S, SELF_CHECK_PATHS, self_check
from runstone.scenario.slots import MANY, Lease, Slots
from runstone.target.control import Control
from runstone.target.target import Target
from runstone.wire.identity import FURTHER_IDENTITIES
from runstone.wire.limits import Limits
from runstone.wire.recorder import KnownOperations, Recorder
from runstone.wire.recording import Recording
from runstone.wire.trace import Inapplicable, Trace

_FEW_RUNS: Final = 10  # at a time: each worker that is lost is felt
ASKS_PLAINLY: Final = (
    "runs are refused with the fields that official clients send along (multitask_strategy, on_disconnect): "
    "they were left out"
)
_MOST_WAYS: Final = 9.0  # times a scenario's own time: one that asks for ever ends too
EXECUTES_NO_RUNS: Final = (
    "runs that had a worker to themselves were not executed: the target has lost its workers"
)


@dataclass(frozen=True, slots=True)
class Observation:
    """What an observation resulted in. `stopped`: why it ended early; `crashed`: by scenario what broke it.

    `capacity`: how many runs the target was seen, or is said, to execute at once; None where nobody knows.
    `findings`: what was noticed of the target beside all scenarios. `preparing_s`: what installing clients
    took, which is not counted in `seconds`.
    """

    fitness: Fitness
    seconds: float
    stopped: str | None
    crashed: dict[str, str]
    capacity: int | None = None
    findings: tuple[str, ...] = ()
    preparing_s: float = 0.0


class Observer:
    """Observes one target: the self-check first, then all scenarios at once, the longest first."""

    def __init__(
        self,
        target: Target,
        *,
        concurrency: int,
        may_rise: bool = False,
        budget_s: float | None,
        on_trace: Callable[[Trace], None],
        on_progress: Progress,
        limits: Mapping[str, float] | None = None,
        control: Control | None = None,
        exploration: Exploration | None = None,
        capacity: int | None = None,
        confirms: bool = False,
        made: Made | None = None,
        left_over: Sequence[Thing] = (),
        keep_until_judged: bool = False,
        asks_first: Drive | None = None,
    ) -> None:
        """`concurrency`: how many scenarios go on at once; `may_rise`: more where answers travel long or runs
        wait to be looked for.

        `limits`: fields of Limits that the user has set. `control`: how servers are restarted.
        `exploration`: how far the scenarios may go that explore; by default there is none of them.
        `capacity`: how many runs the target executes at once; by default it is found out. `confirms`: whether
        more is to be expected after the observation, by `observe_again`. `made` learns what
        is made on the target, which is deleted at the end; without it, all is left there. `left_over`, of
        sessions that were killed, is deleted first. `keep_until_judged`: it stays until `clean_up`.
        `asks_first`: what is asked before all else, where it is not whether the conformance graphs are fit.
        """
        self.target = target
        self._asks_first = asks_first
        self._limits: Mapping[str, Any] = limits or {}
        self._control = control
        self._exploration = exploration
        self._concurrency = concurrency
        self._may_rise = may_rise
        self._budget_s = budget_s
        self._on_trace = on_trace
        self._on_progress = on_progress
        self._capacity = capacity
        self._confirms = confirms
        self._cleaner = Cleaner(made, left_over, on_progress, keep_until_judged=keep_until_judged)
        self._slots = Slots(MANY)
        self._crashed: dict[str, str] = {}
        self._fitness: Fitness | None = None
        self._felt: Pulse | None = None  # of the observation that is under way
        self._deadline: float | None = None  # of the whole observation, by the loop's clock

    @property
    def left(self) -> tuple[str, ...]:
        """What could not be deleted."""
        return self._cleaner.left

    @property
    def cleaning_s(self) -> float:
        """How long deleting has taken."""
        return self._cleaner.seconds

    async def observe(
        self, choose: Callable[[Fitness], Iterable[Scenario]], *, insist_on_fitness: bool = True
    ) -> Observation:
        """Check the target's fitness, then record the scenarios that `choose` picks for it.

        Raises TargetError when the target does not answer or serves no fit conformance graphs,
        SelfCheckBroken when Runstone's own check failed.
        """
        recorder = self._recorder(Limits())
        async with recorder, self._cleaner.leaving_nothing(recorder):
            checked = await self._checked(recorder)
            fitness = self._assessed(checked, recorder)
            if insist_on_fitness:
                fitness.insist(self.target)
            measured = Limits.calibrated(fitness.turn_s, fitness.answer_s)
            recorder.limits = msgspec.structs.replace(measured, **self._limits)
            began = recorder.clock
            scenarios = sorted(choose(fitness), key=lambda each: -own_seconds(each, fitness.turn_s))
            preparing_s = recorder.clock - began  # long where a client had to be installed first
            if self._deadline is not None:
                self._deadline += preparing_s
            await self._cleaner.after_the_dead(recorder)
            async with marking(recorder, self._cleaner.made):
                stopped, findings = await self._observe_with_pulse(scenarios, recorder, fitness)
            off = clock_off(checked, recorder.clock)
            return Observation(
                fitness=fitness,
                seconds=recorder.clock - preparing_s,
                preparing_s=preparing_s,
                stopped=stopped,
                crashed=self._crashed,
                capacity=self._capacity,
                findings=(*findings, *([] if off is None else [off])),
            )

    async def check(self) -> Fitness:
        """The self-check alone; what it made is deleted again. Raises TargetError and SelfCheckBroken."""
        recorder = self._recorder(Limits())
        async with recorder, self._cleaner.leaving_nothing(recorder):
            fitness = self._assessed(await self._checked(recorder), recorder)
        fitness.insist(self.target)
        return fitness

    def _recorder(self, limits: Limits) -> Recorder:
        target = self.target
        others = {who: target.headers_of(who) for who in FURTHER_IDENTITIES}
        limits = msgspec.structs.replace(limits, **self._limits)
        known = KnownOperations(may_last=may_last, creates=creates_at_once, reads=reads)
        return Recorder(target.url, target.headers, limits, others, target.network, known)

    def _assessed(self, checked: Trace, recorder: Recorder) -> Fitness:
        """What the self-check found. Raises SelfCheckBroken where it is Runstone that failed."""
        if checked.scenario in self._crashed:
            cause = self._crashed[checked.scenario].splitlines()[-1]
            raise SelfCheckBroken(f"the self-check itself failed: {cause}")
        fitness = self._fitness = assess(checked, self.target)
        recorder.alive_path = fitness.answered_path
        self.target = msgspec.structs.replace(self.target, plain=fitness.plain, found=fitness.probed)
        if self.target.without_runs:
            self.target = without_runs.standing_for(self.target, fitness)
            asyncio.get_running_loop().set_exception_handler(without_runs.passing_over_what_is_inapplicable)
        return fitness

    async def _checked(self, recorder: Recorder) -> Trace:
        """The trace of the self-check. Raises Unfit where the budget ends before it does."""
        self._deadline = None if self._budget_s is None else _now() + self._budget_s
        self._on_progress(Step(doing="checking that it works"))
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._record(self._self_check(), recorder)
        except TimeoutError:
            raise Unfit(
                f"the budget of {self._budget_s:g} s was used up before {self.target.url} was seen to run "
                "anything; give --budget more seconds"
            ) from None

    async def observe_again(self, scenarios: Sequence[Scenario], budget_s: float) -> None:
        """Record these once more, one after the other, as long as the budget lasts, under their own names.

        For a target that was observed before.
        """
        fitness = self._fitness
        if fitness is None:
            return
        limits = Limits.calibrated(fitness.turn_s, fitness.answer_s)
        recorder = self._recorder(limits)
        async with recorder, self._cleaner.leaving_nothing(recorder):
            recorder.alive_path = fitness.answered_path
            recorder.limits = msgspec.structs.replace(recorder.limits, capacity=self._capacity or 1)
            self._slots = Slots(self._capacity or 1)
            pulse = self._felt = self._pulse(recorder, fitness)
            with suppress(TimeoutError):
                async with marking(recorder, self._cleaner.made), pulse.beating(), asyncio.timeout(budget_s):
                    recorder.grows = pulse.grows
                    for done, each in enumerate(scenarios):
                        self._on_progress(
                            Step(doing="confirming", name=each.name, done=done, total=len(scenarios))
                        )
                        await self._record(each, recorder)

    def _pulse(self, recorder: Recorder, fitness: Fitness) -> Pulse:
        canaries = Canaries(recorder, self.target, self._slots, fitness)
        may_run = fitness.fit and self.target.agent is None and not self.target.without_runs
        runs = canaries.run if may_run else None
        return Pulse(canaries.request, runs, canaries.run_s, recorder.pace.clear)

    async def clean_up(self, keep: Collection[str] = ()) -> None:
        """Delete what was made and is there still, but for what these scenarios made."""
        recorder = self._recorder(Limits())
        async with recorder:
            await self._cleaner.clean_up(recorder, keep)

    def _self_check(self) -> Scenario:
        waits = 0.0 if self.target.agent is None else len(SELF_CHECK_PATHS) * AGENT_PATIENCE_S
        return Scenario(SELF_CHECK, self._asks_first or self_check, Schedule(waits=waits))

    async def _observe_with_pulse(
        self, scenarios: list[Scenario], recorder: Recorder, fitness: Fitness
    ) -> tuple[str | None, list[str]]:
        """Why the observation ended early, and what was noticed beside the scenarios."""
        if not fitness.answers:
            return await self._observe_all(scenarios, recorder), []
        pulse = self._felt = self._pulse(recorder, fitness)
        async with pulse.beating():
            recorder.grows = pulse.grows
            known: Known = "assumed" if self._capacity is None else "declared"
            may_run = fitness.fit and self.target.agent is None and not self.target.without_runs
            if self._capacity is None and may_run:
                self._capacity = await self._measured(recorder, CAPACITY_LOOKS[0])
                known = "assumed" if self._capacity is None else "measured"
            capacity = self._capacity or 1
            self._slots.capacity, self._slots.travelling = capacity, fitness.travelling(capacity)
            recorder.limits = msgspec.structs.replace(recorder.limits, capacity=capacity)
            scenarios = fitting(scenarios, capacity, self._on_trace)
            phases = self._phases(scenarios)
            begun = begun_of(phases, fitness, capacity=capacity, known=known, confirms=self._confirms)
            self._on_progress(begun)
            stopped = await self._observe_all(scenarios, recorder, pulse, begun.seconds)
            lost = None
            if known == "measured" and stopped is None:
                lost = await self._lost_workers(recorder, pulse)
        noticed = {ASKS_PLAINLY: fitness.plain, EXECUTES_NO_RUNS: pulse.executes_no_runs}
        found = [finding for finding, seen in noticed.items() if seen]
        return stopped, found + ([] if lost is None else [lost])

    async def _lost_workers(self, recorder: Recorder, pulse: Pulse) -> str | None:
        """What tells that fewer runs are executed at once than at the beginning; None where nothing does.

        Where there are workers in abundance it is looked into only if runs were late. A busy machine is seen
        to execute fewer than it does, so that it takes two looks to say so.
        """
        before, now = self._slots.capacity, 0
        if pulse.executes_no_runs or (before > _FEW_RUNS and not pulse.late_runs):
            return None
        for look in CAPACITY_LOOKS[1:]:
            now = max(now, await self._measured(recorder, look, most=before) or before)
            if now >= before:
                return None
        return f"it executed {before} runs at a time at the beginning, and {now} at the end"

    async def _measured(self, recorder: Recorder, name: str, most: int = WAVES[-1]) -> int | None:
        """How many runs are executed at a time; None where that cannot be told, or not within the budget."""

        async def measure(api: Api) -> None:
            await measure_capacity(api, most)

        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._deadline):
                found = (await self._record(Scenario(name, measure), recorder)).notes.get("capacity")
                return found if isinstance(found, int) else None
        return None

    def _phases(self, scenarios: Iterable[Scenario]) -> Phases:
        shared = self._control is not None and self._control.shared
        return Phases.of(scenarios, shared=shared, slow=self._slow)

    @property
    def _slow(self) -> bool:
        return self._fitness is not None and self._fitness.slow

    async def _observe_all(
        self,
        scenarios: list[Scenario],
        recorder: Recorder,
        pulse: Pulse | None = None,
        expected_s: float = 0.0,
    ) -> str | None:
        # Those that sleep most of the time load nobody, and have slots of their own: nobody waits for them.
        times = self._fitness.times_at_once if self._fitness and self._may_rise else 1.0
        many = times * self._concurrency
        if self._slow and self._may_rise:
            # A run that waits to be looked for loads nobody; whoever drives the scenarios is loaded by each.
            many = max(many, min(0.5 * (self._capacity or 0), 2.0 * self._concurrency))
        at_once = {sleeps: asyncio.Semaphore(round(many)) for sleeps in (True, False)}
        phases = self._phases(scenarios)
        course, began = Course(phases, expected_s, recorder.limits.turn_s), recorder.clock

        async def observe_one(chosen: Scenario) -> None:
            async with at_once[chosen.schedule.sleeps]:
                trace = await self._record(chosen, recorder)
            self._on_progress(course.end(chosen.name, recorder.clock - began))
            # A server that was killed on purpose does not answer; a canary tells whether any other lives.
            if pulse is not None and not chosen.controls and unanswered(trace):
                await pulse.grows(asyncio.get_running_loop().time())

        stopped = None
        try:
            async with asyncio.timeout_at(self._deadline), until_dead(pulse):
                await phases.run(observe_one, times)
        except TimeoutError:
            stopped = f"the budget of {self._budget_s:g} s was used up"
        except (BaseExceptionGroup, TargetError) as error:
            stopped = loss(error)
            if stopped is None:
                raise
        return stopped and f"{stopped}; {course.done} of {len(scenarios)} scenarios ended"

    async def _record(self, chosen: Scenario, recorder: Recorder) -> Trace:
        recording = Recording(chosen.name)
        began, since = recorder.clock, _now()
        cut_short = False
        control = self._control_for(chosen)
        exploration = self._exploration if chosen.explores else None
        seconds = (
            recorder.limits.scenario_s + chosen.schedule.waits + (control.patience_s if control else 0.0)
        )
        seconds += chosen.schedule.patience + (exploration.seconds if exploration else 0.0)
        lease = Lease(
            self._slots,
            chosen.schedule.runs,
            steady=chosen.schedule.takes_turns,
            end=ending(recording, recorder, self.target, self._slots),
        )
        api = Api(recorder, self.target, recording, lease=lease, control=control, exploration=exploration)
        travels_s = self._fitness.travels_s if self._fitness else 0.0

        def elapsed() -> float:
            # The way to a far target and back is not the scenario's own, nor is time in the queue for a slot.
            return lease.elapsed() - min(travels_s * len(recording.exchanges), _MOST_WAYS * seconds)

        try:
            # Time that the target asked for does not count either.
            async with recorder.pace.within(seconds, recorder.grows, elapsed):
                await chosen.drive(api)
        except Inapplicable as reason:
            recording.inapplicable[""] = str(reason)
        except TimeoutError:
            recording.blocked[""] = f"the scenario's deadline of {seconds:.0f} s passed"
        except (asyncio.CancelledError, TargetError):
            cut_short = True
            raise
        except Exception as error:
            blocked, inapplicable = blocked_by(error), blocked_by(error, Inapplicable)
            if blocked is not None:
                recording.blocked[""] = blocked
            elif inapplicable is not None:
                recording.inapplicable[""] = inapplicable
            else:  # it becomes a harness-error of every judge of this trace
                self._crashed[chosen.name] = "".join(traceback.format_exception(error)).strip()
        finally:
            busy = self._felt is not None and self._felt.was_busy(since)
            trace = trace_of(recording, began, recorder.clock, busy=busy, cut_short=cut_short)
            self._on_trace(trace)
            if not cut_short:
                await lease.leave_all()
        return trace

    def _control_for(self, chosen: Scenario) -> Control | None:
        """Nobody may restart or kill the target while others use it."""
        if self._control is None or not chosen.controls:
            return None
        return self._control if chosen.schedule.alone or not self._control.shared else None


def _now() -> float:
    return asyncio.get_running_loop().time()


class SelfCheckBroken(RunstoneError):  # noqa: N818 - named as what it reports
    """The self-check raised something that is not the target's doing; nothing can be said of the target."""
