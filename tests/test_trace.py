"""Traces: every reading of what is there, `Missing` for what is not, and the journal of both."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from runstone.wire import curl
from runstone.wire.documents import Missing
from runstone.wire.exchange import Comment, Event, Exchange, excerpt, reading, strict_json
from runstone.wire.trace import AmbiguousLabel, Trace
from tests.servers import heard_by

THREAD = "018f0000-0000-7000-8000-000000000001"
RUN = "018f0000-0000-7000-8000-0000000000AA"
STREAM = (("content-type", "text/event-stream; charset=utf-8"),)


def exchange(**changes: Any) -> Exchange:
    """A finished exchange that answered 200 with `{}`."""
    fields: dict[str, Any] = {
        "scenario": "talk",
        "number": 1,
        "label": "state",
        "method": "GET",
        "url": f"http://127.0.0.1:2024/threads/{THREAD}/state?subgraphs=true",
        "sent_at": 1.5,
        "code": 200,
        "content": "{}",
        "finished_after": 0.25,
    }
    return Exchange(**{**fields, **changes})


def streamed(*events: Event, **changes: Any) -> Exchange:
    return exchange(response_headers=STREAM, events=events, content="", **changes)


def event(name: str, data: str = "{}") -> Event:
    return Event(event=name, data=data, at=0.1)


# --- strict JSON -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", '{"a": -Infinity}', "", "{", "{'a': 1}", "1 2", "\ufeff{}"]
)
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting|Extra|BOM"):
        strict_json(text)


def test_nesting_past_the_stack_is_no_json() -> None:
    with pytest.raises(ValueError, match="deeper"):
        strict_json("[" * 200_000 + "]" * 200_000)


def test_lone_surrogates_and_big_integers_are_json() -> None:
    assert strict_json(r'"\ud800"') == "\ud800"
    assert strict_json(str(2**53 + 1)) == 2**53 + 1
    assert strict_json(str(2**200)) == 2**200
    assert strict_json('{"a": 1, "a": 2}') == {"a": 2}


# --- events ------------------------------------------------------------------------------------------------


def test_an_event_decodes_its_data_and_splits_its_name() -> None:
    found = event("updates|child:1|x", '{"a": [1]}')
    assert found.json == {"a": [1]}
    assert found.mode == "updates"
    assert event("values").mode == "values"


@pytest.mark.parametrize("data", ["", "NaN", "{"])
def test_an_event_without_json_is_missing(data: str) -> None:
    with pytest.raises(Missing, match="'values' is not JSON"):
        _ = event("values", data).json


# --- exchanges ---------------------------------------------------------------------------------------------


def test_an_exchange_names_itself() -> None:
    found = exchange(number=4)
    assert found.key == "talk#4"
    assert found.path == f"/threads/{THREAD}/state?subgraphs=true"
    assert found.where == "exchange 4 GET /threads/…/state?subgraphs=true"
    assert exchange(url="http://host").path == "/"


def test_times_of_an_exchange() -> None:
    found = exchange(chunks=((0.5, 10), (2.0, 1)), finished_after=2.5)
    assert found.longest_silence == 1.5
    assert exchange(finished_after=3.0).longest_silence == 3.0
    assert found.ended_at == 4.0


def test_what_a_whole_answer_gives() -> None:
    found = exchange(content='{"a": 1}')
    assert found.answered
    assert found.complete
    assert found.status == 200
    assert found.ok is found
    assert found.whole is found
    assert found.text == '{"a": 1}'
    assert found.json == found.object == {"a": 1}
    assert exchange(content="[1]").array == [1]


NO_ANSWER = exchange(code=None, content="", failure="ConnectError")
CUT = exchange(content='{"a":', failure="RemoteProtocolError: peer closed")
TOO_LONG = exchange(content='{"a": 1}', truncated=True)
REFUSED = exchange(code=404, content='{"detail": "no"}')
HTML = exchange(content="<html>")
LATIN = exchange(content='"\xff"', utf8=False)
NOT_A_NUMBER = exchange(content='{"a": NaN}')
SCALAR = exchange(content="null")
EMPTY_STREAM = streamed()

Reading = Callable[[Exchange], object]
READINGS: dict[str, Reading] = {
    "status": lambda each: each.status,
    "ok": lambda each: each.ok,
    "whole": lambda each: each.whole,
    "text": lambda each: each.text,
    "json": lambda each: each.json,
    "object": lambda each: each.object,
    "array": lambda each: each.array,
    "stream": lambda each: each.stream,
    "names": lambda each: each.names,
    "named": lambda each: each.named("values"),
    "run_id": lambda each: each.run_id,
    "thread_id": lambda each: each.thread_id,
}
LACKING: list[tuple[Exchange, str, str]] = [
    *((NO_ANSWER, name, "no response: ConnectError") for name in READINGS if not name.endswith("_id")),
    *((CUT, name, "did not end") for name in ("ok", "whole", "text", "json", "object", "array", "stream")),
    *((TOO_LONG, name, "past the caps") for name in ("ok", "whole", "text", "json", "object", "stream")),
    *((REFUSED, name, "answered 404") for name in ("ok", "object", "array", "stream", "named")),
    *((HTML, name, "no JSON") for name in ("json", "object", "array")),
    *((LATIN, name, "not UTF-8") for name in ("json", "object", "array")),
    *((NOT_A_NUMBER, name, "NaN is not JSON") for name in ("json", "object")),
    (SCALAR, "object", "no JSON object"),
    (SCALAR, "array", "no JSON array"),
    (SCALAR, "stream", "no event stream"),
    *((EMPTY_STREAM, name, "streamed no event") for name in ("stream", "names", "named")),
    (streamed(event("metadata"), event("end")), "named", "only: metadata, end"),
    *((each, "run_id", "names no run") for each in (NO_ANSWER, HTML, SCALAR, EMPTY_STREAM)),
    *((each, "thread_id", "names no thread") for each in (NO_ANSWER, HTML, SCALAR, EMPTY_STREAM)),
]


@pytest.mark.parametrize("found, name, reason", LACKING)
def test_what_is_lacking_is_missing(found: Exchange, name: str, reason: str) -> None:
    with pytest.raises(Missing, match=reason):
        READINGS[name](found)


@pytest.mark.parametrize("found", [NO_ANSWER, CUT, TOO_LONG, exchange(closed_by_client=True)])
def test_an_unfinished_answer_is_not_complete(found: Exchange) -> None:
    assert not found.complete


def test_hanging_up_on_purpose_is_no_failure() -> None:
    assert exchange(closed_by_client=True, content='{"a": 1}').object == {"a": 1}


def test_headers_are_found_by_lower_case_name_and_joined() -> None:
    found = exchange(response_headers=(("vary", "a"), ("x", "1"), ("vary", "b")))
    assert found.headers == {"vary": "a, b", "x": "1"}


@pytest.mark.parametrize(
    "kind", ["text/event-stream", "TEXT/Event-Stream;charset=utf-8", "text/event-stream ; x=y"]
)
def test_an_event_stream_is_known_by_its_type(kind: str) -> None:
    assert exchange(response_headers=(("content-type", kind),)).is_stream


@pytest.mark.parametrize("kind", ["text/event-streams", "application/json", ""])
def test_anything_else_is_no_event_stream(kind: str) -> None:
    assert not exchange(response_headers=(("content-type", kind),)).is_stream
    assert not exchange().is_stream


def test_a_stream_gives_its_events() -> None:
    found = streamed(event("metadata"), event("values", "1"), event("values", "2"))
    assert [each.json for each in found.named("values")] == [1, 2]
    assert found.names == ["metadata", "values", "values"]
    assert len(found.stream) == 3


# --- which run an exchange speaks of -----------------------------------------------------------------------


def located(value: str, **changes: Any) -> Exchange:
    return exchange(response_headers=(("content-location", value),), **changes)


def test_content_location_names_thread_and_run() -> None:
    found = located(f"/threads/{THREAD}/runs/{RUN}", content='{"run_id": "another"}')
    assert (found.thread_id, found.run_id) == (THREAD, RUN)


def test_an_absolute_content_location_does_as_well() -> None:
    found = located(f"http://host/api/threads/{THREAD}/runs/{RUN}/join")
    assert (found.thread_id, found.run_id) == (THREAD, RUN)


def test_a_stateless_run_is_named_by_header_and_its_thread_by_the_body() -> None:
    found = located(f"/runs/{RUN}", content=f'{{"thread_id": "{THREAD}", "run_id": "another"}}')
    assert (found.thread_id, found.run_id) == (THREAD, RUN)


def test_the_metadata_event_names_the_run() -> None:
    found = streamed(event("metadata", f'{{"run_id": "{RUN}"}}'))
    assert found.run_id == RUN
    assert found.found_thread_id is None


def test_the_body_names_the_run() -> None:
    found = exchange(content=f'{{"run_id": "{RUN}", "thread_id": "{THREAD}"}}')
    assert (found.found_thread_id, found.found_run_id) == (THREAD, RUN)


@pytest.mark.parametrize("content", ['{"run_id": 7}', "[]", "nonsense", '{"run_id": null}'])
def test_a_body_that_names_no_run(content: str) -> None:
    assert exchange(content=content).found_run_id is None


# --- the request -------------------------------------------------------------------------------------------


def test_the_request_is_decoded() -> None:
    assert exchange(request_body='{"a": 1}').request_json == {"a": 1}
    assert exchange(request_body="{").request_json == None  # noqa: E711
    assert exchange().request_json == None  # noqa: E711


def test_curl_says_what_matters_and_hides_what_is_secret() -> None:
    line = streamed(
        method="POST",
        request_body='{"text": "it\'s $HOME `x` \\"y\\"\n"}',
        request_headers=(
            ("content-type", "application/json"),
            ("x-trace", "7"),
            ("authorization", "[redacted:authorization]"),
        ),
    ).curl()
    words = shlex.split(line)
    assert words[:6] == ["curl", "-sS", "-i", "-N", "-X", "POST"]
    assert words[-1] == '{"text": "it\'s $HOME `x` \\"y\\"\n"}'
    assert "authorization: [redacted:authorization]" in words
    assert "x-trace: 7" not in words
    assert exchange().curl() == f"curl -sS -i '{exchange().url}'"


@pytest.mark.parametrize(
    "body", ['{"text": "it\'s $HOME & `id` \\"q\\" äß漢"}', "NUL \0001, 100 % \\n, it's"]
)
@pytest.mark.parametrize("head", [True, False])
def test_a_curl_line_repeats_its_request_when_pasted(body: str, head: bool) -> None:
    with heard_by() as (url, heard):
        sent = exchange(
            method="POST",
            url=f"{url}/threads?a=%20b&c=1",
            request_body=body,
            request_headers=(("content-type", "application/json"),),
        )
        pasted = ["/bin/sh", "-c", curl.line(sent, head=head)]
        done = subprocess.run(pasted, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"HTTP/1.1 200" if head else b"{}")
    assert (heard[0].method, heard[0].target) == ("POST", "/threads?a=%20b&c=1")
    assert heard[0].body.decode() == body
    assert heard[0].headers["content-type"] == "application/json"


# --- traces ------------------------------------------------------------------------------------------------

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
    trace = Trace(
        scenario="talk",
        exchanges=(odd, streamed(Event(event="", data="", at=0.5, id="", data_lines=0)), NO_ANSWER),
        blocked={"": "x"},
        notes={"big": 2**70, "list": [1, None, 2.5]},
        cut_short=True,
    )
    again = msgspec.json.decode(msgspec.json.encode(trace), type=Trace)
    assert again == trace
    assert again.exchanges[1].events[0].id == ""


# --- the journal -------------------------------------------------------------------------------------------


def test_the_journal_lists_what_was_read_once_and_what_was_read_last_at_the_end() -> None:
    """A judge that reads all, and then fails at one of them, has failed at the last of the list."""
    two, one = exchange(number=2), exchange(number=1)
    _ = one.status
    with reading() as journal:
        _ = two.status
        _ = one.json
        _ = two.json
    _ = exchange(number=3).status
    assert [number for _, number in journal] == [1, 2]
    assert list(journal.values()) == [one, two]


@pytest.mark.parametrize(
    "read",
    [
        lambda each: each.answered,
        lambda each: each.complete,
        lambda each: each.headers,
        lambda each: each.is_stream,
        lambda each: each.longest_silence,
        lambda each: each.found_run_id,
        lambda each: each.found_thread_id,
        *READINGS.values(),
    ],
)
def test_every_reading_is_noted_by_every_judge(read: Reading) -> None:
    """By a second judge too: what one has decoded must not hide the exchange from the next."""
    found = exchange()
    for _ in range(2):
        with reading() as journal, suppress(Missing):
            read(found)
        assert list(journal) == [("talk", 1)]


def test_journals_nest() -> None:
    with reading() as outer:
        with reading() as inner:
            _ = exchange(number=1).status
        _ = exchange(number=2).status
    assert list(inner) == [("talk", 1)]
    assert list(outer) == [("talk", 2)]


# --- excerpts ----------------------------------------------------------------------------------------------


def test_excerpts() -> None:
    assert excerpt(" a\n b ") == "a b"
    assert excerpt(" \n") == "an empty body"
    assert excerpt("x" * 200) == "x" * 159 + "…"
    assert excerpt("abcdef", 4) == "abc…"


def test_a_body_that_nobody_would_paste_stays_in_the_evidence() -> None:
    short, long = (
        exchange(method="POST", scenario="long", number=4, request_body="x" * length).curl()
        for length in (8_192, 8_193)
    )
    assert short.endswith("x" * 8_192)
    assert long.endswith("--data-binary @body  # body: request_body of long#4 in the evidence")
