"""The listener for webhooks, called by a real HTTP client over loopback."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording
from runstone.wire.webhooks import HOST_VARIABLE, listening

KEY = "a-key-of-the-target-0123456789"
BODY = {"run_id": "r", "values": {"log": ["ü"]}}


async def _call(url: str, body: Any = BODY, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(url, json=body, **options)


def _recorder(**limits: Any) -> Recorder:
    return Recorder("http://127.0.0.1:9", {"x-api-key": KEY}, Limits(settle_s=0.2, **limits))


def test_a_delivery_becomes_an_exchange() -> None:
    recording = Recording("hooked")

    async def deliver() -> None:
        async with _recorder() as recorder, listening(recorder, recording) as sink:
            url, other = sink.address("one"), sink.address("two", answer=500)
            assert (await _call(url)).status_code == 200
            assert (await _call(other, {"key": KEY}, headers={"x-api-key": KEY})).status_code == 500
            assert await sink.delivered(url)
            assert not await sink.delivered(sink.address("three"))

    asyncio.run(deliver())
    one, two = recording.exchanges
    assert (one.part, one.label, one.method, one.number, one.code) == ("one", "delivery", "POST", 1, 200)
    assert one.request_json == BODY
    assert (two.part, two.code) == ("two", 500)
    assert two.request_json == {"key": "[redacted:x-api-key]"}
    assert ("x-api-key", "[redacted:x-api-key]") in two.request_headers


def test_a_large_body_arrives_whole_and_a_larger_one_is_cut() -> None:
    recording = Recording("hooked")

    async def deliver() -> None:
        async with _recorder(body_bytes=300_000) as recorder, listening(recorder, recording) as sink:
            url = sink.address()
            for size in (200_000, 400_000):
                await _call(url, "x" * size)

    asyncio.run(deliver())
    assert [len(each.request_body or "") for each in recording.exchanges] == [200_002, 300_000]


def test_a_caller_waits_for_an_answer_until_the_scenario_ends() -> None:
    recording = Recording("hooked")

    async def deliver() -> httpx.TransportError:
        async with _recorder() as recorder:
            async with listening(recorder, recording) as sink:
                url = sink.address(answer=None)
                waiting = asyncio.create_task(_call(url))
                assert await sink.delivered(url)
                await asyncio.sleep(0.1)
                assert not waiting.done()
            with pytest.raises(httpx.TransportError) as refused:
                await waiting
            return refused.value

    asyncio.run(deliver())
    (unanswered,) = recording.exchanges
    assert unanswered.request_json == BODY
    assert not unanswered.answered
    assert unanswered.closed_by_client  # it is not the target that was silent


def test_strangers_and_junk_are_nobodys_delivery() -> None:
    recording = Recording("hooked")

    async def deliver() -> None:
        async with _recorder() as recorder, listening(recorder, recording) as sink:
            url = sink.address()
            assert (await _call(url + "0")).status_code == 404
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
            writer.write(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
            await writer.drain()
            assert await reader.read() == b""
            writer.close()

    asyncio.run(deliver())
    assert [each.label for each in recording.exchanges] == ["stray_delivery"]


def test_what_a_scenario_raises_comes_through() -> None:
    async def leave() -> None:
        async with _recorder() as recorder, listening(recorder, Recording("hooked")):
            raise LookupError("the target gave no id")

    with pytest.raises(LookupError, match="no id"):
        asyncio.run(leave())


def test_the_host_may_have_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOST_VARIABLE, "observer.example")

    async def addresses() -> list[str]:
        async with _recorder() as recorder, listening(recorder, Recording("hooked")) as sink:
            named, local = sink.address(), sink.address(host="127.0.0.1")
            assert (await _call(local)).status_code == 200
            return [named, local]

    named, local = asyncio.run(addresses())
    assert named.startswith("http://observer.example:")
    assert local.startswith("http://127.0.0.1:")
