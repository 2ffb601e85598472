"""How scenarios are shared out among shards."""

from __future__ import annotations

import pytest

from runstone.errors import UsageError
from runstone.scenario import division as divisions
from runstone.scenario.api import Api
from runstone.scenario.division import Division, divided
from runstone.scenario.estimate import Cost
from runstone.scenario.scenario import AT_ANY_TIME, Scenario, Schedule
from runstone.session.sources import from_command_line


async def nothing(_: Api) -> None:
    """Send nothing."""


def of(name: str, schedule: Schedule = AT_ANY_TIME, *needs: str) -> Scenario:
    return Scenario(name, nothing, schedule, needs)


MANY = [of(f"s{number}") for number in range(10)]
DISTURBING = [
    of("restarts", Schedule(waits=6), "restart"),
    of("reaches_others", AT_ANY_TIME, "exclusive"),
    of("alone", Schedule(alone=True)),
]


@pytest.mark.parametrize("shards", [1, 2, 3, 4, 30])
def test_each_scenario_is_in_exactly_one_shard(shards: int) -> None:
    division = divided([*MANY, *DISTURBING], [], shards)
    assert len(division.shards) == shards
    planned = sorted(name for share in division.shards for name in share)
    assert planned == sorted(each.name for each in (*MANY, *DISTURBING))


@pytest.mark.parametrize("shards", [2, 4])
def test_what_restarts_reaches_others_or_must_be_alone_is_in_the_last_shard(shards: int) -> None:
    division = divided([*MANY, *DISTURBING, of("beside")], [["beside", "alone"]], shards)
    assert {each.name for each in DISTURBING} | {"beside"} <= set(division.shards[-1])


def test_what_one_judge_reads_stays_together() -> None:
    together = [["s1", "s2"], ["s2", "s3"], ["s7", "not observed"], ["s8"]]
    division = divided(MANY, together, 4)
    assert sum({"s1", "s2", "s3"} <= set(share) for share in division.shards) == 1


def test_shards_take_about_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = {f"s{number}": Cost(seconds=1, runs=number) for number in range(10)}
    monkeypatch.setattr(divisions, "recorded_costs", lambda: costs)
    asleep = of("asleep", Schedule(waits=100))
    division = divided([*MANY, asleep], [], 3)
    loads = [sum(costs[name].runs for name in share if name in costs) for share in division.shards]
    assert sorted(loads) == [14, 15, 16]
    assert division == divided([asleep, *reversed(MANY)], [], 3)  # every shard divisions by itself


def test_a_long_one_and_heavy_ones_that_wait_for_it_are_in_different_shards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heavy = [of(f"h{number}", Schedule(heavy=True)) for number in range(3)]
    costs = {"long": Cost(seconds=5, runs=0)} | {each.name: Cost(seconds=4, runs=0) for each in heavy}
    monkeypatch.setattr(divisions, "recorded_costs", lambda: costs)
    # The heavy ones go on side by side: no longer than one of them, and no reason for a second shard.
    assert divided([*heavy, of("long")], [], 2).shards == (("long",), ("h0", "h1", "h2"))


def test_whoever_restarts_leaves_the_last_shard_little_else(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = {"restarts": Cost(seconds=6, runs=0)} | {each.name: Cost(seconds=2, runs=0) for each in MANY}
    monkeypatch.setattr(divisions, "recorded_costs", lambda: costs)
    restarts = of("restarts", Schedule(waits=6, alone=True, heavy=True), "restart")
    division = divided([*MANY, restarts], [], 4)
    assert division.shards[-1] == ("restarts",)  # any other would go on before it, and make it longer
    assert sorted(len(share) for share in division.shards) == [1, 3, 3, 4]


def test_without_recorded_durations_scenarios_are_shared_out_by_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(divisions, "recorded_costs", dict)
    assert sorted(len(share) for share in divided(MANY, [], 4).shards) == [2, 2, 3, 3]


def test_another_division_has_another_digest() -> None:
    divisions = [divided(MANY, [], 2), divided(MANY, [], 3), divided(MANY[1:], [], 2), divided([], [], 2)]
    assert len({each.digest for each in divisions}) == 4
    assert Division(divisions[0].shards).digest == divisions[0].digest


@pytest.mark.parametrize(
    "text, told",
    [
        ("5/4", "of 4 shards there is no number 5; the last one is 4/4"),
        ("0/4", "a shard is I/N, like 2/4"),
        ("2", "a shard is I/N, like 2/4"),
        ("2/4/8", "a shard is I/N, like 2/4"),
        ("-1/4", "a shard is I/N, like 2/4"),
    ],
)
def test_what_names_no_shard(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        from_command_line({"shard": text}, "check")
