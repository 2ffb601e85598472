"""What the nights of one target say together: what fails since when, what is new, flaky, and why it broke.

A requirement that was not run or does not apply on some night says nothing of that night: what was broken
before and after it is broken throughout. What a waiver accepts is broken too, and told apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Final

import msgspec

from runstone.contracts import Level, Requirement
from runstone.trend.history import Night, RecordedCause
from runstone.verdict.model import Outcome, fails

FLAKY_NIGHTS: Final = 30  # the last ones, in which a requirement was judged

_BROKEN: Final[frozenset[Outcome]] = frozenset({"fail", "warn", "flaky", "not-testable"})
_ACCEPTED: Final[frozenset[Outcome]] = frozenset({"waived"})
_TOLD: Final = _BROKEN | _ACCEPTED | {"pass"}
_UNKNOWN: Final = frozenset({None, "not-run", "harness-error"})


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement over the nights; None where a night's contract did not have it."""

    id: str
    level: Level
    area: str
    statement: str
    outcomes: tuple[Outcome | None, ...]

    def last(self) -> Outcome | None:
        """The newest outcome that says anything; None where the newest contract has no such requirement."""
        if self.outcomes[-1] is None:
            return None
        return next((each for each in reversed(self.outcomes) if each not in _UNKNOWN), None)


class Failing(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement that is broken now. `since`: the first night of those without a kept one between them.

    `kept`: the last night on which it was kept; None where the history has none. `waived`: accepted by a
    waiver. `with_revision`: `since` is the first night of its contract's revision.
    """

    row: Row
    outcome: Outcome
    since: Night
    nights: int
    kept: Night | None
    waived: bool
    with_revision: bool
    reason: str


class Flaky(msgspec.Struct, frozen=True, kw_only=True):
    """How steady a requirement was on its last judged nights.

    `flaky`: nights with that verdict. `changes`: how often it went from kept to broken or back although the
    server's version and the contract were the same.
    """

    row: Row
    flaky: int
    judged: int
    changes: int

    @property
    def percent(self) -> float:
        """Flaky nights among those judged."""
        return 100 * self.flaky / self.judged


class Spell(msgspec.Struct, frozen=True, kw_only=True):
    """A cause, and from when to when reports named it. `gone`: the newest complete night did not."""

    cause: RecordedCause
    first: Night
    last: Night
    nights: int
    gone: bool


class Course(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The nights of one target, the oldest first, and its requirements over them."""

    target: str
    nights: tuple[Night, ...]
    rows: tuple[Row, ...]

    @property
    def newest(self) -> Night:
        """The last night."""
        return self.nights[-1]

    @property
    def last_ended(self) -> Night | None:
        """The last night on which the check ended with a verdict."""
        return next((night for night in reversed(self.nights) if night.ended), None)

    @cached_property
    def failing(self) -> tuple[Failing, ...]:
        """What is broken or waived now, or was when it was last judged."""
        return tuple(found for row in self.rows if (found := self._failing(row)) is not None)

    @cached_property
    def broken(self) -> tuple[Failing, ...]:
        """What is broken and no waiver accepts."""
        return tuple(each for each in self.failing if not each.waived)

    @cached_property
    def new(self) -> tuple[Failing, ...]:
        """What fails the newest night, and did not when it was last judged before."""
        return tuple(each for each in self.broken if self._is_new(each.row))

    @property
    def newly_unfinished(self) -> bool:
        """Whether the newest check gave no verdict, and the one before it did."""
        return not self.newest.ended and len(self.nights) > 1 and self.nights[-2].ended

    @cached_property
    def flaky(self) -> tuple[Flaky, ...]:
        """What was not steady on its last nights, the worst first."""
        found = [self._flaky(row) for row in self.rows if row.outcomes[-1] is not None]
        unsteady = [each for each in found if each.flaky or each.changes > 1]
        return tuple(sorted(unsteady, key=lambda each: (-each.flaky, -each.changes)))

    @cached_property
    def causes(self) -> tuple[Spell, ...]:
        """The causes that reports named; those of the newest night first, then those that went last."""
        seen: dict[str, list[Night]] = {}
        told: dict[str, RecordedCause] = {}
        for night in self.nights:
            for cause in night.causes:
                seen.setdefault(cause.id, []).append(night)
                told[cause.id] = cause
        spells = [
            Spell(cause=told[id_], first=of[0], last=of[-1], nights=len(of), gone=of[-1] != self.last_ended)
            for id_, of in seen.items()
        ]
        return tuple(sorted(spells, key=lambda each: (each.last.night, each.cause.must), reverse=True))

    def begins_revision(self, index: int) -> bool:
        """Whether another revision of the contract is in force from this night on."""
        return index > 0 and self.nights[index].revision != self.nights[index - 1].revision

    def reason(self, index: int, row: Row) -> str:
        """Why a requirement was not kept on a night."""
        return self.nights[index].reasons.get(row.id, "")

    def _failing(self, row: Row) -> Failing | None:
        outcome = row.last()
        if outcome is None or outcome not in _BROKEN | _ACCEPTED:
            return None
        told = [index for index, each in enumerate(row.outcomes) if each in _TOLD]
        kept = next((index for index in reversed(told) if row.outcomes[index] == "pass"), None)
        spell = [index for index in told if kept is None or index > kept]
        return Failing(
            row=row,
            outcome=outcome,
            since=self.nights[spell[0]],
            nights=len(spell),
            kept=None if kept is None else self.nights[kept],
            waived=outcome in _ACCEPTED,
            with_revision=self.begins_revision(spell[0]),
            reason=self.reason(told[-1], row),
        )

    def _is_new(self, row: Row) -> bool:
        now = row.outcomes[-1]
        if now is None or not fails(now, row.level, self.newest.fail_on):
            return False
        before = next((each for each in reversed(row.outcomes[:-1]) if each in _TOLD), None)
        return before is not None and not fails(before, row.level, self.newest.fail_on)

    def _flaky(self, row: Row) -> Flaky:
        judged = [index for index, each in enumerate(row.outcomes) if each in _TOLD][-FLAKY_NIGHTS:]
        changes = sum(
            (row.outcomes[before] == "pass") != (row.outcomes[after] == "pass")
            for before, after in pairwise(judged)
            if _same_server(self.nights[before], self.nights[after])
        )
        flaky = sum(row.outcomes[index] == "flaky" for index in judged)
        return Flaky(row=row, flaky=flaky, judged=len(judged), changes=changes)


def course_of(target: str, nights: Sequence[Night], catalogue: Mapping[str, Requirement]) -> Course:
    """The course of a target. The catalogue has the words; what it no longer promises goes without."""
    standings = [{name: outcome for name, _, outcome in night.outcomes()} for night in nights]
    levels = {name: level for night in nights for name, level, _ in night.outcomes()}  # the newest stands
    order = {name: place for place, name in enumerate(catalogue)}
    rows = (
        Row(
            id=name,
            level=levels[name],
            area=catalogue[name].area if name in catalogue else "no longer promised",
            statement=catalogue[name].statement if name in catalogue else "",
            outcomes=tuple(standing.get(name) for standing in standings),
        )
        for name in sorted(levels, key=lambda name: (order.get(name, len(order)), name))
    )
    return Course(target=target, nights=tuple(nights), rows=tuple(rows))


def _same_server(one: Night, other: Night) -> bool:
    return (one.server, one.revision, one.catalogue) == (other.server, other.revision, other.catalogue)
