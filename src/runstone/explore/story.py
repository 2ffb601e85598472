"""Stories that were told: which break a promise, and the script that tells one again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runstone.contracts import Profile
from runstone.explore.model import Finding, first_broken
from runstone.wire.exchange import Exchange
from runstone.wire.script import script_of
from runstone.wire.trace import Trace


@dataclass(frozen=True, slots=True)
class BrokenStory:
    """The exchanges up to the one that breaks a promise."""

    exchanges: tuple[Exchange, ...]
    finding: Finding


def stories_of(trace: Trace) -> list[tuple[Exchange, ...]]:
    """The exchanges of each story, in the order in which the stories were told."""
    told: dict[str, list[Exchange]] = {}
    for exchange in trace.exchanges:
        if exchange.part:
            told.setdefault(exchange.part, []).append(exchange)
    return [tuple(each) for each in told.values()]


def broken_stories(
    stories: Sequence[Sequence[Exchange]], profile: Profile, settle_s: float
) -> list[BrokenStory]:
    """Those that break a promise, the shortest first."""
    found = []
    for story in stories:
        finding = first_broken(story, profile, settle_s)
        if finding is not None:
            until = [each for each in story if each.number <= finding.exchange.number]
            found.append(BrokenStory(tuple(until), finding))
    return sorted(found, key=lambda each: (_requests(each), each.exchanges[0].number))


def _requests(story: BrokenStory) -> int:
    """How many requests it takes to tell it again: of readings that were repeated, one."""
    return len(_without_repeated_readings(story.exchanges))


def script(story: BrokenStory) -> str:
    """A shell script that tells the story again; each id is taken from the answer that it came in."""
    lines = [
        "#!/bin/sh",
        f"# {story.finding.requirement}: {' '.join(story.finding.reason.split())[:300]}",
        "set -e",
        *script_of(_without_repeated_readings(story.exchanges), telling=True),
        f"# wanted otherwise: {story.finding.exchange.where}",
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
