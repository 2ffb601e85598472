"""Whether another status in one reading of a run or thread is still what a server may tell."""

from __future__ import annotations

from collections.abc import Iterator

from runstone.contracts import lifecycle, operation_for
from runstone.proof.mutate.change import Mutant, document_of
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace


def is_legal_reading(mutant: Mutant, trace: Trace) -> bool:
    """Whether the status is that of a run which a reader may have seen at that time.

    A run may be seen queued or running as long as nobody has seen it end: all readings of it must still
    follow the automaton, and a later one must be left that shows how it ended.
    """
    steps = mutant.change.steps
    if steps is None or steps[-1:] != ("status",) or mutant.change.event is not None:
        return False
    after = str(mutant.change.after)
    changed = mutant.applied(trace)
    exchange = next(each for each in changed.exchanges if each.number == mutant.number)
    runs = lifecycle().runs
    if after in runs.terminal:
        return False  # that a run has ended is a claim about its result
    for run, number in _shown(exchange):
        if number != steps[:-1]:
            continue
        told = [(each, status) for each, place, status in _readings(changed, run)]
        ordered = sorted(told, key=lambda each: each[0].ended_at)
        later = [status for each, status in ordered if each.ended_at > exchange.ended_at]
        legal = runs.first_illegal([status for _, status in ordered]) is None
        # The last reading is the one that a scenario waited for.
        return legal and bool(later)
    return False


def _readings(trace: Trace, run: str) -> Iterator[tuple[Exchange, tuple[str | int, ...], str]]:
    for exchange in trace.exchanges:
        for steps, document in _runs(exchange):
            if document.get("run_id") == run:
                yield exchange, steps, str(document.get("status"))


def _shown(exchange: Exchange) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    for steps, document in _runs(exchange):
        yield str(document.get("run_id")), steps


def _runs(exchange: Exchange) -> Iterator[tuple[tuple[str | int, ...], dict[str, object]]]:
    operation = operation_for(exchange.method, exchange.path)
    if operation is None or operation.schema != "run":
        return
    body = document_of(exchange.content)
    placed = [((index,), each) for index, each in enumerate(body)] if isinstance(body, list) else [((), body)]
    for steps, each in placed:
        if isinstance(each, dict):
            yield steps, each
