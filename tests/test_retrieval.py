"""The retrieval by itself, against a server on loopback that does to each path what a test tells it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from runstone.errors import UsageError
from runstone.retrieval import (
    AnotherRun,
    Attempt,
    BrokenStream,
    ContradictsStatus,
    DeadlinePassed,
    EmptyResultOfFailedRun,
    Failure,
    FailureNotTold,
    MalformedAnswer,
    NoAnswer,
    NoValues,
    Refused,
    ResultRetriever,
    RunNotFound,
    RunResult,
    StatusPoller,
    StatusUnavailable,
    Strategy,
    StrategyFailed,
    TooLarge,
    TooSlow,
    Unreachable,
    describe,
    extra_latency,
)

THREAD = "11111111-1111-4111-8111-111111111111"
RUN = "22222222-2222-4222-8222-abcdefabcdef"
LATER = "33333333-3333-4333-8333-333333333333"
VALUES = {"log": ["s1", "s2", "s3"]}
ALL: tuple[Strategy, ...] = ("stream", "state", "join_stream", "join")

TLS = ssl.create_default_context()  # 18 ms to build: once

Answer = Callable[[Request], Awaitable[Response] | Response]


def answer(body: object, code: int = 200) -> Answer:
    return lambda _: JSONResponse(body, code)


def stream(*parts: str | bytes | Exception | float) -> Answer:
    """An event stream of these bytes; a number is a pause in seconds, an exception cuts the connection."""

    async def body() -> AsyncIterator[bytes]:
        for part in parts:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, float):
                await asyncio.sleep(part)
            else:
                yield part.encode() if isinstance(part, str) else part

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def event(name: str, data: object) -> str:
    return f"event: {name}\r\ndata: {json.dumps(data)}\r\n\r\n"


def state(run_id: str | None = RUN, values: object = VALUES, **members: Any) -> dict[str, Any]:
    metadata = {"source": members.pop("source", "loop"), "step": 3}
    return {
        "values": values,
        "next": [],
        "tasks": [],
        "checkpoint": {"thread_id": THREAD, "checkpoint_ns": "", "checkpoint_id": "c"},
        "metadata": metadata if run_id is None else metadata | {"run_id": run_id},
        "interrupts": [],
        **members,
    }


def task(**members: object) -> dict[str, object]:
    return {"id": "t", "name": "ask", "error": None, "interrupts": [], **members}


def listed(*runs: tuple[str, str, str]) -> Answer:
    return answer([{"run_id": run, "created_at": at, "status": status} for run, at, status in runs])


ALONE = listed((RUN, "2026-11-21T10:00:00+00:00", "success"))
FOLLOWED = listed(
    (RUN, "2026-11-21T10:00:00+00:00", "success"), (LATER, "2026-11-21T10:00:00.500+00:00", "running")
)
QUEUED = listed((LATER, "2026-11-21T10:00:01Z", "pending"), (RUN, "2026-11-21T10:00:00Z", "success"))


class Stage:
    """What the server answers by path, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.requests: list[Request] = []
        self.url = ""
        self.answers: dict[str, Answer] = {
            "status": answer({"run_id": RUN, "thread_id": THREAD, "status": "success"}),
            "stream": stream(event("metadata", {"run_id": RUN}), event("values", VALUES)),
            "state": answer(state()),
            "join_stream": stream(event("values", VALUES)),
            "join": answer(VALUES),
            "history": answer([]),
            "runs": ALONE,
        }

    def says(self, status: str) -> None:
        self.answers["status"] = answer({"run_id": RUN, "status": status})

    async def play(self, name: str, request: Request) -> Response:
        if name == "stream" and "last-event-id" not in request.headers:
            name = "join_stream"
        self.asked.append(name)
        self.requests.append(request)
        played = self.answers[name](request)
        return played if isinstance(played, Response) else await played

    def route(self, path: str, name: str, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            return await self.play(name, request)

        return Route(path, endpoint, methods=[method])

    def app(self) -> Starlette:
        run = "/threads/{thread}/runs/{run}"
        return Starlette(
            routes=[
                self.route(run, "status"),
                self.route(f"{run}/stream", "stream"),
                self.route(f"{run}/join", "join"),
                self.route("/threads/{thread}/runs", "runs"),
                self.route("/threads/{thread}/state", "state"),
                self.route("/threads/{thread}/history", "history", "POST"),
            ]
        )


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    # asyncio switches Nagle's algorithm off (40 ms per request) only where the protocol is named.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1, access_log=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[Stage]:
    stage = Stage()
    with served(stage.app()) as stage.url:
        yield stage


@pytest.fixture
def stage(server: Stage) -> Stage:
    url = server.url
    server.__init__()  # type: ignore[misc]  # one server for the module, a fresh script for each test
    server.url = url
    return server


@contextmanager
def raw(*answers: bytes | None) -> Iterator[str]:
    """A server that sends each connection's bytes as they stand and hangs up; None: hangs up at once."""

    def serve(listener: socket.socket) -> None:
        for content in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(content or b"")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)  # a client that never comes ends the test, not the session
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def retrieve(url: str, *order: Strategy, times: int = 1, **options: Any) -> list[RunResult]:
    async def go() -> list[RunResult]:
        async with httpx.AsyncClient(verify=TLS, base_url=url, follow_redirects=True) as client:
            retriever = ResultRetriever(client, order=order or ALL[:3], **options)
            return [await retriever.result(THREAD, RUN) for _ in range(times)]

    return asyncio.run(go())


