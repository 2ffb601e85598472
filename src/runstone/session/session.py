"""One session: observe a target, or read evidence, and keep the traces."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, Self

from filelock import FileLock

from runstone.contracts import Catalogue, Requirement, load_capabilities, load_catalogue
from runstone.contracts.basis import basis_of
from runstone.contracts.revision import current_revision
from runstone.errors import TargetError, UsageError
from runstone.locations import locate
from runstone.scenario import clients
from runstone.scenario.clean_up import Made
from runstone.scenario.division import Division, divided
from runstone.scenario.estimate import choose_costs
from runstone.scenario.fitness import Fitness, Unfit
from runstone.scenario.observer import Observer
from runstone.scenario.progress import Progress, Step
from runstone.scenario.scenario import Scenario, scenarios_declared_in
from runstone.scenario.self_check import greeting
from runstone.session import evidence
from runstone.session.durations import costs_in
from runstone.session.left_over import Journal, journal_of
from runstone.session.manifests import manifest_at_first, outcome_of
from runstone.session.settings import Settings
from runstone.target import agents
from runstone.target.capabilities import Capability
from runstone.target.control import Control
from runstone.target.target import Target
from runstone.verdict import waivers
from runstone.verdict.scenarios import ScenarioResults
from runstone.wire.attempts import ATTEMPTS, attempt_of, recording_of, scenario_of
from runstone.wire.trace import Trace


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What is observed beside the scenarios of suites: a team's own conversations.

    `traces`: what is evidence already, such as what an earlier session has observed of them. `alone`: nothing
    else is observed, so that no conformance graphs are needed. `judged`: what they result in, once they are
    recorded; None where there are none.
    """

    scenarios: tuple[Scenario, ...] = ()
    traces: tuple[Trace, ...] = ()
    alone: bool = False
    judged: Callable[[Session], ScenarioResults] | None = None


_CONFIRMING_S: Final = 30.0
Reach = Callable[[Target], AbstractContextManager[Target]]


