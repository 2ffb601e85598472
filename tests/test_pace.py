"""A target that asks for a pause is obeyed, and what it refused is sent again; all of it can be seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate

import httpx
import pytest

from runstone.wire.exchange import Exchange
from runstone.wire.limits import Limits
from runstone.wire.pace import AskedToWait, Pace, put_off, refusal
from runstone.wire.recorder import Recorder
from tests.recorder.talking import asked, recorded, sent
from tests.servers import Heard, Writer, heard_by, reply, serving


def refusing(times: int, *headers: str, status: str = "429 Too Many Requests") -> Callable[[Heard], bytes]:
    """Answers that refuse so many requests, and take the next."""
    left = iter(range(times))

    def answer(_heard: Heard) -> bytes:
        if next(left, None) is None:
            return reply("200 OK", "application/json", b'{"ok": true}')
        return reply(status, "text/plain", b"slow down", *headers)

    return answer


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_refused_request_is_sent_again_after_the_pause(status: str) -> None:
    began = time.monotonic()
    with heard_by(refusing(1, "Retry-After: 1", status=status)) as (url, heard):
        found = sent(url, method="POST", content=b"{}")
    assert time.monotonic() - began >= 1.0
    assert (found.code, found.json, found.failure) == (200, {"ok": True}, None)
    assert [(each.code, each.retry_after, each.pause_s) for each in found.refused] == [
        (int(status[:3]), "1", 1.0)
    ]
    assert found.sent_at >= 1.0
    assert found.finished_after < 1.0
    assert found.disturbed == f"sent again, as the target had put it off ({status[:3]})"
    assert [each.method for each in heard] == ["POST", "POST"]
    assert put_off([found]) == f"put off 1 times by the target ({status[:3]}), for 1.0 s in all"


def test_while_one_waits_nobody_else_is_sent_and_deadlines_wait_too() -> None:
    async def talk(recorder: Recorder, kept: list[Exchange]) -> Exchange:
        first = asyncio.create_task(recorder.send(asked(number=1), kept))
        await asyncio.sleep(0.3)
        async with recorder.pace.within(0.5):  # it is put off by what is left of the pause
            second = await recorder.send(asked(number=2), kept)
        await first
        return second

    with heard_by(refusing(1, "Retry-After: 1")) as (url, _):
        second, kept = recorded(url, talk)
    assert [each.number for each in kept] == [1, 2]
    assert second.sent_at >= 1.0
    assert second.disturbed is not None
    assert second.disturbed.startswith("put off for 0.7 s")


def test_a_long_answer_keeps_nobody_waiting_once_it_is_accepted() -> None:
    asked_for: list[str] = []

    async def answer(line: str, _body: bytes, writer: Writer) -> None:
        asked_for.append(line.split(" ")[1])
        if asked_for == ["/slow"]:
            writer.write(reply("429 Too Many Requests", "text/plain", b"", "Retry-After: 0"))
            return
        await asyncio.sleep(2.5 if line.split(" ")[1] == "/slow" else 0.0)
        writer.write(reply("200 OK", "application/json", b"{}"))

    async def talk(recorder: Recorder, kept: list[Exchange]) -> None:
        slow = asyncio.create_task(recorder.send(asked(number=1, path="/slow"), kept))
        await asyncio.sleep(0.2)
        await recorder.send(asked(number=2), kept)
        assert not slow.done()
        await slow

    with serving(answer) as url:
        _, kept = recorded(url, talk)
    assert [(each.number, each.code, len(each.refused)) for each in kept] == [(2, 200, 0), (1, 200, 1)]


def test_sixteen_at_once_against_a_limit_of_ten_a_second_are_all_answered() -> None:
    """A fixed window, as most gateways have it: whoever comes when it is full is told to wait a second."""
    began, counts = time.monotonic(), dict[int, int]()

    def answer(_heard: Heard) -> bytes:
        window = int(time.monotonic() - began)
        counts[window] = counts.get(window, 0) + 1
        if counts[window] > 10:
            return reply("429 Too Many Requests", "text/plain", b"", "Retry-After: 1")
        return reply("200 OK", "application/json", b"{}")

    async def talk(recorder: Recorder, kept: list[Exchange]) -> None:
        async def one(number: int) -> None:
            for turn in range(2):
                await recorder.send(asked(number=10 * number + turn, scenario=f"s{number}"), kept)

        await asyncio.gather(*map(one, range(16)))

    with heard_by(answer) as (url, _):
        _, kept = recorded(url, talk)
    assert [each.code for each in kept] == [200] * 32
    assert any(each.refused for each in kept)


def test_a_deadline_that_was_put_off_still_comes() -> None:
    async def wait() -> None:
        pace = Pace()
        async with pace.within(0.1):
            await pace.pause(0.2)
            await asyncio.sleep(5)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(wait())
    assert 0.3 <= time.monotonic() - began < 2


def test_who_never_stops_refusing_has_given_his_answer() -> None:
    async def talk(recorder: Recorder, kept: list[Exchange]) -> None:
        await recorder.send(asked(number=1), kept)
        await recorder.send(asked(number=2), kept)
        await recorder.send(asked(number=3, path="/other"), kept)

    with heard_by(refusing(12, "Retry-After: 0")) as (url, heard):
        _, kept = recorded(url, talk)
    assert [(each.code, len(each.refused)) for each in kept] == [(429, 5), (429, 0), (200, 5)]
    assert kept[0].content == "slow down"
    assert len(heard) == 13


@pytest.mark.parametrize("told", ["a number of seconds", "a date"])
def test_a_pause_that_is_too_long_ends_the_session_and_keeps_what_was_seen(told: str) -> None:
    # The date is told now: a parameter would be as old as the collection of all tests.
    given = "86400" if told == "a number of seconds" else formatdate(time.time() + 86_400, usegmt=True)
    kept: list[Exchange] = []

    async def talk(url: str) -> None:
        async with Recorder(url, {}, Limits()) as recorder:
            await recorder.send(asked(), kept)

    with (
        heard_by(refusing(1, f"Retry-After: {given}")) as (url, _),
        pytest.raises(
            AskedToWait, match=r"asks for a pause of 864?\d+ s .429, Retry-After: .*300 s in all"
        ) as raised,
    ):
        asyncio.run(talk(url))
    assert raised.value.exit_code == 3
    assert "\n" not in str(raised.value)
    assert [(each.code, len(each.refused)) for each in kept] == [(429, 1)]


def test_many_short_pauses_are_too_long_too() -> None:
    with heard_by(refusing(9, "Retry-After: 1")) as (url, _), pytest.raises(AskedToWait):
        sent(url, limits={"pause_s": 1.5})


def response(code: int, **headers: str) -> httpx.Response:
    return httpx.Response(code, headers={name.replace("_", "-"): value for name, value in headers.items()})


DATE = "Sat, 28 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    "answer, pause_s",
    [
        (response(429, retry_after="7", date=DATE), 7.0),
        (response(429, retry_after="Sat, 28 Nov 2026 10:00:09 GMT", date=DATE), 9.0),  # by the server's clock
        (response(503, retry_after="Sat, 28 Nov 2026 09:00:00 GMT", date=DATE), 0.1),
        (response(503, retry_after="0"), 0.1),
        (response(429, retry_after="soon"), 1.0),
        (response(429, retry_after="-5"), 1.0),
        (response(429, retry_after="Sat, 28 Nov 2026 10:00:09 GMT", date="yesterday"), 1.0),
    ],
)
def test_how_long_a_pause_is(answer: httpx.Response, pause_s: float) -> None:
    found = refusal(answer, 3.0)
    assert found is not None
    assert (found.at, found.pause_s) == (3.0, pause_s)
    assert found.unreadable == (pause_s == 1.0)


@pytest.mark.parametrize(
    "answer", [response(429), response(503), response(500, retry_after="1"), response(200, retry_after="1")]
)
def test_what_asks_for_no_pause(answer: httpx.Response) -> None:
    assert refusal(answer, 0.0) is None


def test_nonsense_is_told_in_the_report() -> None:
    with heard_by(refusing(1, "Retry-After: soon")) as (url, _):
        found = sent(url)
    assert found.code == 200
    assert put_off([found, found]).endswith("2.0 s in all; Retry-After 'soon' is neither seconds nor a date")
    assert put_off([]) == ""
