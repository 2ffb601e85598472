"""What whoever waits is told of a session that goes on: what is done, how far it is, how long it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from runstone.scenario.clean_up import DELETED_AT_ONCE
from runstone.scenario.estimate import expected_creations, expected_seconds, own_seconds, slot_seconds
from runstone.scenario.fitness import Fitness
from runstone.scenario.phases import Phases
from runstone.target import recipes

_FEW: Final = 10  # runs at a time: whoever executes fewer is told what more would bring
_CONFIRMING_TURNS: Final = 100  # of the official Python server, one after the other, as nothing else goes on
_WORTH_TELLING: Final = 0.7  # of the time
_LONG_S: Final = 120.0  # whoever waits longer for a first verdict is told of a quick one

Known = Literal["measured", "declared", "assumed"]
Doing = Literal[
    "reaching the target", "checking that it works", "observing", "cleaning up", "confirming", "judging"
]


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when the scenarios begin. `known`: whence the capacity is.

    `turn_s`: what a turn takes. `seconds`: how long all of it is expected to take, with confirmation and
    clean-up. `creates`: about how many of each kind of thing, runs among them. `more`: another capacity, how
    the server gets it ('' where nobody knows), and the seconds with it; None where it would not help.
    `quick_s`: the seconds with `--quick`; None where that would not help.
    """

    scenarios: int
    capacity: int
    known: Known
    turn_s: float
    seconds: float
    creates: dict[str, int]
    more: Faster | None = None
    quick_s: float | None = None
    agent: str = ""


class Faster(msgspec.Struct, frozen=True, kw_only=True):
    """What more runs at once would change."""

    capacity: int
    how: str
    seconds: float


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Something that ended, or begins: `done` of `total`, 0 where nothing is counted.

    `left_s`: how long this phase still takes; None where nobody knows.
    """

    doing: Doing
    name: str = ""
    done: int = 0
    total: int = 0
    left_s: float | None = None


def begun_of(phases: Phases, fitness: Fitness, *, capacity: int, known: Known, confirms: bool) -> Begun:
    """What is expected of these scenarios on a target that executes so many runs at a time.

    `confirms`: whether what seems broken is observed again, and nobody said what will be.
    """

    def seconds(runs_at_once: int, chosen: Phases = phases) -> float:
        cleaning_s = sum(expected_creations(chosen.all).values()) * fitness.answer_s / DELETED_AT_ONCE
        observing_s = expected_seconds(chosen, capacity=runs_at_once, turn_s=fitness.turn_s)
        confirming_s = min(_CONFIRMING_TURNS * fitness.turn_s, observing_s) if confirms else 0.0
        return observing_s + confirming_s + cleaning_s

    # Of what is assumed nobody knows whether the server is the reason.
    more = recipes.more_runs(fitness.info) if capacity < _FEW and known != "assumed" else None
    many, how = (_FEW, "") if more is None else (more.capacity, more.how)
    faster = Faster(capacity=many, how=how, seconds=seconds(many))
    expected_s, quick_s = seconds(capacity), seconds(capacity, phases.brief)
    worth_telling = expected_s > _LONG_S and quick_s < _WORTH_TELLING * expected_s
    return Begun(
        scenarios=len(phases.all),
        capacity=capacity,
        known=known,
        turn_s=fitness.turn_s,
        seconds=expected_s,
        creates=expected_creations(phases.all),
        quick_s=quick_s if worth_telling else None,
        more=faster if capacity < many and faster.seconds < _WORTH_TELLING * expected_s else None,
        agent=fitness.agent,
    )


Told: TypeAlias = Begun | Step
Progress: TypeAlias = Callable[[Told], None]


class Course:
    """How far an observation is, by what its scenarios cost rather than by how many there are."""

    def __init__(self, phases: Phases, expected_s: float, turn_s: float) -> None:
        self._costs: Mapping[str, float] = {each.name: slot_seconds(each, turn_s) for each in phases.all}
        self._silent = {each.name: own_seconds(each, turn_s) for each in phases.first}
        self._last = {each.name: own_seconds(each, turn_s) for each in phases.last}
        self._whole = sum(self._costs.values()) or 1.0
        self._expected_s = expected_s
        self._ended = 0.0
        self.done = 0

    def end(self, name: str, elapsed_s: float) -> Step:
        """Scenario `name` ended, so many seconds after the first one began."""
        self.done += 1
        self._ended += self._costs.get(name, 0.0)
        share = min(1.0, self._ended / self._whole)
        # What was expected counts as long as little is seen; then the speed so far does.
        left_s = (1 - share) * ((1 - share) * self._expected_s + elapsed_s)
        # What is silent for long, and what must be alone at the end, costs little and takes its time.
        self._silent.pop(name, None)
        self._last.pop(name, None)
        left_s = max(left_s, max(self._silent.values(), default=0.0) - elapsed_s + sum(self._last.values()))
        return Step(doing="observing", name=name, done=self.done, total=len(self._costs), left_s=left_s)
