"""A connection that was kept alive, and is no more."""

from __future__ import annotations

import asyncio

import pytest

from runstone.wire import connections
from runstone.wire.exchange import Exchange
from runstone.wire.recorder import Recorder
from runstone.wire.trace import Trace
from tests.recorder.talking import Talk, asked, recorded, sent
from tests.servers import (
    Heard,
    Reader,
    Writer,
    conversing,
    read_request,
    serving,
)

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


@pytest.mark.parametrize(
    "method, path, times", [("GET", "/threads", 2), ("POST", "/threads", 1), ("POST", "/threads/search", 2)]
)
def test_a_fresh_connection_that_is_cut(method: str, path: str, times: int) -> None:
    """What only reads is asked for again: a search by POST too."""
    server = Resetting(good=0)
    with conversing(server) as url:
        found = sent(url, method=method, path=path, content=b"{}")
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


def test_no_cookie_goes_back_to_the_server() -> None:
    """It would tell a request of one identity to be another's."""
    head = b"HTTP/1.1 200 OK\r\nset-cookie: session=first; Path=/\r\ncontent-length: 2\r\n\r\n{}"
    met: list[Heard] = []

    async def greet(reader: Reader, writer: Writer) -> None:
        while True:
            met.append(await read_request(reader))
            writer.write(head)
            await writer.drain()

    async def talk(recorder: Recorder, kept: list[Exchange]) -> None:
        for identity in ("first", "anonymous"):
            await recorder.send(asked(identity=identity), kept)

    with conversing(greet) as url:
        recorded(url, talk)
    assert len(met) == 2
    assert not any("cookie" in each.headers for each in met)


def test_a_connection_whose_answer_took_long_to_arrive_is_not_used_again() -> None:
    """On a slow line its server has sent all of it long ago, and may be closing what it takes to be idle."""
    connections = []

    async def trickle(reader: Reader, writer: Writer) -> None:
        connections.append(writer)
        while True:
            await read_request(reader)
            writer.write(KEPT[:-1])
            await writer.drain()
            await asyncio.sleep(1.1)
            writer.write(KEPT[-1:])
            await writer.drain()

    with conversing(trickle) as url:
        _, kept = recorded(url, twice("POST", b"{}"))
    assert [(each.code, each.failure) for each in kept] == [(200, None)] * 2
    assert len(connections) == 2


def test_a_body_that_goes_slowly_is_not_taken_to_be_sent() -> None:
    """This machine would take megabytes at once, of which a slow line has not delivered any."""
    received = []

    async def swallow(reader: Reader, writer: Writer) -> None:
        await asyncio.sleep(1.0)
        received.append(await read_request(reader))
        writer.write(KEPT)
        await writer.drain()

    with conversing(swallow) as url:
        found = sent(url, method="POST", content=b"x" * 2_000_000)
    assert (found.code, len(received[0].body)) == (200, 2_000_000)
    assert found.sent_after is not None
    assert found.sent_after >= 1.0


def test_a_connection_that_is_about_to_be_closed_is_given_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long answers end at once, and a POST follows each: none goes over what another has not closed yet."""

    async def answer(reader: Reader, writer: Writer) -> None:
        while True:
            await read_request(reader)
            writer.write(KEPT)
            await writer.drain()

    async def talk(recorder: Recorder, kept: list[Exchange]) -> None:
        monkeypatch.setattr(connections, "_IDLE_S", -1.0)  # the pools have theirs: each answer is a long one

        async def one_after_the_other(first: int) -> None:
            for number in range(first, first + 10):
                await recorder.send(asked(number=number, method="POST", content=b"{}"), kept)

        await asyncio.gather(*map(one_after_the_other, range(0, 160, 10)))

    with conversing(answer) as url:
        _, kept = recorded(url, talk)
    assert [each.code for each in kept] == [200] * 160
    assert not any(each.disturbed for each in kept)
