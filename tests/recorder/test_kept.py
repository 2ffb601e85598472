"""What is kept of an exchange over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Arrived
from starlette.responses import StreamingResponse
from starlette.routing import Route

from tests.honest import uvicorn_serving
from tests.recorder.talking import sent, streaming
from tests.servers import (
    LIARS,
    Heard,
    Writer,
    endless,
    heard_by,
    reply,
    serving,
)


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
