"""The recording proxy: what passes is unchanged, recorded, and cut exactly where it is asked to be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import httpx
import pytest

from runstone.wire.accepting import LOOPBACK, accepting
from runstone.wire.exchange import Exchange
from runstone.wire.limits import Limits
from runstone.wire.proxy import Proxy, proxying
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording
from tests.servers import Heard, Reader, Writer, read_request, reply

Upstream: TypeAlias = Callable[[Heard, Writer], Awaitable[None]]
Drive: TypeAlias = Callable[[Proxy, httpx.AsyncClient], Awaitable[None]]

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def piece(data: bytes) -> bytes:
    """One chunk of a body in chunked encoding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def events(*numbers: int, line_end: str = "\n") -> bytes:
    """Events with these ids."""
    lines = [[f"id: {number}", "event: tick", f"data: {number}", "", ""] for number in numbers]
    return "".join(line_end.join(block) for block in lines).encode()


def ids(text: bytes) -> list[str]:
    """The ids of the events in the text."""
    return [line.removeprefix("id: ") for line in text.decode().splitlines() if line.startswith("id: ")]


async def until_cut(answer: httpx.Response) -> bytes:
    """What arrives of a body before its connection is closed in the middle."""
    received = b""
    try:
        async for each in answer.aiter_raw():
            received += each
    except httpx.RemoteProtocolError:
        return received
    raise AssertionError("the body came to its end")


def passing(upstream: Upstream, drive: Drive, *, limits: Limits | None = None) -> list[Exchange]:
    """What the proxy records while `drive` talks through it to `upstream`, whose connections stay open."""

    async def converse(reader: Reader, writer: Writer) -> None:
        try:
            while True:
                await upstream(await read_request(reader), writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the proxy hung up, as it may

    async def talk() -> list[Exchange]:
        recording = Recording("talk")
        secret = {"authorization": "Bearer sesame-open"}
        async with (
            accepting(converse) as port,
            Recorder(f"http://{LOOPBACK}:{port}", secret, limits or Limits()) as recorder,
            proxying(recorder, recording) as proxy,
            httpx.AsyncClient(trust_env=False, timeout=20) as client,
        ):
            await drive(proxy, client)
            await client.aclose()
        return recording.exchanges

    return asyncio.run(talk())


async def answering_json(heard: Heard, writer: Writer) -> None:
    """Echo the request's target and body, and keep the connection."""
    body = heard.target.encode() + b" " + heard.body
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


def test_requests_and_answers_pass_unchanged_over_a_kept_connection() -> None:
    ports = set()

    async def drive(proxy: Proxy, client: httpx.AsyncClient) -> None:
        url = await proxy.listen("part")
        for number in range(3):
            answer = await client.post(f"{url}/threads/x%20y?limit={number}", content=b"\x00\xff{}")
            assert answer.status_code == 200
            assert answer.content == b"/threads/x%%20y?limit=%d \x00\xff{}" % number
            ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))

    exchanges = passing(answering_json, drive)
    assert len(ports) == 1
    assert [(each.number, each.part, each.method, each.code) for each in exchanges] == [
        (number, "part", "POST", 200) for number in (1, 2, 3)
    ]
    assert [each.path for each in exchanges] == [f"/threads/x%20y?limit={number}" for number in range(3)]
    assert exchanges[0].label == "POST /threads/x%20y"
    assert all(each.complete for each in exchanges)


def test_headers_are_the_clients_but_for_the_host_the_encodings_and_the_targets_own() -> None:
    seen: list[Heard] = []

    async def upstream(heard: Heard, writer: Writer) -> None:
        seen.append(heard)
        writer.write(reply("204 No Content", "text/plain", b"", "connection: close"))

    async def drive(proxy: Proxy, client: httpx.AsyncClient) -> None:
        url = await proxy.listen("part")
        headers = {"last-event-id": "7", "x-own": "1", "accept-encoding": "gzip"}
        answer = await client.get(url + "/ok", headers=headers)
        assert answer.status_code == 204

    (exchange,) = passing(upstream, drive)
    assert seen[0].headers["last-event-id"] == "7"
    assert seen[0].headers["x-own"] == "1"
    assert seen[0].headers["accept-encoding"] == "identity"
    assert seen[0].headers["host"] in exchange.url
    assert seen[0].headers["authorization"] == "Bearer sesame-open"
    assert ("last-event-id", "7") in exchange.request_headers
    assert "sesame" not in repr(exchange)


def test_a_location_of_the_targets_own_origin_becomes_that_of_the_proxy() -> None:
    async def upstream(heard: Heard, writer: Writer) -> None:
        own = f"http://{heard.headers['host']}/threads"
        location = {"/own": own, "/relative": "/threads", "/foreign": "http://elsewhere.example/threads"}
        writer.write(reply("200 OK", "text/plain", b"ok", f"location: {location[heard.target]}"))

    async def drive(proxy: Proxy, client: httpx.AsyncClient) -> None:
        url = await proxy.listen("part")
        located = [
            (await client.get(url + path)).headers["location"] for path in ("/own", "/relative", "/foreign")
        ]
        assert located == [f"{url}/threads", "/threads", "http://elsewhere.example/threads"]

    own, *_ = passing(upstream, drive)
    assert own.headers["location"] == own.url.replace("/own", "/threads")  # recorded as the target sent it


