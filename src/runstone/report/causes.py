"""What to fix first: the cases that one repair would free, told once, the greatest group first.

A case that is broken or could not be tested was decided by one exchange: the one that its reason names, else
the one that its judge read last. Reduced to the operation, the answer, and the reason without the ids, times
and places of this very run, cases that are equal share a cause.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from runstone.contracts import LEVELS, operation_for
from runstone.verdict.model import Case, Cause, Verdict
from runstone.wire.canonical import anonymous
from runstone.wire.exchange import UUID, Exchange, excerpt
from runstone.wire.script import needed_for, script_of
from runstone.wire.trace import Trace

_BROKEN: Final = frozenset({"fail", "warn", "not-testable", "flaky"})
_TOLD: Final = 160  # characters of a refusal that tell one cause from another
_REASON: Final = 300
_MOST_REQUESTS: Final = 12  # of a script; what needs more is repeated by a check of its area

_TWICE: Final = re.compile(r"broken in one of two observations \((.*)\), kept in the other", re.DOTALL)
_NEVER_GOT_TO: Final = re.compile(r"^(\w+) has no (?:exchange of part )?'[^']*'(?:: |$)")
_FINDING: Final = re.compile(r"^(\w+(?:@2)?#\d+) [A-Z]+ ")  # how a monitor names an exchange
_PLACE: Final = re.compile(r"exchange (\d+) [A-Z]+ \S+?(?=[,;:)]?(?:\s|$))")
_WANTED: Final = re.compile(r"wanted (.+?), got (?:\d{3})\b")
_ITEM: Final = re.compile(r"(?<=/)\d+(?=[/:\s]|$)")  # the number of an item in a JSON pointer
_FRACTION: Final = re.compile(r"\d+\.\d+")
_EMPTY_BODY: Final = "the body is "
_EMPTY: Final = frozenset({"", "{}", "[]", "null", '""'})
# What servers say to anything: it tells no cause from another.
_SAID_TO_ANYTHING: Final = re.compile(
    r"\W*(\d{3}\W+)?((detail|error|message)\W+)*"
    r"(internal server error|not found|bad request|method not allowed|unauthorized|forbidden|conflict"
    r"|not implemented|an empty body)?\W*",
    re.IGNORECASE,
)
# Judges that read one defect for different ends tell it in words of their own.
_SYMPTOMS: Final = (
    (re.compile(r"names no run\b|Content-Location", re.IGNORECASE), "no Content-Location names the run"),
)


@dataclass(frozen=True, slots=True)
class _Key:
    """What cases of one cause have in common."""

    operation: str
    answer: str
    reason: str

    @property
    def id(self) -> str:
        """A short name that stays the same as long as the server answers the same."""
        said = "\0".join((self.operation, self.answer, self.reason))
        return "C-" + hashlib.sha256(said.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class _Hanging:
    """One case that hangs on a cause, the exchange that decided it, and why, in words that others share."""

    verdict: Verdict
    case: Case
    exchange: Exchange | None
    reason: str

    @property
    def directness(self) -> tuple[bool, int, int]:
        """How much it speaks of the cause itself, the most first: broken outright, of a MUST, of little."""
        untested = self.case.verdict == "not-testable"
        return untested, LEVELS.index(self.verdict.level), len(self.case.exchanges)


class _Traces:
    """The exchanges of a session, by the keys that cases name them by."""

    def __init__(self, traces: Mapping[str, Trace]) -> None:
        self.traces = traces
        self._by_key = {each.key: each for trace in traces.values() for each in trace.exchanges}

    def __getitem__(self, key: str) -> Exchange | None:
        return self._by_key.get(key)

    def where_it_stopped(self, scenario: str, reason: str) -> Exchange | None:
        """The last exchange of the part of a scenario that could not go on for this reason."""
        trace = self.traces.get(scenario)
        if trace is None:
            return None
        parts = {part for part, said in trace.blocked.items() if said and said in reason}
        of_it = [each for each in trace.exchanges if each.part in parts or not parts or "" in parts]
        return of_it[-1] if of_it else None

    def before(self, exchange: Exchange) -> list[Exchange]:
        """What its scenario had exchanged before."""
        return [each for each in self.traces[exchange.scenario].exchanges if each.number < exchange.number]


def causes_of(
    verdicts: Sequence[Verdict], traces: Mapping[str, Trace]
) -> tuple[tuple[Cause, ...], list[Verdict]]:
    """The causes of what is broken, most MUST first, and the verdicts whose cases name them."""
    exchanges = _Traces(traces)
    hanging = [
        _hanging(verdict, case, exchanges)
        for verdict in verdicts
        for case in verdict.cases
        if case.verdict in _BROKEN
    ]
    groups: dict[_Key, list[_Hanging]] = {}
    for each in hanging:
        groups.setdefault(_reduced(each), []).append(each)
    groups = _joined(groups)
    statements = {verdict.id: verdict.statement for verdict in verdicts}
    order = {verdict.id: place for place, verdict in enumerate(verdicts)}
    causes = [
        _cause(key, sorted(of_it, key=lambda each: order[each.verdict.id]), statements, exchanges)
        for key, of_it in groups.items()
    ]
    causes.sort(key=lambda cause: (-cause.must, -cause.should, -len(cause.requirements)))
    named = {(each.verdict.id, each.case.case): key.id for key, of_it in groups.items() for each in of_it}
    return tuple(causes), [_naming(verdict, named) for verdict in verdicts]


def _naming(verdict: Verdict, named: Mapping[tuple[str, str], str]) -> Verdict:
    cases = tuple(
        msgspec.structs.replace(case, cause=named.get((verdict.id, case.case), "")) for case in verdict.cases
    )
    return msgspec.structs.replace(verdict, cases=cases)


def _hanging(verdict: Verdict, case: Case, exchanges: _Traces) -> _Hanging:
    """The case with the exchange that its reason names, else the one that was read last."""
    reason = case.reason.removeprefix("unconfirmed: ")
    twice = _TWICE.fullmatch(reason)
    reason = twice[1] if twice else reason
    missed = _NEVER_GOT_TO.match(reason)
    reason = reason[missed.end() :] if missed else reason
    finding, place = _FINDING.match(reason), _PLACE.search(reason)
    exchange = exchanges[finding[1]] if finding else None
    if place and exchange is None:
        scenarios = dict.fromkeys(key.partition("#")[0] for key in reversed(case.exchanges))
        keys = [f"{each}#{place[1]}" for each in (missed[1] if missed else "", *scenarios)]
        found = (exchanges[key] for key in keys)
        exchange = next((each for each in found if each is not None and each.where == place[0]), None)
    if exchange is None and missed:
        exchange = exchanges.where_it_stopped(missed[1], reason)
    if exchange is None and case.exchanges:
        exchange = exchanges[case.exchanges[-1]]
    return _Hanging(verdict, case, exchange, reason)


def _reduced(case: _Hanging) -> _Key:
    """The cause of one case: what its exchange comes to, without what only this run knows."""
    exchange = case.exchange
    if exchange is None:
        return _Key("", "", _words(case.reason))
    operation = _operation(exchange)
    if exchange.code is None:
        return _Key(operation, "no answer", excerpt(anonymous(exchange.failure or ""), _TOLD))
    answer = str(exchange.code)
    if exchange.code >= 400:
        return _Key(operation, answer, _refusal(exchange, case.reason))
    words = _words(case.reason)
    of_the_body = words not in {said for _, said in _SYMPTOMS} and not _WANTED.search(case.reason)
    if of_the_body and not exchange.is_stream and exchange.content.strip() in _EMPTY:
        return _Key(operation, answer, f"{_EMPTY_BODY}{exchange.content.strip() or 'empty'}")
    return _Key(operation, answer, words)


def _refusal(exchange: Exchange, reason: str) -> str:
    """What a refusal says; of one that was asked for, what it should have been too."""
    told = excerpt(_FRACTION.sub("N", anonymous(exchange.content)), _TOLD)
    wanted = _WANTED.search(reason)
    if wanted and exchange.code is not None and exchange.code < 500 and not wanted[1].startswith("2"):
        return f"{told} (wanted {wanted[1]})"
    return told


def _words(reason: str) -> str:
    """A reason without ids, times, places and numbers of items; of a monitor the first finding."""
    first = reason.partition("; ")[0] if _FINDING.match(reason) else reason
    for symptom, words in _SYMPTOMS:
        if symptom.search(first):
            return words
    first = _PLACE.sub("it", _FINDING.sub("it ", first))
    return excerpt(_FRACTION.sub("N", _ITEM.sub("*", anonymous(first))), _REASON)


def _operation(exchange: Exchange) -> str:
    """The operation as the table names it, else method and path with ids left open."""
    known = operation_for(exchange.method, exchange.path)
    path = UUID.sub("{id}", exchange.path.partition("?")[0])
    return known.name if known is not None else f"{exchange.method} {path}"


def _joined(groups: Mapping[_Key, Sequence[_Hanging]]) -> dict[_Key, list[_Hanging]]:
    """The groups, those in one whose refusals say the same by several operations: one place wrote them.

    What servers say to anything, such as "Not Found", joins only what keeps one requirement from being kept.
    """
    joined: dict[_Key, list[_Hanging]] = {}
    largest_first = sorted(groups.items(), key=lambda each: -len({case.verdict.id for case in each[1]}))
    for key, cases in largest_first:
        same = (other for other in joined if _say_the_same(key, cases, other, joined[other]))
        joined.setdefault(next(same, key), []).extend(cases)
    return joined


def _say_the_same(key: _Key, cases: Sequence[_Hanging], other: _Key, its_cases: Sequence[_Hanging]) -> bool:
    if key.answer != other.answer or key.reason != other.reason or key.answer[:1] not in {"4", "5"}:
        return False
    if not _SAID_TO_ANYTHING.fullmatch(key.reason.partition(" (wanted ")[0]):
        return True
    return {each.verdict.id for each in cases} <= {each.verdict.id for each in its_cases}


def _cause(
    key: _Key, hanging: Sequence[_Hanging], statements: Mapping[str, str], exchanges: _Traces
) -> Cause:
    by_id = {each.verdict.id: each.verdict for each in hanging}
    levels = Counter(each.level for each in by_id.values())
    operations = dict.fromkeys(_operation(each.exchange) for each in hanging if each.exchange is not None)
    others = [each for each in operations if each != key.operation]
    promise = _promise(key, hanging)
    shown = [each.exchange for each in hanging if each.exchange is not None and each.verdict.id == promise]
    shown = shown or [each.exchange for each in hanging if each.exchange is not None]
    # The one that is seen the soonest, of which the least has to be made.
    exchange = min(shown, key=lambda each: (round(each.finished_after), each.number), default=None)
    return Cause(
        id=key.id,
        requirement=promise,
        operation=key.operation,
        answer=key.answer,
        reason=key.reason + (f"; so do {', '.join(others)}" if others else ""),
        expected=statements.get(promise) or _expected(key, hanging),
        requirements=tuple(by_id),
        must=levels["MUST"],
        should=levels["SHOULD"],
        curl="" if exchange is None else _script(exchange, exchanges),
    )


def _promise(key: _Key, hanging: Sequence[_Hanging]) -> str:
    """The requirement that a cause breaks by itself; '' where none is known to.

    Of an answer that was to be a good one that is what promises it; else what is broken outright.
    """
    outright = [each for each in hanging if each.case.verdict != "not-testable"]
    refusals = [each for each in outright if (said := _WANTED.search(each.reason)) and said[1][:1] != "2"]
    exchange = hanging[0].exchange
    nothing = key.answer[:1] in {"n", "4", "5"} or key.reason.startswith(_EMPTY_BODY)
    if nothing and exchange is not None and not refusals:
        operation = operation_for(exchange.method, exchange.path)
        return operation.promise if operation is not None else ""
    first = min(refusals or outright, key=lambda each: each.directness, default=None)
    return "" if first is None else first.verdict.id


def _expected(key: _Key, hanging: Sequence[_Hanging]) -> str:
    if not key.answer.startswith("2"):
        return "a 2xx answer"
    return f"what {hanging[0].verdict.id} can be judged on"


def _script(exchange: Exchange, exchanges: _Traces) -> str:
    needed = needed_for(exchange, exchanges.before(exchange), waits=_waits)
    return "\n".join(script_of(needed[-_MOST_REQUESTS:]))


def _waits(exchange: Exchange) -> bool:
    operation = operation_for(exchange.method, exchange.path)
    return operation is not None and operation.lasts == "run"