def only(stage: Stage, *order: Strategy, **options: Any) -> RunResult:
    return retrieve(stage.url, *order, **options)[0]


def failure(result: RunResult) -> StrategyFailed:
    """The error of the single strategy that was tried."""
    (attempt,) = result.attempts
    assert attempt.error is not None
    assert result.strategy is None
    assert result.values is None
    assert result.exit_code == 1
    return attempt.error


def poll(url: str, **options: Any) -> list[str]:
    async def go() -> list[str]:
        async with httpx.AsyncClient(verify=TLS, base_url=url) as client:
            poller = StatusPoller(client, **{"interval": 0.01, **options})
            return [seen.status for seen in await poller.until_terminal(THREAD, RUN)]

    return asyncio.run(go())


def in_turn(*answers: Answer) -> Answer:
    """Each answer once, the last for ever."""
    left = list(answers)
    return lambda request: (left.pop(0) if len(left) > 1 else left[0])(request)


# --- the poller -------------------------------------------------------------------------------------------


def test_poller_keeps_each_distinct_status_and_asks_for_nothing_else(stage: Stage) -> None:
    told = ["pending", "pending", "running", "running", "success"]
    stage.answers["status"] = in_turn(*(answer({"run_id": RUN, "status": status}) for status in told))
    assert poll(stage.url) == ["pending", "running", "success"]
    assert stage.asked == ["status"] * 5


def test_poller_tells_when_each_status_was_seen(stage: Stage) -> None:
    stage.answers["status"] = in_turn(answer({"status": "running"}), answer({"status": "timeout"}))

    async def go() -> list[float]:
        async with httpx.AsyncClient(verify=TLS, base_url=stage.url) as client:
            return [seen.at async for seen in StatusPoller(client, interval=0.05).statuses(THREAD, RUN)]

    first, last = asyncio.run(go())
    assert 0 < first < last


@pytest.mark.parametrize("code", [400, 404, 422])
def test_unknown_run(stage: Stage, code: int) -> None:
    stage.answers["status"] = answer({"detail": "Run not found"}, code)
    with pytest.raises(RunNotFound, match="Run not found"):
        poll(stage.url)


def test_run_that_vanishes_is_called_deleted(stage: Stage) -> None:
    stage.answers["status"] = in_turn(answer({"status": "running"}), answer({}, 404))
    with pytest.raises(RunNotFound, match="was running and is gone"):
        poll(stage.url)


@pytest.mark.parametrize(
    "broken, said",
    [
        (answer({}), "an empty object without a status"),
        (answer([]), "an empty array"),
        (answer({"status": None}), "without a status text"),
        (answer({"status": "finished"}), "unknown status 'finished'"),
        (answer({"status": "success", "run_id": LATER}), "another run"),
        (answer({"detail": "no"}, 401), "answered 401"),
        (lambda _: PlainTextResponse("<html>"), "no JSON"),
        (lambda _: Response(b'{"status": "succ\xff"}'), "no JSON"),
        (lambda _: Response(b"[" * 100_000), "nested deeper"),
        (lambda _: Response(b"[" * 500 + b"]" * 500), "an array"),
    ],
)
def test_status_that_is_none(stage: Stage, broken: Answer, said: str) -> None:
    stage.answers["status"] = broken
    with pytest.raises(StatusUnavailable, match=said) as caught:
        poll(stage.url)
    assert caught.value.exit_code == 3
    assert stage.asked == ["status"]


