"""Where two traces of one scenario differ, aligned so that one missing event is one difference and no more.

What a server is not responsible for never counts:

- how often a status was polled: of reads that repeat each other only the last one counts;
- the order in which exchanges were sent, and in which events of different modes or namespaces arrive:
  exchanges are paired by what they ask, events within the mode and namespace that they belong to;
- the order in which tasks of one superstep report, which run at once: tasks that start, or end, one after the
  other with nothing in between are put in the order of their names;
- the end of a stream on which the scenario hung up, and the beginning of one that it joined.

What an exchange says without ids, times and the like is in `meaning`; what is a matter of the moment in
`moments`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any, Final, TypeVar

import msgspec

from runstone.compare.meaning import Meaning, Said, meaning, outline, place, request_text
from runstone.compare.moments import Weight, ran_out_of_time, weights
from runstone.wire.canonical import ABSENT, Absent, shown
from runstone.wire.trace import Exchange, Trace, excerpt

_VALUE = 240  # characters of a value
_POLLS: Final = frozenset({"poll", "settle", "watch"})
_OPEN: Final = frozenset({"metadata", "config", "configurable", "flags"})  # to what servers add of their own
_INDEX = re.compile(r"/\d+(?=/|$)")
_T = TypeVar("_T")


class Difference(msgspec.Struct, frozen=True, kw_only=True, order=False):
    """One difference of two traces, left against right.

    `exchanges`: the keys of the two exchanges, None for one that is missing; `what`: the operation that both
    are; `events`: the numbers of the two events in their streams, None where it is no event or a side lacks
    it; `path`: a JSON pointer into the answer (`/status`, `/headers/…`, `/body/…`) or the event's data
    (`/data/…`), '' for a whole exchange or event; `left`, `right`: the values as short JSON, None for
    nothing.
    """

    exchanges: tuple[str | None, str | None]
    what: str
    event: str = ""
    events: tuple[int | None, int | None] = (None, None)
    path: str = ""
    left: str | None = None
    right: str | None = None

    @property
    def told(self) -> str:
        """`exchange 4 POST /threads/…/runs/wait, /body/log: ["s1"] against ["s1", "s2"]`."""
        return f"{self.where}: {self.left or 'nothing'} against {self.right or 'nothing'}"

    @property
    def where(self) -> str:
        """`exchange 4 POST /threads/<id>/runs/wait, event 3 (values), /data/log`."""
        numbers = [None if key is None else key.rpartition("#")[2] for key in self.exchanges]
        said = [f"exchange {_both(numbers)} {self.what}"]
        if self.event:
            said.append(f"event {_both(self.events)} ({self.event})")
        return ", ".join([*said, self.path] if self.path else said)

    @property
    def scenario(self) -> str:
        """The scenario that both exchanges are of."""
        return next((key.rpartition("#")[0] for key in self.exchanges if key), "")

    @property
    def likeness(self) -> tuple[str, ...]:
        """What it has in common with the same difference in another exchange or scenario."""
        what = self.what.partition("?")[0]
        return what, self.event, _INDEX.sub("/*", self.path), self.left or "", self.right or ""


def _both(numbers: Sequence[object]) -> str:
    known = dict.fromkeys(str(each) for each in numbers if each is not None)
    return "/".join(known)


def differences(left: Trace, right: Trace, *, by_shape: bool = False) -> list[Difference]:
    """All differences of two traces of one scenario, in the order of the exchanges; empty for none."""
    found: list[tuple[int, Difference]] = []
    ours, theirs = _by_place(left, by_shape), _by_place(right, by_shape)
    left_over, right_over = ran_out_of_time(left), ran_out_of_time(right)
    # A scenario that hung up before it saw what it waits for tries again: how often is a matter of time.
    tried_again = {
        each.part
        for trace in (left, right)
        for each in trace.exchanges
        if each.closed_by_client and each.code is None
    }
    for key in dict.fromkeys([*ours, *theirs]):
        what = f"{key[2]} {key[3]}" + (f"?{key[4]}" if key[4] else "")
        for one, other in _paired(ours.get(key, []), theirs.get(key, [])):
            if key[0] in tried_again and None in (one, other):
                continue
            if (one is None and left_over) or (other is None and right_over):
                continue
            number = (one or other).exchange.number  # type: ignore[union-attr]
            found += [(number, each) for each in _of_pair(one, other, what)]
    return [each for _, each in sorted(found, key=lambda each: each[0])]


class _Told(msgspec.Struct, frozen=True):
    """An exchange, what it says, and the same as text."""

    exchange: Exchange
    meaning: Meaning
    request: str
    text: str
    polled: bool = False  # it is the last of several reads that wanted something to change
    weight: Weight = "whole"


def _by_place(trace: Trace, by_shape: bool) -> dict[tuple[str, ...], list[_Told]]:
    found: defaultdict[tuple[str, ...], list[_Told]] = defaultdict(list)
    weight = weights(trace)
    for each, polled in _without_polls(trace):
        said = meaning(each, by_shape=by_shape)
        text = outline([said.answer, [(event.name, event.data) for event in said.events]])
        found[place(each)].append(_Told(each, said, request_text(each), text, polled, weight[each.number]))
    return found


def _without_polls(trace: Trace) -> list[tuple[Exchange, bool]]:
    """The exchanges as they were sent, each with whether it is the last of reads that repeat each other."""
    kept: list[Exchange] = []
    repeated: set[int] = set()
    later: dict[tuple[str, ...], int] = {}
    for each in sorted(trace.exchanges, key=lambda each: each.number, reverse=True):
        asked = (each.part, each.label, each.url)
        if each.method != "GET":
            later = {
                known: number
                for known, number in later.items()
                if known[0] != each.part or known[1] in _POLLS
            }
        elif asked in later:
            repeated.add(later[asked])
            continue
        elif not each.is_stream:
            later[asked] = each.number
        kept.append(each)
    return [(each, each.number in repeated) for each in reversed(kept)]


def _paired(ours: Sequence[_Told], theirs: Sequence[_Told]) -> Iterator[tuple[_Told | None, _Told | None]]:
    """Exchanges that ask the same, in their order; where one side has more, those that answer alike."""
    requests = dict.fromkeys(each.request for each in (*ours, *theirs))
    if ours and theirs and len(ours) != len(theirs) and ours[0].exchange.method == "GET":
        ours, theirs = (
            ours[-1:],
            theirs[-1:],
        )  # repeated until something was so: how often is a matter of time
    left_over: tuple[list[_Told], list[_Told]] = [], []
    for request in requests:
        one = [each for each in ours if each.request == request]
        other = [each for each in theirs if each.request == request]
        if not one or not other:
            left_over[0].extend(one)
            left_over[1].extend(other)
        elif len(one) == len(other):
            yield from _alike_first(one, other)
        else:
            yield from aligned(one, other, lambda each: each.text, lambda each: str(each.exchange.code))
    yield from aligned(*left_over, lambda each: each.text, lambda each: str(each.exchange.code))


def _alike_first(ours: Sequence[_Told], theirs: Sequence[_Told]) -> Iterator[tuple[_Told, _Told]]:
    """Requests that were the same and perhaps sent at once: which of them got which answer is chance."""
    rest = list(theirs)
    unlike = []
    for one in ours:
        other = next((each for each in rest if each.text == one.text), None)
        if other is None:
            unlike.append(one)
        else:
            rest.remove(other)
            yield one, other
    yield from zip(unlike, rest, strict=True)


def _of_pair(one: _Told | None, other: _Told | None, what: str) -> Iterator[Difference]:
    keys = (one.exchange.key if one else None, other.exchange.key if other else None)
    if one is None or other is None:
        yield Difference(exchanges=keys, what=what, left=_summary(one), right=_summary(other))
        return
    weighed = {one.weight, other.weight}
    if one.text == other.text or "nothing" in weighed:
        return
    moment = "moment" in weighed or any(each.meaning.under_way and not each.polled for each in (one, other))
    for path, left, right in document_differences(one.meaning.answer, other.meaning.answer):
        if moment and (path.startswith("/body") or _was_forgotten(one, other)):
            continue
        yield Difference(exchanges=keys, what=what, path=path, left=_value(left), right=_value(right))
    for each in () if moment else _event_differences(one.meaning, other.meaning):
        yield msgspec.structs.replace(each, exchanges=keys, what=what)


def _was_forgotten(one: _Told, other: _Told) -> bool:
    """Whether one of two reads came too late: what is removed is removed a moment later."""
    return one.exchange.method == "GET" and 404 in {one.exchange.code, other.exchange.code}


def _summary(told: _Told | None) -> str | None:
    if told is None:
        return None
    exchange = told.exchange
    return "no response" if exchange.code is None else f"{exchange.code} {excerpt(exchange.content, 80)}"


def _event_differences(one: Meaning, other: Meaning) -> Iterator[Difference]:
    ours, theirs = _by_channel(one.events), _by_channel(other.events)
    found: list[tuple[int, Difference]] = []
    for name in dict.fromkeys([*ours, *theirs]):
        mine, yours = ours.get(name, []), theirs.get(name, [])
        pairs: _Pairs = [*aligned(mine, yours, _text_of_event, _keys_of_event)]
        if one.hung_up or other.hung_up:
            pairs = _up_to_the_last_shared(pairs)
        if one.joined or other.joined:
            pairs = _up_to_the_last_shared(pairs[::-1])[::-1]
        for left, right in pairs:
            number = (left or right).number  # type: ignore[union-attr]
            found += [(number, each) for each in _of_events(left, right, name)]
    yield from (each for _, each in sorted(found, key=lambda each: each[0]))


def _of_events(one: Said | None, other: Said | None, name: str) -> Iterator[Difference]:
    numbers = (one.number if one else None, other.number if other else None)
    if one is None or other is None:
        left, right = (None if each is None else _value(each.data) for each in (one, other))
        yield Difference(exchanges=(None, None), what="", event=name, events=numbers, left=left, right=right)
        return
    for path, mine, yours in document_differences(one.data, other.data, "/data"):
        yield Difference(
            exchanges=(None, None),
            what="",
            event=name,
            events=numbers,
            path=path,
            left=_value(mine),
            right=_value(yours),
        )


_Pairs = list[tuple[Said | None, Said | None]]


def _up_to_the_last_shared(pairs: _Pairs) -> _Pairs:
    """The pairs up to the last one that says the same on both sides."""
    shared = (place for place, (one, other) in enumerate(pairs) if one and other and one.data == other.data)
    return pairs[: max(shared, default=-1) + 1]


def _by_channel(events: Sequence[Said]) -> dict[str, list[Said]]:
    """Events by mode and namespace; those of tasks of one superstep in the order of their names."""
    found: defaultdict[str, list[Said]] = defaultdict(list)
    for each in events:
        found[each.name].append(each)
    return {
        name: [
            said
            for _, stretch in groupby(each, key=_superstep)
            for said in sorted(stretch, key=lambda said: _task(said) or "")
        ]
        for name, each in found.items()
    }


def _superstep(said: Said) -> object:
    """Equal for neighbours that tell of tasks which run at once; unlike for all others."""
    data = said.data if isinstance(said.data, dict) else {}
    mode = said.name.partition("|")[0]
    if mode == "debug" and str(data.get("type", "")).startswith("task"):
        return data.get("step"), data.get("type")
    if mode == "tasks":
        return "starts" if "input" in data else "ends"
    return said.number


def _task(said: Said) -> str | None:
    data = said.data if isinstance(said.data, dict) else {}
    payload = data.get("payload", data)
    name = payload.get("name") if isinstance(payload, dict) else None
    return name if isinstance(name, str) else None


def _text_of_event(said: Said) -> str:
    return outline(said.data)


def _keys_of_event(said: Said) -> str:
    return _keys(said.data)


def _keys(document: Any) -> str:
    return ",".join(sorted(document)) if isinstance(document, dict) else type(document).__name__


def aligned(
    left: Sequence[_T], right: Sequence[_T], exact: Callable[[_T], str], rough: Callable[[_T], str]
) -> Iterator[tuple[_T | None, _T | None]]:
    """Both sequences side by side, None where one lacks an item.

    Items whose `exact` texts agree are partners; between them those whose `rough` texts agree, in their
    order.
    """
    for mine, yours in _blocks(left, right, exact):
        if len(mine) == len(yours):
            yield from zip(mine, yours, strict=True)
            continue
        for ours, theirs in _blocks(mine, yours, rough):
            shared = min(len(ours), len(theirs))
            yield from zip(ours[:shared], theirs[:shared], strict=True)
            yield from ((each, None) for each in ours[shared:])
            yield from ((None, each) for each in theirs[shared:])


def _blocks(
    left: Sequence[_T], right: Sequence[_T], text: Callable[[_T], str]
) -> Iterator[tuple[Sequence[_T], Sequence[_T]]]:
    ours, theirs = [text(each) for each in left], [text(each) for each in right]
    for _, i1, i2, j1, j2 in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        yield left[i1:i2], right[j1:j2]


def document_differences(left: Any, right: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every place where two canonical documents differ, with both values; ABSENT for nothing.

    Arrays are aligned: an item that one side lacks is one difference.
    """
    if isinstance(left, dict) and isinstance(right, dict):
        shared = path.rpartition("/")[2] in _OPEN
        for key in [*left, *(key for key in right if key not in left)]:
            if shared and not (key in left and key in right):
                continue
            step = f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
            yield from document_differences(left.get(key, ABSENT), right.get(key, ABSENT), step)
    elif isinstance(left, list) and isinstance(right, list):
        places = aligned(
            list(enumerate(left)),
            list(enumerate(right)),
            lambda each: outline(each[1]),
            lambda each: _keys(each[1]),
        )
        for mine, yours in places:
            index = (mine or yours)[0]  # type: ignore[index]
            here, there = (ABSENT if each is None else each[1] for each in (mine, yours))
            yield from document_differences(here, there, f"{path}/{index}")
    elif isinstance(left, bool) is not isinstance(right, bool) or left != right:
        yield path, left, right


def _value(value: Any) -> str | None:
    return None if isinstance(value, Absent) else shown(value, _VALUE)