class Session:
    """The traces of one session, and what is known of the target.

    `reach` makes the target reachable for the time of the observation; by default it is already. `ahead`
    begins with that when the session is entered, while suites are read. `control` says how its server is
    restarted and killed.
    """

    def __init__(
        self,
        settings: Settings,
        progress: Progress,
        *,
        reach: Reach | None = None,
        ahead: Callable[[], AbstractContextManager[None]] | None = None,
        control: Callable[[Target], Control] | None = None,
    ) -> None:
        self.settings = settings
        self.reach = reach or _as_it_is
        self._ahead = ahead
        self._control = control
        self._observing_s = 0.0  # with all that it took to reach the target
        self._collecting_s = 0.0  # before that
        self.catalogue: Catalogue = load_catalogue().of_checks
        self.basis = basis_of(settings.profile.name, current_revision())
        self.progress = progress
        self.traces: dict[str, Trace] = {}
        self.manifest: evidence.Manifest | None = None
        self.began = time.monotonic()
        self._entered = False
        self._opened = ExitStack()
        self._writer: evidence.EvidenceWriter | None = None
        self._observer: Observer | None = None
        self._division: Division | None = None
        self._to_be_cleaned = False
        self.beside = Beside()
        self.token = ""  # what the workers of `pytest -n` share; only one of them observes
        self.waivers = self._load_waivers()
        choose_costs(costs_in(settings.durations) if settings.durations is not None else None)
        settings.insist_on_selection()
        if settings.evidence is not None:
            self.manifest, self.traces = evidence.read_whole(settings.evidence)

    def _load_waivers(self) -> list[waivers.Waiver]:
        path = self.settings.waivers
        return [] if path is None else waivers.load_for(path, self.catalogue)

    def _check_waivers(self, scenarios: Iterable[Scenario]) -> None:
        """Raises WaiverError for a scenario that neither the suites nor the evidence know."""
        path = self.settings.waivers
        if path is not None and any(waiver.scenarios for waiver in self.waivers):
            collected = {each.name for each in scenarios}  # of suites of the user's own too
            declared = scenarios_declared_in(locate("suites"))
            waivers.insist_on_scenarios(path, self.waivers, declared | collected | self.traces.keys())

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

    @property
    def judging_s(self) -> float:
        """Seconds since the observation, or the evidence was read, that were not spent observing again."""
        elapsed_s = time.monotonic() - self.began - self._collecting_s
        observed_s = 0.0 if self.manifest is None or self.settings.evidence else self.manifest.observe_s
        return max(0.0, elapsed_s - max(self._observing_s, observed_s))

    @property
    def without_runs(self) -> bool:
        """Whether no run was to be started."""
        graphs = self.capabilities.get(agents.GRAPHS)
        return graphs is not None and graphs.reason == agents.NO_RUNS

    def absent(self, needs: Iterable[str]) -> str | None:
        """Why something that needs these capabilities does not apply to the target; None when it does."""
        return agents.absent(self.capabilities, needs)

    def observe(self, scenarios: Sequence[Scenario], together: Iterable[Collection[str]] = ()) -> None:
        """Fill the traces: from the evidence if given, else from the target, once for all workers.

        `together`: names of scenarios that one judge reads side by side; a shard has all of them or none.
        Raises UsageError before anything is started or sent.
        """
        self._check_waivers(scenarios)
        scenarios = self.share_of(scenarios, together)
        if self.settings.evidence is not None:
            return
        try:
            self.settings.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot write to {self.settings.out}: {error.strerror}; use --out DIR"
            ) from None
        began = time.monotonic()
        self._collecting_s = began - self.began
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
        self.progress(Step(doing="judging"))

    def share_of(
        self, scenarios: Sequence[Scenario], together: Iterable[Collection[str]]
    ) -> Sequence[Scenario]:
        """Those that the shard observes; all of them where there are no shards."""
        shard = self.settings.shard
        if shard is None:
            return scenarios
        self._division = divided(scenarios, together, shard.of)
        own = self._division.names(shard)
        return [each for each in scenarios if each.name in own]

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
        if self.settings.keep == "failed" and not self._entered:
            raise UsageError("--keep failed works with `runstone check` only; give pytest --keep all or none")
        self.progress(Step(doing="reaching the target"))  # a recipe installs and starts it
        with ExitStack() as opened:
            target = opened.enter_context(self.reach(self.settings.target))
            journal = opened.enter_context(_journal(target, self.settings.keep))
            self._observe_target(target, scenarios, journal)
            if self._entered:  # who entered the session may want to observe more
                self._opened.enter_context(opened.pop_all())

    def _observe_target(self, target: Target, scenarios: Sequence[Scenario], journal: Journal | None) -> None:
        settings = self.settings
        writer = self._writer = evidence.EvidenceWriter(
            self.folder, manifest_at_first(settings, target, self.basis, self.token, self._shard_of())
        )
        self.manifest = writer.manifest
        for trace in self.beside.traces:
            self._keep(trace)
        scenarios = [*scenarios, *self.beside.scenarios]

        def choose(fitness: Fitness) -> list[Scenario]:
            if self.beside.alone and not fitness.answers:
                fitness.insist(target)
            wanted = {name for each in scenarios for name in each.needs}
            self.manifest = writer.save(
                server=fitness.server,
                start_mark=fitness.start_mark,
                turn_s=fitness.turn_s,
                capabilities={
                    **target.capabilities(fitness.probed, load_capabilities()),
                    **({} if target.without_runs else _clients_here(wanted)),
                },
            )
            return [each for each in scenarios if self.absent(each.demands) is None]

        observer = self._observer = self._observer_of(target, journal)
        self._to_be_cleaned = settings.keep == "failed"
        began = time.monotonic()
        insist = settings.insist_on_fitness and not self.beside.alone
        try:
            seen = asyncio.run(observer.observe(choose, insist_on_fitness=insist))
        except TargetError as error:
            kind = "unfit" if isinstance(error, Unfit) else "unreachable"
            self.manifest = writer.save(unusable=kind, stopped=str(error), observe_s=time.monotonic() - began)
        except (KeyboardInterrupt, SystemExit):  # Ctrl-C; SIGTERM, while a recipe's server is up
            self.manifest = writer.save(stopped="interrupted", observe_s=time.monotonic() - began)
            raise KeyboardInterrupt from None  # pytest takes a SystemExit for a fault of its own
        else:
            self.manifest = writer.save(**outcome_of(seen))
        finally:
            self.manifest = writer.save(left=observer.left, clean_s=round(observer.cleaning_s, 3))

    def _shard_of(self) -> evidence.ShardOf | None:
        shard, division = self.settings.shard, self._division
        if shard is None or division is None:
            return None
        return evidence.ShardOf(
            number=shard.number, of=shard.of, division=division.digest, scenarios=division.names(shard)
        )

    def _observer_of(self, target: Target, journal: Journal | None) -> Observer:
        settings = self.settings
        return Observer(
            target,
            concurrency=settings.scenarios_at_once,
            may_rise=settings.concurrency is None,
            # Exploring scenarios keep to the budget by themselves: it is not an end that comes too early.
            budget_s=None if settings.exploration else settings.budget_s,
            exploration=settings.exploration,
            on_trace=self._keep,
            on_progress=self.progress,
            capacity=settings.capacity,
            confirms=settings.may_confirm_much,
            limits={"concurrent_runs": settings.profile.defaults.concurrent_runs, **settings.limits},
            control=None if self._control is None else self._control(target),
            made=None if journal is None else Made(journal.add),
            left_over=() if journal is None else journal.left_over,
            keep_until_judged=settings.keep == "failed",
            asks_first=greeting if self.beside.alone else None,
        )

    def _keep(self, trace: Trace) -> None:
        self.traces[trace.scenario] = trace if self._writer is None else self._writer.add(trace)

    def __enter__(self) -> Self:
        self._entered = True
        if self._ahead is not None:
            self._opened.enter_context(self._ahead())
        return self

    def __exit__(self, *_: object) -> None:
        self._entered = False
        self.clean_up(())  # where nobody could say what is broken
        self._opened.close()

    @property
    def confirms(self) -> bool:
        """Whether what seems broken can be seen twice: the target is at hand, or was observed twice."""
        return self.settings.confirm > 0 and (self._at_hand or bool(self.seen(2)))

    @property
    def _at_hand(self) -> bool:
        return self._observer is not None and self.stopped is None

    def observe_again(
        self, wanted: Sequence[tuple[Collection[str], str]], known: Mapping[str, Scenario], attempt: int
    ) -> set[str]:
        """Observe scenarios once more, for the requirement that each is named with; those that were seen.

        All attempts take at most as long as the first observation did, or half a minute. Of evidence, those
        that it holds.
        """
        if self._observer is None or self._writer is None or self.manifest is None or not self._at_hand:
            return set(self.seen(attempt))
        why = {name: requirement for names, requirement in reversed(wanted) for name in names}
        chosen = [known[name] for names, _ in wanted for name in names if name in known]
        chosen = list({each.name: each for each in chosen if not each.explores}.values())
        if not chosen:
            return set()
        began, cleaned_s = time.monotonic(), self._observer.cleaning_s
        budget_s = max(_CONFIRMING_S, self.manifest.observe_s) - self.manifest.confirm_s
        recordings = [replace(each, name=recording_of(each.name, attempt)) for each in chosen]
        with suppress(TargetError):  # what is kept from being seen again stays as it was seen
            asyncio.run(self._observer.observe_again(recordings, budget_s))
        again_s = time.monotonic() - began
        self._observing_s += again_s
        recorded = {each.name: recording_of(each.name, attempt) for each in chosen}
        seen = {name for name, recording in recorded.items() if self._whole(recording)}
        confirm_s = self.manifest.confirm_s + again_s - (self._observer.cleaning_s - cleaned_s)
        again = self.manifest.again | {recorded[name]: why[name] for name in sorted(seen)}
        self.manifest = self._writer.save(
            again=again,
            confirmations=len({*map(scenario_of, again)}),
            confirm_s=round(confirm_s, 3),
            clean_s=round(self._observer.cleaning_s, 3),
            left=self._observer.left,
        )
        return seen

    def clean_up(self, broken: Iterable[str]) -> None:
        """With `keep` failed: delete now what was made, but for what these scenarios made."""
        if not self._to_be_cleaned or self._observer is None or self._writer is None:
            return
        self._to_be_cleaned = False
        kept = {recording_of(name, number + 1) for name in broken for number in range(ATTEMPTS)}
        asyncio.run(self._observer.clean_up(kept))
        left, clean_s = self._observer.left, round(self._observer.cleaning_s, 3)
        self.manifest = self._writer.save(left=left, clean_s=clean_s)

    def _whole(self, name: str) -> bool:
        return name in self.traces and not self.traces[name].cut_short

    def disturbed(self, scenarios: Iterable[str], attempt: int) -> bool:
        """Whether the observation of any of these at this attempt was disturbed."""
        recordings = [recording_of(name, attempt) for name in scenarios]
        return any(self.traces[name].disturbed for name in recordings if name in self.traces)

    def seen(self, attempt: int = 1) -> dict[str, Trace]:
        """The traces by scenario that are of this attempt."""
        chosen = {name: each for name, each in self.traces.items() if attempt_of(name) == attempt}
        return chosen if attempt == 1 else {scenario_of(name): each for name, each in chosen.items()}

    def not_asked_for(self, each: Requirement) -> str | None:
        """Why a requirement is none of what the user wants judged; None for one that must have a judge."""
        return self.settings.not_asked_for(each, self.catalogue)


@contextmanager
def _journal(target: Target, keep: Literal["none", "failed", "all"]) -> Iterator[Journal | None]:
    """What is written down of what is made; None where all of it shall stay."""
    if keep == "all":
        yield None
        return
    with journal_of(target.url) as journal:
        yield journal


def _as_it_is(target: Target) -> AbstractContextManager[Target]:
    return nullcontext(target)


def _clients_here(wanted: Iterable[str]) -> dict[str, Capability]:
    """The wanted clients as capabilities: of this machine, so that nothing a target declares counts."""
    found = clients.missing(wanted).items()
    return {name: Capability(probed=reason is None, reason=reason or "") for name, reason in found}
