"""In which order scenarios go on, and which of them go on beside which."""

from __future__ import annotations

import asyncio

from runstone.scenario.api import Api
from runstone.scenario.phases import Phases
from runstone.scenario.scenario import Scenario, Schedule


async def nothing(_: Api) -> None:
    """None of them is driven here."""


def scheduled(name: str, schedule: Schedule) -> Scenario:
    return Scenario(name, nothing, schedule)


def test_a_guest_comes_when_only_long_silences_are_left() -> None:
    several = [
        scheduled("guest-1", Schedule(guest=True)),
        scheduled("guest-2", Schedule(guest=True)),
        scheduled("silence", Schedule(waits=100.0)),
        scheduled("brief", Schedule()),
        scheduled("heavy", Schedule(heavy=True)),
        scheduled("alone", Schedule(alone=True)),
    ]
    phases = Phases.of(several, shared=False, slow=False)
    told: list[str] = []
    guests_ended = 0

    async def play() -> None:
        all_guests = asyncio.Event()

        async def one(chosen: Scenario) -> None:
            nonlocal guests_ended
            told.append(chosen.name)
            if chosen.name == "silence":
                await all_guests.wait()  # it goes on as long as they do
            if chosen.schedule.guest:
                guests_ended += 1
                await asyncio.sleep(0)
                if guests_ended == 2:
                    all_guests.set()
            told.append(f"end of {chosen.name}")

        await phases.run(one)

    asyncio.run(asyncio.wait_for(play(), 20))
    at = {name: place for place, name in enumerate(told)}
    assert {each.name for each in phases.all} == {each.name for each in several}
    assert at["end of brief"] < at["heavy"] < at["end of heavy"] < at["guest-1"]
    assert at["guest-2"] < at["end of guest-1"]
    assert at["end of guest-2"] < at["end of silence"] < at["alone"]


def test_what_needs_workers_for_itself_begins_first() -> None:
    several = [
        scheduled("brief", Schedule()),
        scheduled("steady", Schedule(steady=True)),
        scheduled("other", Schedule()),
    ]
    phases = Phases.of(several, shared=False, slow=False)
    assert [each.name for each in phases.first] == ["steady", "brief", "other"]
