"""The mutation score: how many changes of a recording the judges notice, by area and by operator."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

import runstone
from runstone.errors import UsageError
from runstone.proof.mutate.change import Mutant
from runstone.proof.mutate.drawing import draw
from runstone.proof.mutate.equivalence import Rule, excluding, load_rules
from runstone.proof.mutate.judges import Bench
from runstone.proof.mutate.operators import OPERATORS
from runstone.proof.mutate.trying import NOTICED, Bar, Trial, try_all
from runstone.session.session import Session
from runstone.wire.exchange import UUID, excerpt

_QUOTED: Final = 80  # characters of a value
_LOOKED: Final = 12  # judges that a survivor names


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. `limit`: mutants that are scored; the two thresholds are percentages.

    `per_area`: an area that these give fewer gets so many, where there are as many: of 40 one is 2.5 %.
    """

    seed: int = 0
    limit: int = 5_500
    per_area: int = 0
    at_least: float = 0.0
    area_at_least: float = 0.0
    jobs: int | None = None


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Mutants of one area or operator. `not_testable`: the killed that no judge could call broken."""

    killed: int
    of: int
    not_testable: int

    @property
    def percent(self) -> float:
        """Of the mutants those that were noticed; none of none is not a success."""
        return 100 * self.killed / self.of if self.of else 0.0


class Excluded(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule left out. `killed`: mutants that a judge noticed all the same, which refutes the rule."""

    rule: str
    why: str
    mutants: int
    killed: tuple[str, ...] = ()


class Survivor(msgspec.Struct, frozen=True, kw_only=True):
    """A mutant that no judge noticed; `judges` had read its scenario, those of the very exchange first."""

    exchange: str
    request: str
    operator: str
    where: str
    before: str
    after: str
    areas: tuple[str, ...]
    judges: tuple[str, ...]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one run found (contracts/schemas/mutation.json)."""

    runstone: str
    target: str
    server: str
    profile: str
    seed: int
    limit: int
    at_least: float
    area_at_least: float
    seconds: float
    total: Share
    verdicts: dict[str, int]
    areas: dict[str, Share]
    operators: dict[str, Share]
    excluded: tuple[Excluded, ...]
    survivors: tuple[Survivor, ...]
    crashes: tuple[str, ...]
    per_area: int = 0

    @property
    def shortfalls(self) -> list[str]:
        """Why the score is not good enough; empty where it is."""
        found = []
        if self.total.percent < self.at_least or not self.total.of:
            found.append(f"{self.total.percent:.1f} % of all mutants are killed, wanted {self.at_least:g} %")
        found += [
            f"area {name}: {share.percent:.1f} % of {share.of} are killed, wanted {self.area_at_least:g} %"
            for name, share in self.areas.items()
            if share.percent < self.area_at_least
        ]
        found += [
            f"rule {each.rule}: {each.killed[0]} is noticed all the same"
            for each in self.excluded
            if each.killed
        ]
        return found


def mutate(session: Session, wanted: Wanted, say: Callable[[str], None]) -> Score:
    """Make mutants of the session's evidence and try them. Raises UsageError where no judge passes on it."""
    began = time.monotonic()
    bar = Bar.of(Bench(session))
    if not any(bar.passing.values()):
        raise UsageError(
            f"no judge passes on {session.folder}: there is nothing to mutate; check a server first"
        )
    scored, left_out = _drawn(bar, wanted)
    say(f"{len(scored)} mutants, and {len(left_out)} that no promise covers")
    trials = try_all(bar, [*scored, *(mutant for mutant, _ in left_out)], wanted.jobs)
    return _score(bar, wanted, scored, left_out, trials, time.monotonic() - began)


def _drawn(bar: Bar, wanted: Wanted) -> tuple[list[Mutant], list[tuple[Mutant, Rule]]]:
    """The mutants that are scored, and those that a rule leaves out; above the limit what areas lack."""
    traces = bar.bench.observed.traces
    readers = {name: {each.requirement.id for each in judges} for name, judges in bar.passing.items()}
    areas = {name: areas_of(bar, name) for name in traces}
    counts = Counter(dict.fromkeys(frozenset().union(*areas.values()), 0))
    scored: list[Mutant] = []
    left_out: list[tuple[Mutant, Rule]] = []
    for mutant in draw(traces, wanted.seed):
        own = areas[mutant.scenario]
        if len(scored) >= wanted.limit:
            if min(counts.values()) >= wanted.per_area:
                break
            if min(counts[area] for area in own) >= wanted.per_area:
                continue
        rule = excluding(mutant, traces[mutant.scenario], readers[mutant.scenario])
        if rule is not None:
            left_out.append((mutant, rule))
        else:
            scored.append(mutant)
            counts.update(own)
    return scored, left_out


