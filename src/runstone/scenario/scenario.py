"""A scenario: a conversation with a target that asserts nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import pytest

from runstone.scenario.api import Api
from runstone.target.agents import GRAPHS
from runstone.wire.trace import Trace

QUICK_S = 5.0  # `--quick` leaves out scenarios that must wait longer than this
PATIENT_S = 60.0  # and only `--patient` runs those that must wait longer than this
_SLEEPS_S = 1.0  # a scenario that waits so long spends most of its time asleep

Drive = Callable[[Api], Awaitable[None]]
_CONTROLS = frozenset({"restart", "kill"})
SCENARIO_ATTRIBUTE = "__runstone_scenario__"  # how the plugin knows a fixture for a scenario


@dataclass(frozen=True, slots=True)
class Scenario:
    """A conversation with the target that asserts nothing.

    `waits` is the time in seconds that it must spend waiting whatever the target's speed; `needs` names the
    capabilities without which it cannot be held. `alone`: it runs after all others and by itself, as it
    would disturb them; one that restarts or kills does so only where there is no other server than the
    target. `heavy`: it costs the server or this machine so much that it waits until only long silences are
    left; an `alone` one comes after all others, as the server may be worn out by it. `calm`: it is a matter
    of a second or two, which a slow server that is busy with the other scenarios would stretch; there it
    waits as a heavy one does. `agent`: an agent of the user's own may stand in for the conformance graphs.
    `explores`: it makes up its requests for as long as the session allows. `runs`: how many runs it, or
    each of its parts, needs to execute at once; one that waits in the queue of a thread does not count.
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
    runs: int = 1

    @property
    def sleeps(self) -> bool:
        """Whether it spends most of its time asleep."""
        return self.waits >= _SLEEPS_S

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