def test_server_errors_in_a_row_end_the_polling(stage: Stage) -> None:
    stage.answers["status"] = answer({"detail": "down"}, 503)
    with pytest.raises(StatusUnavailable, match="answered 503"):
        poll(stage.url)
    assert stage.asked == ["status"] * 3


def test_passing_server_error_does_not_end_the_polling(stage: Stage) -> None:
    stage.answers["status"] = in_turn(
        answer({"status": "pending"}),
        *(answer({}, 500), answer({}, 502), answer({"status": "running"})) * 2,
        answer({"status": "error"}),
    )
    assert poll(stage.url) == ["pending", "running", "error"]


def test_closed_port_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="did not answer") as caught:
        poll(f"http://127.0.0.1:{port}")
    assert caught.value.exit_code == 3


def test_silent_server_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(Unreachable) as caught:
        poll(f"http://127.0.0.1:{listener.getsockname()[1]}", deadline=0.2)
    assert "within 0.2 s" in str(caught.value)
    assert caught.value.exit_code == 3


def test_deadline_names_the_last_status(stage: Stage) -> None:
    stage.says("running")
    with pytest.raises(DeadlinePassed, match="still running") as caught:
        poll(stage.url, deadline=0.1)
    assert caught.value.status == "running"
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("identifier", ["", " ", ".."])
def test_id_that_is_none_is_a_usage_error(stage: Stage, identifier: str) -> None:
    async def go() -> None:
        async with httpx.AsyncClient(verify=TLS, base_url=stage.url) as client:
            await ResultRetriever(client).result(identifier, RUN)

    with pytest.raises(UsageError, match="no thread id"):
        asyncio.run(go())
    assert stage.asked == []


def test_id_cannot_reach_another_path(stage: Stage) -> None:
    async def go() -> None:
        async with httpx.AsyncClient(verify=TLS, base_url=stage.url) as client:
            client.event_hooks["request"].append(note)
            await StatusPoller(client).until_terminal(THREAD, "../../info?x=#")

    sent: list[bytes] = []

    async def note(request: httpx.Request) -> None:
        sent.append(request.url.raw_path)

    with pytest.raises(RunNotFound):
        asyncio.run(go())
    assert sent == [f"/threads/{THREAD}/runs/..%2F..%2Finfo%3Fx%3D%23".encode()]


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


async def _heartbeats() -> AsyncIterator[bytes]:
    while True:
        yield b": heartbeat\n\n"
        await asyncio.sleep(0.02)


def heartbeats(_: Request) -> Response:
    return StreamingResponse(_heartbeats(), media_type="text/event-stream")


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


# --- whose state it is ------------------------------------------------------------------------------------


def test_later_runs_state_is_no_result(stage: Stage) -> None:
    stage.answers["state"] = answer(state(LATER, {"log": ["other"]}))
    found = failure(only(stage, "state"))
    assert isinstance(found, AnotherRun)
    assert f"the other run {LATER} has written the state since" in str(found)


def test_history_holds_the_runs_own_checkpoint(stage: Stage) -> None:
    stage.answers["state"] = answer(state(LATER, {"log": ["other"]}))
    stage.answers["history"] = answer(
        [state(LATER, {"log": ["other"]}), state(RUN, {"log": ["by hand"]}, source="update"), state()]
    )
    assert only(stage, "state").values == VALUES


@pytest.mark.parametrize("carried", [RUN, None])
@pytest.mark.parametrize("source", ["update", "fork"])
def test_update_by_hand_after_the_run_is_not_its_result(
    stage: Stage, carried: str | None, source: str
) -> None:
    stage.answers["state"] = answer(state(carried, {"log": ["by hand"]}, source=source))
    assert isinstance(failure(only(stage, "state")), AnotherRun)
    stage.answers["history"] = answer([state(RUN.upper())])
    assert only(stage, "state").values == VALUES


