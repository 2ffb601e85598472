"""Whether the promises were kept, and whether the load was what was planned: from totals to a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from runstone.errors import ExitCode
from runstone.load.invariants import STEADY
from runstone.load.model import Figures, Load, Outcome, Worker, missing

if TYPE_CHECKING:  # it needs the packages of a generator, and what is over is judged without them
    from runstone.load.gathering import Gathering

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


def outcome_of(load: Load) -> Outcome:
    """What a load results in, by all else that is known of it; its own outcome is not looked at."""
    broken = tuple(each.id for each in load.invariants if each.broken)
    must = [each for each in load.invariants if each.id not in SHOULD]
    tested = any(each.kept or each.broken for each in must)
    kept = tested and not any(each.broken for each in must)
    reason = _incomplete(load)
    if reason:
        return Outcome(kind="incomplete", reason=reason, broken=broken, kept=kept)
    reason = late_generator(load.figures, load.workers) or _too_few_starts(load)
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


def _incomplete(load: Load) -> str:
    if load.stopped is not None:
        return load.stopped
    if lost := missing(load.plan, load.workers):
        return f"{len(lost)} of {load.plan.workers} workers did not report: {', '.join(lost)}"
    started = sum(each.starts for each in load.workers)
    through = sum(each.finished for each in load.windows)
    if started - through > _REFUSED * started:
        most = max(load.errors, key=lambda told: load.errors[told], default="")
        often = f", most often as {most}" if most else ""
        return f"{started - through} of {started} starts were left without a result{often}"
    unknown = sum(each.unknown for each in load.counts.values())
    by_id = {each.id: each for each in load.invariants}
    if unknown and not by_id["LOAD-101"].broken:
        why = max(by_id["LOAD-101"].why_not_tested.items(), key=lambda each: each[1], default=("", 0))[0]
        return f"{unknown} runs stayed unknown after the drain: {why or 'the target does not answer'}"
    if not any(each.kept or each.broken for each in load.invariants if each.id != "LOAD-107"):
        return "nothing could be judged: no run was accepted"
    return ""


def late_generator(figures: Figures, workers: Sequence[Worker]) -> str:
    """Why the figures are the generator's own and not the target's; '' where they are not."""
    if figures.lag_p99_s > _LAG_S:
        return f"the generator itself was {figures.lag_p99_s:.1f} s late (p99): give it more processes"
    if busy := [each for each in workers if each.cpu > _BUSY]:
        return f"{len(busy)} of its processes took {busy[0].cpu:.0%} of a core: give it more processes"
    return ""


def _too_few_starts(load: Load) -> str:
    """Why less was started than planned; '' where it was not."""
    figures = load.figures
    if figures.achieved < _OF_THE_RATE * figures.offered:
        return (
            f"{figures.achieved:.1f} of {figures.offered:.1f} starts a second were made: all "
            f"{load.plan.users} users waited for the target; allow more users, or ask for a lower rate"
        )
    return ""
