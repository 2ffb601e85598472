"""history.jsonl: a line for each night and target, each whole in itself, in any order.

Lines are only ever added, so that two branches of a file merge by taking the lines of both (`merge=union` in
.gitattributes). Who reads it sorts them, and takes a line that stands there twice once. Schema of a line:
contracts/schemas/history.json.
"""

from __future__ import annotations

import datetime as dt
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Literal

import msgspec

from runstone.contracts import LEVELS, Level
from runstone.errors import UsageError
from runstone.report import digest
from runstone.report.text import shortened, well_formed
from runstone.verdict.model import JUDGED, Outcome, Report, Verdict

Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]

# Characters: a line of a server that breaks 330 promises is then 46 kB, that of a good one 6 kB.
_REASON: Final = 160
_CLOCK_S: Final = 300  # by which the clocks of two machines may differ
_UNEXPLAINED: Final[frozenset[Outcome]] = frozenset({"pass", "not-applicable", "not-run"})


class MalformedHistory(UsageError):  # noqa: N818 - named as what it reports
    """The file cannot be read, or one of its lines is not valid; the message names the line."""


class TwoTargets(UsageError):  # noqa: N818
    """Two lines claim the same target at the same time."""


class WrongClock(UsageError):  # noqa: N818
    """A report is of a time that has not come yet, or older than what is in the history."""


