"""What decided a case that is broken or could not be tested, reduced to what other cases may share.

It was one exchange: the one that the reason names, else the one that the judge read last. What is left of it
is the operation, the answer, and the reason without the ids, times and places of this very run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from runstone.contracts import LEVELS, operation_for
from runstone.report import symptoms
from runstone.report.likeness import without_echo
from runstone.report.text import well_formed
from runstone.verdict.model import Case, Verdict
from runstone.wire.canonical import anonymous
from runstone.wire.exchange import UUID, Exchange, excerpt
from runstone.wire.trace import Trace

_TOLD: Final = 160  # characters of a refusal that tell one cause from another
_REASON: Final = 300

_TWICE: Final = re.compile(r"broken in one of two observations \((.*)\), kept in the other", re.DOTALL)
_NEVER_GOT_TO: Final = re.compile(r"^(\w+) has no ((?:exchange of part )?'[^']*')(?:: |$)")
_FINDING: Final = re.compile(r"^(\w+(?:@\d)?#\d+) [A-Z]+ ")  # how a monitor names an exchange
_PLACE: Final = re.compile(r"exchange (\d+) [A-Z]+ \S+?(?=[,;:)]?(?:\s|$))")
_AT_IT: Final = re.compile(r" (?:\(it\)|at it)$")  # a place that is the exchange itself
_MEMBER: Final = re.compile(r"[\w-]+/\S*: ")  # how a schema tells where it is broken
_TO_BE_REFUSED: Final = re.compile(r"(?:one of \[)?(?:a )?4[\dx]{2}\b")  # how a wanted 4xx is told
_TO_BE_DONE: Final = re.compile(r"(?:a )?2[\dx]{2}\b")
_WANTED: Final = re.compile(r"wanted (.+?), got (?:\d{3})\b")
# How a value is told that none of the allowed ones is: those, and the value.
OUTLAWED: Final = re.compile(r'wanted one of \[([^\]]*)\], got "([^"]*)"\)?$')
_NOTHING_REFUSED: Final = re.compile(r"answered 2\d\d, so (?:there is no error|nothing was refused)")
_THREAD: Final = re.compile(rf"/threads/{UUID.pattern}")
_GOT_INSTEAD: Final = re.compile(r", got .*")  # of a member: what is wrong with it stays the same
_OTHERS: Final = re.compile(r", only: .*")  # the events that came instead of the wanted one
_ITEM: Final = re.compile(r"(?<=/)\d+(?=[/:,\s]|$)")  # the number of an item in a JSON pointer
_ITEM_IN_WORDS: Final = re.compile(r"\bitem \d+ of\b")
_NULL_ITEM: Final = re.compile(r"^an item of the list is null, wanted (?!none$)(.+)$")
_FRACTION: Final = re.compile(r"\d+\.\d+")
_AGREEING: Final = frozenset({"parity", "monitor"})  # areas that compare answers
_OF_RUNS: Final = frozenset({"exec", "turn"})  # areas that say what a run leaves, whoever shows it
EMPTY_BODY: Final = "the body is "
_EMPTY: Final = frozenset({"", "{}", "[]", "null", '""'})
# What servers say to anything: it tells no cause from another.
SAID_TO_ANYTHING: Final = re.compile(
    r"\W*(\d{3}\W+)?((detail|error|message)\W+)*"
    r"(internal server error|not found|bad request|method not allowed|unauthorized|forbidden|conflict"
    r"|not implemented|an empty body)?\W*",
    re.IGNORECASE,
)
_RUN_FAILED: Final = '{"__error__"'  # how an answer begins whose run has failed, whatever with
# Judges that read one defect for different ends tell it in words of their own.
_SYMPTOMS: Final = (
    (re.compile(r"names no run\b|Content-Location", re.IGNORECASE), "no Content-Location names the run"),
    (re.compile(r"wanted a Location header|\bno Location\b"), "no Location is sent"),
    (re.compile(r"wanted a delivery\b|there is no 'delivery'"), "no webhook is delivered"),
)
LACKED: Final = frozenset(words for _, words in _SYMPTOMS)  # what one place sends, whatever is asked


@dataclass(frozen=True, slots=True)
class Key:
    """What cases of one cause have in common."""

    operation: str
    answer: str
    reason: str

    @property
    def id(self) -> str:
        """A short name that stays the same as long as the server answers the same."""
        said = "\0".join((self.operation, self.answer, self.reason))
        return "C-" + hashlib.sha256(well_formed(said).encode()).hexdigest()[:8]

    @property
    def refuses(self) -> bool:
        """Whether nothing that could be judged was answered."""
        return self.answer[:1] in {"n", "4", "5"}


@dataclass(frozen=True, slots=True)
class Hanging:
    """One case that hangs on a cause, the exchange that decided it, and why, in words that others share."""

    verdict: Verdict
    case: Case
    exchange: Exchange | None
    reason: str
    follows: bool = False  # from an earlier exchange than the one that it was judged on

    @property
    def agreeing(self) -> bool:
        """Whether it speaks of how answers agree, and not of one of them."""
        return self.verdict.area in _AGREEING

    @property
    def of_the_run(self) -> bool:
        """Whether it speaks of what a run leaves, and not of the operation that shows it."""
        return self.outright and self.verdict.area in _OF_RUNS

    @property
    def directness(self) -> tuple[int, int]:
        """How much it speaks of what is broken, the most first: of a MUST, judged on little."""
        return LEVELS.index(self.verdict.level), len(self.case.exchanges)

    @property
    def outright(self) -> bool:
        """Whether it is broken by itself, and not only kept from being tested."""
        return self.case.verdict != "not-testable" and not self.follows

    @property
    def of_one_member(self) -> bool:
        """Whether it speaks of one member of an answer, or of any answer at all, as monitors do."""
        return of_a_schema(self.reason) or bool(_FINDING.match(self.reason))

    @property
    def done(self) -> bool:
        """Whether a 2xx was wanted, and something else came."""
        wanted = _WANTED.search(self.reason)
        return self.outright and wanted is not None and _TO_BE_DONE.match(wanted[1]) is not None

    @property
    def refused(self) -> bool:
        """Whether a refusal was wanted, and something else came."""
        return self.outright and _wants_refusal(self.reason)


class Exchanges:
    """The exchanges of a session, by the keys that cases name them by."""

    def __init__(self, traces: Mapping[str, Trace]) -> None:
        self.traces = traces
        self._by_key = {each.key: each for trace in traces.values() for each in trace.exchanges}
        self._refused = {
            name: tuple(filter(_refused_a_change, trace.exchanges)) for name, trace in traces.items()
        }
        self._renamed: dict[tuple[str, str], Exchange] = {}
        for place, exchange in _renamed(self._by_key.values()):
            self._renamed.setdefault(place, exchange)

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

    def named_otherwise(self, exchange: Exchange) -> Exchange | None:
        """What should have made a thing that the exchange names, and gave it another id."""
        ids = _ids_in(exchange) if self._renamed else ()
        found = (self._renamed.get((exchange.scenario, each)) for each in ids)
        earlier = [each for each in found if each is not None and each.number <= exchange.number]
        return min(earlier, key=lambda each: each.number, default=None)

    def cancelled_before(self, exchange: Exchange) -> bool:
        """Whether the cancel of the run that the exchange asks about was accepted before it."""
        run = UUID.findall(exchange.path)[-1:]
        return any(
            each.code is not None and each.code < 300 and run and run[0] in f"{each.path} {each.request_body}"
            for each in self.before(exchange)
            if each.path.partition("?")[0].endswith("/cancel")
        )

    def refused_before(self, exchange: Exchange) -> Iterator[Exchange]:
        """What was refused earlier on the same thread, of all that was to change it."""
        path = _THREAD.search(exchange.path)
        thread = path[0] if path else ""
        for each in self._refused.get(exchange.scenario, ()) if thread else ():
            if each.number < exchange.number and thread in each.path:
                yield each

    def before(self, exchange: Exchange) -> list[Exchange]:
        """What its scenario had exchanged before."""
        return [each for each in self.traces[exchange.scenario].exchanges if each.number < exchange.number]


def hanging(verdict: Verdict, case: Case, exchanges: Exchanges) -> Hanging:
    """The case with the exchange that its reason names, else the one that was read last."""
    reason = case.reason.removeprefix("unconfirmed: ")
    twice = _TWICE.fullmatch(reason)
    reason = twice[1] if twice else reason
    missed = _NEVER_GOT_TO.match(reason)
    reason = (reason[missed.end() :] or f"there is no {missed[2]}") if missed else reason
    finding, place = _FINDING.match(reason), _PLACE.search(reason)
    exchange = exchanges[finding[1]] if finding else None
    if place and exchange is None:
        scenarios = dict.fromkeys(key.partition("#")[0] for key in reversed(case.exchanges))
        keys = [f"{each}#{place[1]}" for each in (missed[1] if missed else "", *scenarios)]
        found = (exchanges[key] for key in keys)
        exchange = next((each for each in found if each is not None and each.where == place[0]), None)
    if exchange is None and missed:
        exchange = exchanges.where_it_stopped(missed[1], reason)
    # A monitor that found nothing to judge has read everything, and no exchange is to blame.
    if exchange is None and case.exchanges and verdict.area != "monitor":
        exchange = exchanges[case.exchanges[-1]]
    first = None if exchange is None else exchanges.named_otherwise(exchange)
    if first is not None:
        return Hanging(verdict, case, first, symptoms.OTHER_ID, follows=first is not exchange)
    if exchange is not None and (status := symptoms.under_way(exchange, reason)):
        after = " after it was cancelled" if exchanges.cancelled_before(exchange) else ""
        reason = f"{symptoms.STILL_SHOWN} {status}{after}"
    return Hanging(verdict, case, exchange, reason)


def _refused_a_change(exchange: Exchange) -> bool:
    return exchange.method != "GET" and exchange.code is not None and exchange.code >= 400


def _renamed(exchanges: Iterable[Exchange]) -> Iterator[tuple[tuple[str, str], Exchange]]:
    """By scenario and the id that was asked for, the exchanges that made a thing with another one."""
    for each in exchanges:
        operation = operation_for(each.method, each.path)
        if operation is not None and each.code is not None and each.code < 400:
            for asked in operation.renamed_by(each):
                yield (each.scenario, str(asked)), each


def _ids_in(exchange: Exchange) -> set[str]:
    return set(UUID.findall(exchange.url)) | set(UUID.findall(exchange.request_body or ""))


def of_a_schema(reason: str) -> bool:
    """Whether it tells of a member that breaks a schema."""
    return bool(_MEMBER.match(reason))


def reduced(case: Hanging) -> Key:
    """The cause of one case: what its exchange is reduced to, without what only this run knows."""
    exchange = case.exchange
    if exchange is None:
        return Key("", "", _words(case.reason))
    operation = operation_name(exchange)
    if exchange.code is None:
        failure = _FRACTION.sub("N", anonymous(exchange.failure or ""))
        return Key(operation, "no answer", excerpt(failure, _TOLD))
    answer = str(exchange.code)
    if case.reason == symptoms.OTHER_ID:
        return Key(operation, answer, case.reason)
    if of_any := symptoms.of_any(exchange, _first_finding(case.reason)):
        return Key(operation, answer, of_any)
    if _wants_refusal(case.reason) and symptoms.tells_an_error(exchange):
        return Key(operation, answer, symptoms.REFUSED_BY_2XX)
    if exchange.code >= 400:
        return Key(operation, answer, _refusal(exchange, case.reason))
    words = _words(case.reason)
    of_the_body = words not in LACKED and not _WANTED.search(case.reason)
    if of_the_body and not exchange.is_stream and exchange.content.strip() in _EMPTY:
        return Key(operation, answer, f"{EMPTY_BODY}{exchange.content.strip() or 'empty'}")
    if exchange.failure and exchange.failure in case.reason:
        return Key(operation, answer, f"it did not end: {_FRACTION.sub('N', anonymous(exchange.failure))}")
    return Key(operation, answer, words)


def _wants_refusal(reason: str) -> bool:
    """Whether a 4xx was wanted, or one that something else could be read in."""
    wanted = _WANTED.search(reason)
    if wanted is None:
        return _NOTHING_REFUSED.search(reason) is not None
    return _TO_BE_REFUSED.match(wanted[1]) is not None


def _refusal(exchange: Exchange, reason: str) -> str:
    """What a refusal says; of one that was asked for, what it should have been too."""
    told = excerpt(_FRACTION.sub("N", anonymous(without_echo(exchange.content))), _TOLD)
    if exchange.content.lstrip().startswith(_RUN_FAILED):
        told = "the error of a run as __error__"
    wanted = _WANTED.search(reason)
    if wanted and exchange.code is not None and exchange.code < 500 and _TO_BE_REFUSED.match(wanted[1]):
        return f"{told} (wanted {wanted[1]})"
    return told


def _words(reason: str) -> str:
    """A reason without ids, times, places and numbers of items; of a monitor the first finding."""
    first = _first_finding(reason)
    for symptom, words in _SYMPTOMS:
        if symptom.search(first):
            return words
    first = _PLACE.sub("it", _FINDING.sub("it ", first)).removeprefix("it breaks ")
    first = _AT_IT.sub("", first)
    first = _GOT_INSTEAD.sub("", first) if of_a_schema(first) else _OTHERS.sub("", first)
    first = _ITEM_IN_WORDS.sub("an item of", _ITEM.sub("*", anonymous(first)))
    first = _NULL_ITEM.sub(r"wanted \1, got null", first)  # as of a value that stands alone
    return symptoms.of_a_list(reason) or excerpt(_FRACTION.sub("N", first), _REASON)


def _first_finding(reason: str) -> str:
    return reason.partition("; ")[0] if _FINDING.match(reason) else reason


def operation_name(exchange: Exchange) -> str:
    """The operation as the table names it, else method and path with ids left open."""
    known = operation_for(exchange.method, exchange.path)
    path = UUID.sub("{id}", exchange.path.partition("?")[0])
    return known.name if known is not None else f"{exchange.method} {path}"
