"""Scenarios that restart the only server there is: alone, last, and a finding where it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runstone.errors import TargetError
from runstone.scenario.api import Api
from runstone.scenario.observer import Observation, Observer
from runstone.scenario.own_server import own_server
from runstone.scenario.scenario import Scenario, Schedule
from runstone.target.control import (
    Control,
    ControlFailed,
    ControlledServer,
)
from runstone.target.target import Target
from runstone.wire.trace import Trace
from tests.servers import heard_by


class _Shared:
    """The target itself, as a server that does whatever it is told."""

    shared = True
    patience_s = 0.0

    def __init__(self, url: str, log: list[str], failure: TargetError | None = None) -> None:
        self.url = url
        self._log = log
        self._failure = failure

    @asynccontextmanager
    async def server(self) -> AsyncIterator[ControlledServer]:
        yield self

    async def restart(self) -> None:
        self._log.append("restart")
        if self._failure is not None:
            raise self._failure

    async def kill(self) -> None:
        self._log.append("kill")

    async def start(self) -> None:
        self._log.append("start")


def observed(url: str, scenarios: list[Scenario], control: Control) -> tuple[Observation, dict[str, Trace]]:
    traces: dict[str, Trace] = {}
    observer = Observer(
        Target(name="t", url=url),
        concurrency=16,
        budget_s=None,
        on_trace=lambda trace: traces.__setitem__(trace.scenario, trace),
        on_progress=lambda *_: None,
        limits={"request_s": 0.5, "settle_s": 0.5},
        control=control,
    )
    return asyncio.run(observer.observe(lambda _: scenarios, insist_on_fitness=False)), traces


def logging(name: str, log: list[str], *, alone: bool) -> Scenario:
    """A scenario that restarts its server between two requests."""

    async def drive(api: Api) -> None:
        log.append(f"{name} begins")
        async with own_server(api) as server:
            await server.server_ok(label="before")
            await server.restart()
            await server.server_ok(label="after")
        log.append(f"{name} ends")

    return Scenario(name, drive, Schedule(alone=alone), needs=("restart",))


def test_scenarios_have_the_users_server_alone_and_last() -> None:
    log: list[str] = []

    async def ordinary(api: Api) -> None:
        await api.server_ok()
        await asyncio.sleep(0.05)
        log.append("ordinary ends")

    scenarios = [logging("x", log, alone=True), logging("y", log, alone=True), Scenario("o", ordinary)]
    with heard_by() as (url, _):
        outcome, traces = observed(url, scenarios, _Shared(url, log))
    restarts = [["x begins", "restart", "x ends"], ["y begins", "restart", "y ends"]]
    assert log == ["ordinary ends", *restarts[0], *restarts[1]]
    assert outcome.stopped is None
    assert [exchange.label for exchange in traces["x"].exchanges] == ["before", "after"]
    assert len(traces["x"].note("restarted_at")) == 1
    assert traces["x"].exchanges[1].sent_at >= traces["x"].note("restarted_at")[0]


def test_a_scenario_that_is_not_alone_does_not_get_the_users_server() -> None:
    log: list[str] = []
    with heard_by() as (url, _):
        _, traces = observed(url, [logging("x", log, alone=False)], _Shared(url, log))
    assert "restart" not in log
    assert traces["x"].blocked == {"": "there is no server that this scenario may restart or kill"}


def test_a_control_that_fails_ends_the_observation_and_keeps_what_was_seen() -> None:
    log: list[str] = []

    async def ordinary(api: Api) -> None:
        await api.server_ok()

    with heard_by() as (url, _):
        control = _Shared(url, log, ControlFailed("the restart command failed"))
        scenarios = [logging("x", log, alone=True), logging("y", log, alone=True), Scenario("o", ordinary)]
        outcome, traces = observed(url, scenarios, control)
    assert outcome.stopped == "the restart command failed; 1 of 3 scenarios ended"
    assert sorted(traces) == ["o", "self_check", "x"]
    assert traces["x"].cut_short
    assert traces["x"].only("before").answered
    assert not traces["o"].cut_short
