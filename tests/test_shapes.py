"""Whatever shape a target gives to its answers no judge breaks on it, and no scenario knows just any name.

Everything is judged in this process, by all judges at once, on recordings of the embedded runtime in which
what stands at some depth of every document is of another kind.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runstone.proof.mutate.judges import Bench
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.wire.exchange import Event, Exchange
from runstone.wire.trace import Trace

pytestmark = pytest.mark.slow
KINDS: tuple[Any, ...] = (None, True, 7, 2.5, "x", "", [], {}, [None], [[]], {"x": None}, [{"x": [7]}])
DEPTHS = (0, 1, 2, 3, 4)


@pytest.fixture
def bench(whole_check: Path, tmp_path: Path) -> Bench:
    return Bench(open_session(given(evidence=whole_check / "evidence", out=tmp_path), lambda *_: None))


def broken_judges(bench: Bench, spoil: Callable[[Trace], Trace]) -> dict[str, str]:
    """The judges that fail by themselves where every trace is spoilt, and how."""
    traces = {name: spoil(trace) for name, trace in bench.observed.traces.items()}
    bench.observed = replace(bench.observed, traces=traces)
    cases = {judge.name: bench.verdict(judge) for judge in bench.judges}
    return {name: case.reason for name, case in cases.items() if case.verdict == "harness-error"}


def reshaped(value: Any, depth: int, kinds: Iterator[Any]) -> Any:
    """The document with values of other kinds at this depth."""
    if depth == 0:
        return next(kinds)
    if isinstance(value, dict):
        return {key: reshaped(member, depth - 1, kinds) for key, member in value.items()}
    return [reshaped(item, depth - 1, kinds) for item in value] if isinstance(value, list) else value


def _rewritten(text: str, depth: int, kinds: Iterator[Any]) -> str:
    try:
        return json.dumps(reshaped(json.loads(text), depth, kinds))
    except ValueError:
        return text


@pytest.mark.parametrize("depth", DEPTHS)
def test_no_shape_of_an_answer_breaks_a_judge(depth: int, bench: Bench) -> None:
    kinds = cycle(KINDS)

    def of_event(event: Event) -> Event:
        return msgspec.structs.replace(event, data=_rewritten(event.data, depth, kinds))

    def of_exchange(exchange: Exchange) -> Exchange:
        if exchange.events:
            return msgspec.structs.replace(exchange, events=tuple(map(of_event, exchange.events)))
        return msgspec.structs.replace(exchange, content=_rewritten(exchange.content, depth, kinds))

    def of_trace(trace: Trace) -> Trace:
        # What an official client made of the answers is as odd as they are.
        notes = {
            key: reshaped(value, depth, kinds) if key.endswith("outcome") else value
            for key, value in trace.notes.items()
        }
        exchanges = tuple(map(of_exchange, trace.exchanges))
        return msgspec.structs.replace(trace, exchanges=exchanges, notes=notes)

    assert broken_judges(bench, of_trace) == {}


@pytest.mark.parametrize("most", [0, 1, 2])
def test_no_short_list_or_stream_breaks_a_judge(most: int, bench: Bench) -> None:
    def shortened(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shortened(member) for key, member in value.items()}
        return [shortened(item) for item in value[:most]] if isinstance(value, list) else value

    def of_exchange(exchange: Exchange) -> Exchange:
        try:
            content = json.dumps(shortened(json.loads(exchange.content)))
        except ValueError:
            content = exchange.content
        return msgspec.structs.replace(exchange, content=content, events=exchange.events[:most])

    def of_trace(trace: Trace) -> Trace:
        return msgspec.structs.replace(trace, exchanges=tuple(map(of_exchange, trace.exchanges)))

    assert broken_judges(bench, of_trace) == {}


@pytest.mark.parametrize("most", [0, 1, 3, 7])
def test_no_early_end_of_a_scenario_breaks_a_judge(most: int, bench: Bench) -> None:
    def of_trace(trace: Trace) -> Trace:
        cut = {"exchanges": trace.exchanges[:most], "notes": {}, "blocked": {"": "the target broke"}}
        return msgspec.structs.replace(trace, **cut)

    assert broken_judges(bench, of_trace) == {}


def test_every_name_in_a_recording_is_one_that_its_scenario_knows(bench: Bench) -> None:
    unknown = {}
    for name, trace in bench.observed.traces.items():
        scenario = bench.observed.scenarios.get(name)
        if scenario is None:  # what the engine does for itself is judged by nobody
            assert name in {"self_check", "capacity", "again", "clean_up"}
            continue
        used = {each.label for each in trace.exchanges} | {each.part for each in trace.exchanges} - {""}
        unknown[name] = sorted(word for word in used | set(trace.notes) if not scenario.names.knows(word))
    assert {name: words for name, words in unknown.items() if words} == {}


def test_no_scenario_knows_every_name(bench: Bench) -> None:
    knowing = [name for name, each in bench.observed.scenarios.items() if each.names.knows("no such name")]
    assert knowing == []
