"""What to fix first: which refusals, and which answers that should have been one, share a cause."""

from __future__ import annotations

import json

from tests.broken_cases import HISTORY, OTHER, RUN, THREAD, WAIT, causes, exchange, verdict


def test_refusals_that_say_the_same_are_one_cause_and_others_are_two() -> None:
    stored, broken = f'{{"error":"no column, thread {THREAD}"}}', '{"error":"no table"}'
    found = causes(
        verdict("HIST-001", "exchange 1 GET /threads/…/history answered 500: no column", "turns#1"),
        verdict("A-2", "wanted 200, got 500", "turns#2", outcome="fail"),
        verdict("A-3", "exchange 3 GET /threads/…/history answered 500: no table", "turns#3"),
        exchanges=(
            exchange(1, HISTORY, 500, stored),
            exchange(2, HISTORY, 500, stored.replace(THREAD, RUN)),
            exchange(3, HISTORY, 500, broken),
        ),
    )
    assert [(each.requirements, each.answer) for each in found] == [
        (("HIST-001", "A-2"), "500"),
        (("A-3",), "500"),
    ]
    assert (found[0].requirement, found[0].operation) == ("HIST-001", "GET /threads/{thread}/history")
    assert "<id>" in found[0].reason


def test_what_servers_say_to_anything_joins_no_operations() -> None:
    def of(said: str) -> int:
        return len(
            causes(
                verdict("A-1", f"exchange 1 GET /threads/…/history answered 500: {said}", "turns#1"),
                verdict("A-2", f"exchange 2 POST /threads/…/runs/wait answered 500: {said}", "turns#2"),
                exchanges=(exchange(1, HISTORY, 500, said), exchange(2, WAIT, 500, said)),
            )
        )

    assert of('{"detail": "Internal Server Error"}') == 2
    assert of("no such column: created_at") == 1


def test_a_refusal_that_was_asked_for_is_another_cause_than_one_that_was_not() -> None:
    said = '{"detail":"Thread not found"}'
    found = causes(
        verdict("A-1", "wanted 422, got 404", "turns#1", outcome="fail"),
        verdict("A-2", "exchange 2 GET /threads/…/history answered 404: not found", "turns#2"),
        exchanges=(exchange(1, HISTORY, 404, said), exchange(2, HISTORY, 404, said)),
    )
    assert {each.requirement: each.requirements for each in found} == {"A-1": ("A-1",), "HIST-001": ("A-2",)}


def test_what_was_refused_on_a_thread_is_the_cause_of_what_it_does_not_show() -> None:
    stream = f"/threads/{THREAD}/runs/stream"
    state = f"/threads/{THREAD}/state"
    refused = exchange(1, stream, 400, '{"error":"stream_mode"}')
    own = verdict("A-1", "exchange 1 POST /threads/…/runs/stream answered 400: stream_mode", "turns#1")
    shown = verdict("A-2", "exchange 2 GET /threads/…/state shows no run", "turns#2")
    exchanges = (refused, exchange(2, state, content='{"values":1}'))
    assert [each.requirements for each in causes(own, shown, exchanges=exchanges)] == [("A-1", "A-2")]
    other = f"/threads/{RUN}/state"
    elsewhere = (refused, exchange(2, other, content='{"values":1}'))
    assert len(causes(own, shown, exchanges=elsewhere)) == 2


def test_what_is_so_where_nothing_was_refused_too_is_a_cause_of_its_own() -> None:
    """As the refusal is no more, the state would show no next node still."""
    refused = exchange(1, f"/threads/{THREAD}/runs/stream", 400, '{"error":"stream_mode"}')
    after, elsewhere = (f"/threads/{each}/state" for each in (THREAD, OTHER))
    exchanges = (
        refused,
        exchange(2, after, content='{"values":1}'),
        exchange(3, elsewhere, content='{"values":1}'),
        exchange(4, after, content='{"values":2}'),
    )
    verdicts = (
        verdict("A-1", "exchange 1 POST /threads/…/runs/stream answered 400: stream_mode", "turns#1"),
        verdict("A-2", "exchange 2 GET /threads/…/state names no next node", "turns#2"),
        verdict("A-3", "exchange 3 GET /threads/…/state names no next node", "turns#3"),
        verdict("A-4", "exchange 4 GET /threads/…/state shows no run", "turns#4"),
    )
    found = causes(*verdicts, exchanges=exchanges)
    assert [each.requirements for each in found] == [("A-1", "A-4"), ("A-2", "A-3")]
    alone = causes(*verdicts[:2], exchanges=exchanges)
    assert [each.requirements for each in alone] == [("A-1", "A-2")]


