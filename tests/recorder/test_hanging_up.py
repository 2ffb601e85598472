"""Who hangs up, when, and what is kept of it."""

from __future__ import annotations

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Arrived
from starlette.responses import JSONResponse
from starlette.routing import Route

from runstone.contracts import creates_at_once
from runstone.wire.exchange import Exchange
from runstone.wire.limits import Limits
from runstone.wire.recorder import KnownOperations, Recorder
from tests.honest import uvicorn_serving
from tests.recorder.talking import asked, recorded, sent, streaming
from tests.servers import (
    HANGING,
    endless,
    heard_by,
    serving,
)


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
        recorder = Recorder(url, {}, Limits(), known=KnownOperations(creates=creates_at_once))
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
