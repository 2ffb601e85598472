"""What a conversation's trace holds beside its exchanges, so that it can be judged with nothing else at hand.

conversation.plan                      every case that was to be played, once (note `cases`)
conversation.NAME.CASE.ENTRY.REPEAT    one conversation: a part for each turn, and the notes below
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from runstone.conversations.questions import Answer, Model
from runstone.conversations.reading import PREFIX, Case, settled
from runstone.conversations.seen import Seen, seen, values_in
from runstone.conversations.variables import UNIQUE
from runstone.errors import UsageError
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace

PLAN: Final = f"{PREFIX}plan"
SETUP: Final = "setup"  # the part in which what is there before the first turn is put there


class NoScenarios(UsageError):  # noqa: N818 - a diagnosis, named for what it says
    """There is no conversation in the evidence."""


class Played(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One turn as it was played: on which thread, and what the agent was told."""

    thread: str
    said: Any
    way: str


class Notes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The notes of a conversation's trace.

    `digest`: of its case. `unique`: what stood for the variable. `model`: who judged and played the user.
    `broken`: why the harness itself, or the model that played the user, could not go on.
    """

    digest: str
    repeat: int
    unique: str = ""
    model: Model | None = None
    answers: dict[str, Answer] = {}
    turns: tuple[Played, ...] = ()
    whole: bool = False  # it was played to its end
    broken: str = ""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation as it was recorded, with the case that it is of."""

    case: Case
    trace: Trace
    notes: Notes

    @property
    def turns(self) -> list[Seen]:
        """What each turn that was played shows."""
        return turns_seen(self.notes.turns, self.trace.exchanges)


def part_of(number: int) -> str:
    """The part of a trace with the n-th turn, from 1."""
    return f"turn-{number}"


def turns_seen(played: Sequence[Played], exchanges: Iterable[Exchange]) -> list[Seen]:
    """What these turns show; each one adds to what was on its thread before."""
    parts: dict[str, list[Exchange]] = {}
    for each in exchanges:
        parts.setdefault(each.part, []).append(each)
    first = values_in(parts.get(SETUP, ()))
    before: dict[str, Any] = {}
    found = []
    for number, turn in enumerate(played, 1):
        own = parts.get(part_of(number), [])
        found.append(seen(own, before.get(turn.thread, first if turn.thread == "main" else None)))
        values = values_in(own)
        before[turn.thread] = found[-1].values if values is None else values
    return found


def plan(cases: Sequence[Case]) -> Trace:
    """The trace that tells what was to be played."""
    return Trace(scenario=PLAN, notes={"cases": msgspec.to_builtins(list(cases))})


def planned(traces: Mapping[str, Trace]) -> list[Case]:
    """The cases that were to be played. Raises NoScenarios."""
    if PLAN not in traces:
        raise NoScenarios(
            "there are no acceptance scenarios in the evidence; `runstone scenarios run` records them"
        )
    try:
        return msgspec.convert(traces[PLAN].notes.get("cases"), list[Case])
    except msgspec.ValidationError as error:
        raise NoScenarios(f"the plan of the scenarios is of another version of Runstone: {error}") from None


def recorded(case: Case, repeat: int, traces: Mapping[str, Trace]) -> Conversation | None:
    """The conversation of a case's repeat; None where it was not played, or broken off."""
    trace = traces.get(case.trace(repeat))
    if trace is None or trace.cut_short or "conversation" not in trace.notes:
        return None
    notes = msgspec.convert(trace.notes["conversation"], Notes)
    return Conversation(case=at_play(case, notes.unique), trace=trace, notes=notes)


def at_play(case: Case, unique: str) -> Case:
    """The case with what stands for `{{unique}}` in it."""
    return settled(case, {UNIQUE: unique}) if unique else case
