"""What is wrong with an answer whatever it is about, and what judges tell in several ways, in one.

Judges that read one defect for different ends tell it by what they wanted to see. Here stands what it is: an
answer that was cut off is that, whichever of its members was missed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from runstone.contracts import operation_for, stream_grammar
from runstone.wire.causes import CLOSED, CUT, RESET
from runstone.wire.documents import raw
from runstone.wire.exchange import Exchange

SHORT: Final = "a list in it ends too early"
LONG: Final = "a list in it holds more than wanted"
REFUSED_BY_2XX: Final = "it is refused, but by a 2xx with an error in the body"
STILL_SHOWN: Final = "the run still shows"  # with a status that is not an end
OTHER_ID: Final = "what it makes has another id than the one that was asked for"

_LACKING: Final = re.compile(r"item (?!1 )\d+ of \S+( \S+)? is missing, wanted ")
_BEYOND: Final = re.compile(r"item \d+ of .*, wanted none$", re.DOTALL)
_LISTS: Final = re.compile(r"wanted (\[.*\]), got (\[.*\])", re.DOTALL)
_COUNTS: Final = re.compile(r"wanted (\d\d?)(?: \w+)?, got (\d\d?)")  # an HTTP status has three digits
_CONSTRUCTOR: Final = re.compile(r'"lc": ?1, ?"type": ?"constructor"')  # how LangChain stores a message
# How a status is told that is not an end, with what was wanted.
_UNENDED: Final = re.compile(r'"(?:pending|running)"')
_UNDER_WAY: Final = re.compile(r'(.*)(?:got|says|still shows) "?(pending|running)"?\)?$', re.DOTALL)
_IN_CHUNKS: Final = frozenset({"messages", "messages/partial", "events"})  # of which equal ones may follow
# What a reason tells to have been found where something else was wanted, or to have come twice.
_FOUND: Final = re.compile(r" is (.+?), wanted |an event '(.+?)' twice", re.DOTALL)
_QUOTED: Final = re.compile(r"'([^']*)'")
_WORD: Final = re.compile(r"\w+")
_ERROR_BODY: Final = re.compile(r'\s*\{\s*"(?:__error__|error)"')


@dataclass(frozen=True, slots=True)
class Symptom:
    """A defect that any answer may have: how it is called, and the requirement that names it, if any.

    `found`: whether an answer has it, or what of it has. `is_told`: whether a reason speaks of just that.
    """

    reason: str
    requirement: str
    found: Callable[[Exchange], bool | Collection[str]]
    is_told: Callable[[Any, str], bool] = lambda *_: True


def _cut(exchange: Exchange) -> bool:
    return exchange.code is not None and (exchange.failure or "").startswith((RESET, CUT, CLOSED))


def _unnamed(exchange: Exchange) -> bool:
    return any(not event.event for event in exchange.events)


def _constructed(exchange: Exchange) -> bool:
    sent = _CONSTRUCTOR.search(exchange.request_body or "")
    return sent is None and _CONSTRUCTOR.search(exchange.content) is not None


def _echoed(exchange: Exchange) -> bool:
    if exchange.code != 200 or not exchange.path.endswith("/runs/wait"):
        return False
    asked = raw(exchange.request_json)
    sent = asked.get("input") if isinstance(asked, dict) else None
    try:
        return bool(sent) and json.loads(exchange.content) == sent
    except ValueError:
        return False


def _unasked(exchange: Exchange) -> Collection[str]:
    """The events of no mode that a run was asked to be streamed in, as its own stream carries them."""
    grammar, asked = stream_grammar(), raw(exchange.request_json)
    if not isinstance(asked, dict) or "assistant_id" not in asked:
        return ()
    modes = asked.get("stream_mode") or "values"
    modes = modes if isinstance(modes, list) else [modes]
    if not set(map(str, modes)) <= set(grammar.modes):
        return ()
    names = {event.event for event in exchange.events} - grammar.unrequested.keys()
    return {name for name in names if not grammar.is_allowed(name, modes, subgraphs=True)}


def _names_one(names: Collection[str], reason: str) -> bool:
    said = _QUOTED.sub(r'"\1"', reason.partition(", wanted ")[0])
    return any(f'"{name}"' in said for name in names)


def _repeated(exchange: Exchange) -> Collection[str]:
    return [
        f"{first.event} {first.data}"
        for first, second in pairwise(exchange.events)
        if (first.event, first.data) == (second.event, second.data) and first.mode not in _IN_CHUNKS
    ]


def _stands_in_one(events: Collection[str], reason: str) -> bool:
    """Whether what the reason found where something else was wanted stands in one of these events."""
    found = _FOUND.search(reason)
    words = set(_WORD.findall(found[1] or found[2])) if found else set()
    return bool(words) and any(words <= set(_WORD.findall(each)) for each in events)


_OF_ANY: Final = (
    Symptom("its connection is closed before the answer is complete", "MON-009", _cut),
    Symptom("an event of it has no name", "SSE-003", _unnamed),
    Symptom("a message in it has the form of its constructor", "TURN-005", _constructed),
    Symptom(
        "it answers with the input that it was sent, as if nothing had been run", "RUN-WAIT-001", _echoed
    ),
    Symptom("an event of it is of a mode that was not asked for", "MODE-MULTI-001", _unasked, _names_one),
    Symptom("an event of it is sent twice", "", _repeated, _stands_in_one),  # each mode has its own promise
)
OF_ANY: Final = frozenset(each.reason for each in _OF_ANY)
NAMED_BY: Final = {
    **{each.reason: each.requirement for each in _OF_ANY},
    **dict.fromkeys((f"{STILL_SHOWN} pending", f"{STILL_SHOWN} running"), "RETR-008"),
}


def of_any(exchange: Exchange, reason: str) -> str | None:
    """What is wrong with this answer, and may be so with any other; None where the reason tells of else."""
    return next(
        (each.reason for each in _OF_ANY if (had := each.found(exchange)) and each.is_told(had, reason)), None
    )


def is_in(exchange: Exchange | None, reason: str) -> bool:
    """Whether an answer has what is called so and may be wrong with any, told of it or not."""
    return exchange is not None and any(each.reason == reason and each.found(exchange) for each in _OF_ANY)


def tells_an_error(exchange: Exchange) -> bool:
    """Whether a 2xx tells of nothing but an error, as an object or as the first event."""
    if exchange.code is None or not 200 <= exchange.code < 300:
        return False
    if exchange.events:
        return exchange.events[0].event == "error"
    return _ERROR_BODY.match(exchange.content) is not None


def under_way(exchange: Exchange, reason: str) -> str:
    """The status of a run that should have ended, where the reason tells of one by this answer; else ''."""
    operation = operation_for(exchange.method, exchange.path)
    seen = _UNDER_WAY.search(reason)
    if seen is None or operation is None or operation.schema != "run" or _UNENDED.search(seen[1]):
        return ""
    return seen[2]


def of_a_list(reason: str) -> str | None:
    """SHORT or LONG, for a reason that tells of a list whose beginning is as wanted; else None.

    An empty list is neither: nothing of what was wanted is there.
    """
    if _LACKING.match(reason):
        return SHORT
    if _BEYOND.match(reason):
        return LONG
    if counts := _COUNTS.fullmatch(reason):
        wanted, got = int(counts[1]), int(counts[2])
        return (SHORT if got < wanted else LONG) if got else None
    lists = _LISTS.fullmatch(reason)
    if lists is None:
        return None
    whole, here = _list(lists[1]), _list(lists[2])
    if not here or not whole:
        return None
    if here == whole[: len(here)]:
        return SHORT
    return LONG if whole == here[: len(whole)] else None


def _list(text: str) -> list[Any]:
    """A list as a reason shows it; an empty one where it is too long to be shown whole."""
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return found if isinstance(found, list) else []
