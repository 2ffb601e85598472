"""Try mutants: give each to the judges that passed on the original, until one notices."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from runstone.judge.judges import Judge
from runstone.proof.mutate.change import Mutant
from runstone.proof.mutate.judges import Bench
from runstone.verdict.model import Case, Outcome

# What a mutant makes of a case that passed, the plainest finding first.
NOTICED: tuple[Outcome, ...] = ("fail", "warn", "not-testable")


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one mutant. `verdict`: 'pass' where it survived; `judge`: the one that noticed it."""

    verdict: Outcome
    judge: str = ""
    reason: str = ""
    crashed: tuple[str, ...] = ()  # judges that broke on it, and how

    @property
    def killed(self) -> bool:
        return self.verdict in NOTICED


@dataclass
class Bar:
    """The judges that pass on the unspoilt traces: only these can tell that something is wrong."""

    bench: Bench
    passing: dict[str, list[Judge]] = field(default_factory=dict)  # by scenario, its monitors last
    read: dict[str, frozenset[str]] = field(default_factory=dict)  # judge → the exchanges that it read
    monitors: dict[str, frozenset[str]] = field(
        default_factory=dict
    )  # monitor → what it reads beside a mutant

    @classmethod
    def of(cls, bench: Bench) -> Bar:
        """Judge everything as it was recorded."""
        found = {judge.name: bench.verdict(judge) for judge in bench.judges}
        bar = cls(bench)
        for scenario, judges in bench.by_scenario.items():
            bar.passing[scenario] = [each for each in judges if found[each.name].verdict == "pass"]
        monitors = [each for each in bench.monitors if found[each.name].verdict == "pass"]
        bar.monitors = {each.name: bench.company(each) for each in monitors}
        bar.read = {name: frozenset(case.exchanges) for name, case in found.items()}
        return bar

    def looking(self, mutant: Mutant) -> list[Judge]:
        """Those that can notice the mutant; the ones that read the very exchange first."""
        key = f"{mutant.scenario}#{mutant.number}"
        own = [each for each in self.passing[mutant.scenario] if not each.reads_all]
        return sorted(own, key=lambda judge: key not in self.read[judge.name])

    def tried(self, mutant: Mutant) -> Trial:
        """Judge the mutant."""
        original = self.bench.session.traces[mutant.scenario]
        changed = mutant.applied(original)
        doubtful: Trial | None = None
        crashed: list[str] = []
        for judge in [*self.looking(mutant), *self.bench.monitors]:
            if judge.reads_all and judge.name not in self.monitors:
                continue
            case = self.bench.verdict(judge, changed, self.monitors.get(judge.name))
            if case.verdict == "harness-error":
                crashed.append(f"{judge.name}: {case.reason}")
            if case.verdict in {"fail", "warn"}:
                return _trial(judge, case, crashed)
            if case.verdict == "not-testable" and doubtful is None:
                doubtful = _trial(judge, case, crashed)
        return doubtful or Trial("pass", crashed=tuple(crashed))


def _trial(judge: Judge, case: Case, crashed: Sequence[str]) -> Trial:
    return Trial(case.verdict, judge.name, case.reason, tuple(crashed))


def try_all(bar: Bar, mutants: Sequence[Mutant], jobs: int | None = None) -> list[Trial]:
    """Every mutant tried, in their order, on all cores (or `jobs`)."""
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1:
        return [bar.tried(mutant) for mutant in mutants]
    gc.freeze()  # what the children share with us stays shared
    global _at_work  # forked processes inherit what cannot be sent to them
    _at_work = (bar, mutants)
    try:
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            return pool.map(_try_one, range(len(mutants)), chunksize=20)
    finally:
        _at_work = None
        gc.unfreeze()


_at_work: tuple[Bar, Sequence[Mutant]] | None = None


def _try_one(number: int) -> Trial:
    assert _at_work is not None  # set before the fork
    bar, mutants = _at_work
    return bar.tried(mutants[number])
