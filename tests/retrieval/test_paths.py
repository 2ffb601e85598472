"""Each path to a result: working, and broken in every way."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from runstone.retrieval import (
    AnotherRun,
    BrokenStream,
    ContradictsStatus,
    MalformedAnswer,
    NoAnswer,
    NoValues,
    Refused,
    Strategy,
    StrategyFailed,
    TooLarge,
    TooSlow,
)
from tests.retrieval.stage import (
    ALL,
    LATER,
    RUN,
    VALUES,
    Answer,
    Stage,
    answer,
    event,
    failure,
    heartbeats,
    only,
    raw,
    retrieve,
    state,
    stream,
)

# --- each path, working -----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ALL)
def test_each_path_gives_the_values(stage: Stage, strategy: Strategy) -> None:
    result = only(stage, strategy)
    assert (result.status, result.strategy, result.values) == ("success", strategy, VALUES)
    assert result.complete
    assert result.exit_code == 0
    assert [attempt.error for attempt in result.attempts] == [None]


@pytest.mark.parametrize("strategy, requests", [("stream", 2), ("state", 2), ("join_stream", 2), ("join", 3)])
def test_no_needless_request(stage: Stage, strategy: Strategy, requests: int) -> None:
    only(stage, strategy)
    assert len(stage.asked) == requests
    assert stage.asked[:2] == ["status", strategy]


def test_stream_asks_for_a_replay_of_values(stage: Stage) -> None:
    only(stage, "stream", "join_stream")
    request = stage.requests[-1]
    assert request.headers["last-event-id"] == "-1"
    assert dict(request.query_params) == {"stream_mode": "values"}


def test_last_root_values_event_counts(stage: Stage) -> None:
    stage.answers["stream"] = stream(
        event("values", {"log": []}),
        event("values", VALUES),
        event("values|child:1", {"log": ["c1"]}),
        event("updates", {"s3": {"log": ["s3"]}}),
        event("end", None),
    )
    assert only(stage, "stream").values == VALUES


def test_one_event_over_many_chunks(stage: Stage) -> None:
    values = {"text": "grüße, 日本語, 🜚 " * 400}
    whole = f"event: values\ndata: {json.dumps(values, ensure_ascii=False)}\n\n".encode()
    stage.answers["stream"] = stream(*(whole[at : at + 7] for at in range(0, len(whole), 7)))
    assert only(stage, "stream").values == values


def test_end_event_ends_the_reading_of_a_stream_that_stays_open(stage: Stage) -> None:
    stage.answers["stream"] = stream(event("values", VALUES), event("end", None), 30.0)
    assert only(stage, "stream", deadline=10.0).values == VALUES


@pytest.mark.parametrize("values", [{}, None, [], "text", 0])
def test_a_successful_run_may_have_empty_values(stage: Stage, values: object) -> None:
    stage.answers["state"] = answer(state(values=values))
    result = only(stage, "state")
    assert (result.strategy, result.values, result.complete) == ("state", values, True)


def test_wait_state_join_is_a_thread_state(stage: Stage) -> None:
    stage.answers["join"] = answer(state())
    assert only(stage, "join").values == VALUES
    assert stage.asked == ["status", "join"]  # the checkpoint names the run, so nobody else need be asked


def test_graph_values_that_resemble_a_thread_state_are_values(stage: Stage) -> None:
    values = {"values": [1], "next": "b"}
    stage.answers["join"] = answer(values)
    assert only(stage, "join").values == values


# --- each path, broken ------------------------------------------------------------------------------------


def redirect(request: Request) -> Response:
    return RedirectResponse(str(request.url))


async def silent(_: Request) -> Response:
    await asyncio.sleep(1)
    return JSONResponse(VALUES)


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize(
    "broken, error",
    [
        (answer({"detail": "gone"}, 404), Refused),
        (answer({"detail": "oops"}, 500), Refused),
        (redirect, NoAnswer),
        (silent, TooSlow),
        (heartbeats, (TooSlow, TooLarge)),
        (lambda _: PlainTextResponse("<html>hello</html>"), (MalformedAnswer, BrokenStream)),
        (lambda _: Response(b'{"log": "\xff"}'), (MalformedAnswer, BrokenStream)),
        (lambda _: Response(status_code=204), (MalformedAnswer, BrokenStream)),
        (answer({}), (MalformedAnswer, BrokenStream, NoValues)),
        (lambda _: JSONResponse({"log": "x" * 100_000}), (TooLarge, BrokenStream)),
    ],
)
def test_broken_path_is_a_typed_error(
    stage: Stage, strategy: Strategy, broken: Answer, error: type[StrategyFailed]
) -> None:
    stage.answers[strategy] = broken
    deadline = 0.4 if broken in (silent, heartbeats) else 30.0  # the others are late on a busy machine only
    assert isinstance(failure(only(stage, strategy, deadline=deadline, byte_limit=50_000)), error)


@pytest.mark.parametrize("strategy", ["stream", "join_stream"])
@pytest.mark.parametrize(
    "broken, error, said",
    [
        (stream(), NoValues, "no event"),
        (lambda _: PlainTextResponse(event("values", VALUES)), BrokenStream, "text/plain"),
        (stream(event("metadata", {"run_id": RUN})), NoValues, "no values"),
        (stream(event("updates", VALUES)), NoValues, "no values"),
        (stream(event("values", VALUES), "event: values\ndata: {"), BrokenStream, "unfinished"),
        (stream(event("values", VALUES), RuntimeError("cut")), NoAnswer, "broke off"),
        (stream("event: values\ndata: {]\n\n"), MalformedAnswer, "no JSON"),
        (stream('event: values\ndata: {"a": NaN}\n\n'), MalformedAnswer, "NaN"),
        (stream(b'event: values\ndata: "\xff"\n\n'), BrokenStream, "UTF-8"),
        (stream(event("values", VALUES), b"\xe2\x82"), BrokenStream, "UTF-8"),
        (stream("<html>", "\n", "</html>\n"), BrokenStream, "part of no event"),
        (stream(event("metadata", {"run_id": LATER}), event("values", VALUES)), AnotherRun, LATER),
        (
            stream(event("values", VALUES), event("error", {"error": "E", "message": "m"})),
            ContradictsStatus,
            "E",
        ),
        (stream(event("values", VALUES), 1.0), TooSlow, "0.4 s"),
        (stream("data: ", *["x" * 10_000] * 9), TooLarge, "50000 bytes"),
    ],
)
def test_broken_stream_is_never_a_result(
    stage: Stage, strategy: Strategy, broken: Answer, error: type[StrategyFailed], said: str
) -> None:
    stage.answers[strategy] = broken
    deadline = 0.4 if error is TooSlow else 30.0
    found = failure(only(stage, strategy, deadline=deadline, byte_limit=50_000))
    assert isinstance(found, error)
    assert said in str(found)


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
SUCCESS = HEAD + b'Content-Length: 21\r\n\r\n{"status": "success"}'
OPEN_STREAM = HEAD + b"Content-Type: text/event-stream\r\n\r\n"


def test_stream_that_only_stops_is_not_believed() -> None:
    with raw(SUCCESS, OPEN_STREAM + event("values", VALUES).encode()) as url:
        found = failure(retrieve(url, "stream")[0])
    assert isinstance(found, BrokenStream)
    assert "perhaps it was cut" in str(found)


def test_stream_that_stops_after_its_end_event_is_believed() -> None:
    with raw(SUCCESS, OPEN_STREAM + event("values", VALUES).encode() + b"event: end\ndata: null\n\n") as url:
        assert retrieve(url, "stream")[0].values == VALUES


def test_reset_connection_is_tried_once_more() -> None:
    body = json.dumps(state()).encode()
    with raw(SUCCESS, None, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body) as url:
        assert retrieve(url, "state")[0].values == VALUES


def test_body_cut_short_is_no_answer() -> None:
    with raw(SUCCESS, HEAD + b'Content-Length: 500\r\n\r\n{"values": {}') as url:
        assert isinstance(failure(retrieve(url, "state")[0]), NoAnswer)
