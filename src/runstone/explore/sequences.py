"""Sequences that were sent: which break a promise, and the script that sends one again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runstone.contracts import Profile
from runstone.explore.model import Finding, first_broken
from runstone.wire.exchange import Exchange
from runstone.wire.script import script_of
from runstone.wire.trace import Trace


@dataclass(frozen=True, slots=True)
class BrokenSequence:
    """The exchanges up to the one that breaks a promise."""

    exchanges: tuple[Exchange, ...]
    finding: Finding


def sequences_of(trace: Trace) -> list[tuple[Exchange, ...]]:
    """The exchanges of each sequence, in the order in which the sequences were sent."""
    told: dict[str, list[Exchange]] = {}
    for exchange in trace.exchanges:
        if exchange.part:
            told.setdefault(exchange.part, []).append(exchange)
    return [tuple(each) for each in told.values()]


def broken_sequences(
    sequences: Sequence[Sequence[Exchange]], profile: Profile, settle_s: float
) -> list[BrokenSequence]:
    """Those that break a promise, the shortest first."""
    found = []
    for sequence in sequences:
        finding = first_broken(sequence, profile, settle_s)
        if finding is not None:
            until = [each for each in sequence if each.number <= finding.exchange.number]
            found.append(BrokenSequence(tuple(until), finding))
    return sorted(found, key=lambda each: (_requests(each), each.exchanges[0].number))


def _requests(sequence: BrokenSequence) -> int:
    """How many requests it takes to tell it again: of readings that were repeated, one."""
    return len(_without_repeated_readings(sequence.exchanges))


def script(sequence: BrokenSequence) -> str:
    """A shell script that sends the sequence again; each id is taken from the answer that it came in."""
    lines = [
        "#!/bin/sh",
        f"# {sequence.finding.requirement}: {' '.join(sequence.finding.reason.split())[:300]}",
        "set -e",
        *script_of(_without_repeated_readings(sequence.exchanges), telling=True),
        f"# wanted otherwise: {sequence.finding.exchange.where}",
    ]
    return "\n".join(lines) + "\n"


def _without_repeated_readings(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Of readings of one thing in a row, the last: how often a status is read is a matter of time."""
    kept: list[Exchange] = []
    for exchange in exchanges:
        if kept and exchange.method == "GET" and (kept[-1].method, kept[-1].url) == ("GET", exchange.url):
            kept.pop()
        kept.append(exchange)
    return kept
