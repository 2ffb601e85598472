"""The judges of the suites, called one by one and without pytest: thousands of times each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from runstone.contracts import Requirement
from runstone.judge.cases import case_of
from runstone.judge.suites import collect_judges
from runstone.scenario.scenario import SCENARIO_ATTRIBUTE, Scenario
from runstone.session.session import Session
from runstone.suite import judging_by
from runstone.verdict.model import Case
from runstone.wire.exchange import reading
from runstone.wire.trace import Inapplicable, Names, Trace, knowing


@dataclass(frozen=True, slots=True)
class Judge:
    """One case of one requirement. `scenarios`: the names of those that it reads by themselves."""

    item: pytest.Item
    promise: Requirement
    scenarios: frozenset[str]
    reads_all: bool

    @property
    def name(self) -> str:
        """`RUN-WAIT-002[stream]`: the requirement, and the case where there are several."""
        parameters = self.case
        return f"{self.promise.id}[{parameters}]" if parameters else self.promise.id

    @property
    def case(self) -> str:
        """Its parameters, as reports name them."""
        return str(getattr(getattr(self.item, "callspec", None), "id", ""))


class Bench:
    """All judges of a session of evidence, and its traces, one of which can be exchanged for a moment."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.scenarios: dict[str, Scenario] = {}
        self.judges = [self._judge(item) for item in collect_judges(session)]
        self.by_scenario: dict[str, list[Judge]] = {name: [] for name in session.traces}
        for judge in self.judges:
            for name in judge.scenarios & self.by_scenario.keys():
                self.by_scenario[name].append(judge)
        self.monitors = [judge for judge in self.judges if judge.reads_all]

    def _judge(self, item: pytest.Item) -> Judge:
        marker = item.get_closest_marker("requirement")
        assert marker is not None  # `collect_judges` answers no other items
        known = _definitions(item)
        found = {name: each for name in known if (each := _scenario(known[name])) is not None}
        self.scenarios |= found
        return Judge(
            item=item,
            promise=self.session.catalogue[str(marker.args[0])],
            scenarios=frozenset(found),
            reads_all="traces" in known,
        )

    def verdict(
        self, judge: Judge, changed: Trace | None = None, among: Collection[str] | None = None
    ) -> Case:
        """What the judge comes to, with this trace in the place of the one of the same scenario.

        `among`: of all traces a monitor reads these scenarios only, and the changed one.
        """
        traces = dict(self.session.traces)
        if changed is not None:
            traces[changed.scenario] = changed
        named = set(traces) if among is None else {*among, *([changed.scenario] if changed else ())}
        every = [traces[name] for name in sorted(named) if not traces[name].cut_short]
        kept, self.session.traces = self.session.traces, traces
        error: BaseException | None = None
        try:
            with reading() as journal, judging_by(self._has), knowing(self._names_of):
                try:
                    self._call(judge, every)
                except KeyboardInterrupt:
                    raise
                except BaseException as raised:  # what it means is said by `case_of`
                    error = raised
        finally:
            self.session.traces = kept
        unseen = self.session.stopped if judge.reads_all else None
        return case_of(judge.case, judge.promise, error, list(journal.values()), unseen)

    def company(self, monitor: Judge) -> frozenset[str]:
        """A few scenarios on whose traces alone the monitor passes: beside them it judges any other one.

        Empty where it passes on none but all; then it is to be given all.
        """
        names = sorted(self.session.traces, key=lambda name: len(self.session.traces[name].exchanges))
        found = next((name for name in names if self._passes(monitor, [name])), None)
        if found is not None:
            return frozenset([found])
        needed = names
        size = len(needed) // 2
        while size:  # leave out ever smaller shares of what is left, as long as the rest suffices
            for start in range(0, len(needed), size):
                rest = needed[:start] + needed[start + size :]
                if rest and self._passes(monitor, rest):
                    needed = rest
                    break
            else:
                size //= 2
        return frozenset(needed)

    def _passes(self, monitor: Judge, names: Collection[str]) -> bool:
        return self.verdict(monitor, among=names).verdict == "pass"

    def _names_of(self, scenario: str) -> Names | None:
        known = self.scenarios.get(scenario)
        return None if known is None else known.names

    def _has(self, capability: str) -> bool:
        return self.session.absent([capability]) is None

    def _call(self, judge: Judge, every: list[Trace]) -> None:
        wanted = [*judge.promise.needs]
        wanted += [name for mark in judge.item.iter_markers("needs") for name in mark.args]
        reason = self.session.absent(wanted)
        if reason is not None:
            raise Inapplicable(reason)
        function: Any = judge.item.obj  # type: ignore[attr-defined]  # of pytest.Function
        arguments = judge.item._fixtureinfo.argnames  # type: ignore[attr-defined]  # not public
        given = _Arguments(judge.item, self.session, every)
        function(**{name: given[name] for name in arguments})


class _Arguments:
    """What pytest would give to a judge: its parameters, traces, and the suites' own fixtures of them."""

    def __init__(self, item: pytest.Item, session: Session, every: list[Trace]) -> None:
        self._session = session
        self._parameters: Mapping[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
        self._known = _definitions(item)
        self._made: dict[str, Any] = {
            "runstone_session": session,
            "profile": session.settings.profile,
            "traces": every,
        }

    def __getitem__(self, name: str) -> Any:
        if name in self._parameters:
            return self._parameters[name]
        if name not in self._made:
            definition = self._known[name]
            scenario = _scenario(definition)
            self._made[name] = (
                definition.func(**{each: self[each] for each in definition.argnames})
                if scenario is None
                else self._session.trace(scenario)
            )
        return self._made[name]


def _definitions(item: pytest.Item) -> dict[str, Any]:
    """The fixture that each name stands for in this test: the last definition is the nearest."""
    known: Mapping[str, Iterable[Any]] = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    return {name: list(found)[-1] for name, found in known.items() if found}


def _scenario(definition: Any) -> Scenario | None:
    found: Scenario | None = getattr(definition.func, SCENARIO_ATTRIBUTE, None)
    return found
