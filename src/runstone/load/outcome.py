"""Whether the promises were kept, and whether the load was what was planned: from totals to a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from runstone.errors import ExitCode
from runstone.load.gathering import Gathering
from runstone.load.invariants import STEADY
from runstone.load.model import Figures, Invariant, Outcome

_LAG_S: Final = 1.0  # of the generator itself, over which figures are its own and not the target's
_BUSY: Final = 0.9  # of a core: such a worker has no time left to be punctual
_OF_THE_RATE: Final = 0.9
_REFUSED: Final = 0.1  # of all starts: with more the target was not under the load that was planned
SHOULD: Final = frozenset({STEADY})


def figures_of(gathering: Gathering) -> Figures:
    """Offered against achieved, and the generator's own lag."""
    plan, counts = gathering.plan, gathering.counts.values()
    clock_s = _clock_s(gathering)
    starts = sum(each.starts for each in counts)
    offered = starts + sum(each.not_started for each in counts)
    through = sum(each.ended + each.failed + each.cancelled for each in counts)
    lag = gathering.lag
    return Figures(
        offered=round(offered / clock_s, 3) if clock_s else plan.rate,
        achieved=round(starts / clock_s, 3) if clock_s else 0.0,
        finished=round(through / max(clock_s, gathering.seconds), 3) if clock_s else 0.0,
        late_for_users=sum(each.late for each in gathering.totals),
        lag_p99_s=round(lag.ms(99) / 1e3, 4),
        lag_max_s=round(lag.ms(100) / 1e3, 4),
        in_flight_max=gathering.in_flight_max,
    )


def _clock_s(gathering: Gathering) -> float:
    """How long starts were due: less than planned where it was broken off."""
    due = sum(each.due for each in gathering.ticks)
    return min(gathering.plan.for_s, due / gathering.plan.rate)


def outcome_of(
    gathering: Gathering, figures: Figures, invariants: Sequence[Invariant], stopped: str | None
) -> Outcome:
    """What the load results in."""
    broken = tuple(each.id for each in invariants if each.broken)
    must = [each for each in invariants if each.id not in SHOULD]
    tested = any(each.kept or each.broken for each in must)
    kept = tested and not any(each.broken for each in must)
    reason = _incomplete(gathering, invariants, stopped)
    if reason:
        return Outcome(kind="incomplete", reason=reason, broken=broken, kept=kept)
    reason = late_generator(gathering, figures) or _too_few_starts(gathering, figures)
    if reason:
        return Outcome(kind="generator-bound", reason=reason, broken=broken, kept=kept)
    return Outcome(kind="whole", broken=broken, kept=kept)


def exit_code_of(outcome: Outcome, *, interrupted: bool) -> ExitCode:
    """1 where a MUST is broken, whatever else; 4 where it is not the whole load that was planned."""
    if set(outcome.broken) - SHOULD:
        return ExitCode.NOT_CONFORMING
    if interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.CONFORMING if outcome.kind == "whole" and outcome.kept else ExitCode.HARNESS_ERROR


def _incomplete(gathering: Gathering, invariants: Sequence[Invariant], stopped: str | None) -> str:
    if stopped is not None:
        return stopped
    if missing := gathering.missing:
        return f"{len(missing)} of {gathering.plan.workers} workers did not report: {', '.join(missing)}"
    started, through = gathering.started, sum(each.finished for each in gathering.ticks)
    if started - through > _REFUSED * started:
        errors = Counter[str]()
        for totals in gathering.totals:
            errors.update(totals.errors)
        most = "".join(f", most often as {told}" for told, _ in errors.most_common(1))
        return f"{started - through} of {started} starts were left without a result{most}"
    unknown = sum(each.unknown for each in gathering.counts.values())
    by_id = {each.id: each for each in invariants}
    if unknown and not by_id["LOAD-101"].broken:
        why = max(by_id["LOAD-101"].why_not_tested.items(), key=lambda each: each[1], default=("", 0))[0]
        return f"{unknown} runs stayed unknown after the drain: {why or 'the target does not answer'}"
    if not any(each.kept or each.broken for each in invariants if each.id != "LOAD-107"):
        return "nothing could be judged: no run was accepted"
    return ""


def late_generator(gathering: Gathering, figures: Figures) -> str:
    """Why the figures are the generator's own and not the target's; '' where they are not."""
    if figures.lag_p99_s > _LAG_S:
        return f"the generator itself was {figures.lag_p99_s:.1f} s late (p99): give it more processes"
    if busy := [each for each in gathering.workers if each.cpu > _BUSY]:
        return f"{len(busy)} of its processes took {busy[0].cpu:.0%} of a core: give it more processes"
    return ""


def _too_few_starts(gathering: Gathering, figures: Figures) -> str:
    """Why less was started than planned; '' where it was not."""
    if figures.achieved < _OF_THE_RATE * figures.offered:
        return (
            f"{figures.achieved:.1f} of {figures.offered:.1f} starts a second were made: all "
            f"{gathering.plan.users} users waited for the target; allow more users, or ask for a lower rate"
        )
    return ""
