"""What to fix first: which cases share a cause."""

from __future__ import annotations

import json

import msgspec
import pytest

from runstone.wire.exchange import Exchange
from tests.broken_cases import HISTORY, OTHER, RUN, THREAD, WAIT, causes, exchange, verdict


def test_what_a_scenario_could_not_go_on_from_is_the_cause_of_all_that_it_did_not_see() -> None:
    found = causes(
        verdict(
            "A-1",
            "turns has no 'poll': exchange 2 POST /threads/…/runs/wait names no run: no Content-Location, no "
            "metadata event",
        ),
        verdict(
            "A-2",
            "wanted a Content-Location ending in /runs/{run_id}, got no Content-Location",
            "turns#1",
            "turns#2",
            outcome="fail",
        ),
        exchanges=(exchange(1, "/threads"), exchange(2, WAIT, content='{"log":[]}')),
    )
    assert [(each.requirement, each.requirements, each.must) for each in found] == [
        ("A-2", ("A-1", "A-2"), 2)
    ]
    assert found[0].expected == "A-2 is so."


def test_what_was_not_read_is_told_where_nothing_says_why() -> None:
    found = causes(
        verdict("A-1", "turns has no 'poll'", "turns#1"), exchanges=(exchange(1, HISTORY, content='{"a":1}'),)
    )
    assert [each.reason for each in found] == ["there is no 'poll'"]


def test_a_scenario_that_names_no_exchange_stopped_at_its_last_one() -> None:
    found = causes(
        verdict("A-1", "turns has no 'twin': the answer to the copy has no thread_id"),
        exchanges=(exchange(1, "/threads"), exchange(2, f"/threads/{THREAD}/copy", content='{"a":1}')),
        blocked={"": "the answer to the copy has no thread_id"},
    )
    assert found[0].operation == "POST /threads/{thread}/copy"


def test_an_empty_body_is_one_cause_whatever_each_judge_missed_in_it() -> None:
    found = causes(
        verdict("RUN-WAIT-001", "the body carries no values", "turns#1"),
        verdict("A-2", "wanted a list of interrupts, got {}", "turns#1", outcome="fail", level="SHOULD"),
        verdict("A-3", "exchange 1 POST /threads/…/runs/wait has no header location", "turns#1"),
        exchanges=(exchange(1, WAIT),),
    )
    assert (found[0].requirement, found[0].reason) == ("RUN-WAIT-001", "the body is {}")
    assert (found[0].must, found[0].should) == (2, 1)


def test_numbers_times_and_how_often_it_was_seen_tell_no_causes_apart() -> None:
    told = (
        'item 1 of /messages is "a", wanted "b" after 3.25 s',
        'item 8 of /messages is "a", wanted "b" after 11.0 s',
    )
    found = causes(
        verdict("A-1", f"unconfirmed: {told[0]}", "turns#1", outcome="fail"),
        verdict(
            "A-2",
            f"broken in one of two observations ({told[1]}), kept in the other",
            "turns#1",
            outcome="flaky",
        ),
        exchanges=(exchange(1, WAIT, content='{"messages":[]}'),),
    )
    assert [each.requirements for each in found] == [("A-1", "A-2")]


def test_a_monitor_hangs_on_its_first_finding() -> None:
    found = causes(
        verdict(
            "M-1", "turns#2 POST answers late; turns#3 GET answers later; and 9 more", "turns#2", "turns#3"
        ),
        exchanges=(exchange(1, "/threads"), exchange(2, WAIT, content='{"a":1}'), exchange(3, HISTORY)),
    )
    assert [(each.operation, each.reason) for each in found] == [
        ("POST /threads/{thread}/runs/wait", "it answers late")
    ]


