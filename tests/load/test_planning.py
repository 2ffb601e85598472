"""Plans, timetables and tokens: what a load is going to do, before anything is sent."""

from __future__ import annotations

import re

import msgspec
import pytest

from runstone.errors import UsageError
from runstone.load import planning
from runstone.load.digests import digest_of, digest_of_files
from runstone.load.model import Plan
from runstone.load.schedule import Schedule, Start
from runstone.load.tokens import Bag, foreign, start_token, together
from runstone.target.target import Target

TARGET = Target(name="here", url="http://127.0.0.1:2024", declared={"webhooks": True})


def plan(target: Target = TARGET, **changes: object) -> Plan:
    given = {
        "users": 10,
        "per_s": 20.0,
        "for_s": 10.0,
        "kinds": {"wait": 1, "stream": 1},
        "workers": 2,
        "webhooks": True,
        "drain_s": 60.0,
        "seed": 1,
        "soak": False,
    }
    return planning.planned(target, **(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("words, wanted", [("90", 90), ("90s", 90), ("1.5m", 90), ("8h", 28_800)])
def test_times(words: str, wanted: float) -> None:
    assert planning.seconds(words, "--for") == wanted


@pytest.mark.parametrize("words, wanted", [("20/s", 20), ("20", 20), ("90/min", 1.5), ("36/h", 0.01)])
def test_rates(words: str, wanted: float) -> None:
    assert planning.rate(words) == pytest.approx(wanted)


def test_mix() -> None:
    assert planning.mix("wait=3, stream=0") == {"wait": 3, "stream": 0}
    assert sum(planning.mix(planning.MIX).values()) == 12


@pytest.mark.parametrize(
    "refused, told",
    [
        (lambda: planning.seconds("soon", "--for"), "--for 'soon' is not a time"),
        (lambda: planning.seconds("0s", "--for"), "is not a time"),
        (lambda: planning.rate("fast"), "is not a rate"),
        (lambda: planning.rate("0/s"), "is not a rate above 0"),
        (lambda: planning.mix("wayt=1"), "did you mean wait?"),
        (lambda: planning.mix("wait"), "has no weight"),
        (lambda: planning.mix("wait=1,wait=2"), "has wait twice"),
        (lambda: planning.mix("wait=0"), "nothing would be started"),
        (lambda: plan(users=1), "each of the 2 workers needs one"),
        (lambda: plan(users=1_000_000), "more than 100,000"),
        (lambda: plan(per_s=0.01), "less than one start"),
    ],
)
def test_what_makes_no_sense_is_told(refused: object, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        refused()  # type: ignore[operator]


def test_the_digest_is_of_the_plan_and_of_the_files() -> None:
    made = plan()
    assert made.digest == digest_of(made, digest_of_files())
    assert digest_of(msgspec.structs.replace(made, rate=21.0), digest_of_files()) != made.digest
    assert digest_of(made, "other files") != made.digest


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_share_one_timetable(workers: int) -> None:
    """Together they start 200 in 10 s, evenly, of the kinds that one alone would start."""
    shared = plan(workers=workers)
    starts = [start for worker in range(workers) for start in all_of(Schedule(shared, worker))]
    starts.sort(key=lambda each: each.at)
    assert [each.at for each in starts] == pytest.approx([number / 20 for number in range(200)])
    assert [each.kind for each in starts] == [each.kind for each in all_of(Schedule(plan(workers=1), 0))]


def all_of(schedule: Schedule) -> list[Start]:
    found: list[Start] = []
    while (start := schedule.take(0.0)) is not None:
        found.append(start)
    return found


def test_a_worker_that_is_late_is_still_owed_its_starts() -> None:
    schedule = Schedule(plan(), 0)
    first = schedule.take(5.0)
    assert first is not None
    assert (first.number, first.at) == (0, 0.0)
    assert schedule.due(5.0) == 50
    assert schedule.due(99.0) == 100
    assert schedule.take(10.0) is None
    assert schedule.never_taken(99.0).total() == 99


def test_an_end_before_its_time_owes_nothing_after_it() -> None:
    schedule = Schedule(plan(), 1)
    schedule.end(2.0)
    assert len(all_of(schedule)) == schedule.due(99.0) == 20


def test_kinds_come_by_their_weight_and_by_the_seed() -> None:
    def kinds(seed: int) -> list[str]:
        return [start.kind for start in all_of(Schedule(plan(seed=seed, kinds={"wait": 3, "cancel": 1}), 0))]

    assert kinds(1) == kinds(1) != kinds(2)
    assert 50 < kinds(1).count("wait") < 95


def test_a_bag_shows_what_was_lost_and_what_came_twice() -> None:
    bags = [Bag("session") for _ in range(3)]
    for number in range(4):
        bags[0].add(f"run {number}")
    for number in (3, 2, 1, 0):
        bags[1].add(f"run {number}")
    for number in (0, 1, 2, 2):
        bags[2].add(f"run {number}")
    assert bags[0].tally == bags[1].tally != bags[2].tally
    assert bags[0].count == bags[2].count == 4


def test_two_bags_make_one() -> None:
    parts, whole = [Bag("session"), Bag("session")], Bag("session")
    for number in range(10):
        parts[number % 2].add(f"run {number}")
        whole.add(f"run {number}")
    assert together(parts[0].tally, parts[1].tally) == whole.tally


def test_a_token_is_told_from_others() -> None:
    own, other = start_token("abc", 1, 1), start_token("abc", 11, 1)
    assert foreign(f'{{"note": "{own}.2"}}', "abc", own) == ""
    assert foreign(f'{{"note": "{own}", "left": "{other}"}}', "abc", own) == other
    assert foreign(start_token("another session", 1, 2), "abc", own) == ""
