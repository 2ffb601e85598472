"""One judge and what was observed in, one case with its verdict out; nothing else is read or changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runstone.judge.cases import case_of
from runstone.judge.judges import PROFILE, TRACES, Judge, Made, Source
from runstone.judge.observed import Observed
from runstone.judge.words import Broken, judging_by
from runstone.scenario.scenario import Scenario
from runstone.verdict.model import Case
from runstone.wire.documents import Missing
from runstone.wire.exchange import Exchange, note, reading
from runstone.wire.trace import Inapplicable, knowing


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge decided: the case, the exchanges that it was decided on, and what the judge raised."""

    case: Case
    read: tuple[Exchange, ...]
    error: BaseException | None


def run(judge: Judge, observed: Observed) -> Judgement:
    """Decide one case. Whatever the judge raises becomes a verdict; only Ctrl-C goes through."""
    error: BaseException | None = None
    with reading() as journal, judging_by(observed.has), knowing(observed.names_of):
        try:
            _call(judge, observed)
        except KeyboardInterrupt:
            raise
        except BaseException as raised:  # what it means is said by `case_of`
            error = raised
    read = error.exchanges if isinstance(error, Broken) else tuple(journal.values())
    if judge.reads_all and isinstance(error, Missing):
        read = read[-1:]  # of the thousands that a monitor reads, the one that it could not
    unseen = observed.stopped if judge.reads_all else None
    narrowed = judge.reads_all and observed.narrowed
    case = case_of(judge.case, judge.requirement, error, read, unseen, narrowed=narrowed)
    return Judgement(case, read, error)


def _call(judge: Judge, observed: Observed) -> None:
    """Call the function, if its case applies to this target at all."""
    reason = observed.absent(judge.needs)
    if reason is not None:
        raise Inapplicable(reason)
    judge.function(**_values(judge.arguments, judge, observed))


def _values(arguments: Mapping[str, Source], judge: Judge, observed: Observed) -> dict[str, Any]:
    return {name: _value(source, judge, observed) for name, source in arguments.items()}


def _value(source: Source, judge: Judge, observed: Observed) -> Any:
    """What an argument is given."""
    if isinstance(source, Scenario):
        return observed.trace(source)
    if isinstance(source, Made):
        return _made(source, judge, observed)
    if source == TRACES:
        return observed.every_trace()
    return observed.profile if source == PROFILE else judge.parameters[source]


def _made(view: Made, judge: Judge, observed: Observed) -> Any:
    """The value of a view. One that is the same for all judges is made once, and read by each of them."""
    if not view.of_the_session:
        return view.function(**_values(view.arguments, judge, observed))
    if view.function in observed.made:
        value, read = observed.made[view.function]
        note(read)
        return value
    journal: Mapping[tuple[str, int], Exchange] = {}
    try:
        with reading() as journal:
            value = view.function(**_values(view.arguments, judge, observed))
    finally:
        note(journal.values())
    observed.made[view.function] = value, tuple(journal.values())
    return value