def _score(
    bar: Bar,
    wanted: Wanted,
    scored: Sequence[Mutant],
    left_out: Sequence[tuple[Mutant, Rule]],
    trials: Sequence[Trial],
    seconds: float,
) -> Score:
    session = bar.bench.session
    manifest = session.manifest
    tried = list(zip(scored, trials, strict=False))
    set_aside = list(zip(left_out, trials[len(scored) :], strict=True))
    areas = {mutant.scenario: areas_of(bar, mutant.scenario) for mutant in scored}
    return Score(
        runstone=runstone.__version__,
        target=manifest.target if manifest else "unknown",
        server=manifest.server if manifest else "unknown",
        profile=session.settings.profile.name,
        seed=wanted.seed,
        limit=wanted.limit,
        per_area=wanted.per_area,
        at_least=wanted.at_least,
        area_at_least=wanted.area_at_least,
        seconds=round(seconds, 1),
        total=_share(trial for _, trial in tried),
        verdicts={each: sum(trial.verdict == each for _, trial in tried) for each in (*NOTICED, "pass")},
        areas={
            name: share
            for name in session.catalogue.areas
            if (share := _share(trial for mutant, trial in tried if name in areas[mutant.scenario])).of
        },
        operators={
            name: share
            for name in OPERATORS
            if (share := _share(trial for mutant, trial in tried if mutant.operator == name)).of
        },
        excluded=tuple(_excluded(rule, set_aside) for rule in load_rules()),
        survivors=tuple(_survivor(bar, mutant) for mutant, trial in tried if not trial.killed),
        crashes=tuple(f"{_told(mutant)}: {each}" for mutant, trial in tried for each in trial.crashed),
    )


def areas_of(bar: Bar, scenario: str) -> frozenset[str]:
    """The areas to which a mutant counts: those of the judges that read its scenario, and pass.

    A scenario that several areas share counts to each of them; one that only monitors read, to theirs.
    """
    monitors = bar.bench.session.catalogue.of_kind("monitor")
    return frozenset(each.requirement.area for each in bar.passing[scenario]) or monitors


def _share(trials: Iterable[Trial]) -> Share:
    verdicts = [trial.verdict for trial in trials]
    killed = sum(verdict in NOTICED for verdict in verdicts)
    return Share(killed=killed, of=len(verdicts), not_testable=verdicts.count("not-testable"))


def _excluded(rule: Rule, set_aside: Sequence[tuple[tuple[Mutant, Rule], Trial]]) -> Excluded:
    own = [(mutant, trial) for (mutant, by), trial in set_aside if by.id == rule.id]
    killed = [f"{_told(mutant)} by {trial.judge}" for mutant, trial in own if trial.killed]
    return Excluded(rule=rule.id, why=rule.why, mutants=len(own), killed=tuple(killed))


def _survivor(bar: Bar, mutant: Mutant) -> Survivor:
    trace = bar.bench.session.traces[mutant.scenario]
    exchange = next(each for each in trace.exchanges if each.number == mutant.number)
    return Survivor(
        exchange=exchange.key,
        request=UUID.sub("…", f"{exchange.method} {exchange.path}"),
        operator=mutant.operator,
        where=mutant.change.where,
        before=_quoted(mutant.change.before),
        after=_quoted(mutant.change.after),
        areas=tuple(sorted(areas_of(bar, mutant.scenario))),
        judges=tuple(each.name for each in bar.looking(mutant)[:_LOOKED]),
    )


def _told(mutant: Mutant) -> str:
    return f"{mutant.scenario}#{mutant.number} {mutant.operator} at {mutant.change.where}"


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return excerpt(text, _QUOTED) if text else "''"


def lowest(shares: Mapping[str, Share]) -> list[tuple[str, Share]]:
    """The worst first."""
    return sorted(shares.items(), key=lambda each: (each[1].percent, each[0]))
