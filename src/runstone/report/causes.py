"""What to fix first: the cases that one repair would free, told once, the greatest group first.

Cases that reduce to the same operation, answer and reason (`deciding`) share a cause. Two things join further
ones: refusals that say the same by several operations, which one place wrote; and what could not be tested
on answers of an operation that break a promise by themselves.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from runstone.contracts import lifecycle, operation_for
from runstone.report import symptoms
from runstone.report.deciding import (
    LACKED,
    OUTLAWED,
    SAID_TO_ANYTHING,
    Exchanges,
    Hanging,
    Key,
    hanging,
    of_a_schema,
    operation_name,
    reduced,
)
from runstone.report.likeness import without_values, without_what_was_sent
from runstone.report.naming import BROKEN, promise_of, promised
from runstone.verdict.model import Cause, Verdict
from runstone.wire.canonical import anonymous
from runstone.wire.documents import raw
from runstone.wire.exchange import Exchange
from runstone.wire.script import needed_for, script_of
from runstone.wire.trace import Trace

_MOST_REQUESTS: Final = 12  # of a script; what needs more is repeated by a check of its area

_ASKED: Final = ("assistant_id", "input", "command")  # of a run
_STATE: Final = "GET /threads/{thread}/state"
_SEEN: Final = re.compile(r'(?:got|says|still shows) "?([^" ]+)"?\)?$')

_Groups = dict[Key, list[Hanging]]


def causes_of(
    verdicts: Sequence[Verdict], traces: Mapping[str, Trace]
) -> tuple[tuple[Cause, ...], list[Verdict]]:
    """The causes of what is broken, and the verdicts whose cases name them.

    That of most MUST comes first; of several one that breaks a promise by itself, then that of most SHOULD
    and of most cases.
    """
    exchanges = Exchanges(traces)
    broken = [
        hanging(verdict, case, exchanges)
        for verdict in verdicts
        for case in verdict.cases
        if case.verdict in BROKEN
    ]
    groups: _Groups = {}
    for found in _traced_back(broken, exchanges):
        groups.setdefault(reduced(found), []).append(found)
    groups = _adopted(_joined(_by_request(_by_value(groups))))
    order = {verdict.id: place for place, verdict in enumerate(verdicts)}
    for of_it in groups.values():
        of_it.sort(key=lambda each: order[each.verdict.id])
    promises = {verdict.id: verdict for verdict in verdicts}
    causes = [(_cause(key, of_it, promises, exchanges), len(of_it)) for key, of_it in groups.items()]
    causes.sort(key=lambda each: (-each[0].must, not each[0].requirement, -each[0].should, -each[1]))
    named = {(each.verdict.id, each.case.case): key.id for key, of_it in groups.items() for each in of_it}
    return tuple(cause for cause, _ in causes), [_naming(verdict, named) for verdict in verdicts]


def _naming(verdict: Verdict, named: Mapping[tuple[str, str], str]) -> Verdict:
    cases = tuple(
        msgspec.structs.replace(case, cause=named.get((verdict.id, case.case), "")) for case in verdict.cases
    )
    return msgspec.structs.replace(verdict, cases=cases)


def _traced_back(found: Sequence[Hanging], exchanges: Exchanges) -> Iterator[Hanging]:
    """The cases, each with what was refused on its thread before it, where that is a cause by itself.

    Not where another case was decided by the same with nothing refused before it: what is wrong there would
    stay so if the refusal were no more.
    """
    keys = [reduced(each) for each in found]
    refusals = {key for key in keys if key.refuses}
    earlier = [next(_refused_before(each, refusals, exchanges), None) for each in found]
    alone = {key for key, first in zip(keys, earlier, strict=True) if first is None}
    for key, each, first in zip(keys, found, earlier, strict=True):
        yield each if first is None or each.agreeing or key in alone else first


def _refused_before(case: Hanging, refusals: Container[Key], exchanges: Exchanges) -> Iterator[Hanging]:
    """The case as it follows from what was refused earlier on its thread, by each of these refusals."""
    exchange = case.exchange
    if exchange is not None and (exchange.code or 400) < 400:
        for one in exchanges.refused_before(exchange):
            first = replace(case, exchange=one, reason="", follows=True)
            if reduced(first) in refusals:
                yield first


def _by_value(groups: _Groups) -> _Groups:
    """The groups, those in one that found a value which some demand allows nowhere: it is what is wrong.

    Whatever each of them wanted instead, they go with the weakest demand that the value breaks.
    """
    known = {*lifecycle().runs.statuses, *lifecycle().threads.statuses}
    weakest: dict[str, tuple[int, Key]] = {}
    for key in groups:
        if (found := OUTLAWED.search(key.reason)) and found[2] not in known:
            allowed = found[1].count(",")
            weakest[found[2]] = max(weakest.get(found[2], (0, key)), (allowed, key), key=lambda each: each[0])
    by_value: _Groups = {}
    for key, cases in groups.items():
        seen = _SEEN.search(key.reason)
        _, cause = weakest.get(seen[1], (0, key)) if seen else (0, key)
        by_value.setdefault(cause, []).extend(cases)
    return by_value


def _by_request(groups: _Groups) -> _Groups:
    """The groups, those in one that are about one and the same request, or were refused for one reason."""
    first: dict[tuple[str, ...], Key] = {}
    by_request: _Groups = {}
    for key, cases in sorted(groups.items(), key=lambda each: -len(_ids(each[1]))):
        told = list(dict.fromkeys(sign for case in cases for sign in _signs(key, case)))
        cause = next((first[each] for each in told if each in first), key)
        for each in told:
            first.setdefault(each, cause)
        by_request.setdefault(cause, []).extend(cases)
    return by_request


def _signs(key: Key, case: Hanging) -> Iterator[tuple[str, ...]]:
    """By what a case is known to have the cause of others, whatever is said of it.

    A request that the server fails at; what it says of what it refuses, but for what it was sent; an exchange
    that should have been a refusal.
    """
    exchange, where = case.exchange, (_stateless(key), key.answer)
    if exchange is None or key.reason in symptoms.OF_ANY:
        return
    if key.answer.startswith("5") and (run := _run_asked_for(exchange)):
        yield *where, "asked", run
    if key.answer[:1] in {"4", "5"}:
        said = without_what_was_sent(exchange)
        if not SAID_TO_ANYTHING.fullmatch(said):
            yield *where, "said", said, key.reason.partition(" (wanted ")[2]
    elif case.refused:
        yield *where, "accepted", exchange.key


def _run_asked_for(exchange: Exchange) -> str:
    """What a request has asked to be run, as text; '' for one that starts none."""
    asked = raw(exchange.request_json)
    if not isinstance(asked, dict) or "assistant_id" not in asked:
        return ""
    return anonymous(json.dumps([asked.get(each) for each in _ASKED], sort_keys=True))


def _joined(groups: _Groups) -> _Groups:
    """The groups, those in one whose refusals say the same by several operations: one place wrote them.

    What servers say to anything, such as "Not Found", and what is wrong in answers that were given, joins
    only what keeps one requirement from being kept, and so do reasons that differ in their values.
    """
    left_by_runs = {key.reason for key, cases in groups.items() if _left_by_runs(key, cases)}
    joined: _Groups = {}
    for key, cases in sorted(groups.items(), key=lambda each: -len(_ids(each[1]))):
        anywhere = key.reason in {*symptoms.OF_ANY, *LACKED, *left_by_runs} or of_a_schema(key.reason)
        same = (other for other in joined if _say_the_same(key, cases, other, joined[other], anywhere))
        joined.setdefault(next(same, key), []).extend(cases)
    return joined


def _left_by_runs(key: Key, cases: Iterable[Hanging]) -> bool:
    """Whether the state of a thread shows what is wrong: the run left it so, whatever shows it afterwards."""
    return (
        key.reason in {symptoms.SHORT, symptoms.LONG}
        and key.operation == _STATE
        and any(each.of_the_run for each in cases)
    )


def _say_the_same(
    key: Key, cases: Iterable[Hanging], other: Key, its_cases: Iterable[Hanging], anywhere: bool
) -> bool:
    if key.answer != other.answer:
        return False
    if key.reason != other.reason:
        return _differ_in_values(key, cases, other, its_cases)
    if anywhere or (not key.refuses and _stateless(key) == _stateless(other)):
        return True
    if key.refuses and not SAID_TO_ANYTHING.fullmatch(key.reason.partition(" (wanted ")[0]):
        return True
    return _ids(cases) <= _ids(its_cases) if key.refuses else len(_ids(cases) | _ids(its_cases)) == 1


def _differ_in_values(key: Key, cases: Iterable[Hanging], other: Key, its_cases: Iterable[Hanging]) -> bool:
    """Whether the same requirement is broken in the same way, and only the values of its cases are others."""
    own, its = _ids(cases), _ids(its_cases)
    if key.refuses or not own <= its or (_stateless(key) != _stateless(other) and len(its) > 1):
        return False
    return without_values(key.reason) == without_values(other.reason)


def _stateless(key: Key) -> str:
    """The operation without its thread: a run on a thread and one without are executed by one place."""
    return key.operation.replace("/threads/{thread}/runs", "/runs")


def _adopted(groups: _Groups) -> _Groups:
    """The groups; what could not be tested goes with what is broken outright in the same answers."""
    adopted: _Groups = {}
    for key, cases in groups.items():
        own = key.refuses or any(each.outright or _was_given_up(each) for each in cases)
        cause = key if own else _parent(key, cases, groups)
        adopted.setdefault(cause, []).extend(cases)
    return adopted


def _was_given_up(case: Hanging) -> bool:
    """Whether its answer did not end, which nothing that is wrong with other answers explains."""
    return case.exchange is not None and case.exchange.failure is not None


def _parent(key: Key, cases: Sequence[Hanging], groups: _Groups) -> Key:
    """The group that is broken outright where these cases could not be tested; their own where none is.

    It holds the promise of the operation itself, or one of the same exchanges decided it, or the streams have
    in common what is wrong with their events. Else half of these requirements are broken outright in it, by
    whatever operation; or it is the greatest and all that is broken outright there is of one area.
    """
    promise = promised(key, cases)
    decided = {each.exchange.key for each in cases if each.exchange is not None}
    there = [
        (other, each)
        for other, its_cases in groups.items()
        if (other.operation, other.answer) == (key.operation, key.answer)
        for each in its_cases
        if each.outright and not each.of_one_member
    ]
    of_one_area = len({each.verdict.area for _, each in there}) == 1

    def nearness(other: Key, each: Hanging) -> tuple[bool, bool, int]:
        same = each.exchange is not None and each.exchange.key in decided
        same = same or all(symptoms.is_in(one.exchange, other.reason) for one in cases)
        return each.verdict.id == promise, same, len(_ids(groups[other])) if of_one_area else 0

    ranked = ((nearness(*each), each[0]) for each in there)
    (holds, same, size), nearest = max(ranked, key=lambda each: each[0], default=((False, False, 0), key))
    if holds or same:
        return nearest
    return _where_broken(key, cases, groups) or (nearest if size else key)


def _where_broken(key: Key, cases: Sequence[Hanging], groups: _Groups) -> Key | None:
    """The group in which half of these requirements are broken outright, by the same answer."""
    own = _ids(cases)

    def shared(other: Key) -> int:
        return len(own & _ids(each for each in groups[other] if each.outright))

    most = max((other for other in groups if other.answer == key.answer), key=shared)
    return most if 2 * shared(most) >= len(own) else None


def _cause(
    key: Key, cases: Sequence[Hanging], promises: Mapping[str, Verdict], exchanges: Exchanges
) -> Cause:
    levels = Counter({each.verdict.id: each.verdict.level for each in cases}.values())
    operations = dict.fromkeys(operation_name(each.exchange) for each in cases if each.exchange is not None)
    others = [each for each in operations if each != key.operation]
    promise = promise_of(key, cases, promises)
    shown = [each.exchange for each in cases if each.exchange is not None and each.verdict.id == promise]
    shown = shown or [each.exchange for each in cases if each.exchange is not None]
    # The one that is seen the soonest, of which the least has to be made.
    exchange = min(shown, key=lambda each: (round(each.finished_after), each.number), default=None)
    return Cause(
        id=key.id,
        requirement=promise,
        operation=key.operation,
        answer=key.answer,
        reason=key.reason + (f"; so do {', '.join(others)}" if others else ""),
        expected=promises[promise].statement if promise in promises else _expected(key, cases),
        requirements=tuple(dict.fromkeys(each.verdict.id for each in cases)),
        must=levels["MUST"],
        should=levels["SHOULD"],
        curl="" if exchange is None else _script(exchange, exchanges),
    )


def _ids(cases: Iterable[Hanging]) -> set[str]:
    return {each.verdict.id for each in cases}


def _expected(key: Key, cases: Sequence[Hanging]) -> str:
    return "a 2xx answer" if key.refuses else f"what {cases[0].verdict.id} can be judged on"


def _script(exchange: Exchange, exchanges: Exchanges) -> str:
    needed = needed_for(exchange, exchanges.before(exchange), waits=_waits)
    return "\n".join(script_of(needed[-_MOST_REQUESTS:]))


def _waits(exchange: Exchange) -> bool:
    operation = operation_for(exchange.method, exchange.path)
    return operation is not None and operation.lasts == "run"
