"""LOAD-109: whether the server answers in the last third of a load as it did in the first. A pure function.

Each kind of start is compared with itself. A mix would hide what grows: its 99th percentile is that of the
kind that takes longest, such as a run that sleeps by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, median
from typing import Final, NamedTuple

from runstone.load.invariants import STEADY
from runstone.load.model import Invariant, Window

_FACTOR: Final = 2.0  # the last third may take longer than the first
_SLACK_MS: Final = 100.0
_ERRORS: Final = 0.01  # of all starts, more than in the first third
_FEWEST_WINDOWS: Final = 6
_FEWEST_STARTS: Final = 100  # of a third
_FEWEST_OF_KIND: Final = 20  # of a third, for its best window not to be that of one lucky start
_KEPT_UP: Final = 0.9  # of what was due
_OTHERS: Final = 0.15  # of the machine's CPU, that others may take more than in the first third


class _Pace(NamedTuple):
    """How long one kind took, in milliseconds: the 99th percentile of the best window of each third.

    A machine that others use makes some windows slow, a server that grew slower all.
    """

    kind: str
    before: float
    after: float

    @property
    def slower(self) -> bool:
        return self.after > _FACTOR * self.before and self.after - self.before > _SLACK_MS


def steady(windows: Sequence[Window], generator_is_late: str = "") -> Invariant:
    """Latency and errors of the last third of the time against the first.

    No clock judges alone: where this machine itself was as late as the target seems to be, or left less of
    itself to a target that is on it, nothing is said. Nor is it where the target fell behind from the
    beginning: its queue grows, whether or not it grows slower itself.
    `generator_is_late`: why the figures are its own; '' where they are not.
    """
    whole = [each for each in windows if not each.draining]
    third = len(whole) // 3
    first, last = whole[:third], whole[len(whole) - third :]
    paces, behind = list(_paces(first, last)), _behind(last)
    fewest = min(sum(each.finished for each in part) for part in (first, first if behind else last))
    if len(whole) < _FEWEST_WINDOWS or fewest < _FEWEST_STARTS or not (paces or behind):
        remark = f"too short to compare thirds: each needs {_FEWEST_STARTS} starts in two windows or more"
        return _untested(remark)
    worst = max(paces, key=lambda each: (each.slower, each.after / max(each.before, 1.0)), default=None)
    slower = bool(behind) or (worst is not None and worst.slower)
    wrong = _error_share(last) - _error_share(first) > _ERRORS
    remark = "; ".join(_told(worst, behind, first, last)) + _grown(whole)
    why = ""
    if generator_is_late:
        why = generator_is_late
    elif not _kept_up(first):
        why = "the target fell behind in the first third already"
    elif slower and not wrong:
        why = _late(worst, last) or _starved(first, last)
    if why:
        return _untested(f"{why}; {remark}")
    broken = int(slower or wrong)
    return Invariant(id=STEADY, of="thirds", kept=1 - broken, broken=broken, not_tested=0, remark=remark)


def _told(worst: _Pace | None, behind: str, first: Sequence[Window], last: Sequence[Window]) -> Iterator[str]:
    if behind:
        yield behind
    if worst is not None:
        yield (
            f"p99 of {worst.kind} in the best window {worst.before:.0f} ms of the first third, "
            f"{worst.after:.0f} ms of the last"
        )
    yield f"errors {_error_share(first):.1%} and {_error_share(last):.1%}"


def _untested(remark: str) -> Invariant:
    """Told in a remark, not as a reason that is counted: those are the target's doing."""
    return Invariant(id=STEADY, of="thirds", kept=0, broken=0, not_tested=1, remark=remark)


def _paces(first: Sequence[Window], last: Sequence[Window]) -> Iterable[_Pace]:
    """Of each kind that is in both thirds often enough."""
    kinds = dict.fromkeys(kind for window in first for kind in window.kinds)
    for kind in kinds:
        thirds = [[each.kinds[kind] for each in part if kind in each.kinds] for part in (first, last)]
        if min(sum(each.finished for each in part) for part in thirds) >= _FEWEST_OF_KIND:
            yield _Pace(kind, *(min(each.p99_ms for each in part) for part in thirds))


def _kept_up(first: Sequence[Window]) -> bool:
    """Whether about as much was through as was due; in the first window it is only begun."""
    later = first[1:]
    return sum(each.finished for each in later) >= _KEPT_UP * sum(map(_due, later))


def _behind(last: Sequence[Window]) -> str:
    """How much less was through than was due, in the best window too; '' for about as much."""
    if any(each.finished >= _KEPT_UP * _due(each) for each in last[1:]):
        return ""
    through, due = sum(each.finished for each in last), sum(map(_due, last))
    return f"{through} of {due:.0f} starts were through in the last third"


def _due(window: Window) -> float:
    return window.offered * window.seconds


def _late(worst: _Pace | None, last: Sequence[Window]) -> str:
    """How late this machine was where that may be what made a kind slower; '' for no such thing."""
    lag_ms = 1e3 * median(each.lag_max_s for each in last)
    if worst is None or not worst.slower or lag_ms <= (worst.after - worst.before) / 4:
        return ""
    return f"this machine itself was {lag_ms:.0f} ms late"


def _starved(first: Sequence[Window], last: Sequence[Window]) -> str:
    """How much more of the server's machine went to others, where it is this one; '' for no more."""
    shares = [[each.others_cpu for each in part if each.others_cpu is not None] for part in (first, last)]
    if not all(shares):
        return ""
    before, after = map(fmean, shares)
    grown = after - before > _OTHERS
    return f"others took {after:.0%} of this machine, in the first third {before:.0%}" if grown else ""


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
