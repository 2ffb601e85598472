"""Where two traces of one scenario differ, aligned so that one missing event is one difference and no more.

What a server is not responsible for never counts:

- how often something was read until it was so: of reads that wait for a change only the last one counts;
- the order in which exchanges were sent, and in which events of different modes or namespaces arrive:
  exchanges are paired by what they ask and what they are answered, events within their mode and namespace;
- the order in which tasks of one superstep report, which run at once;
- the end of a stream on which the scenario hung up, and the beginning of one that it joined;
- members of `metadata`, `config`, `configurable` and `flags` that only one side has, which servers add as
  they like.

What follows from a difference is not told again: of a request that one server accepts and the other refuses
only the status; where one answers with a stream, JSON, text or nothing and the other with another of them,
only the media type. What an exchange says without ids, times and the like is in `answers`; what is a matter
of the moment in `moments`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Final, Literal, NamedTuple

import msgspec

from runstone.compare.answers import Answer, Document, answer, outline
from runstone.compare.moments import ran_out_of_time, weights
from runstone.contracts import operation_for
from runstone.wire import canonical
from runstone.wire.canonical import ABSENT, Absent, shown
from runstone.wire.exchange import Exchange, excerpt
from runstone.wire.trace import Trace

Kind = Literal["left-only", "right-only", "type", "value"]

_VALUE = 240  # characters of a value
_POLLS: Final = frozenset({"poll", "settle", "watch"})
_OPEN = re.compile(r"/(metadata|config|configurable|flags)/(?!\d+$)[^/]+$")
_INDEX = re.compile(r"/\d+(?=/|$)")
_TELLING: Final = ("type", "event", "name")  # members by which objects of an array are told apart


class Likeness(NamedTuple):
    """What all appearances of one difference have in common.

    `operation`: method and path, ids set aside. `place`: a JSON pointer into the answer (`/status`,
    `/headers/…`, `/body/…`, `/events/<name>/*/…`) with `*` for an index, '' for the whole exchange. `values`:
    of a status both, which are its kind.
    """

    operation: str
    place: str
    kind: Kind
    values: tuple[str, ...] = ()


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One appearance of a difference, left against right.

    `exchanges`: the keys of the two exchanges, None for one that is missing; `path`: as the place, with its
    indexes; `left`, `right`: the values as short JSON, None for nothing.
    """

    exchanges: tuple[str | None, str | None]
    path: str = ""
    left: str | None = None
    right: str | None = None


Found = tuple[Likeness, Example]


def differences(left: Trace, right: Trace, *, by_shape: bool = False) -> Iterator[Found]:
    """Each appearance of a difference of two traces of one scenario, exchange by exchange."""
    ours, theirs = _by_place(left, by_shape), _by_place(right, by_shape)
    weighed = weights(left), weights(right)
    left_is_over, right_is_over = ran_out_of_time(left), ran_out_of_time(right)
    # A scenario that hung up before it saw what it waits for tries again: how often is a matter of time.
    tried_again = {
        each.part for each in (*left.exchanges, *right.exchanges) if each.closed_by_client and not each.code
    }
    for place in dict.fromkeys([*ours, *theirs]):
        for one, other in _paired(ours.get(place, []), theirs.get(place, [])):
            if one is not None and other is not None:
                both = {weighed[0][one.exchange.number], weighed[1][other.exchange.number]}
                if one.text != other.text and "nothing" not in both:
                    yield from _of_pair(one, other, moment="moment" in both)
            elif place[0] in tried_again:
                continue
            elif one is not None and not right_is_over:
                yield _of_one(one, left=True)
            elif other is not None and not left_is_over:
                yield _of_one(other, left=False)


def _by_place(trace: Trace, by_shape: bool) -> dict[tuple[str, ...], list[Answer]]:
    """The answers by what they are in the scenario; of reads that wait for a change only the last."""
    last: dict[object, tuple[Exchange, bool]] = {}
    for each in trace.exchanges:
        polls = each.label in _POLLS and each.method == "GET"
        asked = (each.part, each.label, each.url) if polls else each.number
        last[asked] = each, asked in last
    found: defaultdict[tuple[str, ...], list[Answer]] = defaultdict(list)
    for each, polled in last.values():
        said = answer(each, by_shape=by_shape, polled=polled)
        found[said.place].append(said)
    return found


def _paired(ours: list[Answer], theirs: list[Answer]) -> Iterator[tuple[Answer | None, Answer | None]]:
    """Exchanges that are alike in all, else that ask the same, else that have the same status, else in order.

    Which of several equal requests, sent at once, gets which answer is chance.
    """
    if ours and theirs and len(ours) != len(theirs) and ours[0].exchange.method == "GET":
        ours, theirs = ours[-1:], theirs[-1:]  # repeated until something was so
    steps: tuple[Callable[[Answer], object], ...] = (
        lambda each: (each.request, each.text),
        lambda each: each.request,
        lambda each: each.code,
    )
    for alike in steps:
        waiting: defaultdict[object, list[Answer]] = defaultdict(list)
        for each in theirs:
            waiting[alike(each)].append(each)
        rest = []
        for each in ours:
            if waiting[alike(each)]:
                yield each, waiting[alike(each)].pop(0)
            else:
                rest.append(each)
        ours, theirs = rest, [each for some in waiting.values() for each in some]
    yield from zip_longest(ours, theirs)


