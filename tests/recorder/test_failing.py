"""What fails, under deadline and cap, becomes an exchange."""

from __future__ import annotations

import asyncio

import pytest

from runstone.wire.exchange import Exchange
from runstone.wire.recorder import Recorder
from tests.recorder.talking import HEADERS, SECRET, asked, recorded, sent
from tests.relay import Conditions, relaying
from tests.servers import (
    HANGING,
    HUGE,
    LIARS,
    Reader,
    Writer,
    always,
    conversing,
    endless,
    heard_by,
    reply,
    serving,
)


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


async def _tell(writer: Writer, events: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    for number in range(events):
        writer.write(b"event: values\ndata: %d\n\n" % number)
        await writer.drain()
        await asyncio.sleep(0.1)


def test_a_stream_whose_events_go_on_is_not_given_up() -> None:
    async def tell(_line: str, _body: bytes, writer: Writer) -> None:
        await _tell(writer, 20)

    with serving(tell) as url:
        found = sent(url, deadline=1.0)
    assert (found.complete, len(found.events)) == (True, 20)
    assert found.finished_after > 1.5


def test_a_stream_whose_events_never_end_is_given_up_in_time() -> None:
    async def tell(_line: str, _body: bytes, writer: Writer) -> None:
        await _tell(writer, 1000)

    with serving(tell) as url:
        found = sent(url, deadline=0.5)
    assert found.failure == "not finished within 0.5 s"
    assert 1.5 < found.finished_after < 5


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


def test_no_half_of_a_secret_is_kept_of_a_huge_request() -> None:
    secret = "0123456789" * 300
    with heard_by() as (url, _):
        found = sent(url, {"Token": secret}, method="POST", content=secret.encode() * 1_000)
    assert found.request_body == "[redacted:token]" * 1_000
    assert not found.request_truncated


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