def test_history_seen_through_another_graph_is_no_result(stage: Stage) -> None:
    echo, fail = ({"run_id": run, "graph_id": graph} for run, graph in ((RUN, "echo"), (LATER, "fail")))
    stage.answers["state"] = answer(state(LATER, metadata=fail))
    stage.answers["history"] = answer([state(values={"log": []}, metadata=echo)])
    found = failure(only(stage, "state"))
    assert isinstance(found, AnotherRun)
    assert "graph fail" in str(found)
    stage.answers["state"] = answer(state(LATER, metadata=fail | {"graph_id": "echo"}))
    assert only(stage, "state").values == {"log": []}


def test_state_of_another_thread(stage: Stage) -> None:
    stage.answers["state"] = answer(state(checkpoint={"thread_id": LATER}))
    assert isinstance(failure(only(stage, "state")), AnotherRun)


@pytest.mark.parametrize("strategy, body", [("state", state(None)), ("join", VALUES), ("join", state(None))])
def test_answer_that_names_no_run_needs_the_newest_run(
    stage: Stage, strategy: Strategy, body: dict[str, Any]
) -> None:
    stage.answers[strategy] = answer(body)
    for runs in (ALONE, QUEUED):
        stage.answers["runs"] = runs
        assert only(stage, strategy).values == VALUES
    many = [(LATER, f"2026-11-21T09:00:{second:02}Z", "success") for second in range(50)]
    for runs in (
        FOLLOWED,
        listed(),
        listed(*many, *many, (RUN, "2026-11-21T10:00:00Z", "success")),  # a full page, the oldest first
        answer([{"run_id": RUN}]),
        answer({}),
        answer([], 500),
    ):
        stage.answers["runs"] = runs
        assert isinstance(failure(only(stage, strategy)), AnotherRun | MalformedAnswer | Refused)


def test_open_tasks_of_a_checkpoint_count_only_while_the_run_is_the_newest(stage: Stage) -> None:
    asking = state(tasks=[task(interrupts=[{"id": "i", "value": "really?"}])])
    stage.answers["state"] = answer(asking)
    assert only(stage, "state").interrupts == ({"id": "i", "value": "really?"},)
    stage.answers["runs"] = FOLLOWED
    assert isinstance(failure(only(stage, "state")), AnotherRun)


def test_second_pause_in_one_node_shows_on_the_earlier_runs_checkpoint(stage: Stage) -> None:
    stage.answers["state"] = answer(state(LATER, interrupts=[{"id": "i", "value": {"turn": 2}}]))
    stage.answers["runs"] = listed(
        (RUN, "2026-11-21T10:00:01Z", "success"), (LATER, "2026-11-21T10:00:00Z", "success")
    )
    assert only(stage, "state").interrupts == ({"id": "i", "value": {"turn": 2}},)
    stage.answers["runs"] = FOLLOWED
    assert isinstance(failure(only(stage, "state")), AnotherRun)


# --- runs that did not end well ---------------------------------------------------------------------------

BOOM = Failure("ValueError", 'it\'s "broken"\n')


@pytest.mark.parametrize("status", ["error", "timeout"])
@pytest.mark.parametrize(
    "strategy, body",
    [
        (
            "stream",
            stream(event("values", VALUES), event("error", {"error": BOOM.error, "message": BOOM.message})),
        ),
        ("join_stream", stream(event("error", {"error": BOOM.error, "message": BOOM.message}), 30.0)),
        ("state", answer(state(tasks=[task(error="ValueError('it\\'s \"broken\"\\n')")]))),
        ("state", answer(state(tasks=[task(error={"name": BOOM.error, "message": BOOM.message})]))),
        ("join", answer({"__error__": {"error": BOOM.error, "message": BOOM.message}})),
        ("join", answer(state() | {"__error__": {"error": BOOM.error, "message": BOOM.message}})),
    ],
)
def test_failed_run_tells_its_error_and_no_values(
    stage: Stage, status: str, strategy: Strategy, body: Answer
) -> None:
    stage.says(status)
    stage.answers[strategy] = body
    result = only(stage, strategy)
    assert (result.status, result.strategy, result.error) == (status, strategy, BOOM)
    assert result.values is None
    assert not result.complete
    assert result.exit_code == 1


