"""No judge is a formality: each that passes on the embedded runtime fails on some spoilt recording of it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runstone.judge.running import run
from runstone.proof.mutate.judges import Bench
from runstone.session import evidence
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.verdict.model import Case
from runstone.wire.exchange import Event, Exchange
from runstone.wire.trace import Trace
from runstone.wire.webhooks import DELIVERY
from tests.command_line import judged, runstone

pytestmark = pytest.mark.slow
Spoil = Callable[[Exchange], Exchange]
_OF_PYTHON = re.compile(
    r"\w*(?:Error|Exception|Traceback)\b|\b(?:NoneType|None|True|False)\b|Exchange\(|Trace\("
)
_OTHER_STATUS = {
    "success": "error",
    "error": "success",
    "interrupted": "idle",
    "idle": "busy",
    "running": "timeout",
}


def _with(exchange: Exchange, **changes: Any) -> Exchange:
    return msgspec.structs.replace(exchange, **changes)


def _rewritten(exchange: Exchange, rewrite: Callable[[Any], Any]) -> Exchange:
    """The exchange with its JSON body, or the JSON of its events, rewritten."""
    if exchange.events:
        return _with(exchange, events=tuple(_rewritten_event(event, rewrite) for event in exchange.events))
    try:
        return _with(exchange, content=json.dumps(rewrite(json.loads(exchange.content))))
    except ValueError:
        return exchange


def _rewritten_event(event: Event, rewrite: Callable[[Any], Any]) -> Event:
    return (
        msgspec.structs.replace(event, data=json.dumps(rewrite(json.loads(event.data))))
        if event.data
        else event
    )


def _everything_fails(exchange: Exchange) -> Exchange:
    return _with(exchange, code=500, content='{"detail": "sorry"}', events=())


def _nothing_is_refused(exchange: Exchange) -> Exchange:
    refused = exchange.code is not None and exchange.code >= 400
    return _with(exchange, code=200, content="{}") if refused else exchange


def _refusals_say_nothing(exchange: Exchange) -> Exchange:
    return _with(exchange, content="") if exchange.code is not None and exchange.code >= 400 else exchange


def _no_json_members(exchange: Exchange) -> Exchange:
    return _rewritten(exchange, lambda body: {} if isinstance(body, dict) else [])


def _no_events(exchange: Exchange) -> Exchange:
    return _with(exchange, events=())


def _last_event_lost(exchange: Exchange) -> Exchange:
    return _with(exchange, events=exchange.events[:-1])


def _events_repeated(exchange: Exchange) -> Exchange:
    return _with(exchange, events=tuple(event for event in exchange.events for _ in range(2)))


def _events_reversed(exchange: Exchange) -> Exchange:
    return _with(exchange, events=tuple(reversed(exchange.events)))


def _events_unnamed(exchange: Exchange) -> Exchange:
    renamed = (msgspec.structs.replace(event, event=f"x|{event.event}") for event in exchange.events)
    return _with(exchange, events=tuple(renamed))


def _malformed(exchange: Exchange) -> Exchange:
    broken = (msgspec.structs.replace(event, data="{", data_lines=2) for event in exchange.events)
    return _with(exchange, events=tuple(broken), malformed_lines=("foo",), utf8=False)


def _headers_lost(exchange: Exchange) -> Exchange:
    return _with(exchange, response_headers=())


def _late_and_silent(exchange: Exchange) -> Exchange:
    late = exchange.finished_after + 40.0
    events = tuple(msgspec.structs.replace(event, at=late) for event in exchange.events)
    return _with(
        exchange, headers_after=late, first_byte_after=late, finished_after=late, chunks=((late, 1),),
        comments=(), events=events,
    )  # fmt: skip


def _hanging(exchange: Exchange) -> Exchange:
    return _with(exchange, failure="not finished within 6.0 s")


def _at_once(exchange: Exchange) -> Exchange:
    return _with(exchange, finished_after=0.0, headers_after=0.0)


def _secrets_told(exchange: Exchange) -> Exchange:
    return _with(exchange, content=exchange.content + " Traceback (most recent call last)")


def _statuses_swapped(exchange: Exchange) -> Exchange:
    return _rewritten(exchange, _swap)


def _swap(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _OTHER_STATUS.get(member, "busy")
            if key == "status" and isinstance(member, str)
            else _swap(member)
            for key, member in value.items()
        }
    return [_swap(item) for item in value] if isinstance(value, list) else value


def _texts_and_numbers_changed(exchange: Exchange) -> Exchange:
    return _rewritten(exchange, _change)


def _change(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _change(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_change(item) for item in value][::-1]
    if isinstance(value, str):
        return f"{value}?" if len(value) < 30 else value
    return value + 1 if isinstance(value, int | float) and not isinstance(value, bool) else value


def _deliveries_say_nothing(exchange: Exchange) -> Exchange:
    return _with(exchange, request_body="{}") if exchange.label == DELIVERY else exchange


SPOILS: tuple[Spoil, ...] = (
    _everything_fails,
    _nothing_is_refused,
    _refusals_say_nothing,
    _no_json_members,
    _no_events,
    _last_event_lost,
    _events_repeated,
    _events_reversed,
    _events_unnamed,
    _malformed,
    _headers_lost,
    _late_and_silent,
    _hanging,
    _at_once,
    _secrets_told,
    _statuses_swapped,
    _texts_and_numbers_changed,
    _deliveries_say_nothing,
)


def judges_of(recorded: Path) -> Bench:
    """All judges, over the evidence of a check."""
    session = open_session(given(evidence=recorded / "evidence", out=recorded), lambda *_: None)
    return Bench(session)


def spoilt_cases(bench: Bench, spoil: Spoil, only: Collection[str] = ()) -> Iterator[tuple[str, Case]]:
    """Requirement and case of each judge on a spoilt copy of the recording."""
    traces = {name: _spoilt_trace(trace, spoil) for name, trace in bench.observed.traces.items()}
    observed = replace(bench.observed, traces=traces)
    for judge in bench.judges:
        if not only or judge.requirement.id in only:
            yield judge.requirement.id, run(judge, observed).case


def spoilt(bench: Bench, spoil: Spoil, only: Collection[str] = ()) -> dict[str, set[str]]:
    """Requirement → the verdicts of its cases on a spoilt copy of the recording."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for id, case in spoilt_cases(bench, spoil, only):  # noqa: A001
        found[id].add(case.verdict)
    return found


