"""What a worker counts: little, however many runs there are."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

import msgspec
from hdrh.histogram import HdrHistogram

from runstone.load.invariants import Finding, Judged
from runstone.load.messages import Tested
from runstone.load.model import Counts, Kind
from runstone.load.tokens import Bag

_MOST_REASONS: Final = 40  # of each sort; further ones are counted together
_OTHERS: Final = "others"
_LONGEST_US: Final = 3_600_000_000


class Histogram:
    """Seconds, kept as microseconds with three digits."""

    def __init__(self, encoded: str = "") -> None:
        self._hdr = HdrHistogram(1, _LONGEST_US, 3)
        if encoded:
            self.add(encoded)

    def record(self, seconds: float) -> None:
        """One more."""
        self._hdr.record_value(min(_LONGEST_US, max(1, round(seconds * 1e6))))

    def add(self, encoded: str) -> None:
        """All of another one."""
        self._hdr.decode_and_add(encoded)

    def encoded(self) -> str:
        """As text: HdrHistogram version 2, compressed, base64."""
        text: bytes = self._hdr.encode()
        return text.decode("ascii")

    def taken(self) -> str:
        """As text, and empty from now on."""
        text = self.encoded()
        self._hdr.reset()
        return text

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._hdr.get_total_count())

    def ms(self, percentile: float) -> float:
        """Milliseconds at this percentile; 0 where there is none."""
        return round(self._hdr.get_value_at_percentile(percentile) / 1e3, 3) if self.count else 0.0


class Reasons:
    """Reason → how often, with room for so many different ones."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def note(self, reason: str) -> None:
        """Once more."""
        known = reason in self.counts or len(self.counts) < _MOST_REASONS
        self.counts[reason if known else _OTHERS] += 1


class Counting:
    """The counters of one worker."""

    def __init__(self, session: str) -> None:
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.issued = Bag(session)
        self.settled = Bag(session)
        self.tested: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.why: defaultdict[str, Reasons] = defaultdict(Reasons)
        self.errors = Reasons()
        self.latencies: defaultdict[str, Histogram] = defaultdict(Histogram)
        self.throttled: Counter[str] = Counter()
        self.throttled_s = 0.0

    def note(self, kind: Kind, judged: Judged) -> None:
        """A start that was judged, and that nothing more can be learnt of."""
        of_kind = self.counts[kind]
        for token, pile in judged.piles.items():
            of_kind["issued"] += 1
            of_kind[pile] += 1
            self.issued.add(token)
            if pile != "unknown":
                self.settled.add(token)
        for each in judged.findings:
            self.note_finding(each)

    def note_finding(self, found: Finding) -> None:
        """One thing looked at."""
        self.tested[found.id][found.verdict] += 1
        if found.verdict == "not-tested":
            self.why[found.id].note(found.reason)

    def counts_by_kind(self) -> dict[str, Counts]:
        """As they are told."""
        return {kind: msgspec.convert(dict(counts), Counts) for kind, counts in self.counts.items()}

    def tested_by_id(self) -> dict[str, Tested]:
        """As they are told."""
        return {
            name: Tested(
                kept=counts["kept"],
                broken=counts["broken"],
                not_tested=counts["not-tested"],
                why=dict(self.why[name].counts),
            )
            for name, counts in self.tested.items()
        }