@pytest.mark.parametrize("status", ["error", "timeout"])
@pytest.mark.parametrize(
    "strategy, body",
    [
        ("join", answer({})),
        ("join", answer(None)),
        ("join", answer({"__error__": {}})),
        ("state", answer(state(values={}))),
        ("state", answer(state(None, values={}))),
        ("stream", stream(event("values", {}))),
        ("join_stream", stream(event("metadata", {"run_id": RUN}))),
    ],
)
def test_failed_run_is_never_an_empty_result(
    stage: Stage, status: str, strategy: Strategy, body: Answer
) -> None:
    stage.says(status)
    stage.answers[strategy] = body
    assert isinstance(failure(only(stage, strategy)), EmptyResultOfFailedRun)


@pytest.mark.parametrize("strategy", ALL)
def test_values_of_a_failed_run_are_no_result(stage: Stage, strategy: Strategy) -> None:
    stage.says("error")
    found = failure(only(stage, strategy))
    assert type(found) is FailureNotTold


def test_error_in_the_body_contradicts_success(stage: Stage) -> None:
    stage.answers["join"] = answer({"__error__": {"error": "ValueError", "message": "boom"}})
    assert isinstance(failure(only(stage, "join")), ContradictsStatus)


def test_state_without_values_or_author_is_no_result(stage: Stage) -> None:
    stage.answers["state"] = answer(state(None, values={}))
    assert isinstance(failure(only(stage, "state")), NoValues)


def test_wait_state_join_after_an_update_by_hand(stage: Stage) -> None:
    stage.answers["join"] = answer(state(None, source="update"))
    assert isinstance(failure(only(stage, "join")), AnotherRun)


@pytest.mark.parametrize("body", [{}, None, {"__interrupt__": []}])
def test_nothing_from_join_is_no_result_even_of_a_successful_run(stage: Stage, body: object) -> None:
    stage.answers["join"] = answer(body)
    assert isinstance(failure(only(stage, "join")), NoValues)


ASKED = ({"id": "left", "value": 1}, {"id": "right", "value": 2})


@pytest.mark.parametrize("status", ["success", "interrupted"])
@pytest.mark.parametrize(
    "strategy, body, values",
    [
        (
            "stream",
            stream(event("values", VALUES), event("values", VALUES | {"__interrupt__": ASKED})),
            VALUES,
        ),
        (
            "stream",
            stream(event("values", VALUES), *(event("values", {"__interrupt__": [each]}) for each in ASKED)),
            VALUES,
        ),
        ("state", answer(state(interrupts=ASKED)), VALUES),
        ("state", answer(state(tasks=[task(interrupts=[each]) for each in ASKED])), VALUES),
        ("join", answer({"__interrupt__": ASKED}), None),
    ],
)
def test_paused_run_fills_its_interrupts(
    stage: Stage, status: str, strategy: Strategy, body: Answer, values: object
) -> None:
    stage.says(status)
    stage.answers[strategy] = body
    result = only(stage, strategy)
    assert (result.status, result.interrupts, result.values) == (status, ASKED, values)
    assert not result.complete
    assert result.exit_code == 1


def test_cancelled_run_says_so_by_its_status(stage: Stage) -> None:
    stage.says("interrupted")
    result = only(stage, "state")
    assert (result.status, result.values, result.interrupts) == ("interrupted", VALUES, ())
    assert result.exit_code == 1


def test_run_cancelled_before_it_began_has_no_values(stage: Stage) -> None:
    stage.says("interrupted")
    stage.answers["state"] = answer(state(None, values={}))
    assert isinstance(failure(only(stage, "state")), NoValues)


# --- the order --------------------------------------------------------------------------------------------


def test_paths_are_tried_in_order_and_the_one_that_worked_comes_first_next_time(stage: Stage) -> None:
    stage.answers["stream"] = stream()
    first, second = retrieve(stage.url, times=2)
    assert [(each.strategy, type(each.error)) for each in first.attempts] == [
        ("stream", NoValues),
        ("state", type(None)),
    ]
    assert [each.strategy for each in second.attempts] == ["state"]
    assert stage.asked == ["status", "stream", "state", "status", "state"]


