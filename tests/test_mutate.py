"""Mutants of recorded evidence: what operators change, what rules leave out, what judges make of the rest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from runstone.contracts import load_catalogue, schema_names, violations
from runstone.proof.mutate import published
from runstone.proof.mutate.change import Change, Mutant
from runstone.proof.mutate.drawing import draw
from runstone.proof.mutate.equivalence import excluding, load_rules
from runstone.proof.mutate.judges import Bench
from runstone.proof.mutate.operators import OPERATORS
from runstone.proof.mutate.score import Score, Share, Wanted, mutate
from runstone.proof.mutate.trying import Bar
from runstone.session import evidence
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.session.session import Session
from runstone.wire.exchange import Event, Exchange
from runstone.wire.trace import Trace
from tests.command_line import runstone

RUN = "0a0a0a0a-1b1b-4c1c-8d1d-2e2e2e2e2e2e"
THREAD = "3f3f3f3f-4a4a-4b4b-8c4c-5d5d5d5d5d5d"
_AREAS = [word for area in ("thr-status", "run-wait", "store", "monitor") for word in ("--area", area)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence of some areas of the embedded runtime, which conforms."""
    out = tmp_path_factory.mktemp("embedded")
    done = runstone("check", *_AREAS, "--quick", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "evidence"


def session_of(folder: Path, out: Path) -> Session:
    """The session that judges the evidence again."""
    return open_session(given(evidence=folder, out=out), lambda *_: None)


@pytest.fixture(scope="module")
def bar(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Bar:
    """The judges that pass on it."""
    return Bar.of(Bench(session_of(recorded, tmp_path_factory.mktemp("judged"))))


def exchange(content: str = "", **members: object) -> Exchange:
    """A complete answer to GET of a run."""
    given: dict[str, object] = {
        "scenario": "told",
        "number": 1,
        "label": "run",
        "method": "GET",
        "url": f"http://127.0.0.1:1/threads/{THREAD}/runs/{RUN}",
        "sent_at": 0.0,
        "code": 200,
        "response_headers": (("content-type", "application/json"), ("date", "Sat, 21 Nov 2026 10:15:49 GMT")),
        "content": content,
        "headers_after": 0.1,
        "finished_after": 0.1,
    }
    return Exchange(**(given | members))  # type: ignore[arg-type]


def run_body(**members: object) -> dict[str, object]:
    """A run as a server shows it."""
    return {
        "run_id": RUN,
        "thread_id": THREAD,
        "assistant_id": RUN,
        "created_at": "2026-11-21T10:15:49+00:00",
        "updated_at": "2026-11-21T10:15:49+00:00",
        "status": "success",
        "metadata": {"created_by": "system", "owner": "me"},
        "kwargs": {"input": {}},
        "multitask_strategy": "enqueue",
    } | members


def stream() -> Exchange:
    """A stream of three events, as it was recorded."""
    data = ('{"run_id": "r"}', '{"log": []}', '{"log": ["s1"]}')
    names = ("metadata", "values", "values")
    events = tuple(
        Event(event=name, data=text, at=0.1 * number)
        for number, (name, text) in enumerate(zip(names, data, strict=True))
    )
    return exchange("x", method="POST", events=events, url=f"http://127.0.0.1:1/threads/{THREAD}/runs/stream")


def told(*exchanges: Exchange) -> Trace:
    return Trace(scenario="told", exchanges=exchanges)


def changes(operator: str, one: Exchange, trace: Trace | None = None) -> list[Change]:
    return list(OPERATORS[operator](one, trace or told(one)))


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_changes_one_thing_and_leaves_the_recording_alone(operator: str) -> None:
    first = exchange(json.dumps([run_body(), run_body(run_id=THREAD, status="error")]))
    second = exchange('{"detail": "no"}', number=2, code=404)
    ids = tuple(
        Event(event=each.event, data=each.data, at=each.at, id=str(n))
        for n, each in enumerate(stream().events)
    )
    third = exchange(
        "x", number=3, method="POST", url=f"http://127.0.0.1:1/threads/{THREAD}/runs/stream", events=ids
    )
    trace = told(first, second, third)
    made = [
        Mutant(operator, "told", each.number, change)
        for each in trace.exchanges
        for change in changes(operator, each, trace)
    ]
    assert made
    for mutant in made:
        changed = mutant.applied(trace)
        assert len(changed.exchanges) == 3
        different = [
            new.number for new, old in zip(changed.exchanges, trace.exchanges, strict=True) if new != old
        ]
        assert mutant.number in different
        assert len(different) == (2 if operator == "swap-responses" else 1)
    assert trace == told(first, second, third)


def test_dropped_events_are_gone_from_the_text_too() -> None:
    change = changes("drop-event", stream())[2]
    (changed,) = change.make()
    assert [event.event for event in changed.events] == ["metadata", "values"]
    assert "s1" not in changed.content


def test_a_field_is_changed_where_it_is_said_to_be() -> None:
    one = exchange(json.dumps(run_body()))
    found = {change.where: change for change in changes("null-field", one)}
    (changed,) = found["body/metadata/owner"].make()
    assert json.loads(changed.content) == run_body(metadata={"created_by": "system", "owner": None})


def test_of_a_thousand_members_not_every_pair_is_swapped() -> None:
    many = exchange(json.dumps({f"member {number}": number for number in range(1_000)}))
    assert 1_000 < len(changes("swap-fields", many)) < 40_000  # there are half a million pairs


def test_of_a_webhook_what_the_target_said_is_changed() -> None:
    call = exchange("", label="delivery", method="POST", request_body=json.dumps(run_body()))
    (changed, *_) = (change.make()[0] for change in changes("delete-field", call))
    assert "run_id" not in json.loads(changed.request_body or "")
    assert changes("change-code", call) == []


def test_the_draw_is_reproducible_and_spread(recorded: Path) -> None:
    _, traces = evidence.read(recorded)
    drawn = [mutant.key for mutant in islice(draw(traces, 1), 600)]
    assert drawn == [mutant.key for mutant in islice(draw(traces, 1), 600)]
    assert drawn != [mutant.key for mutant in islice(draw(traces, 2), 600)]
    assert len(set(drawn)) == len(drawn)
    scenarios, operators = Counter(key[0] for key in drawn), Counter(key[1] for key in drawn)
    assert len(scenarios) >= 0.9 * sum(bool(trace.exchanges) for trace in traces.values())
    assert len(operators) >= 20
    assert max(operators.values()) <= 0.15 * len(drawn)


def test_a_rule_says_why_and_leaves_something_out(bar: Bar) -> None:
    traces = bar.bench.session.traces
    ids = load_catalogue()
    for rule in load_rules():
        assert len(rule.why) > 40
        assert rule.said_in
        assert set(rule.schemas) <= set(schema_names())
        assert set(rule.unless_read_by) <= set(ids)
    used = {
        rule.id
        for mutant in islice(draw(traces, 0), 4000)
        for rule in [excluding(mutant, traces[mutant.scenario])]
        if rule is not None
    }
    assert {"header-of-transport", "run-kwargs", "metadata-of-the-server"} <= used


PROMISED = [
    ("delete-field", "body/run_id"),
    ("null-field", "body/thread_id"),
    ("retype-field", "body/assistant_id"),
    ("change-value", "body/created_at"),
    ("change-value", "body/multitask_strategy"),
    ("null-field", "body/multitask_strategy"),
    ("change-status", "body/status"),
    ("change-value", "body/metadata/owner"),
    ("delete-field", "body/metadata"),
    ("delete-field", "body/kwargs"),
    ("swap-fields", "body/run_id and thread_id"),
    ("swap-fields", "body/status and multitask_strategy"),
    ("drop-header", "header content-type"),
    ("change-header", "header content-type"),
    ("change-code", "code"),
    ("truncate-body", "body"),
    ("lose-response", "response"),
    ("delay-response", "response"),
]


@pytest.mark.parametrize("operator, where", PROMISED)
def test_no_rule_leaves_out_what_is_promised(operator: str, where: str) -> None:
    one = exchange(json.dumps(run_body()))
    found = [change for change in changes(operator, one) if change.where == where]
    assert found
    for change in found:
        assert excluding(Mutant(operator, "told", 1, change), told(one)) is None


@pytest.mark.parametrize(
    "operator", [name for name in OPERATORS if name.endswith(("event", "stream", "events", "event-id"))]
)
def test_no_rule_leaves_out_an_event(operator: str) -> None:
    one = stream()
    for change in changes(operator, one):
        assert excluding(Mutant(operator, "told", 1, change), told(one)) is None


def test_another_reading_is_legal_as_long_as_the_end_is_seen_later() -> None:
    def reading(number: int, status: str) -> Exchange:
        return exchange(json.dumps(run_body(status=status)), number=number, sent_at=float(number))

    trace = told(reading(1, "pending"), reading(2, "running"), reading(3, "success"), reading(4, "success"))
    legal = {
        (each.number, change.after)
        for each in trace.exchanges
        for change in changes("change-status", each)
        if excluding(Mutant("change-status", "told", each.number, change), trace)
    }
    assert legal == {(1, "running"), (2, "pending"), (3, "running")}


def test_unspoilt_evidence_is_judged_as_pytest_judges_it(bar: Bar, recorded: Path, tmp_path: Path) -> None:
    done = runstone("judge", str(recorded), *_AREAS, "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    by_pytest = {
        (verdict["id"], case["case"]): case["verdict"]
        for verdict in report["verdicts"]
        for case in verdict["cases"]
        if case["verdict"] != "not-run"
    }
    by_us = {(each.requirement.id, each.case): bar.bench.verdict(each).verdict for each in bar.bench.judges}
    assert {key: verdict for key, verdict in by_us.items() if key in by_pytest} == by_pytest


@pytest.mark.slow
def test_monitors_beside_few_traces_say_what_they_say_of_all(bar: Bar) -> None:
    session = bar.bench.session
    for mutant in islice(draw(session.traces, 3), 0, 400, 20):
        changed = mutant.applied(session.traces[mutant.scenario])
        for monitor in bar.bench.monitors:
            if monitor.name in bar.monitors:
                few = bar.bench.verdict(monitor, changed, bar.monitors[monitor.name]).verdict
                of_all = bar.bench.verdict(monitor, changed).verdict
                # Few may lack what all have; they never find fault where all do not, and never miss one.
                assert few == of_all or (few, of_all) == ("not-testable", "pass"), (monitor.name, mutant.key)


def test_the_score_counts_what_it_says(recorded: Path, tmp_path: Path) -> None:
    found = mutate(session_of(recorded, tmp_path), Wanted(limit=150, jobs=1), lambda _: None)
    again = mutate(session_of(recorded, tmp_path), Wanted(limit=150, jobs=2), lambda _: None)
    assert found.total.of == 150 == sum(share.of for share in found.operators.values())
    assert found.total.killed + len(found.survivors) == 150 == sum(found.verdicts.values())
    assert found.crashes == ()
    assert [each for each in found.excluded if each.killed] == []
    assert (found.total, found.survivors, found.excluded) == (again.total, again.survivors, again.excluded)
    assert found.total.percent > 50
    assert violations("mutation", json.loads(published.to_json(found))) == []
    text = published.to_markdown(found)
    assert all(f"| {area} |" in text for area in found.areas)
    assert text.count("\n- ") >= len(found.survivors)


def test_each_area_gets_its_mutants_beyond_the_limit(recorded: Path, tmp_path: Path) -> None:
    few = mutate(session_of(recorded, tmp_path), Wanted(limit=40, jobs=1), lambda _: None)
    least = min(share.of for share in few.areas.values())
    found = mutate(
        session_of(recorded, tmp_path), Wanted(limit=40, per_area=least + 5, jobs=2), lambda _: None
    )
    assert min(share.of for share in found.areas.values()) == least + 5
    assert found.total.of < 40 + 5 * len(found.areas) * 2
    assert set(few.areas) == set(found.areas)


def test_two_recordings_of_one_server_give_the_same_mutants(recorded: Path) -> None:
    """The draw goes by names: in which order parts of a scenario were answered does not move it."""
    _, traces = evidence.read(recorded)
    other = {name: _answered_in_another_order(trace) for name, trace in traces.items()}
    first, second = ({_named(each, of) for each in islice(draw(of, 1), 600)} for of in (traces, other))
    assert len(first & second) > 0.95 * len(first)


def _answered_in_another_order(trace: Trace) -> Trace:
    numbered = enumerate(reversed(trace.exchanges), 1)
    exchanges = tuple(msgspec.structs.replace(each, number=number) for number, each in numbered)
    return msgspec.structs.replace(trace, exchanges=exchanges)


def _named(mutant: Mutant, traces: Mapping[str, Trace]) -> tuple[str, ...]:
    one = next(each for each in traces[mutant.scenario].exchanges if each.number == mutant.number)
    return (mutant.scenario, mutant.operator, one.label, one.part, mutant.change.kind)


def test_a_score_below_the_threshold_fails(recorded: Path, tmp_path: Path) -> None:
    run = ["mutate", str(recorded), "--limit", "100", "--per-area", "0", "--out", str(tmp_path)]
    assert runstone(*run).returncode == 0
    done = runstone(*run, "--at-least", "100", "--area-at-least", "100")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "wanted 100 %" in done.stdout
    score = json.loads((tmp_path / "mutation.json").read_text("utf-8"))
    assert score["total"]["of"] == 100
    assert (tmp_path / "mutation.md").read_text("utf-8").startswith("# Mutation score of embedded")


@pytest.mark.parametrize("content", [None, "not json", '{"format": 99}'])
def test_bad_evidence_is_one_line(tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "evidence"
    folder.mkdir()
    if content is not None:
        (folder / "manifest.json").write_text(content)
    done = runstone("mutate", str(folder), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_an_empty_score_is_never_good() -> None:
    empty = Score(
        runstone="0", target="t", server="s", profile="p", seed=0, limit=1, at_least=0.0, area_at_least=0.0,
        seconds=0.0, total=Share(killed=0, of=0, not_testable=0), verdicts={}, areas={}, operators={},
        excluded=(), survivors=(), crashes=(),
    )  # fmt: skip
    assert empty.shortfalls
