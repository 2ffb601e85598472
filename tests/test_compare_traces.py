"""Two traces of one scenario: what never counts, what always does, and how they are aligned."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from runstone.compare.differences import Example, Likeness, differences
from runstone.wire.exchange import Comment, Event, Exchange
from runstone.wire.trace import Trace

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
    plain = exchange(
        number,
        label="stream",
        method="POST",
        url=f"http://127.0.0.1:2024/threads/{THREAD}/runs/stream",
        response_headers=(("content-type", "text/event-stream"),),
        content="",
        events=tuple(Event(event=name, data=json.dumps(data), at=0.1) for name, data in events),
    )
    return msgspec.structs.replace(plain, **changes)


def found(left: list[Exchange], right: list[Exchange], **options: bool) -> list[tuple[Likeness, Example]]:
    ours, theirs = (Trace(scenario="turn", exchanges=tuple(each)) for each in (left, right))
    return list(differences(ours, theirs, **options))


def places(left: list[Exchange], right: list[Exchange]) -> list[str]:
    """Where they differ, with indexes."""
    return [example.path for _, example in found(left, right)]


def only(left: list[Exchange], right: list[Exchange]) -> tuple[Likeness, Example]:
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
    assert places([exchange(body=left)], [exchange(body=right)]) == [path]


@pytest.mark.parametrize(
    "left, right, kind",
    [
        ({"a": 1}, {}, "left-only"),
        ({}, {"a": []}, "right-only"),
        ({"a": 1}, {"a": "1"}, "type"),
        ({"a": "x"}, {"a": "y"}, "value"),
    ],
)
def test_kinds(left: Any, right: Any, kind: str) -> None:
    likeness, example = only([exchange(body=left)], [exchange(body=right)])
    assert (likeness.operation, likeness.place, likeness.kind) == ("GET /threads/<id>/state", "/body/a", kind)
    assert [example.left is None, example.right is None] == [kind == "right-only", kind == "left-only"]


def test_the_place_of_a_difference_is_a_pattern() -> None:
    one, other = ({"log": [{"n": 1}, {"n": each}, {"n": 3}]} for each in (2, 9))
    likeness, example = only([exchange(body=one)], [exchange(body=other)])
    assert (likeness.place, example.path) == ("/body/log/*/n", "/body/log/1/n")


def test_of_a_status_the_values_are_the_kind_and_of_nothing_else() -> None:
    def likeness(member: str, *values: str) -> Likeness:
        return only(*([exchange(body={member: each})] for each in values))[0]

    assert likeness("status", "success", "error") != likeness("status", "success", "timeout")
    assert likeness("note", "success", "error") == likeness("note", "success", "timeout")


def test_status_and_content_type_count_and_other_headers_do_not() -> None:
    headers = (("content-type", "text/plain; charset=utf-8"), ("date", "now"), ("server", "x"))
    changed = exchange(body={}, code=201, response_headers=headers)
    assert places([exchange(body={})], [changed]) == ["/status", "/headers/content-type"]


def test_what_follows_from_a_refusal_or_another_media_type_is_not_told() -> None:
    plain = exchange(body={"values": {"log": ["a"]}})
    refused = exchange(body={"detail": "busy"}, code=409, response_headers=(("content-type", "text/plain"),))
    assert places([plain], [refused]) == ["/status"]
    streamed = exchange(content="", response_headers=(("content-type", "text/event-stream"),))
    assert places([plain], [streamed]) == ["/headers/content-type"]


def test_what_hides_behind_a_status_of_the_same_class_or_a_media_type_is_told() -> None:
    plain = exchange(body={"a": 1})
    text = (("content-type", "text/plain"),)
    assert places([plain], [exchange(body={"a": 2}, code=201)]) == ["/status", "/body/a"]
    assert places([plain], [exchange(body={"a": 2}, response_headers=text)]) == [
        "/headers/content-type",
        "/body/a",
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
    likeness, example = only([stream(*STEPS)], [stream(*STEPS[:place], *STEPS[place + 1 :])])
    assert (likeness.place, likeness.kind) == ("/events/values/*", "left-only")
    assert (example.path, example.right) == (f"/events/values/{place}", None)


def test_a_kind_of_event_that_one_side_never_sends_is_one_difference() -> None:
    ours = stream(*STEPS, ("metadata", {"run_id": RUN}), ("metadata", {"attempt": 1}))
    assert places([ours], [stream(*STEPS)]) == ["/events/metadata"]


def test_one_missing_event_among_events_that_all_differ_is_still_one() -> None:
    ours = [("updates", {f"s{number}": {"log": [number]}}) for number in range(6)]
    theirs = [("updates", {name: {**data[name], "extra": 1} for name in data}) for _, data in ours]
    differing = places([stream(*ours)], [stream(*theirs[:2], *theirs[3:])])
    assert [each for each in differing if not each.endswith("/extra")] == ["/events/updates/2"]


def test_events_that_call_themselves_something_are_told_apart_by_it() -> None:
    names = ["start", "chunk", "chunk", "end"]
    ours = stream(*(("events", {"event": each, "tags": []}) for each in names))
    theirs = stream(*(("events", {"event": each}) for each in names[1:]))
    (missing,) = (each for each in places([ours], [theirs]) if not each.endswith("/tags"))
    assert missing == "/events/events/0"


def test_what_nobody_listened_to_is_not_missed() -> None:
    whole, late = (stream(*each, method="GET") for each in (STEPS, STEPS[3:]))
    assert found([whole], [late]) == []
    early = stream(*STEPS[2:5], method="GET", closed_by_client=True)
    assert found([whole], [early]) == []
    assert found([late], [stream(*STEPS[:5], method="GET")]) != []
    gap = stream(*STEPS[:2], *STEPS[3:5], method="GET", closed_by_client=True)
    assert places([whole], [gap]) == ["/events/values/2"]


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
    likeness, example = only(asked, rest)
    assert (likeness.place, likeness.kind) == ("", "left-only")
    assert (example.exchanges, example.right) == (("turn#3", None), None)


def test_equal_requests_sent_at_once_may_be_answered_in_any_order() -> None:
    asked = [exchange(n, {"n": n}, method="POST", label="copy", request_body="{}") for n in range(1, 4)]
    turned = [msgspec.structs.replace(each, number=4 - each.number) for each in asked]
    assert found(asked, turned) == []


def test_a_changed_event_is_found_where_it_is() -> None:
    changed = [*STEPS[:3], ("values", {"log": [0, 1, 9]}), *STEPS[4:]]
    assert places([stream(*STEPS)], [stream(*changed)]) == ["/events/values/3/log/2"]


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
    likeness, ended = only(polled, [exchange(1, {"status": "error"}, label="poll", url=url)])
    assert (likeness.place, ended.left, ended.right) == ("/body/status", '"success"', '"error"')


def test_a_status_that_never_ends_is_a_difference() -> None:
    url = f"http://127.0.0.1:2024/threads/{THREAD}"
    stuck = [exchange(number, {"status": "busy"}, label="settle", url=url) for number in range(1, 5)]
    assert places([exchange(1, {"status": "idle"}, label="settle", url=url)], stuck) == ["/body/status"]


def test_how_a_run_in_the_background_ended_counts() -> None:
    url = f"http://127.0.0.1:2024/threads/{THREAD}/runs/{RUN}"
    ends = [exchange(2, {"status": each}, label="poll", url=url) for each in ("success", "interrupted")]
    assert places([started(1), ends[0]], [started(1), ends[1]]) == ["/body/status"]


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
    assert places([started(1), joined, after[0]], [started(1), joined, after[1]]) == ["/body/values/log/0"]


def test_how_far_a_run_came_that_was_cancelled_is_chance() -> None:
    cancel = exchange(
        2, {}, label="cancel", method="POST", url=f"http://127.0.0.1:2024/threads/{THREAD}/runs/{RUN}/cancel"
    )
    ends = [exchange(3, {"values": {"log": each}}) for each in ([], ["a"])]
    assert found([started(1), cancel, ends[0]], [started(1), cancel, ends[1]]) == []
    refused = msgspec.structs.replace(ends[1], code=500)
    assert places([started(1), cancel, ends[0]], [started(1), cancel, refused]) == ["/status"]


def test_two_runs_of_a_thread_at_once_leave_it_to_chance() -> None:
    second = msgspec.structs.replace(started(2), content=json.dumps({"run_id": str(uuid4())}))
    ends = [exchange(3, {"values": {"log": each}}) for each in (["a", "b"], ["b", "a"])]
    assert found([started(1), second, ends[0]], [started(1), second, ends[1]]) == []
    assert found([started(1), ends[0]], [started(1), ends[1]]) == []
    assert found([ends[0]], [ends[1]]) != []


def test_the_wording_of_an_error_never_counts_and_its_class_does() -> None:
    def failed(kind: str, message: str) -> Exchange:
        return exchange(body={"__error__": {"error": kind, "message": message}})

    assert found([failed("ValueError", "a")], [failed("ValueError", "b")]) == []
    assert places([failed("ValueError", "a")], [failed("Error", "a")]) == ["/body/__error__/error"]
    refused = [exchange(body={"detail": each}, code=404) for each in ("no such thread", "not found")]
    assert found([refused[0]], [refused[1]]) == []


def test_an_agent_of_ones_own_is_compared_by_its_shape() -> None:
    one, other = exchange(body={"answer": "hello", "n": 1}), exchange(body={"answer": "good day", "n": 2})
    assert found([one], [other], by_shape=True) == []
    assert found([one], [exchange(body={"answer": 1, "n": 2})], by_shape=True) != []