class RecordedCause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What many requirements broke for; `must` and `should` count those that did."""

    id: str
    operation: str
    answer: str
    reason: str
    must: int
    should: int


class Night(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check of one target: what its report said, as a line keeps it.

    `night`: when the observation began. `exit_code`: that of the check. `verdicts`: level → verdict → ids.
    `reasons`: id → why it was not kept, shortened. `catalogue`: its SHA-256; '' where the report names none.
    """

    history: Literal[1] = 1  # the version of the format
    target: Annotated[str, msgspec.Meta(min_length=1)]
    night: Moment
    server: str
    runstone: str
    profile: str
    revision: str
    catalogue: str
    quick: bool
    fail_on: Literal["must", "should"]
    exit_code: int
    stopped: str | None
    duration_s: Annotated[float, msgspec.Meta(ge=0)]
    observe_s: Annotated[float, msgspec.Meta(ge=0)]
    verdicts: dict[Level, dict[Outcome, tuple[str, ...]]]
    reasons: dict[str, str] = {}
    causes: tuple[RecordedCause, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the check ended with a verdict: conforming or not."""
        return self.exit_code in {0, 1}

    def outcomes(self) -> Iterator[tuple[str, Level, Outcome]]:
        """Each requirement with its level and verdict."""
        for level, by_outcome in self.verdicts.items():
            for outcome, ids in by_outcome.items():
                yield from ((name, level, outcome) for name in ids)

    def kept(self, level: Level) -> tuple[int, int]:
        """How many requirements of a level were kept, and of how many that apply and were run."""
        counts = {outcome: len(ids) for outcome, ids in self.verdicts.get(level, {}).items()}
        return counts.get("pass", 0), sum(counts[each] for each in counts if each in JUDGED)


def night_of(report: Report, target: str = "") -> Night:
    """The line of a report, under the report's name for its target or another. Raises MalformedHistory.

    Loads of a target are a course of their own: they judge what no check does, and nothing of what one does.
    """
    try:
        began = msgspec.convert(report.started_at, Moment)
    except msgspec.ValidationError:
        raise MalformedHistory(f"the report has no time: started_at is {report.started_at!r}") from None
    judged_by = report.judged_by
    return Night(
        target=target or f"{report.target.name}{'-load' if digest.of_load(report) else ''}",
        night=began,
        server=well_formed(report.target.server) or "unknown",
        runstone=report.runstone,
        profile=report.profile,
        revision=digest.revision(report),
        catalogue=judged_by.catalogue if judged_by else "",
        quick=report.quick,
        fail_on=report.fail_on,
        exit_code=report.exit_code,
        stopped=well_formed(report.stopped) if report.stopped else None,
        duration_s=report.duration_s,
        observe_s=report.phases.observe_s,
        verdicts={level: _ids([each for each in report.verdicts if each.level == level]) for level in LEVELS},
        reasons={
            each.id: _short(digest.reasons(each))
            for each in report.verdicts
            if each.verdict not in _UNEXPLAINED
        },
        causes=_causes(report),
    )


def add(night: Night, path: Path, *, now: dt.datetime, backfill: bool = False) -> bool:
    """Add a line for a night; False where the very same is there already. The file need not exist.

    `backfill`: the night may be older than the newest of its target. Raises MalformedHistory, TwoTargets and
    WrongClock, and then leaves the file as it was.
    """
    _demand_past(night, now, "the report")
    try:
        known = read(path, now=now).get(night.target, []) if path.exists() else []
        if night in known:
            return False
        if not backfill:
            _demand_newer(night, known)
        _demand_one_target([*known, night], {})
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            _append(file, msgspec.json.encode(night) + b"\n")
    except OSError as error:
        raise MalformedHistory(f"cannot write {path}: {error.strerror or error}") from None
    return True


def read(path: Path, *, now: dt.datetime) -> dict[str, list[Night]]:
    """The nights of each target by its name, the oldest first. Raises MalformedHistory and the other two."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise MalformedHistory(f"cannot read {path}: {error.strerror or error}") from None
    nights: dict[str, list[Night]] = {}
    places: dict[str, dict[dt.datetime, str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{path} line {number}"
        night = _decoded(line, place)
        _demand_past(night, now, place)
        known = nights.setdefault(night.target, [])
        if night not in known:
            known.append(night)
            of_target = places.setdefault(night.target, {})
            also = of_target.get(night.night)
            of_target[night.night] = f"{also} and line {number}" if also else place
    for target, known in nights.items():
        known.sort(key=lambda each: each.night)
        _demand_one_target(known, places[target])
    return dict(sorted(nights.items()))


def _decoded(line: bytes, place: str) -> Night:
    if line.startswith((b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")):
        raise MalformedHistory(
            f"{place} is a mark of a merge that git left: keep the lines of both sides, in any order"
        )
    try:
        night = msgspec.json.decode(line, type=Night)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise MalformedHistory(f"{place} is not valid: {error}; remove it, or restore what it was") from None
    ids = [name for name, _, _ in night.outcomes()]
    if len(ids) != len(set(ids)):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise MalformedHistory(f"{place} is not valid: it names {twice} twice; remove it")
    return night


def _demand_past(night: Night, now: dt.datetime, what: str) -> None:
    if night.night > now + dt.timedelta(seconds=_CLOCK_S):
        raise WrongClock(
            f"{what} is of {_shown(night.night)}, and it is {_shown(now)}: the clock of one of two machines "
            "is wrong; set it, and remove what it wrote"
        )


def _demand_newer(night: Night, known: Sequence[Night]) -> None:
    newest = max((each.night for each in known), default=night.night)
    if night.night < newest:
        raise WrongClock(
            f"the report of {night.target} is of {_shown(night.night)}, and the history has one of "
            f"{_shown(newest)}: did a clock go backwards? add older reports with --backfill"
        )


def _demand_one_target(known: Sequence[Night], places: Mapping[dt.datetime, str]) -> None:
    """No two observations of one name overlap: nobody checks one server twice at a time."""
    for before, after in pairwise(sorted(known, key=lambda each: each.night)):
        apart = (after.night - before.night).total_seconds()
        place = places.get(after.night, "the report")
        own = "give each target a name of its own: runstone history add --target NAME"
        if apart == 0:
            raise TwoTargets(
                f"{place}: two reports of {after.target} at {_shown(after.night)} differ: two targets of one "
                f"name, or one observation judged twice? {own}"
            )
        if apart < before.observe_s:
            raise TwoTargets(
                f"{place}: {after.target} was observed at {_shown(after.night)}, while its check of "
                f"{_shown(before.night)} went on: two targets of one name? {own}"
            )


def _append(file: BinaryIO, line: bytes) -> None:
    """Add a line, below a last one that somebody left without its end, by one write."""
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
        line = line if file.read(1) == b"\n" else b"\n" + line
    file.write(line)


def _ids(verdicts: Sequence[Verdict]) -> dict[Outcome, tuple[str, ...]]:
    by_outcome: defaultdict[Outcome, list[str]] = defaultdict(list)
    for each in verdicts:
        by_outcome[each.verdict].append(each.id)
    return {outcome: tuple(sorted(by_outcome[outcome])) for outcome in sorted(by_outcome)}


def _causes(report: Report) -> tuple[RecordedCause, ...]:
    return tuple(
        RecordedCause(
            id=each.id,
            operation=each.operation,
            answer=_short(each.answer),
            reason=_short(each.reason),
            must=each.must,
            should=each.should,
        )
        for each in report.causes
    )


def _short(text: str) -> str:
    return shortened(well_formed(" ".join(text.split())), _REASON)


def _shown(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
