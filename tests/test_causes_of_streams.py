"""What to fix first: what is wrong with the events of a stream, or with its end, is one cause."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runstone.wire.exchange import Exchange
from tests.broken_cases import THREAD, causes, exchange, verdict
from tests.exchanges import STREAM as HEADERS
from tests.exchanges import event

STREAM = f"/threads/{THREAD}/runs/stream"


def streamed(number: int, *events: tuple[str, str], asks: str = "", **more: Any) -> Exchange:
    sent = tuple(event(name, data) for name, data in (("metadata", "{}"), *events))
    body = f'{{"assistant_id":"steps"{asks}}}'
    return exchange(number, STREAM, 200, "", request_body=body, events=sent, response_headers=HEADERS, **more)


@pytest.mark.parametrize("asks", ["", ',"stream_mode":"values"', ',"stream_mode":["values"]'])
def test_events_that_were_not_asked_for_are_one_cause_however_they_are_told(asks: str) -> None:
    sent, unasked = (("checkpoints", "{}"), ("values", "{}")), 'item 1 of the list is "checkpoints", wanted'
    other = verdict("A-2", 'wanted "a", got "b"', "turns#1", outcome="fail")
    finding = "turns#1 POST sends an event 'checkpoints', which no mode of values has"
    found = causes(
        verdict("RUN-STREAM-012", f'{unasked} "values"', "turns#1", outcome="fail"),
        verdict("MODE-MULTI-001", f"{unasked} none", "turns#2", outcome="fail"),
        verdict("MON-012", finding, "turns#1", outcome="warn", level="SHOULD"),
        verdict("A-1", "exchange 3 POST … streamed no event 'custom'", "turns#3"),
        msgspec.structs.replace(other, area="y"),
        verdict("A-3", "exchange 4 POST … streamed no event 'tasks'", "turns#4"),
        verdict("A-4", f'{unasked} "tasks"', "turns#4", outcome="fail"),
        exchanges=(
            *(streamed(number, *sent, asks=asks) for number in (1, 2, 3)),
            streamed(4, *sent, asks=',"stream_mode":["values","checkpoints"]'),
        ),
    )
    assert [(each.requirement, each.requirements) for each in found[:1]] == [
        ("MODE-MULTI-001", ("RUN-STREAM-012", "MODE-MULTI-001", "MON-012", "A-1"))
    ]
    assert not {"A-2", "A-3", "A-4"} & {*found[0].requirements}


@pytest.mark.parametrize("asks", ["", ',"stream_mode":"values"', ',"stream_mode":"unknown"'])
def test_an_update_that_tells_of_an_interrupt_need_not_be_asked_for(asks: str) -> None:
    found = causes(
        verdict("MODE-MULTI-001", 'item 1 of the list is "updates", wanted none', "turns#1", outcome="fail"),
        exchanges=(streamed(1, ("updates", "{}"), asks=asks),),
    )
    assert found[0].reason == "a list in it holds more than wanted"


def test_an_event_that_is_sent_twice_is_the_cause_of_what_it_is_found_in_place_of() -> None:
    once, twice = ("updates", '{"s1":{"log":["s1"]}}'), ("updates", '{"s2":{"log":["s2"]}}')
    found = causes(
        verdict("A-1", 'item 3 of /1 is "s2", wanted "s3"', "turns#1", outcome="fail"),
        verdict("A-2", '/2/s2 is {"log": ["s2"]}, wanted none', "turns#1", outcome="fail"),
        verdict("A-3", "turns#1 POST sends an event 'updates' twice", outcome="warn", level="SHOULD"),
        verdict("A-4", 'item 1 of /1 is "s1", wanted "s0"', "turns#1", outcome="fail"),
        verdict("A-5", 'item 3 of /1 is "s2", wanted "s3"', "turns#2", outcome="fail"),
        verdict("A-6", "the stream says nothing", "turns#1", outcome="fail"),
        exchanges=(streamed(1, once, twice, twice), streamed(2, once, twice, once)),
    )
    assert [each.requirements for each in found if each.reason == "an event of it is sent twice"] == [
        ("A-1", "A-2", "A-3")
    ]


def test_equal_pieces_of_a_message_are_no_event_that_is_sent_twice() -> None:
    found = causes(
        verdict("A-1", 'item 3 of /1 is "ha", wanted "ho"', "turns#1", outcome="fail"),
        exchanges=(streamed(1, ("messages", '["ha"]'), ("messages", '["ha"]')),),
    )
    assert found[0].reason == 'an item of /* is "ha", wanted "ho"'


def test_a_stream_that_did_not_end_is_one_cause_whoever_tells_of_it() -> None:
    late = "not finished within 6.3 s"
    found = causes(
        verdict("A-1", f"exchange 1 POST … answered 200 but did not end: {late}", "turns#1"),
        verdict("A-2", f"the stream did not end: {late}", "turns#1", outcome="fail"),
        verdict("A-3", 'item 1 of the list is "b", wanted "a"', "turns#1", outcome="fail"),
        exchanges=(streamed(1, failure=late),),
    )
    assert [(each.requirement, each.requirements) for each in found] == [
        ("A-2", ("A-1", "A-2")),
        ("A-3", ("A-3",)),
    ]