def test_what_is_wrong_with_any_answer_is_one_cause_wherever_it_shows() -> None:
    cut = "connection closed in the middle of the answer: peer closed it"
    found = causes(
        verdict(
            "RUN-WAIT-001",
            f"exchange 1 POST /threads/…/runs/wait answered 200 but did not end: {cut}",
            "turns#1",
        ),
        verdict("A-2", "wanted a list, got nothing", "turns#2", outcome="fail"),
        verdict("MON-009", "turns#1 POST breaks off", "turns#1", outcome="warn", level="SHOULD"),
        exchanges=(exchange(1, WAIT, failure=cut), exchange(2, HISTORY, failure=cut)),
    )
    assert [(each.requirement, each.requirements) for each in found] == [
        ("MON-009", ("RUN-WAIT-001", "A-2", "MON-009"))
    ]


def test_an_answer_that_repeats_the_input_is_one_cause_whatever_each_judge_missed_in_it() -> None:
    body = json.dumps({"assistant_id": "steps", "input": {"note": "a"}})
    found = causes(
        verdict("RUN-WAIT-001", "wanted 2 s of blocking, got 0.1 s", "turns#1", outcome="fail"),
        verdict("RUN-WAIT-009", "exchange 2 POST /threads/…/runs/wait names no run", "turns#2"),
        verdict("A-3", "wanted a time, got none", "turns#3", outcome="fail"),
        verdict("A-4", "exchange 4 POST /threads/…/runs/wait answered 500: a", "turns#4"),
        exchanges=(
            exchange(1, WAIT, content='{"note":  "a"}', request_body=body),
            exchange(2, WAIT, content='{"note": "a"}', request_body=body),
            exchange(3, WAIT, content='{"note": "a", "log": []}', request_body=body),
            exchange(4, WAIT, 500, content='{"note": "a"}', request_body=body),
        ),
    )
    assert found[0].requirement == "RUN-WAIT-001"
    assert [each.requirements for each in found] == [("RUN-WAIT-001", "RUN-WAIT-009"), ("A-3",), ("A-4",)]


def test_an_answer_that_did_not_end_is_not_explained_by_what_is_wrong_with_others() -> None:
    late = "exchange 1 POST /threads/…/runs/wait answered 200 but did not end: not finished within 9.5 s"
    found = causes(
        verdict("A-1", late, "turns#1"),
        verdict("A-2", "wanted a time, got none", "turns#2", outcome="fail"),
        exchanges=(
            exchange(1, WAIT, content='{"a":1}', failure="not finished within 9.5 s"),
            exchange(2, WAIT, content='{"a":1}'),
        ),
    )
    assert sorted(each.requirements for each in found) == [("A-1",), ("A-2",)]


def test_a_run_that_still_shows_to_be_under_way_is_one_cause_whatever_end_was_wanted() -> None:
    def shown(number: int, run: str) -> Exchange:
        return exchange(number, f"/threads/{THREAD}/runs/{run}", content='{"status":"running"}', method="GET")

    cancelled = exchange(1, f"/threads/{THREAD}/runs/{RUN}/cancel", 204, "")
    found = causes(
        verdict("A-1", 'wanted "interrupted", got "running"', "turns#2", outcome="fail"),
        verdict("A-2", 'wanted one of ["error", "success"], got "running"', "turns#2", outcome="fail"),
        verdict("A-3", 'wanted "success", got "running"', "turns#3", outcome="fail"),
        verdict("A-5", "the run was not seen to end: it still shows running", "turns#3"),
        verdict("A-4", 'wanted "pending", got "running"', "turns#3", outcome="fail"),
        exchanges=(cancelled, shown(2, RUN), shown(3, OTHER)),
    )
    assert sorted((each.reason, each.requirements) for each in found) == [
        ("the run still shows running", ("A-3", "A-5")),
        ("the run still shows running after it was cancelled", ("A-1", "A-2")),
        ('wanted "pending", got "running"', ("A-4",)),
    ]


def test_null_where_a_value_was_wanted_is_told_alike_of_a_list_and_alone() -> None:
    found = causes(
        verdict("A-1", 'item 2 of the list is null, wanted "yes"', "turns#1", outcome="fail"),
        verdict("A-2", 'wanted "yes", got null', "turns#1", outcome="fail"),
        verdict("A-3", "item 2 of the list is null, wanted none", "turns#1", outcome="fail"),
        exchanges=(exchange(1, HISTORY, content='{"a":1}'),),
    )
    assert [each.requirements for each in found] == [("A-1", "A-2"), ("A-3",)]


