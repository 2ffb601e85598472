"""What a cause is called: the requirement that it breaks by itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from runstone.contracts import operation_for
from runstone.report import symptoms
from runstone.report.deciding import EMPTY_BODY, OUTLAWED, Hanging, Key, of_a_schema, operation_name
from runstone.verdict.model import Verdict

BROKEN: Final = frozenset({"fail", "warn", "not-testable", "flaky"})
_MANY: Final = 0.4  # of what hangs on a cause, so that it speaks of one area
_TELLING: Final = frozenset({"404", "409"})  # refusals that say what is gone, or in the way
_ANSWERS: Final = re.compile(r"\banswers? (?:with )?(?:a )?2[\dx]{2}\b")  # how a statement promises an answer


def promise_of(key: Key, cases: Sequence[Hanging], promises: Mapping[str, Verdict]) -> str:
    """The requirement that a cause breaks by itself; '' where none is known to.

    What is wrong with any answer has a requirement of its own. Of answers that are of no use it is what
    promises them, unless they were to be refusals. Else it is broken outright (`_of_what_came`).
    """
    named = symptoms.NAMED_BY.get(key.reason, "")
    if named in promises and promises[named].verdict in BROKEN:
        return named
    outright = [each for each in cases if each.outright]
    outright = [each for each in outright if not each.agreeing] or outright
    promise = promised(key, cases)
    area = promises[promise].area if promise in promises else ""
    refused = [each for each in outright if each.refused and not OUTLAWED.search(key.reason)]
    if (key.refuses or key.reason.startswith(EMPTY_BODY)) and not refused:
        stands = promises[promise].verdict if promise in promises else ""
        telling = [] if stands in BROKEN else _of_no_use(key, cases, outright, kept=stands == "pass")
        return _nearest(telling, key, area) if telling else promise
    return _of_what_came(key, cases, refused or outright, promise, area)


def promised(key: Key, cases: Iterable[Hanging]) -> str:
    """The requirement that promises what the operation of a cause answers."""
    known = (each.exchange for each in cases if each.exchange is not None)
    exchange = next((each for each in known if operation_name(each) == key.operation), None)
    operation = None if exchange is None else operation_for(exchange.method, exchange.path)
    return "" if operation is None else operation.promise


def _of_no_use(
    key: Key, cases: Sequence[Hanging], outright: Sequence[Hanging], *, kept: bool
) -> list[Hanging]:
    """What speaks of an answer that is of no use more than its promise does, which is not broken.

    A request that was refused whole says nothing of what was asked for; "not found" says what is gone. Where
    the promise is kept elsewhere, it is of the area of most that hangs on the cause, or promises the very
    same answer.
    """
    same = [each for each in outright if kept and each.done and _ANSWERS.search(each.verdict.statement)]
    if key.refuses and key.answer not in _TELLING:
        return same
    sizes = Counter({each.verdict.id: each.verdict.area for each in cases}.values())
    most = max((sizes[each.verdict.area] for each in outright if kept), default=0)
    return _of_one_area(outright) or [each for each in outright if sizes[each.verdict.area] == most] or same


def _of_what_came(
    key: Key, cases: Sequence[Hanging], outright: Sequence[Hanging], promise: str, area: str
) -> str:
    """The requirement that is broken by what an answer holds, or by its not being a refusal.

    Of a member of a schema it is the one that the most operations break. Else what says what runs leave; the
    weakest demand that a value breaks; what promises the answers; of the area of most the nearest.
    """
    if of_a_schema(key.reason):
        return _of_most_operations(outright)
    if of_runs := [each for each in outright if each.of_the_run]:
        return min(of_runs, key=lambda each: each.verdict.level != "MUST").verdict.id
    if OUTLAWED.search(key.reason):
        return _nearest([each for each in outright if key.reason in each.reason] or outright, key, area)
    if promise in {each.verdict.id for each in outright}:
        return _more_precisely(promise, cases, outright)
    refused = any(each.refused for each in outright)
    return _nearest(([] if refused else _of_one_area(outright)) or outright, key, area)


def _more_precisely(promise: str, cases: Sequence[Hanging], outright: Sequence[Hanging]) -> str:
    """The promise of an operation, or what says more of what is wrong: more of its cases hang on the cause.

    It is of the same area, no weaker, and broken by the very same of the same answer.
    """
    hanging = Counter(each.verdict.id for each in cases)
    own = [each for each in outright if each.verdict.id == promise]
    seen = {(each.exchange.key, each.reason) for each in own if each.exchange is not None}
    same = [
        each
        for each in outright
        if each.exchange is not None
        and (each.exchange.key, each.reason) in seen
        and each.verdict.area == own[0].verdict.area
        and each.directness[0] <= own[0].directness[0]
    ]
    return max((each.verdict.id for each in same), key=lambda each: hanging[each], default=promise)


def _nearest(outright: Sequence[Hanging], key: Key, area: str) -> str:
    """A MUST before a SHOULD, of refusals one of the operation's own area, judged on the least, if any."""

    def nearness(case: Hanging) -> tuple[int, bool, int]:
        level, read = case.directness
        return level, (key.refuses or case.refused) and case.verdict.area != area, read

    first = min(outright, key=nearness, default=None)
    return "" if first is None else first.verdict.id


def _of_most_operations(outright: Sequence[Hanging]) -> str:
    """The requirement that the most operations break: of what they share it speaks itself; '' for none."""
    shown = {
        (each.verdict.id, operation_name(each.exchange)) for each in outright if each.exchange is not None
    }
    spread = Counter(identity for identity, _ in shown)
    nearest = min(outright, key=lambda each: (-spread[each.verdict.id], each.directness), default=None)
    return "" if nearest is None else nearest.verdict.id


def _of_one_area(outright: Sequence[Hanging]) -> list[Hanging]:
    """Those of the area that the most requirements are of, the first of several, if many are; else none.

    An area of SHOULD alone is left out where another one has a MUST.
    """
    level = min((each.directness[0] for each in outright), default=0)
    foremost = {each.verdict.area for each in outright if each.directness[0] == level}
    areas = Counter({each.verdict.id: each.verdict.area for each in outright}.values())
    most = max((each for each in areas if each in foremost), key=lambda area: areas[area], default="")
    if areas[most] < _MANY * areas.total():
        return []
    return [each for each in outright if each.verdict.area == most]
