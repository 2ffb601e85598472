"""What goes wrong while scenarios run."""

from __future__ import annotations

import asyncio

import pytest

from runstone.scenario import pulse
from runstone.scenario.api import Api
from runstone.scenario.requests import Blocked
from runstone.scenario.scenario import Scenario
from runstone.wire.documents import Missing
from tests.observing.stage import drive_of, observed
from tests.servers import HANGING, Writer, heard_by, reply, serving


def test_a_crash_is_kept_and_disturbs_no_other_scenario() -> None:
    async def crash(api: Api) -> None:
        await api.request("GET", "/x", label="before")
        raise KeyError("run_id")

    with heard_by() as (url, _):
        seen = observed(url, [Scenario("bad", crash), Scenario("good", drive_of("/x"))])
    assert seen.outcome is not None
    assert list(seen.outcome.crashed) == ["bad"]
    assert seen.outcome.crashed["bad"].endswith("KeyError: 'run_id'")
    assert "in crash" in seen.outcome.crashed["bad"]
    assert seen.traces["bad"].only("before").code == 200
    assert seen.outcome.stopped is None


def test_a_blocked_scenario_says_why() -> None:
    async def blocked(_api: Api) -> None:
        raise Blocked("no id came back")

    async def missing(_api: Api) -> None:
        raise Missing("nothing there")

    with heard_by() as (url, _):
        seen = observed(url, [Scenario("one", blocked), Scenario("two", missing)])
    assert seen.traces["one"].blocked == {"": "no id came back"}
    assert seen.traces["two"].blocked == {"": "nothing there"}
    assert seen.outcome is not None
    assert seen.outcome.crashed == {}


def test_exchanges_are_ordered_by_number_whichever_ended_first() -> None:
    async def answer(line: str, _body: bytes, writer: Writer) -> None:
        await asyncio.sleep(0.2 if "slow" in line else 0.0)
        writer.write(reply("200 OK", "application/json", b"{}"))

    async def both(api: Api) -> None:
        await asyncio.gather(api.request("GET", "/slow"), api.request("GET", "/quick"))

    with serving(answer) as url:
        seen = observed(url, [Scenario("both", both)])
    assert [each.number for each in seen.traces["both"].exchanges] == [1, 2]


class Dying:
    """Answers so many requests, and none after them."""

    def __init__(self, answers: int, *, hanging: bool) -> None:
        self.left = answers
        self._hanging = hanging

    async def __call__(self, _line: str, _body: bytes, writer: Writer) -> None:
        self.left -= 1
        if self.left >= 0:
            writer.write(reply("200 OK", "application/json", b"{}"))
        elif self._hanging:
            await HANGING["silent"](_line, _body, writer)


@pytest.mark.parametrize("hanging", [False, True])
def test_a_target_that_dies_midway_stops_the_observation(
    hanging: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "_UNANSWERED_S", 1.0)
    scenarios = [Scenario(f"s{number:02}", drive_of("/a", "/b")) for number in range(40)]
    with serving(Dying(30, hanging=hanging)) as url:
        seen = observed(url, scenarios, concurrency=4, request_s=0.2)
    assert seen.outcome is not None
    assert seen.outcome.stopped is not None
    assert seen.outcome.stopped.startswith("the target stopped answering; ")
    assert 0 < len(seen.names) < 40
    assert any(each.answered for name in seen.names for each in seen.traces[name].exchanges)


def test_hanging_up_on_a_silent_request_is_no_sign_of_death() -> None:
    async def hang_up(api: Api) -> None:
        for _ in range(20):
            await api.request("GET", "/x", close_after=0.02)

    async def answer(line: str, _body: bytes, writer: Writer) -> None:
        if "/x" in line:
            await HANGING["silent"](line, _body, writer)
        writer.write(reply("200 OK", "application/json", b"{}"))

    with serving(answer) as url:
        seen = observed(url, [Scenario("hangs up", hang_up)])
    assert seen.outcome is not None
    assert seen.outcome.stopped is None
