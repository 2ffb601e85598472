"""The trial of webhooks: judged where a delivery can arrive, and elsewhere a sentence says why not."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from runstone.contracts import load_capabilities
from runstone.scenario.api import Api
from runstone.scenario.ending import trace_of
from runstone.scenario.trials import shown_by_trials, try_out
from runstone.target import agents
from runstone.target.target import Target
from runstone.wire import webhooks
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording
from tests.honest import uvicorn_serving

OTHERS = dict.fromkeys(("store", "crons", "thread_copy", "thread_stream"), False)  # declared, hence not tried
ID = "6ba7b821-9dad-11d1-80b4-00c04fd430c8"


def server(webhook: str) -> Starlette:
    """One that calls webhooks, accepts them and does nothing, or refuses them."""

    async def threads(_: Request) -> JSONResponse:
        return JSONResponse({"thread_id": ID})

    async def runs(request: Request) -> JSONResponse:
        if webhook == "refuses":
            return JSONResponse({"detail": "no webhooks"}, 422)
        if webhook == "calls":
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.post((await request.json())["webhook"], json={})
        return JSONResponse({"run_id": ID, "status": "pending"})

    async def run(_: Request) -> JSONResponse:
        return JSONResponse({"run_id": ID, "status": "success"})

    return Starlette(
        routes=[
            Route("/threads", threads, methods=["POST"]),
            Route(f"/threads/{ID}/runs", runs, methods=["POST"]),
            Route(f"/threads/{ID}/runs/{ID}", run),
        ]
    )


async def tried(url: str) -> dict[str, bool]:
    recording, target = Recording("self_check"), Target(name="t", url=url, declared=OTHERS)
    async with Recorder(url, {}, Limits()) as recorder:
        await try_out(Api(recorder, target, recording), {})
        return shown_by_trials(trace_of(recording, 0.0, recorder.clock, busy=False, cut_short=False))


def judged(found: dict[str, bool]) -> str | None:
    """Why what needs webhooks is not judged; None where it is."""
    known = Target(name="t", url="http://h").capabilities(found, load_capabilities())
    return agents.absent(known, ["webhooks"])


@pytest.mark.parametrize(
    "webhook, near, named, why_not",
    [
        ("calls", True, False, None),
        ("ignores", True, False, None),
        ("refuses", True, False, "the target has no webhooks: not declared, not found by the probe"),
        ("calls", False, True, None),
        (
            "ignores",
            False,
            True,
            "a webhook that is accepted and never called",
        ),
        (
            "calls",
            False,
            False,
            "a webhook that is accepted and never called",
        ),
    ],
)
def test_webhooks_are_judged_where_a_delivery_can_be_seen(
    webhook: str, near: bool, named: bool, why_not: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runstone.scenario.trials.on_loopback", lambda _: near)
    monkeypatch.setattr("runstone.scenario.trials._DELIVERY_S", 0.2)
    if named:
        monkeypatch.setenv(webhooks.HOST_VARIABLE, "127.0.0.1")
    with uvicorn_serving(server(webhook)) as url:
        said = judged(asyncio.run(tried(url)))
    assert said is None if why_not is None else (said or "").startswith(why_not)


@pytest.mark.parametrize(
    "url, near",
    [
        ("http://127.0.0.1:2024", True),
        ("http://localhost/api", True),
        ("http://[::1]:2024", True),
        ("http://127.8.0.1", True),
        ("https://agents.example", False),
        ("http://10.0.0.7:2024", False),
        ("http://localhost.example", False),
    ],
)
def test_loopback_is_told_by_the_url(url: str, near: Any) -> None:
    assert webhooks.on_loopback(url) is near
