"""Comparison: what never counts, what always does, and how two traces are aligned."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from runstone.compare.comparison import NotComparable, Side, compare
from runstone.compare.differences import Difference, differences
from runstone.compare.published import BEGIN, END, NoPlaceForResults, with_results
from runstone.compare.texts import to_html, to_json, to_markdown
from runstone.contracts import violations
from runstone.report.model import Case, Grid, Outcome, Phases, Report, TargetSummary, Verdict
from runstone.wire.trace import Comment, Event, Exchange, Trace

THREAD, RUN = str(uuid4()), str(uuid4())


def exchange(number: int = 1, body: Any = None, **changes: Any) -> Exchange:
    plain = Exchange(
        scenario="turn",
        number=number,
        label="state",
        method="GET",
        url=f"http://127.0.0.1:2024/threads/{THREAD}/state",
        sent_at=float(number),
        code=200,
        response_headers=(("content-type", "application/json"),),
        content=json.dumps(body),
        finished_after=0.1,
    )
    return msgspec.structs.replace(plain, **changes)


def stream(*events: tuple[str, Any], number: int = 1, **changes: Any) -> Exchange:
    return exchange(
        number,
        label="stream",
        method="POST",
        url=f"http://127.0.0.1:2024/threads/{THREAD}/runs/stream",
        response_headers=(("content-type", "text/event-stream"),),
        content="",
        events=tuple(Event(event=name, data=json.dumps(data), at=0.1) for name, data in events),
        **changes,
    )


def found(left: list[Exchange], right: list[Exchange], **options: bool) -> list[Difference]:
    return differences(
        Trace(scenario="turn", exchanges=tuple(left)),
        Trace(scenario="turn", exchanges=tuple(right)),
        **options,
    )


def only(left: list[Exchange], right: list[Exchange]) -> Difference:
    (difference,) = found(left, right)
    return difference


STEPS = [("values", {"log": list(range(number))}) for number in range(8)]


@pytest.mark.parametrize(
    "left, right",
    [
        ({"id": str(uuid4())}, {"id": str(uuid4()).upper()}),
        ({"at": "2026-11-21T10:00:00Z"}, {"at": "2027-01-02T03:04:05.678+01:00"}),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}),
        ({"text": "one\r\ntwo"}, {"text": "one\ntwo"}),
        ({"url": "http://127.0.0.1:2024/x"}, {"url": "http://localhost:8123/x"}),
        ({"a": None}, {}),
        ({"latency_ms": 4}, {"latency_ms": 900}),
        ({"__request_start_time_ms__": 1795273877406}, {"__request_start_time_ms__": 1795274027702}),
        ({"created_at": 1795260328}, {"created_at": 1795260999}),
        ({"text": f"thread {uuid4()} is busy"}, {"text": f"thread {uuid4()} is busy"}),
        ({"metadata": {"host": "a", "mine": 1}}, {"metadata": {"mine": 1, "plan": "b"}}),
        (
            {"interrupts": {str(uuid4()): "a", str(uuid4()): "b"}},
            {"interrupts": {str(uuid4()): "b", "f" * 32: "a"}},
        ),
        ({"status": "pending"}, {"status": "running"}),
    ],
)
def test_what_never_counts(left: Any, right: Any) -> None:
    assert found([exchange(body=left)], [exchange(body=right)]) == []


@pytest.mark.parametrize(
    "left, right, path",
    [
        ({"a": 1}, {"a": True}, "/body/a"),
        ({"a": []}, {}, "/body/a"),
        ({"text": "one"}, {"text": "two"}, "/body/text"),
        ({"metadata": {"mine": 1}}, {"metadata": {"mine": 2}}, "/body/metadata/mine"),
        ({"log": [{"n": 1}, {"n": 2}, {"n": 3}]}, {"log": [{"n": 2}, {"n": 3}]}, "/body/log/0"),
        ({"a/b": 1}, {"a/b": 2}, "/body/a~1b"),
        ({"status": "success"}, {"status": "error"}, "/body/status"),
    ],
)
def test_what_counts(left: Any, right: Any, path: str) -> None:
    assert only([exchange(body=left)], [exchange(body=right)]).path == path


def test_status_and_content_type_count_and_other_headers_do_not() -> None:
    headers = (("content-type", "text/plain; charset=utf-8"), ("date", "now"), ("server", "x"))
    changed = exchange(body={}, code=204, response_headers=headers)
    assert [each.path for each in found([exchange(body={})], [changed])] == [
        "/status",
        "/headers/content-type",
    ]


def test_keep_alives_and_chunks_never_count() -> None:
    padded = exchange(body={"a": 1}, content='\n\n {"a": 1}\n', chunks=((0.1, 1), (0.2, 9)))
    assert found([exchange(body={"a": 1})], [padded]) == []
    beating = msgspec.structs.replace(
        stream(("ping", {}), *STEPS), comments=(Comment(text="heartbeat", at=5.0),)
    )
    assert found([stream(*STEPS)], [beating]) == []


def test_ids_of_events_never_count() -> None:
    numbered = stream(*STEPS)
    numbered = msgspec.structs.replace(
        numbered, events=tuple(msgspec.structs.replace(each, id="7-0") for each in numbered.events)
    )
    assert found([stream(*STEPS)], [numbered]) == []


@pytest.mark.parametrize("place", range(len(STEPS)))
def test_one_missing_event_is_one_difference(place: int) -> None:
    difference = only([stream(*STEPS)], [stream(*STEPS[:place], *STEPS[place + 1 :])])
    assert difference.events == (place + 1, None)
    assert (difference.event, difference.path, difference.right) == ("values", "", None)


def test_one_missing_event_among_events_that_all_differ_is_still_one() -> None:
    ours = [("updates", {f"s{number}": {"log": [number]}}) for number in range(6)]
    theirs = [("updates", {name: {**data[name], "extra": 1} for name in data}) for _, data in ours]
    differing = found([stream(*ours)], [stream(*theirs[:2], *theirs[3:])])
    missing = [each for each in differing if each.path == ""]
    assert [each.events for each in missing] == [(3, None)]
    assert all(each.path.endswith("/extra") for each in differing if each.path)


def test_one_missing_exchange_is_one_difference() -> None:
    asked = [
        exchange(
            number,
            {"n": number},
            method="POST",
            label="update_state",
            request_body=json.dumps({"value": number}),
        )
        for number in range(1, 6)
    ]
    rest = [
        msgspec.structs.replace(each, number=number) for number, each in enumerate(asked[:2] + asked[3:], 1)
    ]
    difference = only(asked, rest)
    assert difference.exchanges == ("turn#3", None)
    assert difference.path == ""
    assert difference.right is None


def test_a_changed_event_is_found_where_it_is() -> None:
    changed = [*STEPS[:3], ("values", {"log": [0, 1, 9]}), *STEPS[4:]]
    difference = only([stream(*STEPS)], [stream(*changed)])
    assert (difference.events, difference.path) == ((4, 4), "/data/log/2")
    assert difference.where == "exchange 1 POST /threads/<id>/runs/stream, event 4 (values), /data/log/2"


def test_modes_and_namespaces_may_interleave_as_they_like() -> None:
    custom = [("custom", {"tick": number}) for number in range(3)]
    assert found([stream(*STEPS, *custom)], [stream(*custom, *STEPS)]) == []
    one, other = ("updates|a", {"x": 1}), ("updates|b", {"y": 1})
    assert found([stream(one, other)], [stream(other, one)]) == []
    assert found([stream(*custom)], [stream(*custom[::-1])]) != []


def test_tasks_of_one_superstep_race_and_those_of_two_do_not() -> None:
    start = [("tasks", {"id": "1", "name": name, "input": {}}) for name in "ab"]
    end = [("tasks", {"id": "1", "name": name, "result": {}}) for name in "ab"]
    assert found([stream(*start, *end)], [stream(*start[::-1], *end[::-1])]) == []
    assert (
        found([stream(start[0], end[0], start[1], end[1])], [stream(start[1], end[1], start[0], end[0])])
        != []
    )


def test_how_often_a_status_was_polled_never_counts() -> None:
    url = f"http://127.0.0.1:2024/threads/{THREAD}/runs/{RUN}"
    statuses = ["pending", "running", "running", "success"]
    polled = [exchange(n, {"status": each}, label="poll", url=url) for n, each in enumerate(statuses, 1)]
    assert found(polled, [exchange(1, {"status": "success"}, label="poll", url=url)]) == []
    ended = only(polled, [exchange(1, {"status": "error"}, label="poll", url=url)])
    assert (ended.path, ended.left, ended.right) == ("/body/status", '"success"', '"error"')


def test_a_status_that_never_ends_is_a_difference() -> None:
    url = f"http://127.0.0.1:2024/threads/{THREAD}"
    stuck = [exchange(number, {"status": "busy"}, label="settle", url=url) for number in range(1, 5)]
    assert only([exchange(1, {"status": "idle"}, label="settle", url=url)], stuck).path == "/body/status"


def started(number: int, **changes: Any) -> Exchange:
    url = f"http://127.0.0.1:2024/threads/{THREAD}/runs"
    return exchange(
        number, {"run_id": RUN, "status": "pending"}, label="create_run", method="POST", url=url, **changes
    )


def test_what_is_read_while_a_run_is_under_way_is_a_matter_of_the_moment() -> None:
    early, late = exchange(2, {"values": {"log": []}}), exchange(2, {"values": {"log": ["a"]}})
    assert found([started(1), early], [started(1), late]) == []
    joined = exchange(2, {}, label="join", url=f"http://127.0.0.1:2024/threads/{THREAD}/runs/{RUN}/join")
    after = [msgspec.structs.replace(each, number=3, sent_at=3.0) for each in (early, late)]
    assert only([started(1), joined, after[0]], [started(1), joined, after[1]]).path == "/body/values/log/0"


def test_how_far_a_run_came_that_was_cancelled_is_chance() -> None:
    cancel = exchange(
        2, {}, label="cancel", method="POST", url=f"http://127.0.0.1:2024/threads/{THREAD}/runs/{RUN}/cancel"
    )
    ends = [exchange(3, {"values": {"log": each}}) for each in ([], ["a"])]
    assert found([started(1), cancel, ends[0]], [started(1), cancel, ends[1]]) == []
    refused = msgspec.structs.replace(ends[1], code=500)
    assert [each.path for each in found([started(1), cancel, ends[0]], [started(1), cancel, refused])] == [
        "/status"
    ]


def test_the_wording_of_an_error_never_counts_and_its_class_does() -> None:
    def failed(kind: str, message: str) -> Exchange:
        return exchange(body={"__error__": {"error": kind, "message": message}})

    assert found([failed("ValueError", "a")], [failed("ValueError", "b")]) == []
    assert only([failed("ValueError", "a")], [failed("Error", "a")]).path == "/body/__error__/error"
    refused = [exchange(body={"detail": each}, code=404) for each in ("no such thread", "not found")]
    assert found([refused[0]], [refused[1]]) == []


def test_an_agent_of_ones_own_is_compared_by_its_shape() -> None:
    one, other = exchange(body={"answer": "hello", "n": 1}), exchange(body={"answer": "good day", "n": 2})
    assert found([one], [other], by_shape=True) == []
    assert found([one], [exchange(body={"answer": 1, "n": 2})], by_shape=True) != []


# whole comparisons


def side(
    name: str, outcomes: dict[str, Outcome], traces: dict[str, Trace] | None = None, **changes: Any
) -> Side:
    verdicts = tuple(
        Verdict(
            id=requirement,
            level="MUST" if requirement.startswith("M") else "SHOULD",
            area="explore" if requirement.startswith("EXPLORE") else "run-wait",
            statement="It holds.",
            source=("https://example.org",),
            verdict=outcome,
            cases=(
                Case(case="", verdict=outcome, reason="\ud800 <b>", exchanges=("turn#1",), curl=("curl x",)),
            ),
        )
        for requirement, outcome in outcomes.items()
    )
    report = Report(
        runstone="0.1.0",
        profile="langgraph",
        started_at="2026-11-21T10:00:00+00:00",
        duration_s=1.0,
        phases=Phases(),
        complete=True,
        stopped=None,
        conforming=True,
        exit_code=0,
        fail_on="must",
        quick=False,
        target=TargetSummary(name=name, url="http://127.0.0.1:1", server="x"),
        totals={},
        areas=(),
        grid=Grid(),
        verdicts=verdicts,
    )
    report = msgspec.structs.replace(report, **changes)
    return Side(name=name, judged=lambda: report, traces=traces)


@pytest.mark.parametrize(
    "left, right, differs, code",
    [
        ("pass", "pass", False, 0),
        ("pass", "fail", True, 1),
        ("pass", "waived", True, 1),
        ("not-testable", "pass", True, 1),
        ("pass", "not-applicable", True, 0),
        ("pass", "not-run", False, 0),
        ("fail", "fail", False, 0),
        ("fail", "waived", True, 0),
        ("pass", "harness-error", True, 4),
    ],
)
def test_when_they_differ_in_a_must(left: Outcome, right: Outcome, differs: bool, code: int) -> None:
    whole = compare([side("a", {"M-1": left}), side("b", {"M-1": right})])
    assert (whole.requirements[0].differs, whole.exit_code) == (differs, code)


def test_a_should_never_ends_in_exit_code_1() -> None:
    whole = compare([side("a", {"S-1": "pass"}), side("b", {"S-1": "warn"})])
    assert (whole.exit_code, whole.differ_in["SHOULD"]) == (0, 1)
    assert whole.requirements[0].differs


def test_every_further_target_is_compared_with_the_first() -> None:
    traces = [{"turn": Trace(scenario="turn", exchanges=(exchange(body=body),))} for body in (1, 2, 1)]
    whole = compare([side(name, {"M-1": "pass"}, each) for name, each in zip("abc", traces, strict=True)])
    assert [(pair.left, pair.right, pair.alike) for pair in whole.pairs] == [("a", "b", 0), ("a", "c", 1)]
    (differing,) = whole.pairs[0].scenarios
    assert (differing.scenario, differing.count, differing.first.path) == ("turn", 1, "/body")


def test_different_profiles_and_suites_are_refused() -> None:
    plain = side("a", {"M-1": "pass"})
    with pytest.raises(NotComparable, match="same --profile"):
        compare([plain, side("b", {"M-1": "pass"}, profile="other")])
    with pytest.raises(NotComparable, match="different suites"):
        compare([plain, side("b", {"M-2": "pass"})])


def test_what_only_one_of_them_explored_did_not_run_on_the_other() -> None:
    explored = side("b", {"M-1": "pass", "EXPLORE-001": "fail"})
    for sides in ([side("a", {"M-1": "pass"}), explored], [explored, side("a", {"M-1": "pass"})]):
        whole = compare(sides)
        by_id = {row.id: [stand.standing for stand in row.stands] for row in whole.requirements}
        assert by_id["M-1"] == ["kept", "kept"]
        assert sorted(by_id["EXPLORE-001"]) == ["broken", "not-run"]
        assert whole.exit_code == 0
        assert violations("compare", json.loads(to_json(whole))) == []


def test_the_texts_are_well_formed_whatever_a_target_said() -> None:
    hostile = {"turn": Trace(scenario="turn", exchanges=(exchange(body="</script><b>|`\ud800"),))}
    plain = {"turn": Trace(scenario="turn", exchanges=(exchange(body="fine"),))}
    sides = [
        side("a", {"M-1": "fail", "S-1": "pass"}, hostile),
        side("b", {"M-1": "pass", "S-1": "warn"}, plain),
    ]
    whole = compare(sides)
    assert violations("compare", json.loads(to_json(whole))) == []
    assert "<b>" not in to_markdown(whole)
    page = to_html(whole, sides)
    assert page.count("</script>") == 2
    assert page.encode()


def test_the_table_of_results_stands_between_its_markers() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_results(text, "| new |") == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"
    with pytest.raises(NoPlaceForResults, match="write <!-- results -->"):
        with_results("no markers", "| new |")