@pytest.mark.parametrize("first", [b": heartbeat\n\n", b"\n", events(1)], ids=["comment", "newline", "event"])
def test_each_piece_passes_before_the_next_is_there(first: bytes) -> None:
    arrived = asyncio.Event()

    async def upstream(_heard: Heard, writer: Writer) -> None:
        writer.write(STREAM + piece(first))
        await writer.drain()
        await arrived.wait()  # a proxy that gathers the body would wait for ever
        writer.write(piece(events(2)) + END)

    async def drive(proxy: Proxy, client: httpx.AsyncClient) -> None:
        url = await proxy.listen("part")
        async with client.stream("GET", url + "/stream") as answer:
            pieces = answer.aiter_raw()
            assert await anext(pieces) == first
            arrived.set()
            assert b"".join([each async for each in pieces]) == events(2)

    (exchange,) = passing(upstream, drive)
    assert exchange.complete
    assert exchange.content.encode() == first + events(2)
    assert exchange.events[-1].id == "2"


def test_a_big_body_passes_whole_and_one_past_the_cap_is_cut() -> None:
    body = bytes(range(256)) * 6000

    async def upstream(_heard: Heard, writer: Writer) -> None:
        writer.write(reply("200 OK", "application/octet-stream", body))

    async def whole(proxy: Proxy, client: httpx.AsyncClient) -> None:
        assert (await client.get(await proxy.listen("part"))).content == body

    async def cut(proxy: Proxy, client: httpx.AsyncClient) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(await proxy.listen("part"))

    (exchange,) = passing(upstream, whole)
    assert exchange.content.encode("latin-1") == body
    assert exchange.complete
    (exchange,) = passing(upstream, cut, limits=Limits(body_bytes=1000))
    assert exchange.truncated
    assert len(exchange.content) == 1000


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one by one"])
def test_a_stream_is_cut_exactly_behind_the_event_and_only_once(line_end: str, at_once: bool) -> None:
    async def upstream(_heard: Heard, writer: Writer) -> None:
        numbers = [(1, 2, 3, 4, 5)] if at_once else [(1,), (2,), (3,), (4,), (5,)]
        for group in numbers:
            writer.write((STREAM if group[0] == 1 else b"") + piece(events(*group, line_end=line_end)))
            await writer.drain()
        writer.write(END)

    async def drive(proxy: Proxy, client: httpx.AsyncClient) -> None:
        url = await proxy.listen("part", cut_after_events=3)
        async with client.stream("GET", url + "/first") as answer:
            assert await until_cut(answer) == events(1, 2, 3, line_end=line_end)
        again = await client.get(url + "/second")
        assert ids(again.content) == ["1", "2", "3", "4", "5"]

    first, second = passing(upstream, drive)
    assert [event.id for event in first.events] == ["1", "2", "3"]
    assert first.closed_by_client
    assert second.complete
    assert len(second.events) == 5


def test_what_is_no_event_stream_is_not_cut() -> None:
    async def upstream(_heard: Heard, writer: Writer) -> None:
        writer.write(reply("200 OK", "text/plain", events(1, 2, 3, 4)))

    async def drive(proxy: Proxy, client: httpx.AsyncClient) -> None:
        url = await proxy.listen("part", cut_after_events=1)
        assert (await client.get(url)).content == events(1, 2, 3, 4)

    (exchange,) = passing(upstream, drive)
    assert exchange.complete


def test_a_refused_upstream_is_a_closed_connection_and_no_invented_answer() -> None:
    recording = Recording("talk")

    async def talk() -> None:
        async with (
            Recorder("http://127.0.0.1:9", {}, Limits()) as recorder,
            proxying(recorder, recording) as proxy,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(await proxy.listen("part"))

    asyncio.run(talk())
    (exchange,) = recording.exchanges
    assert exchange.code is None
    assert exchange.failure is not None
    assert exchange.failure == "connection refused"


def test_half_a_body_stays_half() -> None:
    async def upstream(_heard: Heard, writer: Writer) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"ok":')
        await writer.drain()
        writer.close()

    async def drive(proxy: Proxy, client: httpx.AsyncClient) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(await proxy.listen("part"))

    (exchange,) = passing(upstream, drive)
    assert exchange.content == '{"ok":'
    assert exchange.failure is not None


def test_a_client_that_hangs_up_ends_the_upstreams_work_too() -> None:
    ended = asyncio.Event()

    async def upstream(_heard: Heard, writer: Writer) -> None:
        writer.write(STREAM + piece(events(1)))
        await writer.drain()
        try:
            while True:
                await asyncio.sleep(0.01)
                writer.write(piece(b": heartbeat\n\n"))
                await writer.drain()
        finally:
            ended.set()

    async def drive(proxy: Proxy, client: httpx.AsyncClient) -> None:
        url = await proxy.listen("part")
        async with client.stream("GET", url) as answer:
            await anext(answer.aiter_raw())
        await ended.wait()

    (exchange,) = passing(upstream, drive)
    assert exchange.closed_by_client
    assert exchange.failure is None
    assert exchange.events[0].id == "1"


def test_junk_gets_no_answer_and_leaves_no_exchange() -> None:
    async def drive(proxy: Proxy, _client: httpx.AsyncClient) -> None:
        host, port = (await proxy.listen("part")).removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"this is not HTTP\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    assert passing(answering_json, drive) == []


def test_many_at_once_are_told_apart_by_their_port() -> None:
    parts = ("left", "right")

    async def drive(proxy: Proxy, client: httpx.AsyncClient) -> None:
        urls = {part: await proxy.listen(part) for part in parts}
        requests = [(part, number) for part in parts for number in range(20)]
        answers = await asyncio.gather(
            *(client.post(f"{urls[part]}/{part}/{number}", content=b"x") for part, number in requests)
        )
        assert [each.text for each in answers] == [f"/{part}/{number} x" for part, number in requests]

    exchanges = passing(answering_json, drive)
    assert sorted(each.number for each in exchanges) == list(range(1, 41))
    assert all(each.path.startswith(f"/{each.part}/") for each in exchanges)
    assert all(each.content == f"{each.path} x" for each in exchanges)