def _spoilt_trace(trace: Trace, spoil: Spoil) -> Trace:
    return msgspec.structs.replace(trace, exchanges=tuple(map(spoil, trace.exchanges)))


def never_failing(recorded: Path, bench: Bench) -> list[str]:
    """The requirements that pass on the recording, and on every spoilt copy of it."""
    kept = {id for id, verdict in judged(recorded / "report.json") if verdict == "pass"}  # noqa: A001
    for spoil in SPOILS:
        found = spoilt(bench, spoil, kept) if kept else {}
        kept -= {id for id, verdicts in found.items() if verdicts & {"fail", "warn", "not-testable"}}  # noqa: A001
    return sorted(kept)


@pytest.fixture(scope="module")
def bench(whole_check: Path) -> Bench:
    return judges_of(whole_check)


def test_every_judge_can_fail(whole_check: Path, bench: Bench) -> None:
    assert never_failing(whole_check, bench) == []


def in_python(cases: Iterable[tuple[str, Case]], said: str) -> list[str]:
    """The reasons that speak of Python where the server has not: names of its errors and of its constants."""
    broken = {"fail", "warn", "flaky", "not-testable"}
    reasons = {f"{id}: {case.reason}" for id, case in cases if case.verdict in broken}  # noqa: A001
    of_us = (each for each in reasons if "raised" not in each)  # else it is what an official client raised
    return sorted(each for each in of_us if any(word not in said for word in _OF_PYTHON.findall(each)))


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_no_judge_breaks_on_what_is_spoilt(bench: Bench, spoil: Spoil) -> None:
    cases = list(spoilt_cases(bench, spoil))
    assert [id for id, case in cases if case.verdict == "harness-error"] == []  # noqa: A001
    exchanges = (each for trace in bench.observed.traces.values() for each in trace.exchanges)
    said = "".join(each.content for each in map(spoil, exchanges))
    assert in_python(cases, said) == []


@pytest.mark.parametrize("spoil", [_malformed, _texts_and_numbers_changed], ids=lambda spoil: spoil.__name__)
def test_spoilt_evidence_has_all_its_reports(
    whole_check: Path, bench: Bench, spoil: Spoil, tmp_path: Path
) -> None:
    manifest, traces = evidence.read(whole_check / "evidence")
    writer = evidence.EvidenceWriter(tmp_path / "evidence", manifest)
    for trace in traces.values():
        writer.add(_spoilt_trace(trace, spoil))
    writer.save()
    done = runstone("judge", str(tmp_path / "evidence"), "--out", str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    fallen = {id for id, verdict in judged(tmp_path / "report.json") if verdict == "fail"}  # noqa: A001
    assert fallen
    assert fallen <= {id for id, verdicts in spoilt(bench, spoil).items() if "fail" in verdicts}  # noqa: A001
    assert {"report.html", "summary.md", "junit.xml"} <= {path.name for path in tmp_path.iterdir()}


def _given_up(exchange: Exchange) -> Exchange:
    """A scenario that cannot go on, as with a server that names no stateless runs, ends its own requests."""
    cut = exchange.scenario == "cancel" and exchange.is_stream
    return (
        _with(exchange, failure="the scenario's deadline passed", events=exchange.events[:2])
        if cut
        else exchange
    )


def test_what_a_scenario_gave_up_breaks_no_grammar(bench: Bench) -> None:
    assert spoilt(bench, _given_up, ["MON-003"]) == {"MON-003": {"pass"}}


def _two_equal_tokens(exchange: Exchange) -> Exchange:
    """A model says the same piece twice in a row, as in `gamma` letter by letter."""
    pieces = [number for number, event in enumerate(exchange.events) if event.event == "messages"]
    if not pieces:
        return exchange
    place, events = pieces[-1], exchange.events
    return _with(exchange, events=(*events[: place + 1], events[place], *events[place + 1 :]))


def test_a_model_may_say_the_same_twice(bench: Bench) -> None:
    assert spoilt(bench, _two_equal_tokens, ["MON-012"]) == {"MON-012": {"pass"}}
