"""Traces: read by label and by part, and the same again after JSON."""

from __future__ import annotations

import msgspec
import pytest

from runstone.wire.documents import Missing
from runstone.wire.exchange import Comment, Event
from runstone.wire.trace import AmbiguousLabel, Trace
from tests.exchanges import exchange, streamed

TALK = Trace(
    scenario="talk",
    exchanges=(
        exchange(number=1, label="wait", part="wait"),
        exchange(number=2, label="state", part="wait"),
        exchange(number=3, label="wait", part="stream"),
        exchange(number=4, label="once"),
    ),
    blocked={"wait": "no run came back", "stream": "silence"},
    notes={"wait.own": "w", "stream.own": "s", "shared": 1},
)


def test_a_trace_is_read_by_label() -> None:
    assert [each.number for each in TALK.find("wait")] == [1, 3]
    assert TALK.find("nothing") == []
    assert [each.number for each in TALK.all("wait")] == [1, 3]
    assert TALK.only("once").number == TALK.once.number == 4
    assert (TALK.first("wait").number, TALK.last("wait").number) == (1, 3)
    assert TALK.note("shared") == 1


@pytest.mark.parametrize("name", ["all", "only", "first", "last", "note", "__getattr__"])
def test_an_absent_label_is_missing_and_says_why(name: str) -> None:
    with pytest.raises(Missing, match=r"talk has no 'nothing': no run came back; silence"):
        getattr(TALK, name)("nothing")
    with pytest.raises(Missing, match=r"quiet has no 'nothing'$"):
        getattr(Trace(scenario="quiet"), name)("nothing")


def test_an_ambiguous_label_is_the_suites_fault() -> None:
    with pytest.raises(AmbiguousLabel, match="2 exchanges labelled 'wait'"):
        _ = TALK.wait


def test_what_was_lost_and_sent_again_is_not_ambiguous() -> None:
    lost = exchange(number=1, label="wait", code=None, failure="reset", disturbed="the network cut it off")
    heard = exchange(number=2, label="wait")
    assert Trace(scenario="talk", exchanges=(lost, heard)).wait.number == 2
    assert Trace(scenario="talk", exchanges=(lost, lost)).wait.failure == "reset"


def test_python_may_look_for_its_own_names() -> None:
    assert not hasattr(TALK, "__iter__")


def test_a_part_is_a_trace_of_its_own() -> None:
    part = TALK.part("wait")
    assert [each.number for each in part.exchanges] == [1, 2]
    assert part.note("own") == "w"
    assert part.blocked == {"wait": "no run came back"}
    assert part.only("wait").number == 1
    with pytest.raises(Missing, match="no exchange of part 'background'"):
        TALK.part("background")


def test_a_trace_survives_json() -> None:
    odd = exchange(
        content="\x00\u2028 \U0001f600",
        chunks=((0.1, 3),),
        comments=(Comment(text="hb", at=0.1, inside=True),),
        malformed_lines=("<html>",),
        retried=True,
        request_headers=(("a", "b"),),
    )
    unanswered = exchange(code=None, content="", failure="ConnectError")
    trace = Trace(
        scenario="talk",
        exchanges=(odd, streamed(Event(event="", data="", at=0.5, id="", data_lines=0)), unanswered),
        blocked={"": "x"},
        notes={"big": 2**70, "list": [1, None, 2.5]},
        cut_short=True,
    )
    again = msgspec.json.decode(msgspec.json.encode(trace), type=Trace)
    assert again == trace
    assert again.exchanges[1].events[0].id == ""
