"""What each scenario cost when it was recorded, by a file like contracts/durations.yaml or by evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from runstone.contracts import operation_for
from runstone.contracts.operations import Operation
from runstone.contracts.reading import read_yaml
from runstone.errors import UsageError
from runstone.scenario.estimate import CREATED, Cost, turns_seconds
from runstone.scenario.runs import creates_run
from runstone.session import evidence
from runstone.wire.attempts import scenario_of
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace

_NO_SCENARIOS = ("self_check", "capacity")


class BadDurations(UsageError):  # noqa: N818 - named as what it reports
    """The file of durations cannot be read, or is none."""


def costs_in(path: Path) -> Mapping[str, Cost]:
    """By scenario, from a file or from a folder of evidence. Raises BadDurations, or what evidence raises."""
    if not path.is_dir():
        return read_yaml(path, dict[str, Cost], BadDurations)
    manifest, traces = evidence.read(path)
    known = [each for name, each in traces.items() if name == scenario_of(name) and not each.inapplicable]
    scenarios = [each for each in known if not each.scenario.startswith(_NO_SCENARIOS)]
    return {each.scenario: _cost(each, manifest.turn_s) for each in scenarios}


def _cost(trace: Trace, turn_s: float) -> Cost:
    """How long it would take if turns took no time, in tenths of a second, and what it created."""
    made: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for each in trace.exchanges:
        operation = operation_for(each.method, each.path)
        made["runs"] += creates_run(each.method, each.path) and each.answered
        new = set(_created_things(operation, each)) - seen if operation is not None else set()
        seen |= new
        made.update(f"{kind}s" for kind, _ in new if kind != "run")
    seconds = trace.finished_at - trace.started_at - turns_seconds(made["runs"], turn_s)
    return Cost(seconds=round(max(0.0, seconds), 1), **{kind: made[kind] for kind in CREATED})


def _created_things(operation: Operation, exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Kind and id, the latter as text."""
    for kind, found in operation.created_by(exchange):
        yield kind, str(found)
