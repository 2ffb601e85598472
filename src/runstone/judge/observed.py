"""What was observed of a target, as judges are given it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runstone.contracts import Profile
from runstone.scenario.scenario import Scenario
from runstone.session.session import Session
from runstone.target import agents
from runstone.target.capabilities import Capability
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Names, Trace


class NotObserved(Exception):  # noqa: N818 - a finding about the session, not an error
    """The session ended before this scenario was observed: nothing can be said."""


class ScenarioCrashed(Exception):  # noqa: N818 - a diagnosis: the scenario's own code failed
    """A scenario raised something that is not the target's doing; the text is its traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The traces of a session by scenario, and why some are lacking.

    `stopped`: why the observation is not whole; `of_a_part`: which options left something out of it;
    `crashed`: scenarios whose own code failed, with how; `scenarios`: those that the suites define, by name;
    `among`: of all traces a monitor reads only these; `narrowed`: so few were asked for that what they lack
    is not the target's doing; `made`: values of views that all judges share, with what was read for each.
    """

    profile: Profile
    traces: Mapping[str, Trace]
    capabilities: Mapping[str, Capability] = field(default_factory=dict)
    stopped: str | None = None
    of_a_part: str = ""
    crashed: Mapping[str, str] = field(default_factory=dict)
    scenarios: Mapping[str, Scenario] = field(default_factory=dict)
    among: Collection[str] | None = None
    narrowed: bool = False
    made: dict[Callable[..., Any], tuple[Any, tuple[Exchange, ...]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def trace(self, scenario: Scenario) -> Trace:
        """What the scenario saw; an empty trace where the target lacks a capability that it needs.

        Raises NotObserved when the session ended before it did, ScenarioCrashed when its own code failed.
        """
        absent = self.absent(scenario.demands)
        if absent is not None:
            return Trace(scenario=scenario.name, inapplicable={"": absent})
        found = self.traces.get(scenario.name)
        if found is None or found.cut_short:
            raise NotObserved(self.stopped or f"the evidence has no trace of {scenario.name}{self.of_a_part}")
        if scenario.name in self.crashed:
            raise ScenarioCrashed(self.crashed[scenario.name])
        return found

    def every_trace(self) -> list[Trace]:
        """The traces that monitors read, by name, so that evidence judged again reads alike."""
        names = sorted(self.traces if self.among is None else self.among)
        return [self.traces[name] for name in names if not self.traces[name].cut_short]

    def absent(self, needs: Iterable[str]) -> str | None:
        """Why something that needs these capabilities does not apply to the target; None when it does."""
        return agents.absent(self.capabilities, needs)

    def has(self, capability: str) -> bool:
        """Whether the target has this capability."""
        return self.absent([capability]) is None

    def names_of(self, scenario: str) -> Names | None:
        """The names that the scenario can give; None where that is not known."""
        found = self.scenarios.get(scenario)
        return None if found is None else found.names


def observed_by(
    session: Session, scenarios: Mapping[str, Scenario], *, attempt: int = 1, narrowed: bool = False
) -> Observed:
    """What the session has observed at this `attempt`. `scenarios`: those that the suites define."""
    manifest = session.manifest
    return Observed(
        profile=session.settings.profile,
        traces=session.seen(attempt),
        capabilities=session.capabilities,
        stopped=session.stopped,
        of_a_part=manifest.of_a_part if manifest else "",
        crashed=manifest.crashed if manifest else {},
        scenarios=scenarios,
        narrowed=narrowed or session.without_runs,  # what monitors lack then is not the target's doing
    )
