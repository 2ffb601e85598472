"""What a check would do on a target: found out by the self-check alone, before anything else is done."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from runstone.contracts import load_capabilities
from runstone.errors import UsageError
from runstone.scenario.clean_up import Made
from runstone.scenario.fitness import Fitness
from runstone.scenario.observer import Observer
from runstone.scenario.phases import Phases
from runstone.scenario.progress import Begun, Faster, begun_of
from runstone.scenario.scenario import Scenario
from runstone.session.left_over import journal_of
from runstone.session.session import Session
from runstone.target import agents
from runstone.target.capabilities import Capability
from runstone.target.target import Target

# What is done only where a capability of this name is declared, which is never probed.
DESTRUCTIVE: Final = {
    "exclusive": "runs are cancelled by their status, whoever made them, and threads pruned",
    "restart": "the server is stopped and started again",
    "kill": "the server is killed and started again",
}


# Official clients are looked for, and installed, when the check begins.
_OF_THIS_MACHINE: Final = frozenset({"python_sdk", "node_sdk"})


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """Scenarios that would not run, the capability that they need, and why it is not there."""

    capability: str
    reason: str
    scenarios: tuple[str, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a check would do. `creates`: about how many of each kind of thing; `kept`: they are not deleted.

    `destructive`: what would be done that could reach things of others or ends the server, by the capability
    that declares it; `spared`: the same of what is not declared, and hence not done. `capacity`: how many
    runs are executed at a time, None where a check measures it. `seconds`: about how long it takes, by the
    number of runs that are executed at a time; `how` there are more of them.
    """

    target: str
    url: str
    server: str
    agent: str
    requirements: int
    scenarios: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    creates: dict[str, int]
    kept: bool
    destructive: dict[str, str]
    spared: dict[str, str]
    capacity: int | None
    seconds: dict[int, float]
    how: str = ""


def plan_of(
    session: Session, scenarios: Iterable[Scenario], judged: Mapping[tuple[str, str], Iterable[str]]
) -> Plan:
    """What the session would do with these scenarios; sends the self-check, and deletes what that made.

    `judged`: requirement and case → the scenarios that it is judged on. Raises TargetError where there is
    nothing to check.
    """
    if session.settings.target is None:
        raise UsageError("no target: give a URL or the name of a recipe")
    with session.reach(session.settings.target) as target:
        fitness = _self_checked(session, target)
    found = target.capabilities(fitness.probed, load_capabilities())
    wanted = list(scenarios)
    chosen = [each for each in wanted if _absent(each.demands, found) is None]
    return _plan(session, target, fitness, found, wanted, chosen, judged)


def _self_checked(session: Session, target: Target) -> Fitness:
    settings = session.settings
    with journal_of(target.url, take_over=False) as journal:
        observer = Observer(
            target,
            concurrency=1,
            budget_s=settings.budget_s,
            on_trace=lambda _: None,
            on_progress=session.progress,
            limits=settings.limits,
            made=Made(journal.add),
        )
        return asyncio.run(observer.check())


def _plan(
    session: Session,
    target: Target,
    fitness: Fitness,
    found: Mapping[str, Capability],
    wanted: Sequence[Scenario],
    chosen: list[Scenario],
    judged: Mapping[tuple[str, str], Iterable[str]],
) -> Plan:
    settings, capacity = session.settings, session.settings.capacity
    names = {each.name for each in chosen}
    needed = {name for each in wanted for name in each.needs}
    asked = {name: done for name, done in DESTRUCTIVE.items() if name in needed}
    catalogue = session.catalogue
    requirements = {
        requirement
        for (requirement, _), needed in judged.items()
        if names.issuperset(needed) and _absent(catalogue[requirement].needs, found) is None
    }
    seconds, creates, how = _expected(
        chosen, fitness, capacity or (1 if fitness.agent else None), confirms=settings.may_confirm_much
    )
    return Plan(
        target=target.name,
        url=target.url,
        server=fitness.server,
        agent=fitness.agent,
        requirements=len(requirements),
        scenarios=tuple(each.name for each in chosen),
        left_out=tuple(_left_out(wanted, found)),
        creates=creates,
        kept=settings.keep == "all",
        destructive={name: done for name, done in asked.items() if _absent([name], found) is None},
        spared={name: done for name, done in asked.items() if _absent([name], found) is not None},
        capacity=capacity,
        seconds=seconds,
        how=how,
    )


def _expected(
    chosen: list[Scenario], fitness: Fitness, capacity: int | None, *, confirms: bool
) -> tuple[dict[int, float], dict[str, int], str]:
    """Seconds by runs at a time, what is created, and how there are more runs at a time."""
    phases = Phases.of(chosen, shared=True, slow=fitness.slow)
    begun = begun_of(phases, fitness, capacity=capacity or 1, known="declared", confirms=confirms)
    return _by_capacity(begun, begun.more), begun.creates, "" if begun.more is None else begun.more.how


def _by_capacity(begun: Begun, more: Faster | None) -> dict[int, float]:
    told = {begun.capacity: round(begun.seconds, 1)}
    return told if more is None else told | {more.capacity: round(more.seconds, 1)}


def _left_out(wanted: Iterable[Scenario], found: Mapping[str, Capability]) -> Iterator[LeftOut]:
    """By the first capability that is lacking."""
    lacking: defaultdict[str, list[str]] = defaultdict(list)
    for each in wanted:
        missing = [name for name in each.demands if _absent([name], found) is not None]
        if missing:
            lacking[missing[0]].append(each.name)
    for name, scenarios in lacking.items():
        yield LeftOut(capability=name, reason=_absent([name], found) or "", scenarios=tuple(scenarios))


def _absent(needs: Iterable[str], found: Mapping[str, Capability]) -> str | None:
    return agents.absent(found, (each for each in needs if each not in _OF_THIS_MACHINE))
