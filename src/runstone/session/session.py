"""One session: observe a target (or read evidence), hold the traces, and turn judged cases into a report."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

import runstone
from runstone.contracts import Catalogue, Profile, Requirement, load_capabilities, load_catalogue
from runstone.errors import TargetError, UsageError
from runstone.report import waivers
from runstone.report.model import (
    AgentShare,
    Capability,
    Case,
    Phases,
    Report,
    TargetSummary,
    Verdict,
    agent_share,
    exit_code,
    grid_from,
    most_severe,
    totals_by_area,
    totals_by_level,
)
from runstone.scenario import clients
from runstone.scenario.exploration import DEFAULT_S, EXPLORING_AREAS, Exploration
from runstone.scenario.observer import PATIENT_S, QUICK_S, Observation, Observer, Scenario
from runstone.scenario.self_check import Fitness, Unfit
from runstone.session import evidence
from runstone.session.options import Options
from runstone.target import agents
from runstone.target.control import Control
from runstone.target.target import Target
from runstone.wire.trace import Trace

Progress = Callable[[str, int, int], None]
Reach = Callable[[Target], AbstractContextManager[Target]]
UNREACHABLE = 3
# What evidence of the conformance graphs need not say.
_UNTOLD = agents.capabilities(None)


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """What to observe or to judge again, and by which measure: the options, and what follows from them.

    `target`: None where evidence is judged again. `explored`: whether that evidence holds an exploration.
    """

    profile: Profile
    target: Target | None = None
    out: Path
    concurrency: int
    explored: bool = False

    @property
    def limits(self) -> dict[str, float]:
        """Fields of Limits that the user has set."""
        return self.own_limits.given()

    @property
    def exploration(self) -> Exploration | None:
        """How far scenarios that explore may go; None when no area of theirs is selected."""
        if EXPLORING_AREAS.isdisjoint(self.areas):
            return None
        return Exploration(self.profile, self.seed, self.budget_s or DEFAULT_S)

    def too_long(self, scenario: Scenario) -> str | None:
        """Why a scenario is left out for the time that it takes; None when it is held."""
        if scenario.explores and not (self.explored or self.exploration):
            return f"held only where its area is selected: {scenario.name} takes the time that it is given"
        waiting = f"{scenario.name} must wait {scenario.waits:g} s"
        if self.quick and scenario.waits > QUICK_S:
            return f"left out by --quick: {waiting}"
        if not self.patient and scenario.waits > PATIENT_S:
            return f"held only with --patient: {waiting}"
        return None


class Session:
    """The traces of one session, and what is known of the target.

    `reach` makes the target reachable for the time of the observation; by default it is already. `control`
    says how its server is restarted and killed.
    """

    def __init__(
        self,
        settings: Settings,
        progress: Progress,
        *,
        reach: Reach | None = None,
        control: Callable[[Target], Control] | None = None,
    ) -> None:
        self.settings = settings
        self._reach = reach or _as_it_is
        self._control = control
        self._observing_s = 0.0  # with all that it took to reach the target
        self.catalogue: Catalogue = load_catalogue()
        self.progress = progress
        self.traces: dict[str, Trace] = {}
        self.manifest: evidence.Manifest | None = None
        self.began = time.monotonic()
        self.token = ""  # what the workers of `pytest -n` share; only one of them observes
        self._waivers = self._load_waivers()
        self._check_selection()
        if settings.evidence is not None:
            self.manifest, self.traces = evidence.read(settings.evidence)

    def _load_waivers(self) -> list[waivers.Waiver]:
        path = self.settings.waivers
        return [] if path is None else waivers.load(path, self.catalogue, self.catalogue)

    def _check_selection(self) -> None:
        """Raises UnknownArea or UnknownRequirement for what selects nothing: a run of nothing is no run."""
        for area in self.settings.areas:
            self.catalogue.areas_named(area)
        for glob in self.settings.select:
            self.catalogue.select(glob=glob)

    @property
    def folder(self) -> Path:
        """Where the evidence is, or will be."""
        return self.settings.evidence or self.settings.out / "evidence"

    @property
    def capabilities(self) -> Mapping[str, Capability]:
        """What the target can do, as declared and probed; empty before the observation."""
        return self.manifest.capabilities if self.manifest else {}

    @property
    def stopped(self) -> str | None:
        """Why the observation is not whole; None when it is."""
        return self.manifest.stopped if self.manifest else "nothing was observed"

    @property
    def unusable(self) -> bool:
        """Whether the target could not be judged at all."""
        return self.manifest is None or bool(self.manifest.unusable)

    def absent(self, needs: Iterable[str]) -> str | None:
        """Why something that needs these capabilities does not apply to the target; None when it does."""
        for name in needs:
            capability = self.capabilities.get(name) or _UNTOLD.get(name) or Capability()
            if capability.reason:
                return capability.reason
            if not capability.present:
                found = "not found by the probe" if capability.probed is False else "not probed"
                return f"the target has no {name}: not declared, {found}"
        return None

    def observe(self, scenarios: Sequence[Scenario]) -> None:
        """Fill the traces: from the evidence if given, else from the target, once for all workers."""
        if self.settings.evidence is not None:
            return
        try:
            self.settings.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot write to {self.settings.out}: {error.strerror}; use --out DIR"
            ) from None
        began = time.monotonic()
        if not self.token:
            self._reach_and_observe(scenarios)
        else:
            with FileLock(self.settings.out / "observe.lock"):
                written = self._already_observed()
                if written is None:
                    self._reach_and_observe(scenarios)
                else:
                    self.manifest, self.traces = evidence.read(self.folder)
        self._observing_s = time.monotonic() - began

    def _already_observed(self) -> evidence.Manifest | None:
        try:
            manifest = evidence.read_manifest(self.folder)
        except evidence.EvidenceError:
            return None
        return manifest if manifest.session == self.token else None

    def adopt(self) -> None:
        """Take over what a worker observed, for the report."""
        if self.manifest is None and self._already_observed() is not None:
            self.manifest, self.traces = evidence.read(self.folder)

    def _reach_and_observe(self, scenarios: Sequence[Scenario]) -> None:
        if self.settings.target is None:
            raise UsageError("no target: give --target URL, or set RUNSTONE_TARGET")
        with self._reach(self.settings.target) as target:
            self._observe_target(target, scenarios)

    def _observe_target(self, target: Target, scenarios: Sequence[Scenario]) -> None:
        settings = self.settings
        writer = evidence.EvidenceWriter(
            self.folder,
            evidence.Manifest(
                format=evidence.FORMAT,
                runstone=runstone.__version__,
                session=self.token,
                profile=settings.profile.name,
                target=target.name,
                url=target.url,
                started_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
                quick=settings.quick,
                patient=settings.patient,
                explored=settings.exploration is not None,
                run_time_limit=target.run_time_limit,
                agent="" if target.agent is None else target.agent.assistant,
                stopped="the observation was broken off",
            ),
        )
        self.manifest = writer.manifest

        def keep(trace: Trace) -> None:
            self.traces[trace.scenario] = trace
            writer.add(trace)

        def choose(fitness: Fitness) -> list[Scenario]:
            wanted = {name for each in scenarios for name in each.needs}
            self.manifest = writer.save(
                server=fitness.server,
                turn_s=fitness.turn_s,
                capabilities={
                    **target.capabilities(fitness.probed, load_capabilities()),
                    **_clients_here(wanted),
                },
            )
            return [each for each in scenarios if self.absent(each.demands) is None]

        observer = Observer(
            target,
            concurrency=settings.concurrency,
            # Exploring scenarios keep to the budget by themselves: it is no end that comes too early.
            budget_s=None if settings.exploration else settings.budget_s,
            exploration=settings.exploration,
            on_trace=keep,
            on_progress=self.progress,
            limits={"concurrent_runs": settings.profile.defaults.concurrent_runs, **settings.limits},
            control=None if self._control is None else self._control(target),
        )
        began = time.monotonic()
        try:
            seen = asyncio.run(observer.observe(choose, insist_on_fitness=settings.insist_on_fitness))
        except TargetError as error:
            kind = "unfit" if isinstance(error, Unfit) else "unreachable"
            self.manifest = writer.save(unusable=kind, stopped=str(error), observe_s=time.monotonic() - began)
        except (KeyboardInterrupt, SystemExit):  # Ctrl-C; SIGTERM, while a recipe's server is up
            self.manifest = writer.save(stopped="interrupted", observe_s=time.monotonic() - began)
            raise KeyboardInterrupt from None  # pytest takes a SystemExit for a fault of its own
        else:
            self.manifest = writer.save(**_outcome(seen))

    def trace(self, scenario: Scenario) -> Trace:
        """What the scenario saw; an empty trace where the target lacks a capability that it needs.

        Raises NotObserved when the session ended before it did, ScenarioCrashed when its own code failed.
        """
        absent = self.absent(scenario.demands)
        if absent is not None:
            return Trace(scenario=scenario.name, inapplicable={"": absent})
        found = self.traces.get(scenario.name)
        if found is None or found.cut_short:
            raise NotObserved(self.stopped or f"the evidence has no trace of {scenario.name}")
        if self.manifest is not None and scenario.name in self.manifest.crashed:
            raise ScenarioCrashed(self.manifest.crashed[scenario.name])
        return found

    def report(
        self,
        cases: Mapping[str, Sequence[Case]],
        cells: Mapping[tuple[str, str], Sequence[tuple[str, Case]]],
        selected: Container[str],
        set_aside: Mapping[str, str],
    ) -> Report:
        """Everything judged as a report. `set_aside`: requirements that were left out, with the reason."""
        manifest = self.manifest
        settings = self.settings
        judged = [self._verdict(each, cases.get(each.id, ()), set_aside) for each in self.catalogue.values()]
        verdicts, waiver_errors = waivers.apply(
            judged, self._waivers, self.traces.keys(), dt.datetime.now(dt.UTC).date()
        )
        unjudged = [
            each.id
            for each in verdicts
            if each.verdict == "not-run" and each.id in selected and each.id not in set_aside
        ]
        complete = not unjudged and self.stopped is None
        code = exit_code(verdicts, fail_on=settings.fail_on, complete=complete, waiver_errors=waiver_errors)
        if manifest is not None and manifest.unusable:
            code = UNREACHABLE
        observed_s = 0.0 if manifest is None else manifest.observe_s
        elapsed_s = time.monotonic() - self.began
        judge_s = max(0.0, elapsed_s - max(self._observing_s, 0.0 if settings.evidence else observed_s))
        return Report(
            runstone=runstone.__version__,
            profile=settings.profile.name,
            started_at=manifest.started_at
            if manifest
            else dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            duration_s=round(observed_s + judge_s, 2),
            phases=Phases(observe_s=round(observed_s, 2), judge_s=round(judge_s, 2)),
            complete=complete,
            stopped=self.stopped or _first(unjudged),
            conforming=code == 0,
            exit_code=code,
            fail_on=settings.fail_on,
            quick=settings.quick,
            target=TargetSummary(
                name=manifest.target if manifest else "unknown",
                url=manifest.url if manifest else "",
                server=manifest.server if manifest else "unknown",
                capabilities=dict(self.capabilities),
            ),
            totals=totals_by_level(verdicts),
            areas=totals_by_area(verdicts),
            grid=grid_from(cells),
            verdicts=tuple(verdicts),
            waiver_errors=tuple(waiver_errors),
            agent=self._agent_share(verdicts),
        )

    def _agent_share(self, verdicts: Sequence[Verdict]) -> AgentShare | None:
        """What of the catalogue could be judged, where an agent stood in for the conformance graphs."""
        if self.manifest is None or not self.manifest.agent:
            return None
        found = self.capabilities
        return agent_share(
            self.manifest.agent,
            verdicts,
            no_graphs=found[agents.GRAPHS].reason if agents.GRAPHS in found else "",
            no_outcome={found[name].reason for name in agents.OUTCOMES.values() if name in found} - {""},
        )

    def _not_asked_for(self, each: Requirement) -> str | None:
        """Why a requirement was not collected; None when its area was selected, as all are by default."""
        areas = self.settings.areas
        asked = not areas or any(each.area in self.catalogue.areas_named(name) for name in areas)
        return None if asked else "its area was not selected"

    def _verdict(self, each: Requirement, cases: Sequence[Case], set_aside: Mapping[str, str]) -> Verdict:
        outcome = most_severe(case.verdict for case in cases)
        shown = tuple(cases)
        excluded = self.settings.profile.excludes_requirement(each)
        if not cases and excluded:
            outcome, shown = "not-applicable", (Case(case="", verdict="not-applicable", reason=excluded),)
        elif not cases:
            reason = set_aside.get(each.id) or self._not_asked_for(each) or self.stopped
            reason = reason or "its suite was not collected"
            shown = (Case(case="", verdict="not-run", reason=reason),)
        return Verdict(
            id=each.id,
            level=each.level,
            area=each.area,
            statement=each.statement,
            source=tuple(each.source),
            verdict=outcome,
            cases=shown,
        )


class NotObserved(Exception):  # noqa: N818 - a finding about the session, not an error
    """The session ended before this scenario was observed: nothing can be said."""


class ScenarioCrashed(Exception):  # noqa: N818 - a diagnosis: the scenario's own code failed
    """A scenario raised something that is not the target's doing; the text is its traceback."""


def _as_it_is(target: Target) -> AbstractContextManager[Target]:
    return nullcontext(target)


def _outcome(seen: Observation) -> dict[str, object]:
    return {
        "observe_s": round(seen.seconds, 3),
        "stopped": seen.stopped,
        "complete": seen.stopped is None,
        "unusable": "unreachable" if seen.lost else "",
        "crashed": seen.crashed,
    }


def _clients_here(wanted: Iterable[str]) -> dict[str, Capability]:
    """The wanted clients as capabilities: of this machine, so that nothing a target declares counts."""
    found = clients.missing(wanted).items()
    return {name: Capability(probed=reason is None, reason=reason or "") for name, reason in found}


def _first(unjudged: Sequence[str]) -> str | None:
    return f"{len(unjudged)} requirements were not judged, {unjudged[0]} first" if unjudged else None
