"""The poller: each status once, and every way in which it can be kept from knowing."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest
from starlette.responses import PlainTextResponse, Response

from runstone.errors import UsageError
from runstone.retrieval import (
    DeadlinePassed,
    ResultRetriever,
    RunNotFound,
    StatusPoller,
    StatusUnavailable,
    Unreachable,
)
from tests.retrieval.stage import (
    LATER,
    RUN,
    THREAD,
    TLS,
    Answer,
    Stage,
    answer,
    in_turn,
    poll,
)

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

    with pytest.raises(UsageError, match="not a thread id"):
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
