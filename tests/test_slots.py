"""Slots for runs: how many are under way at once, who goes first, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runstone.scenario.slots import Lease, LeaseEnded, Slots


class Watched:
    """Counts how many work at once."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.order: list[str] = []

    async def work(self, name: str, seconds: float = 0.01) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        self.order.append(name)
        await asyncio.sleep(seconds)
        self.now -= 1


async def one(slots: Slots, watched: Watched, name: str, *, runs: int = 1, steady: bool = False) -> None:
    lease = Lease(slots, runs, steady=steady)
    await lease.enter("")
    await watched.work(name)
    await lease.leave("")


def run(capacity: int, *scenarios: Callable[[Slots, Watched], Awaitable[None]]) -> Watched:
    async def all_at_once() -> Watched:
        slots, watched = Slots(capacity), Watched()
        async with asyncio.timeout(5):
            await asyncio.gather(*(each(slots, watched) for each in scenarios))
        assert slots.free
        return watched

    return asyncio.run(all_at_once())


@pytest.mark.parametrize("capacity, most", [(1, 9), (2, 10), (4, 12)])
def test_eight_brief_runs_more_than_there_are_workers_wait_ahead(capacity: int, most: int) -> None:
    watched = run(capacity, *[lambda slots, watched: one(slots, watched, "brief") for _ in range(20)])
    assert watched.most == most


def test_those_that_travel_leave_room_for_brief_runs_but_not_for_steady_ones() -> None:
    async def most_of(*, steady: bool) -> int:
        slots, watched = Slots(4), Watched()
        slots.travelling = 6
        await asyncio.gather(*(one(slots, watched, "run", steady=steady) for _ in range(30)))
        return watched.most

    assert asyncio.run(most_of(steady=False)) == 4 + 6 + 8
    assert asyncio.run(most_of(steady=True)) == 3


@pytest.mark.parametrize("capacity, most", [(1, 1), (2, 1), (3, 2), (8, 7)])
def test_steady_runs_leave_the_last_slot_where_there_is_more_than_one(capacity: int, most: int) -> None:
    watched = run(
        capacity, *[lambda slots, watched: one(slots, watched, "s", steady=True) for _ in range(12)]
    )
    assert watched.most == most


def test_nothing_queues_behind_a_steady_run_that_has_the_only_slot() -> None:
    async def brief_after(slots: Slots, watched: Watched) -> None:
        await asyncio.sleep(0.005)
        await one(slots, watched, "brief")
        assert watched.most == 1

    run(1, lambda slots, watched: one(slots, watched, "steady", steady=True), brief_after)


def test_nothing_queues_behind_a_run_that_sleeps_in_a_brief_scenario() -> None:
    async def sleeps(slots: Slots, watched: Watched) -> None:
        lease = Lease(slots, 1, steady=False)
        await lease.enter("part", sleeps=True)
        await watched.work("part")
        await lease.leave("part")

    async def brief_after(slots: Slots, watched: Watched) -> None:
        await asyncio.sleep(0.005)
        await one(slots, watched, "brief")
        assert watched.most == 1

    run(1, sleeps, brief_after)


def test_who_needs_several_slots_gets_all_that_there_are() -> None:
    watched = run(2, *[lambda slots, watched: one(slots, watched, "three", runs=3) for _ in range(4)])
    assert watched.most == 1


def test_parts_take_their_own_slots_and_no_part_waits_for_another_that_holds_one() -> None:
    async def in_parts(slots: Slots, watched: Watched) -> None:
        lease = Lease(slots, 1, steady=True)

        async def part(name: str) -> None:
            for _ in range(2):  # a second run of the same part asks for nothing more
                await lease.enter(name)
                await watched.work(name)
            await lease.leave(name)

        await asyncio.gather(*(part(name) for name in "abcde"))

    assert run(1, in_parts).most == 1


def test_a_scenario_that_holds_slots_shares_them_with_its_parts() -> None:
    async def whole(slots: Slots, watched: Watched) -> None:
        lease = Lease(slots, 1, steady=False)
        await lease.enter("")
        await lease.enter("part")
        await watched.work("part")
        await lease.leave("part")
        assert slots._taken == 1
        await lease.leave_all()

    run(1, whole)


def test_who_is_cancelled_in_the_queue_takes_no_slot() -> None:
    async def impatient() -> None:
        slots = Slots(1)
        assert await slots.take(1, steady=True) == 1
        waiting = asyncio.create_task(slots.take(1, steady=True))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        slots.give_back(1, steady=True)
        assert slots.free

    asyncio.run(impatient())


def test_time_in_the_queue_is_not_the_scenarios_own() -> None:
    async def queue() -> tuple[float, float]:
        slots = Slots(1)
        first, second = Lease(slots, 1, steady=True), Lease(slots, 1, steady=True)
        began = asyncio.get_running_loop().time()
        await first.enter("")
        waiting = asyncio.create_task(second.enter(""))
        await asyncio.sleep(0.2)
        await first.leave("")
        await waiting
        return asyncio.get_running_loop().time() - began, second.elapsed()

    passed, own = asyncio.run(queue())
    assert own < passed / 2


def test_a_canary_gets_a_slot_only_where_nobody_wants_it() -> None:
    async def canaries() -> list[bool]:
        slots = Slots(1)
        async with slots.spare() as first, slots.spare() as second:
            found = [first, second]
        await slots.take(1, steady=False)
        async with slots.spare() as third:
            return [*found, third]

    assert asyncio.run(canaries()) == [True, False, False]


def test_all_are_cancelled_at_once() -> None:
    """As when a budget is used up: a slot is given back before those who were cancelled have heard of it."""

    async def cancelled() -> bool:
        slots = Slots(1)

        async def holds() -> None:
            await slots.take(2, steady=False)
            try:
                await asyncio.sleep(60)
            finally:
                slots.give_back(1, steady=False)

        tasks = [asyncio.create_task(holds()) for _ in range(6)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(each) for each in ended} == {asyncio.CancelledError}
        return slots.free

    assert asyncio.run(cancelled())


@pytest.mark.parametrize("asks_late", [True, False])
def test_what_a_scenario_has_left_behind_takes_no_slot_after_its_end(asks_late: bool) -> None:
    """Of two runs that are begun at once one is refused, and the scenario ends; the other asks, or waits."""

    async def leave_one_behind() -> None:
        slots = Slots(1)
        assert await slots.take(1, steady=True) == 1
        lease = Lease(slots, 1, steady=True)
        behind = asyncio.create_task(lease.enter("part"))
        if not asks_late:
            await asyncio.sleep(0)  # it waits for the slot that another one holds
        await lease.leave_all()
        slots.give_back(1, steady=True)
        with pytest.raises(LeaseEnded):
            await behind
        assert slots.free

    asyncio.run(leave_one_behind())