def test_messages_in_the_form_of_their_constructor_are_one_cause_unless_they_were_sent_so() -> None:
    message = '{"messages":[{"lc":1,"type":"constructor","id":["HumanMessage"],"kwargs":{}}]}'
    named = (
        verdict("A-1", "wanted content, got null", "turns#1", outcome="fail"),
        verdict("TURN-005", "wanted type, content and id", "turns#2", outcome="warn", level="SHOULD"),
    )
    shown = (exchange(1, WAIT, content=message), exchange(2, HISTORY, content=message))
    assert [(each.requirement, each.requirements) for each in causes(*named, exchanges=shown)] == [
        ("TURN-005", ("A-1", "TURN-005"))
    ]
    echoed = [msgspec.structs.replace(each, request_body=message) for each in shown]
    assert len(causes(*named, exchanges=tuple(echoed))) == 2


@pytest.mark.parametrize(
    "reasons, alike",
    [
        (('item 3 of /log is missing, wanted "c"', 'wanted ["a", "b", "c"], got ["a", "b"]'), True),
        (("wanted 8, got 7", "wanted 4 messages, got 3"), True),
        (('item 4 of the list is "a", wanted none', 'wanted ["a"], got ["a", "a"]'), True),
        (('wanted ["a"], got ["a", "a"]', 'wanted ["a", "b"], got ["a"]'), False),
        (('wanted ["a"], got []', 'wanted ["a", "b"], got ["a"]'), False),
        (("wanted 409, got 200", "wanted 4 messages, got 3"), False),
    ],
)
def test_lists_that_are_too_short_or_too_long_are_told_in_one_way(
    reasons: tuple[str, str], alike: bool
) -> None:
    found = causes(
        *(verdict(f"A-{number}", reason, "turns#1", outcome="fail") for number, reason in enumerate(reasons)),
        exchanges=(exchange(1, WAIT, content='{"log":["a"]}'),),
    )
    assert (len(found) == 1) is alike


def test_what_the_state_lacks_the_run_has_left_out() -> None:
    def found(area: str) -> list[str]:
        short = 'wanted ["a", "b"], got ["a"]'
        of_run = msgspec.structs.replace(verdict("EXEC-2", short, "turns#1", outcome="fail"), area=area)
        waited = verdict("RUN-WAIT-001", short, "turns#2", outcome="fail")
        state = f"/threads/{THREAD}/state"
        shown = (exchange(1, state, content='{"a":1}'), exchange(2, WAIT, content='{"a":1}'))
        return [each.requirement for each in causes(waited, of_run, exchanges=shown)]

    assert found("exec") == ["EXEC-2"]
    assert sorted(found("state")) == ["EXEC-2", "RUN-WAIT-001"]


def test_a_value_that_no_demand_allows_goes_with_the_weakest_one() -> None:
    run = f"/threads/{THREAD}/runs/{RUN}"
    found = causes(
        verdict("A-1", 'wanted "interrupted", got "cancelled"', "turns#1", outcome="fail"),
        verdict("A-2", 'wanted one of ["error", "success"], got "cancelled"', "turns#2", outcome="fail"),
        verdict(
            "A-3", 'wanted one of ["error", "running", "success"], got "cancelled"', "turns#3", outcome="fail"
        ),
        verdict("A-4", 'wanted "interrupted", got "running"', "turns#1", outcome="fail"),
        exchanges=tuple(exchange(each, run, content='{"a":1}', method="GET") for each in (1, 2, 3)),
    )
    assert [(each.requirement, each.requirements) for each in found] == [
        ("A-3", ("A-1", "A-2", "A-3")),
        ("A-4", ("A-4",)),
    ]


