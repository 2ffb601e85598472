"""What the checks of a proof show together: fault by requirement, and what is missing in it. Pure functions.

Schema of the whole: contracts/schemas/kill-matrix.json.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec

from runstone.contracts import LEVELS, Level
from runstone.proof.conversations.outcome import Conversation

Effect = Literal["fail", "warn", "not-testable", "harness-error"]

BROKEN: Final = frozenset({"fail", "warn"})  # a bare not-testable is not a catch: the judge did not judge
HIT: Final = frozenset(get_args(Effect))
COARSE: Final = 0.6  # a fault that hits more of what it does not name breaks no one promise
JUDGED: Final = frozenset({"pass", *HIT})
_NAMED: Final = 5  # requirements that a shortcoming names


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement that a server does not keep: a cell of the matrix that is not empty."""

    id: str
    verdict: Effect
    reason: str


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement that a fault names and that did not fail, with what was seen instead."""

    id: str
    why: str


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault and what it broke. `breaks`: what it names; `missed`: which of these did not fall, and why.

    `hits`: all that fell, in the catalogue's order, of `judged` requirements. `trouble`: why there are no
    verdicts. `tries`: 2 where it was checked once more, alone; `first_try`: why.
    """

    name: str
    statement: str
    server: str
    breaks: tuple[str, ...]
    missed: tuple[Missed, ...]
    hits: tuple[Hit, ...]
    judged: int
    tries: int
    coarse: bool
    trouble: str
    first_try: str = ""

    @property
    def caught(self) -> bool:
        """Whether every requirement that it names has failed."""
        return not self.shortcoming

    @property
    def shortcoming(self) -> str:
        """What of the fault was not seen; empty where it was caught."""
        return self.trouble or "; ".join(f"{each.id}: {each.why}" for each in self.missed)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement, and the faults that make it fail. `unjudged`: why no server of the proof can show it."""

    id: str
    level: Level
    area: str
    statement: str
    killed_by: tuple[str, ...]
    unjudged: str


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """What a correct server may do otherwise."""

    name: str
    statement: str


class VariedServer(msgspec.Struct, frozen=True, kw_only=True):
    """A correct server with some variants. `broken`: MUSTs not kept; `left`: SHOULDs and MAYs.

    `tries`, `first_try`: as of a fault.
    """

    variants: tuple[Variant, ...]
    kept: int
    broken: tuple[Hit, ...]
    left: tuple[Hit, ...]
    tries: int
    trouble: str
    first_try: str = ""

    @property
    def name(self) -> str:
        """What it does otherwise."""
        return named(each.name for each in self.variants)

    @property
    def green(self) -> bool:
        """Whether every MUST is kept, and something is."""
        return not self.shortcoming

    @property
    def shortcoming(self) -> str:
        """The MUSTs that it loses; empty where it is green."""
        return self.trouble or _told(self.broken) or ("" if self.kept else "nothing is kept")


class Null(msgspec.Struct, frozen=True, kw_only=True):
    """A null server: what passes on it, with the self-check and without. Nothing should.

    `first_try`: why it was checked once more, alone; never for a pass, of which one is too many.
    """

    name: str
    passes: tuple[str, ...]
    passes_unchecked: tuple[str, ...]
    judged_unchecked: int  # requirements that were looked at although the self-check would have refused
    trouble: str
    first_try: str = ""

    @property
    def empty_handed(self) -> bool:
        """Whether it earned no pass."""
        return not self.passes and not self.passes_unchecked and not self.trouble


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe's unbroken server, or the desk of conversations: all that is said of faults rests on it.

    `first_try`: why it was checked once more, alone.
    """

    server: str
    kept: int
    hits: tuple[Hit, ...]
    trouble: str
    first_try: str = ""

    @property
    def sound(self) -> bool:
        """Whether it keeps all that was judged, so that what a fault breaks is the fault's doing."""
        return not self.shortcoming

    @property
    def shortcoming(self) -> str:
        """What it does not keep; empty where it is sound."""
        return self.trouble or _told(self.hits) or ("" if self.kept else "nothing is kept")


