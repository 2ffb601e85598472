"""Whether the promises were kept, and whether the load was what was planned: from totals to a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from runstone.errors import ExitCode
from runstone.load.gathering import Gathering
from runstone.load.invariants import STEADY
from runstone.load.model import Figures, Invariant, Outcome, Window

_LAG_S: Final = 1.0  # of the generator itself, over which figures are its own and not the target's
_BUSY: Final = 0.9  # of a core: such a worker has no time left to be punctual
_OF_THE_RATE: Final = 0.9
_FACTOR: Final = 2.0  # the last third may take longer than the first
_SLACK_MS: Final = 100.0
_ERRORS: Final = 0.01  # of all starts, more than in the first third
_FEWEST_WINDOWS: Final = 6
_FEWEST_STARTS: Final = 100  # of a third: of fewer the 99th percentile is its slowest one
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


def steady(windows: Sequence[Window]) -> Invariant:
    """LOAD-109: latency and errors of the last third of the time against the first.

    No clock judges alone: where this machine itself was as late as the target seems to be, nothing is said.
    """
    whole = [each for each in windows if not each.draining and each.finished]
    third = len(whole) // 3
    first, last = whole[:third], whole[len(whole) - third :]
    fewest = min(sum(each.finished for each in part) for part in (first, last))
    if len(whole) < _FEWEST_WINDOWS or fewest < _FEWEST_STARTS:
        remark = f"too short to compare thirds: each needs {_FEWEST_STARTS} starts in two windows or more"
        return Invariant(id=STEADY, of="thirds", kept=0, broken=0, not_tested=1, remark=remark)
    before, after = (median(each.p99_ms for each in part) for part in (first, last))
    grown_ms = after - before
    slower = after > _FACTOR * before and grown_ms > _SLACK_MS
    wrong = _error_share(last) - _error_share(first) > _ERRORS
    remark = (
        f"p99 {before:.0f} ms in the first third, {after:.0f} ms in the last; "
        f"errors {_error_share(first):.1%} and {_error_share(last):.1%}{_grown(whole)}"
    )
    lag_ms = 1e3 * median(each.lag_max_s for each in last)
    if slower and not wrong and lag_ms > grown_ms / 4:
        why = {f"this machine itself was {lag_ms:.0f} ms late": 1}
        return Invariant(
            id=STEADY, of="thirds", kept=0, broken=0, not_tested=1, why_not_tested=why, remark=remark
        )
    broken = int(slower or wrong)
    return Invariant(id=STEADY, of="thirds", kept=1 - broken, broken=broken, not_tested=0, remark=remark)


def _error_share(windows: Iterable[Window]) -> float:
    kept = list(windows)
    return sum(each.errors for each in kept) / max(1, sum(each.finished for each in kept))


def _grown(windows: Sequence[Window]) -> str:
    """What the server's memory did, for a reader: how much a run may take is nobody's promise."""
    known = [(each.server_rss, each.finished) for each in windows if each.server_rss]
    if len(known) < 2:
        return ""
    grown, starts = (known[-1][0] or 0) - (known[0][0] or 0), sum(each for _, each in known[1:])
    return f"; the server's memory changed by {grown / 1e6:+.1f} MB over {starts} starts"


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
    reason = _generator_bound(gathering, figures)
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


def _generator_bound(gathering: Gathering, figures: Figures) -> str:
    """Why the load was not what was planned, by the generator's own doing; '' where it was."""
    if figures.lag_p99_s > _LAG_S:
        return f"the generator itself was {figures.lag_p99_s:.1f} s late (p99): give it more processes"
    if busy := [each for each in gathering.workers if each.cpu > _BUSY]:
        return f"{len(busy)} of its processes took {busy[0].cpu:.0%} of a core: give it more processes"
    if figures.achieved < _OF_THE_RATE * figures.offered:
        return (
            f"{figures.achieved:.1f} of {figures.offered:.1f} starts a second were made: all "
            f"{gathering.plan.users} users waited for the target; allow more users, or ask for a lower rate"
        )
    return ""