def test_a_thing_that_got_another_id_than_was_asked_for_is_the_cause_of_not_finding_it() -> None:
    made = exchange(
        1, "/threads", content=json.dumps({"thread_id": RUN}), request_body=json.dumps({"thread_id": THREAD})
    )
    gone = exchange(2, f"/threads/{THREAD}", 404, '{"detail":"no such thread"}', method="GET")
    found = causes(
        verdict("A-1", f"wanted {THREAD}, got {RUN}", "turns#1", outcome="fail"),
        verdict("A-2", "exchange 2 GET /threads/… answered 404: no such thread", "turns#2"),
        exchanges=(made, gone),
    )
    assert [(each.requirement, each.operation) for each in found] == [("A-1", "POST /threads")]


def test_cases_of_one_requirement_that_differ_in_values_are_one_cause_and_requirements_are_not() -> None:
    def found(*identities: str) -> int:
        told = ('wanted "north", got null', 'wanted "south", got null')
        named = zip(identities, told, strict=True)
        return len(
            causes(
                *(verdict(each, reason, "turns#1", outcome="fail") for each, reason in named),
                exchanges=(exchange(1, HISTORY, content='{"a":1}'),),
            )
        )

    assert found("A-1", "A-1") == 1
    assert found("A-1", "A-2") == 2


def test_a_judge_and_a_monitor_that_find_the_same_have_one_cause() -> None:
    found = causes(
        verdict(
            "A-1", "info: lacks `flags` (exchange 1 POST /threads/…/runs/wait)", "turns#1", outcome="fail"
        ),
        verdict("MON-004", "turns#1 POST breaks info: lacks `flags`", "turns#1", outcome="fail"),
        exchanges=(exchange(1, WAIT, content='{"a":1}'),),
    )
    assert [(each.requirements, each.reason) for each in found] == [
        (("A-1", "MON-004"), "info: lacks `flags`")
    ]


def test_a_monitor_that_found_nothing_to_judge_blames_no_exchange() -> None:
    silent = msgspec.structs.replace(verdict("M-1", "there is no history", "turns#1"), area="monitor")
    found = causes(silent, exchanges=(exchange(1, WAIT, content='{"a":1}'),))
    assert [(each.operation, each.reason) for each in found] == [("", "there is no history")]


def test_a_member_that_breaks_a_schema_is_one_cause_of_all_who_show_it() -> None:
    broken = "run/created_at: wanted a time, got"
    found = causes(
        verdict("RUN-WAIT-001", f"{broken} 1", "turns#1", outcome="fail"),
        verdict("A-2", f"{broken} 2", "turns#1", outcome="fail"),
        verdict("A-2", f"{broken} 3", "turns#2", outcome="fail"),
        exchanges=(exchange(1, WAIT, content='{"a":1}'), exchange(2, HISTORY, content='{"a":1}')),
    )
    assert [(each.requirement, each.requirements) for each in found] == [("A-2", ("RUN-WAIT-001", "A-2"))]


def test_what_could_not_be_tested_goes_with_what_breaks_the_same_requirements_by_another_operation() -> None:
    def found(*outright: str) -> list[tuple[str, ...]]:
        kept = [
            verdict("A-1", "the first run was over before", "turns#1"),
            verdict("A-2", "the first run was over before", "turns#1"),
            verdict("A-3", "the first run was over before", "turns#1"),
        ]
        broken = [verdict(each, 'wanted "a", got "b"', "turns#2", outcome="fail") for each in outright]
        own = verdict("A-4", "wanted a 4xx, got 200", "turns#3", outcome="fail")
        both = [
            msgspec.structs.replace(
                one,
                cases=(*one.cases, *(case for other in broken if other.id == one.id for case in other.cases)),
            )
            for one in kept
        ]
        history = exchange(2, HISTORY, content='[{"a":1}]')
        answers = (exchange(1, WAIT, content='{"a":1}'), history, exchange(3, WAIT, content='{"a":1}'))
        return sorted(each.requirements for each in causes(*both, own, exchanges=answers))

    assert found("A-1", "A-2") == [("A-1", "A-2", "A-3"), ("A-4",)]
    assert found("A-1") == [("A-1",), ("A-1", "A-2", "A-3", "A-4")]