class Share(msgspec.Struct, frozen=True):
    """So many of so many came out as they should."""

    good: int
    of: int


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """A whole proof. `complete`: all faults, variants and null servers were in it. `twins`: of one effect.

    `narrow`: of each fault only what it names was judged, so that nothing is known of twins, and of
    variants only what is a MUST.
    `totals`: `faults` (caught), MUST, SHOULD and MAY (killed), `variants` (green), `null_servers` (no pass),
    `conversations` (caught).
    """

    runstone: str
    date: str
    complete: bool
    narrow: bool
    proved: bool
    totals: dict[str, Share]
    baselines: tuple[Baseline, ...]
    faults: tuple[Fault, ...]
    requirements: tuple[Judged, ...]
    twins: tuple[tuple[str, ...], ...]
    varied_servers: tuple[VariedServer, ...]
    null_servers: tuple[Null, ...]
    conversations: tuple[Conversation, ...] = ()

    @property
    def uncaught(self) -> list[Fault]:
        """The faults of which a requirement that they name did not fail."""
        return [each for each in self.faults if not each.caught]

    @property
    def survivors(self) -> list[Judged]:
        """The MUST and SHOULD requirements that no fault makes fail."""
        return [each for each in self.requirements if each.level != "MAY" and not each.killed_by]

    @property
    def harness_errors(self) -> list[str]:
        """Where Runstone itself broke: `fault: ID`."""
        told = [(each.name, each.hits) for each in self.faults]
        told += [(each.name, each.broken + each.left) for each in self.varied_servers]
        told += [(each.server, each.hits) for each in self.baselines]
        return [f"{name}: {hit.id}" for name, hits in told for hit in hits if hit.verdict == "harness-error"]


def named(variants: Iterable[str]) -> str:
    """The name of the server that has these variants."""
    return "+".join(variants)


def _told(hits: Sequence[Hit]) -> str:
    """The first of them, each with its reason."""
    told = [f"{hit.id} {hit.verdict}: {hit.reason}" for hit in hits[:_NAMED]]
    return "; ".join([*told, *([f"and {len(hits) - _NAMED} more"] if len(hits) > _NAMED else [])])


def twins_of(faults: Iterable[Fault]) -> tuple[tuple[str, ...], ...]:
    """The faults that make the same requirements fall in the same way, on the same server."""
    alike: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for fault in faults:
        if fault.hits:
            alike[(fault.server, *((hit.id, hit.verdict) for hit in fault.hits))].append(fault.name)
    return tuple(tuple(names) for names in alike.values() if len(names) > 1)


def in_order(faults: Iterable[Fault], catalogue: Mapping[str, object]) -> tuple[Fault, ...]:
    """By the place in the catalogue of the promise that each names first, then by name."""
    places = {id: place for place, id in enumerate(catalogue)}  # noqa: A001 - the catalogue's own name
    last = len(places)
    return tuple(
        sorted(
            faults, key=lambda each: (places.get(each.breaks[0], last) if each.breaks else last, each.name)
        )
    )


def assembled(
    version: str,
    date: str,
    *,
    complete: bool,
    narrow: bool,
    baselines: Sequence[Baseline],
    faults: Sequence[Fault],
    requirements: Sequence[Judged],
    varied_servers: Sequence[VariedServer],
    null_servers: Sequence[Null],
    conversations: Sequence[Conversation] = (),
) -> Matrix:
    """The whole, and whether it proves what it is to prove.

    A partial proof asks only what it was made for: that its faults are caught and its variants green.
    """
    found = Matrix(
        runstone=version,
        date=date,
        complete=complete,
        narrow=narrow,
        proved=False,
        totals={
            "faults": _share(each.caught for each in faults),
            **{
                level: _share(bool(each.killed_by) for each in requirements if each.level == level)
                for level in LEVELS
            },
            "variants": _share(each.green for each in varied_servers for _ in each.variants),
            "null_servers": _share(each.empty_handed for each in null_servers),
            "conversations": _share(each.caught for each in conversations),
        },
        baselines=tuple(baselines),
        faults=tuple(faults),
        requirements=tuple(requirements),
        twins=() if narrow else twins_of(faults),
        varied_servers=tuple(varied_servers),
        null_servers=tuple(null_servers),
        conversations=tuple(conversations),
    )
    proved = (
        all(each.sound for each in baselines)
        and not found.uncaught
        and not found.harness_errors
        and all(each.green for each in varied_servers)
        and all(each.empty_handed for each in null_servers)
        and all(each.caught for each in conversations)
        and not (complete and found.survivors)
    )
    return msgspec.structs.replace(found, proved=proved)


def _share(good: Iterable[bool]) -> Share:
    found = list(good)
    return Share(sum(found), len(found))
