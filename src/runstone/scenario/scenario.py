"""A scenario: a conversation with a target that asserts nothing."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, overload

from runstone.scenario.api import Api
from runstone.scenario.patience import QUICK_S, SLEEPS_S
from runstone.scenario.vocabulary import Vocabulary, vocabulary
from runstone.target.agents import GRAPHS

Drive = Callable[[Api], Awaitable[None]]
_CONTROLS: Final = frozenset({"restart", "kill"})
SELF_CHECK: Final = "self_check"  # the one scenario that no suite declares
# How many runs are executed at once, first and last: what is asked depends on how fast the answers are.
CAPACITY_LOOKS: Final = ("capacity", "capacity_at_the_end", "capacity_seen_again")
_DECLARED: Final = re.compile(r"^@scenario\b.*?^async def (\w+)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a scenario may run, beside which others, and what it needs of the target's workers.

    `waits`: seconds that it must spend waiting whatever the target's speed. `runs`: how many runs
    it needs to execute at once; one that waits in the queue of its thread does not count.
    `steady`: its runs are to begin as soon as they are created, so that they have their slots to
    themselves. `alone`: after all others and by itself, as it would disturb them; one that restarts or
    kills is alone only where there is no other server than the target. `heavy`: it costs the server or this
    machine so much that it waits until only long silences are left; an `alone` one comes after all others,
    as the server may be worn out by it. `calm`: it is a matter of a second or two, which a slow server that
    is busy with the other scenarios would stretch; there it waits as a heavy one does. `guest`: its times are
    another's to judge, and none but its like may stretch them: it comes when only long silences are left.
    `thorough`: it asks for one thing in so many places, or so often, that a first verdict does without it.
    `patience`: seconds that it may take beyond an ordinary one, and usually does not.
    """

    waits: float = 0.0
    patience: float = 0.0
    runs: int = 1
    steady: bool = False
    alone: bool = False
    heavy: bool = False
    calm: bool = False
    guest: bool = False
    thorough: bool = False

    @property
    def sleeps(self) -> bool:
        """Whether it spends most of its time asleep."""
        return self.waits >= SLEEPS_S

    @property
    def brief(self) -> bool:
        """Whether `--quick` has it too."""
        return self.waits <= QUICK_S and not (self.heavy or self.thorough)

    @property
    def takes_turns(self) -> bool:
        """Whether none of its runs may wait behind another one of ours."""
        return self.steady or self.sleeps or self.calm


AT_ANY_TIME: Final = Schedule()


@dataclass(frozen=True, slots=True)
class Scenario:
    """`needs` names the capabilities without which it cannot run.

    `agent`: an agent of the user's own may stand in for the conformance graphs. `explores`: it makes up its
    requests for as long as the session allows.
    """

    name: str
    drive: Drive
    schedule: Schedule = AT_ANY_TIME
    needs: tuple[str, ...] = ()
    agent: bool = False
    explores: bool = False

    @property
    def demands(self) -> tuple[str, ...]:
        """All capabilities without which it cannot run."""
        return self.needs if self.agent else (*self.needs, GRAPHS)

    @property
    def names(self) -> Vocabulary:
        """The labels, parts and notes that it can have."""
        return vocabulary(self.drive)

    @property
    def controls(self) -> bool:
        """Whether it stops and starts a server."""
        return not _CONTROLS.isdisjoint(self.needs)


@overload
def scenario(drive: Drive, /) -> Scenario: ...
@overload
def scenario(
    schedule: Schedule = ..., /, *, needs: Sequence[str] = ..., agent: bool = ..., explores: bool = ...
) -> Callable[[Drive], Scenario]: ...
def scenario(
    declared: Drive | Schedule = AT_ANY_TIME,
    /,
    *,
    needs: Sequence[str] = (),
    agent: bool = False,
    explores: bool = False,
) -> Scenario | Callable[[Drive], Scenario]:
    """Make an asynchronous function of an `Api` a Scenario, whose trace is given to judges by its name.

    `agent`: an agent of the user's own may stand in for the conformance graphs, because the scenario runs
    none or needs no more than the way in which a run ends. Any other one runs with the graphs only.
    """

    schedule = declared if isinstance(declared, Schedule) else AT_ANY_TIME

    def decorate(function: Drive) -> Scenario:
        name = getattr(function, "__name__", "scenario")
        return Scenario(name, function, schedule, tuple(needs), agent, explores)

    return decorate if isinstance(declared, Schedule) else decorate(declared)


def scenarios_declared_in(suites: Path) -> frozenset[str]:
    """The names of all scenarios of a folder, by the text of its files: importing them takes a second."""
    texts = (path.read_text("utf-8") for path in suites.glob("*.py"))
    return frozenset(name for text in texts for name in _DECLARED.findall(text)) | {SELF_CHECK}