def test_learnt_path_that_fails_falls_back_to_the_rest_in_order(stage: Stage) -> None:
    stage.answers["stream"] = in_turn(stream(), stream(event("values", VALUES)))
    stage.answers["state"] = in_turn(answer(state()), answer({}, 500))
    _, second, third = retrieve(stage.url, times=3)
    assert [each.strategy for each in second.attempts] == ["state", "stream"]
    assert [each.strategy for each in third.attempts] == ["stream"]


def test_configured_order_is_kept(stage: Stage) -> None:
    stage.answers["join"] = answer({}, 500)
    result = only(stage, "join", "join_stream", "state")
    assert [each.strategy for each in result.attempts] == ["join", "join_stream"]


def test_all_paths_failing_gives_the_status_and_each_reason(stage: Stage) -> None:
    stage.says("error")
    stage.answers |= {"stream": stream(), "state": answer({}, 500), "join_stream": answer({}, 404)}
    result = only(stage)
    assert (result.status, result.strategy, result.values, result.error) == ("error", None, None, None)
    assert [type(each.error) for each in result.attempts] == [NoValues, Refused, Refused]
    assert all(each.elapsed_s > 0 for each in result.attempts)
    assert result.exit_code == 1


@pytest.mark.parametrize("order", [(), ("stream", "states"), "state"])
def test_unknown_order_is_a_usage_error(order: Any) -> None:
    with pytest.raises(UsageError, match="stream, state, join_stream, join"):
        ResultRetriever(httpx.AsyncClient(), order=order)


def test_cancelling_the_caller_is_not_swallowed(stage: Stage) -> None:
    stage.answers["stream"] = heartbeats

    async def go() -> None:
        async with httpx.AsyncClient(verify=TLS, base_url=stage.url) as client:
            async with asyncio.timeout(0.3):
                await ResultRetriever(client).result(THREAD, RUN)

    with pytest.raises(TimeoutError):
        asyncio.run(go())


# --- for people -------------------------------------------------------------------------------------------


def test_description_says_which_path_worked_and_why_others_did_not(stage: Stage) -> None:
    stage.answers["stream"] = stream()
    text = describe(only(stage))
    assert text.startswith(
        f"run {RUN} of thread {THREAD}: success\nanswered by: state\n  stream: NoValues: GET"
    )
    assert json.loads(text.partition("values:\n")[2]) == VALUES


def test_description_of_a_failed_run_shows_no_values() -> None:
    refused = Attempt(strategy="state", error=Refused("GET /x answered 500", 500), elapsed_s=0.1)
    text = describe(RunResult(thread_id=THREAD, run_id=RUN, status="timeout", attempts=(refused,)))
    assert "timeout" in text
    assert "no path gave a result:\n  state: Refused: GET /x answered 500" in text
    assert "values" not in text


def test_description_cannot_steer_a_terminal() -> None:
    values = {"text": "grün \x1b[2J \x9b2J \ud800 \u202e"}
    error = Failure("E", "\x1b]0;title\x07")
    result = RunResult(
        thread_id=THREAD, run_id=RUN, status="success", values=values, error=error, strategy="state"
    )
    text = describe(result)
    assert "grün" in text
    assert not set("\x1b\x9b\x07\ud800\u202e") & set(text)
    assert json.loads(text.partition("values:\n")[2]) == values


def test_description_of_deeply_nested_values() -> None:
    try:
        values = json.loads(
            "[" * 1200 + '"core"' + "]" * 1200
        )  # Python 3.12 indents less deep than it decodes
    except RecursionError:
        values = json.loads("[" * 800 + '"core"' + "]" * 800)
    text = describe(
        RunResult(thread_id=THREAD, run_id=RUN, status="success", values=values, strategy="state")
    )
    assert "core" in text


def test_extra_latency_is_measured_against_the_same_requests(stage: Stage) -> None:
    async def go() -> None:
        async with httpx.AsyncClient(verify=TLS, base_url=stage.url) as client:
            latency = await extra_latency(client, THREAD, RUN, samples=3)
            assert latency.strategy == "state"
            assert latency.extra_s == latency.retriever_s - latency.bare_s
            assert latency.bare_s > 0

    asyncio.run(go())
    assert stage.asked == ["status", "state"] * 7