def _of_one(here: Answer, *, left: bool) -> Found:
    """An exchange that only one scenario got to."""
    said = f"{here.document['status']} {excerpt(here.exchange.content, 80)}"
    key = here.exchange.key
    if left:
        return Likeness(_operation(here), "", "left-only"), Example(exchanges=(key, None), left=said)
    return Likeness(_operation(here), "", "right-only"), Example(exchanges=(None, key), right=said)


def _of_pair(one: Answer, other: Answer, *, moment: bool) -> Iterator[Found]:
    """Both exchanges are there, but not alike; of a `moment` only status and headers count."""
    moment = moment or any(each.under_way and not each.polled for each in (one, other))
    if moment and one.exchange.method == "GET" and 404 in {one.code, other.code}:
        return  # one of two reads came too late: what is removed is removed a moment later
    for each in canonical.differences(*_as_heard(one, other), paired=aligned):
        kind = _kind(each)
        if moment and each.path.startswith(("/body", "/events")):
            continue
        if kind in {"left-only", "right-only"} and _OPEN.search(each.path):
            continue
        left, right = (
            None if isinstance(value, Absent) else shown(value, _VALUE) for value in (each.left, each.right)
        )
        values = (str(left), str(right)) if kind == "value" and each.path.endswith("/status") else ()
        yield (
            Likeness(_operation(one), _INDEX.sub("/*", each.path), kind, values),
            Example(exchanges=(one.exchange.key, other.exchange.key), path=each.path, left=left, right=right),
        )
        if each.path == "/status" and one.code // 100 != other.code // 100:
            return
        if each.path == "/headers/content-type" and _body_kind(one) != _body_kind(other):
            return


def _body_kind(told: Answer) -> str:
    return canonical.kind(told.document["body"]) if "body" in told.document else "stream"


def _operation(told: Answer) -> str:
    """`POST /threads/<id>/runs`: the operation of the contract, or what else it is, ids set aside."""
    _, _, method, path, _ = told.place
    known = operation_for(method, told.exchange.path)
    return f"{method} {re.sub(r'{[^}]*}', '<id>', known.path) if known else path}"


def _kind(found: canonical.Difference) -> Kind:
    if isinstance(found.left, Absent):
        return "right-only"
    if isinstance(found.right, Absent):
        return "left-only"
    return "value" if canonical.kind(found.left) == canonical.kind(found.right) else "type"


def _as_heard(one: Answer, other: Answer) -> tuple[Document, Document]:
    """What both say; of a stream that was left early or joined late, what both sides heard."""
    hung_up = one.exchange.closed_by_client or other.exchange.closed_by_client
    joined = one.exchange.method == "GET"
    if not (hung_up or joined) or not ("events" in one.document and "events" in other.document):
        return one.document, other.document
    events: tuple[dict[str, Document], dict[str, Document]] = {}, {}
    for name in {**one.document["events"], **other.document["events"]}:
        both = [each.document["events"].get(name, []) for each in (one, other)]
        blocks = SequenceMatcher(None, _outlines(both[0]), _outlines(both[1]), autojunk=False)
        *shared, _ = blocks.get_matching_blocks()
        for side, said in enumerate(both if shared else ()):
            begin = shared[0][side] if joined else 0
            end = shared[-1][side] + shared[-1].size if hung_up else len(said)
            events[side][name] = said[begin:end]
    return {**one.document, "events": events[0]}, {**other.document, "events": events[1]}


def aligned(left: list[Any], right: list[Any]) -> Iterator[tuple[int, Any, Any]]:
    """The items of two arrays that are not equal side by side, with an index; ABSENT where one lacks an item.

    Between equal items those of one sort are partners, else those in one place.
    """
    blocks = SequenceMatcher(None, _outlines(left), _outlines(right), autojunk=False)
    for tag, i1, i2, j1, j2 in blocks.get_opcodes():
        if tag == "equal":
            continue
        ours, theirs = [_sort(each) for each in left[i1:i2]], [_sort(each) for each in right[j1:j2]]
        alike = len({*ours, *theirs}) == 1  # difflib would take the square of their number
        whole = [("equal", 0, len(ours), 0, len(theirs))]
        matched = SequenceMatcher(None, ours, theirs, autojunk=False)
        for _, a1, a2, b1, b2 in whole if alike else matched.get_opcodes():
            for one, other in zip_longest(range(i1 + a1, i1 + a2), range(j1 + b1, j1 + b2)):
                index = other if one is None else one
                yield index, ABSENT if one is None else left[one], ABSENT if other is None else right[other]


def _outlines(documents: Sequence[Any]) -> list[str]:
    return [outline(each) for each in documents]


def _sort(document: Any) -> str:
    """What an item of an array is one of: what it calls itself, else the names of its members."""
    if not isinstance(document, dict):
        return canonical.kind(document)
    return outline([document[name] for name in _TELLING if name in document] or sorted(document))
