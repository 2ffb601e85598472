"""Scenarios are declared, run at once, and end with their deadlines and budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from runstone.scenario.api import Api
from runstone.scenario.progress import Step
from runstone.scenario.scenario import Scenario, Schedule, scenario
from runstone.wire.documents import Missing
from tests.observing.stage import drive_of, for_ever, observed
from tests.relay import Conditions, relaying
from tests.servers import HANGING, heard_by, serving

# --- declaring a scenario ----------------------------------------------------------------------------------


def test_a_scenario_is_declared_with_what_it_needs() -> None:
    async def plain(api: Api) -> None:
        """Does something."""

    async def slow(api: Api) -> None:
        """Waits."""

    declared = scenario(plain)
    assert (declared.name, declared.drive, declared.schedule.waits, declared.needs) == (
        "plain",
        plain,
        0.0,
        (),
    )
    declared = scenario(Schedule(waits=7.5), needs=["crons"])(slow)
    assert (declared.name, declared.schedule.waits, declared.needs) == ("slow", 7.5, ("crons",))


# --- concurrency -------------------------------------------------------------------------------------------


def test_scenarios_run_at_once() -> None:
    meeting = asyncio.Barrier(12)  # passed only if all are under way together

    async def drive(_api: Api) -> None:
        await meeting.wait()

    scenarios = [Scenario(f"s{number}", drive) for number in range(12)]
    with heard_by() as (url, _):
        seen = observed(url, scenarios, scenario_s=10.0)
    assert [seen.traces[name].blocked for name in seen.names] == [{}] * 12
    assert sorted(seen.names) == sorted(each.name for each in scenarios)
    steps = [each for each in seen.progress if isinstance(each, Step) and each.doing == "observing"]
    assert [(each.done, each.total) for each in steps] == [(each, 12) for each in range(1, 13)]
    assert steps[-1].left_s == 0.0
    assert seen.outcome is not None
    assert seen.outcome.stopped is None


def most_at_once(several: int, observe: Callable[[list[Scenario]], object]) -> int:
    """How many of so many scenarios are under way at the same time, at most, while they are observed."""
    under_way = most = 0

    async def drive(_api: Api) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1

    observe([Scenario(f"s{number}", drive) for number in range(several)])
    return most


def test_no_more_run_at_once_than_asked_for() -> None:
    with heard_by() as (url, _):
        assert most_at_once(9, lambda scenarios: observed(url, scenarios, concurrency=3)) == 3


def test_more_scenarios_go_on_at_once_where_answers_travel_for_long() -> None:
    with heard_by() as (url, _), relaying(url, Conditions(latency=0.5)) as relay:

        def observe(scenarios: list[Scenario]) -> None:
            observed(relay.url, scenarios, concurrency=2, may_rise=True, request_s=4.0)

        assert most_at_once(40, observe) == 16 * 2


def test_the_longest_begin_first() -> None:
    begun: list[float] = []

    def of(waits: float) -> Scenario:
        async def drive(_api: Api) -> None:
            begun.append(waits)

        return Scenario(f"waits {waits}", drive, Schedule(waits=waits))

    with heard_by() as (url, _):
        observed(url, [of(1.0), of(16.5), of(0.0), of(3.0)], concurrency=1)
    assert begun == [16.5, 3.0, 1.0, 0.0]


def test_what_may_wear_a_server_out_comes_last() -> None:
    begun: list[str] = []

    def of(name: str, **how: Any) -> Scenario:
        async def drive(_api: Api) -> None:
            begun.append(name)

        return Scenario(name, drive, Schedule(**how))

    with heard_by() as (url, _):
        observed(url, [of("wearing", alone=True, heavy=True), of("apart", alone=True), of("beside")])
    assert begun == ["beside", "apart", "wearing"]


# --- deadlines and budgets ---------------------------------------------------------------------------------


def test_a_scenario_ends_at_its_deadline_and_what_it_saw_is_judged() -> None:
    with heard_by() as (url, _):
        seen = observed(
            url, [Scenario("endless", for_ever), Scenario("other", drive_of("/x"))], scenario_s=0.4
        )
    found = seen.traces["endless"]
    assert "deadline of 0 s passed" in found.blocked[""]
    assert not found.cut_short
    assert len(found.exchanges) == 1
    assert seen.traces["other"].blocked == {}
    with pytest.raises(Missing, match="deadline"):
        found.only("second")


def test_a_scenarios_own_waiting_is_added_to_its_deadline() -> None:
    async def patient(api: Api) -> None:
        await asyncio.sleep(0.5)
        await api.request("GET", "/late", label="late")

    with heard_by() as (url, _):
        seen = observed(url, [Scenario("patient", patient, Schedule(waits=5.0))], scenario_s=0.2)
    assert seen.traces["patient"].only("late").code == 200


def test_the_way_to_a_far_target_and_back_counts_for_no_deadline() -> None:
    asked = Scenario("asks", drive_of(*(f"/{number}" for number in range(20))))
    with heard_by() as (url, _), relaying(url, Conditions(latency=0.2)) as relay:
        seen = observed(relay.url, [asked], scenario_s=1.0, request_s=5.0)
    assert seen.traces["asks"].blocked == {}
    assert len(seen.traces["asks"].exchanges) == 20


def test_who_asks_a_far_target_for_ever_ends_too() -> None:
    async def ask(api: Api) -> None:
        while True:
            await api.request("GET", "/again", label="again")

    with heard_by() as (url, _), relaying(url, Conditions(latency=0.1)) as relay:
        seen = observed(relay.url, [Scenario("asks", ask)], scenario_s=0.3, request_s=5.0)
    assert "deadline of 0 s passed" in seen.traces["asks"].blocked[""]


def test_the_request_under_way_at_the_deadline_is_kept() -> None:
    with serving(HANGING["silent"]) as url:
        seen = observed(url, [Scenario("hangs", drive_of("/x"))], scenario_s=0.3, request_s=5.0)
    (exchange,) = seen.traces["hangs"].exchanges
    assert exchange.code is None
    assert "deadline" in (exchange.failure or "")


def test_the_budget_ends_everything_and_says_so() -> None:
    scenarios = [Scenario("endless", for_ever), Scenario("quick", drive_of("/x"))]
    with heard_by() as (url, _):
        seen = observed(url, scenarios, budget_s=0.7)
    assert seen.outcome is not None
    assert seen.outcome.stopped == "the budget of 0.7 s was used up; 1 of 2 scenarios ended"
    assert seen.traces["endless"].cut_short
    assert len(seen.traces["endless"].exchanges) == 1
    assert not seen.traces["quick"].cut_short
