"""The connection of a user: whatever a server does is an exchange, and who asks to wait is obeyed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from runstone.load import line as line_module
from runstone.load.clock import Clock
from runstone.load.line import GeventLine, Road
from runstone.load.messages import Orders
from runstone.load.model import Plan
from runstone.wire.exchange import Exchange
from runstone.wire.network import Network
from tests.load.test_outcome import PLAN

SECRET = "a-value-that-nobody-may-read"  # noqa: S105 - it is nobody's
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@contextmanager
def answering(*answers: bytes, linger: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives these answers in turn, each on a connection of its own; what it was asked.

    `linger`: each stays open until something more is asked on it, or its client closes it.
    """
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    asked.append(connection.recv(65_536))
                    connection.sendall(answer)
                    if linger:
                        connection.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        finally:
            thread.join(10)


def road(url: str, proxy: str | None = None) -> Road:
    plan: Plan = msgspec.structs.replace(PLAN, url=url)
    return Road(Orders(plan=plan, headers={"x-api-key": SECRET}, network=Network(proxy=proxy)), Clock())


def sent(shared: Road, *, hang_up: bool = False) -> Exchange:
    line = GeventLine(shared)
    try:
        return line.send("POST", "/threads", {"a": 1}, label="t", number=1, scenario="s", hang_up=hang_up)
    finally:
        line.close()


def chunk(text: str) -> bytes:
    data = text.encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_an_answer_is_kept_and_no_secret() -> None:
    told = b'HTTP/1.1 200 OK\r\nx-echo: %s\r\ncontent-length: 22\r\n\r\n{"k":"%s"}\n' % (
        (SECRET.encode(),) * 2
    )
    told = told.replace(b"content-length: 22", b"content-length: %d" % len(told.partition(b"\r\n\r\n")[2]))
    with answering(told) as (url, asked):
        exchange = sent(road(url))
    assert exchange.code == 200
    assert exchange.failure is None
    assert SECRET.encode() in asked[0]
    assert SECRET not in repr(exchange)
    assert exchange.request_body == '{"a":1}'


def test_events_are_read_one_by_one() -> None:
    body = (
        'event: metadata\r\ndata: {"run_id": "1"}\r\n\r\n: beat\n\nevent: values\ndata: {\ndata: "é": 1}\n\n'
    )
    with answering(STREAM + chunk(body[:50]) + chunk(body[50:]) + b"0\r\n\r\n") as (url, _):
        exchange = sent(road(url))
    assert [(each.event, each.data) for each in exchange.events] == [
        ("metadata", '{"run_id": "1"}'),
        ("values", '{\n"é": 1}'),
    ]
    assert exchange.failure is None


def test_hanging_up_is_no_failure() -> None:
    with answering(STREAM + chunk("event: metadata\n")) as (url, _):
        exchange = sent(road(url), hang_up=True)
    assert exchange.closed_by_client
    assert exchange.failure is None
    assert exchange.code == 200


def test_a_connection_that_was_idle_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its server may be about to close it: what is sent then is answered by nobody."""
    monkeypatch.setattr(line_module, "_IDLE_S", -1.0)
    with answering(OK, OK, linger=True) as (url, asked):
        line = GeventLine(road(url))
        codes = [line.send("GET", "/ok", label="t", number=1, scenario="s").code for _ in range(2)]
        line.close()
    assert codes == [200, 200]
    assert len(asked) == 2


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_who_asks_to_wait_is_obeyed_and_counted(status: str) -> None:
    wait = f"HTTP/1.1 {status}\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
    with answering(wait, wait, OK) as (url, asked):
        shared = road(url)
        exchange = sent(shared)
    assert exchange.code == 200
    assert len(exchange.refused) == 2
    assert len(asked) == 3
    assert shared.throttled == {status[:3]: 2}
    assert shared.throttled_s == pytest.approx(0.2)
    assert shared.clock.now >= 0.2


def test_a_request_goes_by_the_proxy_that_is_named() -> None:
    with answering(OK) as (proxy, asked):
        named = proxy.replace("http://", "http://user:word@")
        exchange = sent(road("http://nowhere.invalid:2024", named))
    assert exchange.code == 200
    head = asked[0].decode()
    assert head.startswith("POST http://nowhere.invalid:2024/threads HTTP/1.1\r\n")
    assert "proxy-authorization: basic dxnlcjp3b3jk" in head.lower()
    assert "word" not in repr(exchange)


def test_a_proxy_that_opens_no_tunnel_is_told() -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
    with answering(refusal) as (proxy, asked):
        exchange = sent(road("https://nowhere.invalid", proxy))
    assert asked[0].startswith(b"CONNECT nowhere.invalid:443 HTTP/1.1\r\n")
    assert exchange.code is None
    assert exchange.failure is not None
    assert "407" in exchange.failure


def test_a_pause_that_is_too_long_is_an_answer() -> None:
    wait = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n"
    with answering(wait) as (url, _):
        exchange = sent(road(url))
    assert exchange.code == 429
    assert not exchange.refused


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
        b"ABRACADABRA\r\n\r\n",
        STREAM + chunk("event: values\n"),
    ],
    ids=["closed", "cut-head", "cut-body", "no-http", "cut-stream"],
)
def test_what_is_no_whole_answer_is_a_failure(answer: bytes) -> None:
    with answering(answer) as (url, _):
        assert sent(road(url)).failure


def test_a_closed_port_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    exchange = sent(road(url))
    assert exchange.code is None
    assert exchange.failure == "connection refused"


def test_an_answer_that_takes_too_long_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        shared = road(f"http://127.0.0.1:{server.getsockname()[1]}")
        shared.longest_s = 0.2
        assert sent(shared).failure == "no answer within 0.2 s"
