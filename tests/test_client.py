"""The recorder against real sockets: whatever a server does becomes an exchange, under deadline and cap."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Arrived
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from runstone.contracts import creates_at_once, may_last
from runstone.wire.exchange import Exchange
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.redaction import Redactor
from runstone.wire.request import Request
from runstone.wire.trace import Trace
from tests.honest import uvicorn_serving
from tests.relay import Conditions, relaying
from tests.servers import (
    HANGING,
    HUGE,
    LIARS,
    Answer,
    Heard,
    Reader,
    Writer,
    always,
    conversing,
    endless,
    heard_by,
    read_request,
    reply,
    serving,
)

_Result = TypeVar("_Result")
SECRET = "s3cr3t-t0ken-of-the-user"  # noqa: S105 - nobody has this
HEADERS = {"Authorization": f"Bearer {SECRET}", "X-Short": "abc"}
Talk = Callable[[Recorder, list[Exchange]], Awaitable[_Result]]


def asked(**changes: Any) -> Request:
    fields: dict[str, Any] = {
        "scenario": "talk",
        "part": "",
        "number": 1,
        "label": "it",
        "method": "GET",
        "path": "/threads",
        "deadline": 5.0,
    }
    return Request(**{**fields, **changes})


def recorded(
    url: str, talk: Talk[_Result], secrets: dict[str, str] | None = None, **limits: Any
) -> tuple[_Result, list[Exchange]]:
    """What `talk` returned, and every exchange that was kept."""

    async def session() -> tuple[_Result, list[Exchange]]:
        kept: list[Exchange] = []
        async with Recorder(url, secrets or {}, Limits(**limits), may_last=may_last) as recorder:
            return await talk(recorder, kept), kept

    return asyncio.run(session())


def sent(url: str, secrets: dict[str, str] | None = None, limits: Any = None, **changes: Any) -> Exchange:
    """One exchange, with its `opened` future, which must be resolved however it went."""

    async def talk(recorder: Recorder, kept: list[Exchange]) -> Exchange:
        opened: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
        exchange = await recorder.send(asked(**changes), kept, opened)
        assert opened.done()
        assert opened.result().code == exchange.code
        return exchange

    found, kept = recorded(url, talk, secrets, **(limits or {}))
    assert kept == [found]
    return found


@pytest.fixture
def closed_port() -> Iterator[str]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


def streaming(*pieces: bytes) -> Answer:
    """Answer with an event stream of these pieces, and end it."""
    return always("200 OK", "text/event-stream", b"".join(pieces))


# --- what is kept ------------------------------------------------------------------------------------------


def test_everything_of_a_whole_exchange_is_kept() -> None:
    def answer(_heard: Heard) -> bytes:
        return reply("201 Created", "application/json", b'{"a": 1}', "X-Twice: 1", "X-Twice: 2")

    with heard_by(answer) as (url, heard):
        found = sent(
            url,
            method="POST",
            path="/threads/search",
            part="one",
            label="search",
            number=3,
            params=(("limit", "2"), ("limit", "3"), ("q", "a b&c")),
            headers=(("content-type", "application/json"), ("X-Own", "ü")),
            content=b'{"x": 1}',
        )
    assert (found.scenario, found.part, found.number, found.label) == ("talk", "one", 3, "search")
    assert (found.method, found.code, found.content) == ("POST", 201, '{"a": 1}')
    assert found.url == f"{url}/threads/search?limit=2&limit=3&q=a+b%26c"
    assert found.request_body == '{"x": 1}'
    assert found.request_headers == (("content-type", "application/json"), ("x-own", "ü"))
    assert found.headers["x-twice"] == "1, 2"
    assert found.chunks
    assert sum(size for _, size in found.chunks) == 8
    assert found.headers_after is not None
    assert found.first_byte_after is not None
    assert 0 <= found.headers_after <= found.first_byte_after <= found.finished_after
    assert (found.failure, found.truncated, found.retried, found.closed_by_client) == (
        None,
        False,
        False,
        False,
    )
    assert heard[0].target == "/threads/search?limit=2&limit=3&q=a+b%26c"
    assert heard[0].headers["x-own"].encode("latin-1").decode() == "ü"
    assert heard[0].headers["accept-encoding"] == "identity"
    assert heard[0].body == b'{"x": 1}'


def test_a_base_path_stands_before_every_path() -> None:
    with heard_by() as (url, heard):
        sent(url + "/api/")
    assert heard[0].target == "/api/threads"


def test_no_proxy_of_the_surroundings_is_used(monkeypatch: pytest.MonkeyPatch, closed_port: str) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, closed_port)
    with heard_by() as (url, _):
        assert sent(url).code == 200


@pytest.mark.parametrize("path", ["/threads/\x00", "/threads/a b\n", "/threads/\x7f"])
def test_a_path_that_no_url_can_hold_is_a_failure_and_no_crash(path: str) -> None:
    with heard_by() as (url, _):
        found = sent(url, path=path)
    assert found.code is not None or "InvalidURL" in (found.failure or "")


def test_an_event_stream_over_real_uvicorn() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (
            b"event: metadata\r\nda",
            b'ta: {"run_id": 1}\r\n\r',
            b"\n: hb\r\n\r\nevent: end\ndata: 1\n\n",
        ):
            yield piece
            await asyncio.sleep(0.02)

    async def stream(_request: Arrived) -> StreamingResponse:
        return StreamingResponse(pieces(), media_type="text/event-stream")

    with uvicorn_serving(Starlette(routes=[Route("/threads", stream)])) as url:
        found = sent(url)
    assert [(each.event, each.data) for each in found.stream] == [("metadata", '{"run_id": 1}'), ("end", "1")]
    assert [each.text for each in found.comments] == ["hb"]
    assert len(found.chunks) == 3
    assert 0 < found.events[0].at < found.events[1].at <= found.finished_after
    assert found.complete


def test_an_unfinished_event_is_malformed_only_when_the_body_ended() -> None:
    with serving(streaming(b"data: 1\n")) as url:
        assert sent(url).malformed_lines == ("(unfinished event) data: 1",)
    with serving(endless("text/event-stream", b"data: 1\n\ndata: 2\n", b"", 0.05)) as url:
        assert sent(url, close_after=0.3).malformed_lines == ()


def test_invalid_utf_8_is_kept_as_latin_1() -> None:
    with serving(LIARS["invalid UTF-8"]) as url:
        found = sent(url)
    assert not found.utf8
    assert found.content.encode("latin-1") == b'{"ok": true, "text": "\xff\xfe"}'


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    requests = 0

    async def redirect(line: str, body: bytes, writer: Writer) -> None:
        nonlocal requests
        requests += 1
        await LIARS["redirect loop"](line, body, writer)

    with serving(redirect) as url:
        found = sent(url)
    assert (found.code, found.headers["location"], requests) == (307, "/threads", 1)


# --- what fails --------------------------------------------------------------------------------------------


def test_a_refused_connection(closed_port: str) -> None:
    found = sent(closed_port)
    assert found.code is None
    assert found.failure == "connection refused"
    assert (found.retried, found.disturbed) == (False, None)


def test_a_silent_server_ends_at_the_deadline() -> None:
    with serving(HANGING["silent"]) as url:
        found = sent(url, deadline=0.3)
    assert (found.code, found.failure, found.headers_after) == (None, "not finished within 0.3 s", None)


@pytest.mark.parametrize("name", ["heartbeats", "newlines"])
def test_life_signs_do_not_put_off_the_deadline(name: str) -> None:
    with serving(HANGING[name]) as url:
        found = sent(url, deadline=0.5)
    assert (found.code, found.failure) == (200, "not finished within 0.5 s")
    assert found.chunks
    assert [each.text for each in found.comments][:1] == (["heartbeat"] if name == "heartbeats" else [])
    assert not found.events


def test_a_cut_body_is_a_failure_with_what_arrived() -> None:
    with serving(LIARS["half a body"]) as url:
        found = sent(url)
    assert (found.code, found.content) == (200, '{"ok":')
    assert found.failure is not None
    assert found.failure.startswith("connection closed in the middle of the answer: ")
    assert found.disturbed == f"the network cut it off ({found.failure})"


def test_what_is_no_http_is_a_failure() -> None:
    async def shout(_line: str, _body: bytes, writer: Writer) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")

    with serving(shout) as url:
        found = sent(url)
    assert found.code is None
    assert "RemoteProtocolError" in (found.failure or "")


@pytest.mark.parametrize("name", HUGE)
def test_a_body_is_cut_at_the_cap(name: str) -> None:
    with serving(HUGE[name]) as url:
        found = sent(url, limits={"body_bytes": 100_000})
    assert found.truncated
    assert found.failure is None
    assert len(found.content) == 100_000
    assert not found.events


def test_of_a_huge_request_only_the_beginning_is_kept() -> None:
    with heard_by() as (url, heard):
        whole = sent(url, method="POST", content=b"x" * 65_536)
        cut = sent(url, HEADERS, method="POST", content=f"{SECRET} ".encode() + b"x" * 5_000_000)
    assert [len(each.body) for each in heard] == [65_536, 5_000_025]
    assert (whole.request_body, whole.request_truncated) == ("x" * 65_536, False)
    assert cut.request_truncated
    assert cut.request_body == ("[redacted:authorization] " + "x" * 65_536)[:65_536]
    assert len(cut.curl()) < 300


def test_time_is_not_up_while_a_large_request_is_on_its_way() -> None:
    """12 MB by 32 Mbit/s take 3 s, of which this machine buffers up to a third."""
    with heard_by() as (to, heard), relaying(to, Conditions(bandwidth=32e6)) as relay:
        found = sent(relay.url, method="POST", content=b"x" * 12_000_000, deadline=0.8)
    assert (found.code, found.failure) == (200, None)
    assert found.finished_after > 2.5
    assert [len(each.body) for each in heard] == [12_000_000]


def test_a_target_that_takes_no_more_of_a_large_request_is_given_up() -> None:
    async def stop(reader: Reader, _writer: Writer) -> None:
        await reader.read(1000)
        await asyncio.sleep(60)

    with conversing(stop) as url:
        found = sent(url, method="POST", content=b"x" * 30_000_000, deadline=0.5)
    assert found.failure == "not finished within 0.5 s"
    assert found.finished_after < 5


def test_a_body_of_exactly_the_cap_is_whole() -> None:
    with serving(always("200 OK", "text/plain", b"x" * 1000)) as url:
        assert sent(url, limits={"body_bytes": 1000}).complete
        assert sent(url, limits={"body_bytes": 999}).truncated


@pytest.mark.parametrize("piece", [b"data:\n\n", b":\n"])
def test_endless_tiny_events_are_cut_by_their_number(piece: bytes) -> None:
    with serving(endless("text/event-stream", b"", piece * 1000)) as url:
        found = sent(url, limits={"events": 5000})
    assert found.truncated
    assert 5000 < len(found.events) + len(found.comments) < 100_000


def test_tiny_chunks_that_arrive_at_once_are_counted_together() -> None:
    async def drip(_line: str, _body: bytes, writer: Writer) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
        )

    with serving(drip) as url:
        found = sent(url)
    assert found.content == "x" * 20_000
    assert sum(size for _, size in found.chunks) == 20_000
    assert len(found.chunks) < 20_000
    assert [at for at, _ in found.chunks] == sorted({at for at, _ in found.chunks})


def test_past_the_sessions_budget_bodies_are_cut_short() -> None:
    async def talk(recorder: Recorder, kept: list[Exchange]) -> None:
        for number in range(3):
            await recorder.send(asked(number=number), kept)

    with serving(always("200 OK", "text/plain", b"x" * 600)) as url:
        _, kept = recorded(url, talk, session_bytes=1000, crowded_bytes=50)
    assert [(len(each.content), each.truncated) for each in kept] == [(600, False), (600, False), (50, True)]


@pytest.mark.parametrize(
    "method, path, deadline, counts",
    [
        ("GET", "/threads/1", 5.0, True),
        ("GET", "/threads/1/runs/2/join", 5.0, False),
        ("GET", "/threads/1/runs/2/stream?stream_mode=values", 5.0, False),
        ("POST", "/threads/1/runs/wait", 5.0, False),
        ("POST", "/threads/1/runs/2/cancel?wait=1", 5.0, False),
        ("POST", "/threads/1/stream/events", 5.0, False),
        ("GET", "/no/such/route", 5.0, True),
        ("GET", "/assistants/1/schemas", 9.0, False),
    ],
)
def test_the_slowest_answer_of_late_tells_how_busy_a_target_is(
    method: str, path: str, deadline: float, counts: bool
) -> None:
    async def slowly(_head: str, _body: bytes, writer: Writer) -> None:
        await asyncio.sleep(0.2)
        writer.write(reply("200 OK", "application/json", b"{}"))

    async def talk(recorder: Recorder, kept: list[Exchange]) -> float:
        assert recorder.answer_s == 0.0
        await recorder.send(asked(method=method, path=path, deadline=deadline), kept)
        return recorder.answer_s

    with serving(slowly) as url:
        answer_s, _ = recorded(url, talk, request_s=5.0)
    assert (answer_s >= 0.2) is counts


def test_an_answer_that_never_came_says_nothing_of_how_busy_a_target_is() -> None:
    async def talk(recorder: Recorder, kept: list[Exchange]) -> float:
        await recorder.send(asked(deadline=0.2), kept)
        return recorder.answer_s

    with serving(HANGING["silent"]) as url:
        assert recorded(url, talk)[0] == 0.0


# --- hanging up --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["silent", "heartbeats"])
def test_hanging_up_after_a_time_is_no_failure(name: str) -> None:
    with serving(HANGING[name]) as url:
        found = sent(url, close_after=0.3)
    assert found.closed_by_client
    assert found.failure is None
    assert found.code == (None if name == "silent" else 200)


def test_an_answer_that_ended_before_is_whole() -> None:
    with heard_by() as (url, _):
        found = sent(url, close_after=4.0)
    assert found.complete
    assert not found.closed_by_client


def test_the_deadline_comes_before_a_later_hanging_up() -> None:
    with serving(HANGING["silent"]) as url:
        found = sent(url, close_after=5.0, deadline=0.2)
    assert not found.closed_by_client
    assert found.failure == "not finished within 0.2 s"


def test_hanging_up_after_events() -> None:
    with serving(endless("text/event-stream", b"", b"data: 1\n\n", 0.02)) as url:
        found = sent(url, close_after_events=3)
    assert found.closed_by_client
    assert len(found.events) >= 3
    assert found.failure is None


def test_a_stream_with_fewer_events_ends_by_itself() -> None:
    with serving(streaming(b"data: 1\n\n")) as url:
        found = sent(url, close_after_events=3)
    assert (len(found.events), found.closed_by_client) == (1, False)


def test_what_is_being_made_when_a_session_is_interrupted_is_known() -> None:
    async def make(_: Arrived) -> JSONResponse:
        await asyncio.sleep(0.5)
        return JSONResponse({"thread_id": "a"})

    async def session(url: str) -> Exchange:
        kept: list[Exchange] = []
        recorder = Recorder(url, {}, Limits(), creates=creates_at_once)
        async with recorder:
            making = asyncio.create_task(recorder.send(asked(method="POST", content=b"{}"), kept))
            await asyncio.sleep(0.2)
            making.cancel()
            with pytest.raises(asyncio.CancelledError):
                await making
        return kept[0]

    with uvicorn_serving(Starlette(routes=[Route("/threads", make, methods=["POST"])])) as url:
        found = asyncio.run(session(url))
    assert found.complete
    assert found.json == {"thread_id": "a"}


def listened(url: str, *, over_after: float, quiet_s: float, deadline: float) -> Exchange:
    """One exchange of a client that listens until something that happens elsewhere is over."""

    async def talk(recorder: Recorder, kept: list[Exchange]) -> Exchange:
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(over_after, over.set)
        return await recorder.send(asked(close_when=over, quiet_s=quiet_s, deadline=deadline), kept)

    return recorded(url, talk)[0]


def test_an_open_stream_is_listened_to_until_what_it_tells_is_over_whatever_the_deadline() -> None:
    with serving(endless("text/event-stream", b"data: 1\n\n", b": heartbeat\n\n", 0.02)) as url:
        found = listened(url, over_after=1.3, quiet_s=0.1, deadline=1.0)
    assert (found.closed_by_client, found.failure) == (True, None)
    assert found.finished_after >= 1.4
    assert len(found.events) == 1


def test_nobody_hangs_up_while_events_arrive() -> None:
    with serving(endless("text/event-stream", b"", b"data: 1\n\n", 0.02)) as url:
        found = listened(url, over_after=0.0, quiet_s=1.0, deadline=1.5)
    assert (found.closed_by_client, found.failure) == (False, "not finished within 1.5 s")


def test_a_listener_to_whom_nothing_is_said_at_all_waits_for_the_deadline() -> None:
    with serving(HANGING["silent"]) as url:
        found = listened(url, over_after=0.0, quiet_s=0.1, deadline=0.5)
    assert (found.closed_by_client, found.failure) == (False, "not finished within 0.5 s")


def test_who_wants_no_quiet_hangs_up_at_once_though_nothing_was_answered() -> None:
    with serving(HANGING["silent"]) as url:
        found = listened(url, over_after=0.2, quiet_s=0.0, deadline=5.0)
    assert (found.closed_by_client, found.code) == (True, None)


def test_quiet_lasts_longer_while_the_target_is_busy() -> None:
    asked_at: list[float] = []

    async def busy(_began: float) -> bool:
        asked_at.append(asyncio.get_running_loop().time())
        return len(asked_at) == 1

    async def talk(recorder: Recorder, kept: list[Exchange]) -> Exchange:
        recorder.grows = busy
        over = asyncio.Event()
        over.set()
        return await recorder.send(asked(close_when=over, quiet_s=0.1, deadline=20.0), kept)

    with serving(endless("text/event-stream", b"data: 1\n\n", b": heartbeat\n\n", 0.02)) as url:
        found, _ = recorded(url, talk)
    assert found.closed_by_client
    assert len(asked_at) == 2


def test_opened_tells_the_headers_of_a_request_that_goes_on() -> None:
    async def talk(recorder: Recorder, kept: list[Exchange]) -> tuple[Exchange, Exchange]:
        opened: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
        request = asyncio.create_task(recorder.send(asked(close_after=0.5), kept, opened))
        head = await opened
        assert not request.done()
        return head, await request

    with serving(endless("text/event-stream", b"", b": hb\n\n", 0.05)) as url:
        (head, whole), kept = recorded(url, talk)
    assert (head.code, head.content) == (200, "")
    assert whole.comments
    assert kept == [whole]


def test_a_cancelled_request_is_kept_and_opens() -> None:
    async def talk(recorder: Recorder, kept: list[Exchange]) -> Exchange:
        opened: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
        request = asyncio.create_task(recorder.send(asked(), kept, opened))
        await asyncio.sleep(0.2)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        return opened.result()

    with serving(HANGING["silent"]) as url:
        head, kept = recorded(url, talk)
    assert kept == [head]
    assert kept[0].code is None
    assert "deadline" in (kept[0].failure or "")


# --- a connection that was kept alive, and is no more ------------------------------------------------------

KEPT = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"


class Resetting:
    """Answers the first request of the first connections, and hangs up on whatever comes next.

    `good`: how many connections answer once; later ones answer nothing at all. `half`: begin the second
    answer. `status`: of the first answers.
    """

    def __init__(self, good: int, *, half: bool = False, status: bytes = b"200 OK") -> None:
        self.requests: list[Heard] = []
        self.connections = 0
        self._answer = KEPT.replace(b"200 OK", status)
        self._good = good
        self._half = half

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        if self.connections <= self._good:
            self.requests.append(await read_request(reader))
            writer.write(self._answer)
            await writer.drain()
        self.requests.append(await read_request(reader))
        if self._half:
            writer.write(KEPT[:-1])
            await writer.drain()


def twice(method: str, content: bytes | None = None) -> Talk[None]:
    """A GET and then this, on the connection that the GET has left open."""

    async def talk(recorder: Recorder, kept: list[Exchange]) -> None:
        await recorder.send(asked(number=1), kept)
        await recorder.send(asked(number=2, method=method, content=content), kept)

    return talk


def test_what_only_reads_is_sent_again_on_a_fresh_connection() -> None:
    server = Resetting(good=2)
    with conversing(server) as url:
        _, kept = recorded(url, twice("GET"))
    assert [(each.code, each.retried, each.failure) for each in kept] == [
        (200, False, None),
        (200, True, None),
    ]
    assert kept[1].disturbed == "sent again, as the network had cut the connection"
    assert Trace(scenario="talk", exchanges=tuple(kept)).disturbed == (
        f"exchange 2 GET /threads: {kept[1].disturbed}",
    )
    assert server.connections == 2


@pytest.mark.parametrize("method, content", [("POST", b"{}"), ("DELETE", None), ("PUT", b"{}")])
def test_what_may_do_something_is_never_sent_twice(method: str, content: bytes | None) -> None:
    """Sent again, a POST would make two runs, and a DELETE would answer 404."""
    server = Resetting(good=2)
    with conversing(server) as url:
        _, kept = recorded(url, twice(method, content))
    assert [(each.code, each.retried) for each in kept] == [(200, False), (None, False)]
    assert (kept[1].failure, kept[1].disturbed) == (
        "connection closed without an answer",
        "the network cut it off (connection closed without an answer)",
    )
    assert [each.method for each in server.requests] == ["GET", method]


def test_the_second_try_takes_no_other_kept_alive_connection() -> None:
    async def talk(recorder: Recorder, kept: list[Exchange]) -> None:
        await asyncio.gather(*(recorder.send(asked(number=number), kept) for number in (1, 2)))
        await recorder.send(asked(number=3), kept)

    server = Resetting(good=3)
    with conversing(server) as url:
        _, kept = recorded(url, talk)
    assert server.connections == 3
    assert (kept[2].code, kept[2].retried) == (200, True)


@pytest.mark.parametrize("method, times", [("GET", 2), ("POST", 1)])
def test_a_fresh_connection_that_is_cut(method: str, times: int) -> None:
    server = Resetting(good=0)
    with conversing(server) as url:
        found = sent(url, method=method, content=b"{}")
    assert (found.code, found.retried) == (None, times == 2)
    assert len(server.requests) == times


def test_a_connection_that_told_an_error_of_the_server_is_not_used_again() -> None:
    """The official Python server resets it, and a POST that was lost by that could not be sent again."""
    server = Resetting(good=2, status=b"500 Sorry")
    with conversing(server) as url:
        _, kept = recorded(url, twice("POST", b"{}"))
    assert [(each.code, each.retried, each.disturbed) for each in kept] == [(500, False, None)] * 2
    assert [each.method for each in server.requests] == ["GET", "POST"]


def test_a_server_that_is_stopped_at_will_disturbs_nothing() -> None:
    async def talk(recorder: Recorder, kept: list[Exchange]) -> Exchange:
        async with recorder.beside(recorder.url) as own:
            return await own.send(asked(method="POST", content=b"{}"), kept)

    with conversing(Resetting(good=0)) as url:
        found, _ = recorded(url, talk)
    assert (found.failure, found.disturbed) == ("connection closed without an answer", None)


@pytest.mark.parametrize("method, times", [("GET", 3), ("POST", 2)])
def test_a_response_that_began_is_asked_for_again_where_that_only_reads(method: str, times: int) -> None:
    server = Resetting(good=1, half=True)
    with conversing(server) as url:
        _, kept = recorded(url, twice(method))
    assert (kept[1].code, kept[1].retried) == (200, times == 3)
    assert (kept[1].failure or "").startswith("connection closed in the middle of the answer")
    assert len(server.requests) == times


def test_an_event_stream_that_breaks_off_is_not_asked_for_again() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99\r\n\r\n"

    async def break_off(_line: str, _body: bytes, writer: Writer) -> None:
        writer.write(head + b"data: 1\n\n")

    with serving(break_off) as url:
        found = sent(url)
    assert (found.retried, [each.data for each in found.events]) == (False, ["1"])
    assert found.disturbed is not None


# --- secrets -----------------------------------------------------------------------------------------------


def assert_clean(found: Exchange) -> None:
    """Nothing of the secret is anywhere in what would be written."""
    assert SECRET.encode() not in msgspec.json.encode(found)
    assert SECRET not in found.curl()


def test_secrets_of_a_request_are_redacted_everywhere() -> None:
    with heard_by() as (url, heard):
        found = sent(
            url,
            HEADERS,
            method="POST",
            path=f"/threads/{SECRET}",
            params=(("token", SECRET),),
            headers=(("x-copy", SECRET),),
            content=f'{{"note": "Bearer {SECRET}"}}'.encode(),
        )
    assert_clean(found)
    assert heard[0].headers["authorization"] == f"Bearer {SECRET}"
    assert heard[0].headers["x-short"] == "abc"
    assert ("authorization", "[redacted:authorization]") in found.request_headers
    assert ("x-short", "[redacted:x-short]") in found.request_headers
    assert "authorization: [redacted:authorization]" in found.curl()
    assert found.request_body == '{"note": "[redacted:authorization]"}'
    assert found.url.endswith("/threads/[redacted:authorization]?token=[redacted:authorization]")


@pytest.mark.parametrize("value", [SECRET, f"Bearer {SECRET}"])
def test_secrets_that_a_server_echoes_are_redacted_everywhere(value: str) -> None:
    body = f"event: values\ndata: {value}\nid: {value}\n\n: {value}\n\n{value}\n\n".encode()

    def answer(_heard: Heard) -> bytes:
        return reply("200 OK", "text/event-stream", body, f"X-Echo: {value}")

    with heard_by(answer) as (url, _):
        found = sent(url, HEADERS)
    assert_clean(found)
    assert [each.data for each in found.events] == ["[redacted:authorization]"]
    assert [each.text for each in found.comments] == ["[redacted:authorization]"]
    assert found.malformed_lines == ("[redacted:authorization]",)
    assert found.headers["x-echo"] == "[redacted:authorization]"


def test_secrets_in_a_body_of_no_utf_8_and_in_an_error_are_redacted() -> None:
    def answer(_heard: Heard) -> bytes:
        return reply("200 OK", "text/plain", b"\xff" + SECRET.encode())

    with heard_by(answer) as (url, _):
        found = sent(url, HEADERS)
        assert_clean(found)
        assert not found.utf8
        refused = sent(url, HEADERS, headers=(("x-bad", f"a\x00 {SECRET}"),))
    assert_clean(refused)
    assert "Illegal header value" in (refused.failure or "")


def test_a_short_value_is_hidden_in_its_header_only() -> None:
    redactor = Redactor({"X-Short": "abc"})
    assert redactor.text("the abc of it") == "the abc of it"
    assert redactor.headers((("X-SHORT", "abc"), ("X-Other", "abc"))) == (
        ("x-short", "[redacted:x-short]"),
        ("x-other", "abc"),
    )


def test_the_longer_of_two_secrets_goes_first() -> None:
    redactor = Redactor({"A": "secret-one", "B": "secret-one-and-more"})
    assert redactor.text("secret-one-and-more secret-one") == "[redacted:b] [redacted:a]"