def test_a_refusal_by_a_2xx_is_one_cause_whatever_status_was_wanted() -> None:
    told = '{"__error__":{"error":"Invalid"}}'
    found = causes(
        verdict("A-1", "wanted 404, got 200", "turns#1", outcome="fail"),
        verdict("A-2", "wanted one of [409, 422], got 200", "turns#2", outcome="fail"),
        verdict("A-3", "wanted 404, got 200", "turns#3", outcome="fail"),
        exchanges=(exchange(1, WAIT, content=told), exchange(2, WAIT, content=told), exchange(3, WAIT)),
    )
    assert [each.requirements for each in found] == [("A-1", "A-2"), ("A-3",)]


def test_one_request_at_which_a_server_fails_is_one_cause_whatever_it_says() -> None:
    def found(code: int, other_input: str) -> int:
        bodies = (json.dumps({"assistant_id": "a", "input": {"say": each}}) for each in ("x", other_input))
        refused = [
            exchange(number, WAIT, code, f'{{"detail":"{what} went wrong"}}', request_body=body)
            for number, what, body in zip((1, 2), ("a disk", "a net"), bodies, strict=True)
        ]
        told = (f"exchange {each} POST /threads/…/runs/wait answered {code}: it" for each in (1, 2))
        named = (verdict(f"A-{each}", reason, f"turns#{each}") for each, reason in enumerate(told, 1))
        return len(causes(*named, exchanges=tuple(refused)))

    assert found(500, "x") == 1
    assert found(500, "y") == 2
    assert found(400, "x") == 2


def test_refusals_that_differ_in_what_was_sent_are_one_cause() -> None:
    def found(*said: str) -> int:
        refused = [
            exchange(
                number,
                WAIT,
                500,
                json.dumps({"message": each}),
                request_body=json.dumps(
                    {"assistant_id": "fail", "input": {"message": each.rpartition(": ")[2]}}
                ),
            )
            for number, each in enumerate(said, 1)
        ]
        told = (f"exchange {each} POST /threads/…/runs/wait answered 500: it" for each in (1, 2))
        named = (verdict(f"A-{each}", reason, f"turns#{each}") for each, reason in enumerate(told, 1))
        return len(causes(*named, exchanges=tuple(refused)))

    assert found("the run failed: the boiler is cold", "the run failed: the pump is dry") == 1
    assert found("the run failed: the boiler is cold", "the run broke: the pump is dry") == 2


def test_one_answer_that_should_have_been_a_refusal_is_one_cause_by_whatever_status() -> None:
    def found(other: str) -> list[tuple[str, ...]]:
        shown = causes(
            verdict("A-1", "wanted one of [404, 422], got 200", "turns#1", outcome="fail"),
            verdict("A-2", "wanted 422, got 200", other, outcome="fail"),
            exchanges=(exchange(1, WAIT, content='{"a":1}'), exchange(2, WAIT, content='{"a":1}')),
        )
        return [each.requirements for each in shown]

    assert found("turns#1") == [("A-1", "A-2")]
    assert found("turns#2") == [("A-1",), ("A-2",)]


def test_requests_that_were_given_up_after_other_times_are_one_cause() -> None:
    given_up = [exchange(each, WAIT, None, failure=f"not finished within {each}.5 s") for each in (1, 2)]
    named = (verdict(f"A-{each}", "no answer", f"turns#{each}") for each in (1, 2))
    assert [each.requirements for each in causes(*named, exchanges=tuple(given_up))] == [("A-1", "A-2")]
