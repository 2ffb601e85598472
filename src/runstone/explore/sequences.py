"""Sequences that were sent: which break a promise, and the script that sends one again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from runstone.contracts import Profile
from runstone.explore.model import Finding, first_broken
from runstone.wire import curl
from runstone.wire.documents import Missing
from runstone.wire.exchange import UUID, Exchange
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
    requests = _without_repeated_readings(sequence.exchanges)
    names: dict[str, str] = {}  # id → shell variable
    lines = [
        "#!/bin/sh",
        f"# {sequence.finding.requirement}: {' '.join(sequence.finding.reason.split())[:300]}",
        "set -e",
    ]
    for number, exchange in enumerate(requests, 1):
        later = "".join(each.url + (each.request_body or "") for each in requests[number:])
        new = {
            found: path for found, path in _ids_in(exchange).items() if found in later and found not in names
        }
        told = exchange.request_body or ""
        for unknown in UUID.findall(told):
            if unknown not in names:  # made up by the sequence itself, so that two tellings do not meet
                names[unknown] = f"OWN{len(names) + 1}"
                lines.append(f"{names[unknown]}=$(python3 -c 'import uuid; print(uuid.uuid4())')")
        request = curl.line(exchange, head=False, quote=lambda word: _quoted(word, names))
        lines.append(f"ANSWER{number}=$({request})")
        lines.append(f'printf \'%s\\n\' "{number}. {exchange.method}" "$ANSWER{number}"')
        for found, path in new.items():
            names[found] = f"ID{len(names) + 1}"
            lines.append(
                f"{names[found]}=$(printf '%s' \"$ANSWER{number}\" | "
                f"python3 -c 'import json,sys; print(json.load(sys.stdin){path})')"
            )
    return "\n".join([*lines, f"# wanted otherwise: {sequence.finding.exchange.where}"]) + "\n"


def _quoted(word: str, names: dict[str, str]) -> str:
    """A word for the shell, in which known ids are variables: 'text'"$ID1"'text'."""
    if not names:
        return shlex.quote(word)
    parts = re.split("(" + "|".join(map(re.escape, names)) + ")", word)
    return "".join(f'"${names[part]}"' if part in names else shlex.quote(part) for part in parts if part)


def _without_repeated_readings(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Of readings of one thing in a row, the last: how often a status is read is a matter of time."""
    kept: list[Exchange] = []
    for exchange in exchanges:
        if kept and exchange.method == "GET" and (kept[-1].method, kept[-1].url) == ("GET", exchange.url):
            kept.pop()
        kept.append(exchange)
    return kept


def _ids_in(exchange: Exchange) -> dict[str, str]:
    """The ids in an answer, each with the Python subscripts that lead to it."""
    try:
        body = exchange.json
    except Missing:
        return {}
    found: dict[str, str] = {}
    for value, path in _texts(body, ""):
        if UUID.fullmatch(value):
            found.setdefault(value, path)
    return found


def _texts(document: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(document, str):
        yield document, path
    elif isinstance(document, list):
        for place, each in enumerate(document):
            yield from _texts(each, f"{path}[{place}]")
    elif isinstance(document, dict):
        for key, each in document.items():
            yield from _texts(each, f"{path}[{json.dumps(key)}]")
