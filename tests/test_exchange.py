"""Exchanges: every reading of what is there, `Missing` for what is not, and the journal of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from runstone.wire.documents import Missing
from runstone.wire.exchange import Exchange, excerpt, let_go_of_long_ones, reading, strict_json
from tests.exchanges import RUN, THREAD, event, exchange, streamed

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
    with pytest.raises(ValueError, match="deeper"):
        strict_json('{"a":[' * 3_000 + "]}" * 3_000)


def test_brackets_side_by_side_or_within_texts_are_not_deep() -> None:
    assert strict_json("[" + "[]," * 6_000 + "[]]") == [[]] * 6_001
    assert strict_json(json.dumps(["[" * 6_000, '\\"' + "{" * 6_000])) == ["[" * 6_000, '\\"' + "{" * 6_000]


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


def test_a_long_document_reads_like_a_short_one() -> None:
    text = '{"note": "%s"}' % ("ä" * 20_000)
    found, told = exchange(content=text), event("values", text)
    for read in (found.object, told.json, found.object):  # again, when another was read meanwhile
        assert read == {"note": "ä" * 20_000}
        with pytest.raises(Missing, match='has no "more"'):
            _ = read["more"]
    with pytest.raises(Missing, match="no JSON"):
        _ = exchange(content=text[:-1]).json
    let_go_of_long_ones()
    assert found.object == {"note": "ä" * 20_000}


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


# --- what was sent, and how much of it is told -------------------------------------------------------------


def test_the_request_is_decoded() -> None:
    assert exchange(request_body='{"a": 1}').request_json == {"a": 1}
    assert exchange(request_body="{").request_json == None  # noqa: E711
    assert exchange().request_json == None  # noqa: E711


def test_excerpts() -> None:
    assert excerpt(" a\n b ") == "a b"
    assert excerpt(" \n") == "an empty body"
    assert excerpt("x" * 200) == "x" * 159 + "…"
    assert excerpt("abcdef", 4) == "abc…"


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
