"""The judges of the suites over a session of evidence, called one by one: thousands of times each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from runstone.judge.judges import Judge
from runstone.judge.observed import observed_by
from runstone.judge.running import run
from runstone.judge.suites import collect_judges
from runstone.session.session import Session
from runstone.verdict.model import Case
from runstone.wire.trace import Trace


class Bench:
    """All judges of a session of evidence, and its traces, one of which can be exchanged for a moment."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.judges, scenarios = collect_judges(session)
        self.observed = observed_by(session, scenarios)
        self.by_scenario: dict[str, list[Judge]] = {name: [] for name in self.observed.traces}
        for judge in self.judges:
            for name in {each.name for each in judge.scenarios} & self.by_scenario.keys():
                self.by_scenario[name].append(judge)
        self.monitors = [judge for judge in self.judges if judge.reads_all]

    def verdict(
        self, judge: Judge, changed: Trace | None = None, among: Collection[str] | None = None
    ) -> Case:
        """What the judge decides, with this trace in the place of the one of the same scenario.

        `among`: of all traces a monitor reads these scenarios only, and the changed one.
        """
        observed = self.observed
        if changed is not None:
            observed = replace(observed, traces={**observed.traces, changed.scenario: changed})
            among = among if among is None else {*among, changed.scenario}
        return run(judge, replace(observed, among=among)).case

    def company(self, monitor: Judge) -> frozenset[str]:
        """A few scenarios on whose traces alone the monitor passes: beside them it judges any other one.

        Empty where it passes on none but all; then it is to be given all.
        """
        traces = self.observed.traces
        names = sorted(traces, key=lambda name: len(traces[name].exchanges))
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
