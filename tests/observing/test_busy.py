"""Limits, busy targets and machines, and what is noticed beside the scenarios."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from uuid import uuid4

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from runstone.scenario import pulse
from runstone.scenario.api import Api
from runstone.scenario.fitness import Unfit, clock_off
from runstone.scenario.scenario import Scenario
from runstone.wire.exchange import Exchange
from runstone.wire.limits import Limits
from runstone.wire.trace import Trace
from tests.honest import Honest, uvicorn_serving
from tests.observing.stage import drive_of, observed
from tests.relay import Conditions, relaying
from tests.servers import HANGING, serving

# --- limits ------------------------------------------------------------------------------------------------


def test_limits_are_multiples_of_the_targets_own_turn() -> None:
    fast, slow = Limits.calibrated(0.03), Limits.calibrated(2.0)
    assert slow.request_s - fast.request_s == pytest.approx(10 * (2.0 - 0.03))
    assert fast.request_s > 6
    assert slow.settle_s > slow.turn_s * 10
    assert slow.scenario_s > slow.request_s > slow.turn_s
    assert 0.02 <= fast.poll_s <= slow.poll_s <= 0.2
    assert (fast.body_bytes, fast.session_bytes) == (Limits().body_bytes, Limits().session_bytes)


# --- busy targets and machines -----------------------------------------------------------------------------


def test_a_canary_that_comes_late_tells_that_what_goes_on_meanwhile_is_disturbed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulse, "_WATCHED_S", 0.05)
    sent = 0

    async def asks() -> bool:
        nonlocal sent
        sent += 1
        await asyncio.sleep(1.0 if sent == 9 else 0.0)  # the first eight tell what is usual
        return True

    async def clear() -> None:
        pass

    async def watched() -> tuple[bool, bool]:
        felt = pulse.Pulse(asks, None, 0.0, clear)
        async with felt.beating():
            began = asyncio.get_running_loop().time()
            for _ in range(200):
                if felt.was_busy(began):
                    break
                await asyncio.sleep(0.05)
            return felt.was_busy(began), felt.was_busy(asyncio.get_running_loop().time() + 1.0)

    assert asyncio.run(watched()) == (True, False)


def test_what_was_observed_while_the_target_was_busy_is_disturbed() -> None:
    assert Trace(scenario="s", busy=True).disturbed
    assert not Trace(scenario="s").disturbed


# --- what is noticed of the target beside the scenarios ---------------------------------------------------


@dataclass
class _Sleeping:
    sleep_s: float
    until: float = 0.0


class Shrinking(Honest):
    """An honest server with so many workers for runs that sleep; `POST /lose` takes one of them away."""

    def __init__(self, workers: int) -> None:
        super().__init__()
        self.workers = workers
        self._sleeping: dict[str, _Sleeping] = {}  # the runs that are not over, oldest first

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        steps = [step for step in scope["path"].split("/") if step]
        if steps == ["lose"]:
            self.workers -= 1
            await JSONResponse({})(scope, receive, send)
        elif scope["method"] == "POST" and steps[-1:] == ["runs"] and b'"slow"' in await request.body():
            run = str(uuid4())
            self._sleeping[run] = _Sleeping((await request.json())["input"]["sleep"])
            await JSONResponse(self._row(run), headers={"content-location": f"{scope['path']}/{run}"})(
                scope, receive, send
            )
        elif steps[-1:] == ["cancel"]:
            self._sleeping.pop(steps[3], None)
            await JSONResponse({}, status_code=202)(scope, receive, send)
        elif len(steps) == 4 and steps[2] == "runs" and scope["method"] == "GET":
            await JSONResponse(self._row(steps[3]))(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _row(self, run: str) -> dict[str, Any]:
        """The run: at work where a worker is free for it, waiting where none is, and over once cancelled."""
        now = time.monotonic()
        for name, each in list(self._sleeping.items())[: self.workers]:
            each.until = each.until or now + each.sleep_s
            if each.until < now:
                del self._sleeping[name]
        ahead = list(self._sleeping).index(run) if run in self._sleeping else -1
        status = "success" if ahead < 0 else "running" if ahead < self.workers else "pending"
        return {"run_id": run, "status": status}


async def lose_a_worker(api: Api) -> None:
    await api.request("POST", "/lose", label="lose")


@pytest.mark.parametrize(
    "workers, loses, findings",
    [
        (4, True, ("it executed 4 runs at a time at the beginning, and 3 at the end",)),
        (4, False, ()),
        (1, False, ()),
    ],
)
def test_a_worker_that_dies_meanwhile_is_a_finding(
    workers: int, loses: bool, findings: tuple[str, ...]
) -> None:
    drive = lose_a_worker if loses else drive_of("/ok")
    with uvicorn_serving(Shrinking(workers)) as url:
        seen = observed(url, [Scenario("s", drive)], settle_s=1.0)
    assert seen.outcome is not None
    assert (seen.outcome.capacity, seen.outcome.findings) == (workers, findings)
    assert seen.outcome.stopped is None


@pytest.mark.slow
def test_workers_that_are_far_away_are_counted_too() -> None:
    """What sleeps so long as it takes to ask nearby is over before all of the others are even made."""
    with uvicorn_serving(Shrinking(12)) as url, relaying(url, Conditions(latency=0.25)) as relay:
        seen = observed(relay.url, [], request_s=5.0, settle_s=5.0)
    assert seen.outcome is not None
    assert seen.outcome.capacity == 12


class Uneven(Honest):
    """An honest server that executes no run which sleeps, and makes every second thread a little later."""

    def __init__(self) -> None:
        super().__init__()
        self._threads_made = 0

    async def _create_thread(self, request: Request) -> Response:
        self._threads_made += 1
        await asyncio.sleep(0.1 * (self._threads_made % 2))
        return await super()._create_thread(request)


def test_what_is_refused_while_the_capacity_is_measured_leaves_no_worker_taken() -> None:
    async def turn(api: Api) -> None:
        await asyncio.sleep(0.5)  # until what was left behind has asked for a worker
        thread = await api.create_thread()
        await api.wait(thread, "echo", {"messages": [{"role": "user", "content": "hi"}]})

    with uvicorn_serving(Uneven()) as url:
        seen = observed(url, [Scenario("turn", turn)], budget_s=30.0, request_s=5.0)
    assert seen.outcome is not None
    assert seen.outcome.stopped is None
    assert seen.traces["turn"].wait.ok


def at(date: str) -> Trace:
    """A self-check whose last answer names this time."""
    exchange = Exchange(
        scenario="self_check",
        number=1,
        label="ok",
        method="GET",
        url="http://t/ok",
        sent_at=2.0,
        code=200,
        response_headers=(("date", date),) if date else (),
    )
    return Trace(scenario="self_check", exchanges=(exchange,))


@pytest.mark.parametrize(
    "ahead_s, said",
    [
        (0.0, None),
        (30.0, None),
        (3 * 3600.0, "its clock is 3:00:00 ahead of this machine's"),
        (-90.0, "its clock is 0:01:30 behind this machine's"),
    ],
)
def test_a_clock_that_is_wrong_is_a_finding(
    ahead_s: float, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_010.0)
    found = clock_off(at(formatdate(1_800_000_002.0 + ahead_s, usegmt=True)), elapsed_s=10.0)
    assert found is None if said is None else str(found).startswith(said)


@pytest.mark.parametrize("date", ["", "yesterday", "Sat, 99 Nov 2026 11:00:00 GMT"])
def test_a_clock_that_nobody_can_read_is_none(date: str) -> None:
    assert clock_off(at(date), elapsed_s=10.0) is None


def test_a_budget_ends_the_self_check() -> None:
    said = r"the budget of 0\.3 s was used up before .* was seen to run anything"
    with serving(HANGING["heartbeats"]) as url, pytest.raises(Unfit, match=said):
        observed(url, [], insist=True, budget_s=0.3, request_s=60.0)
