"""Stories: sequences of requests that a state machine makes up, judged by what the contract leads to."""

from __future__ import annotations

from runstone.suite import (
    Api,
    Broken,
    Profile,
    Trace,
    broken_stories,
    requirement,
    scenario,
    some,
    stories_of,
    tell_stories,
)


@scenario(explores=True)
async def explore(api: Api) -> None:
    """Make up stories until one breaks a promise, then look for a shorter one; one after the other."""
    await tell_stories(api)


@requirement("EXPLORE-001")
def test_every_story_keeps_the_contract(explore: Trace, profile: Profile) -> None:
    told = some(stories_of(explore), "story")
    broken = broken_stories(told, profile, explore.note("settle_s"))
    if broken:
        shortest = broken[0]
        found = shortest.finding
        raise Broken(
            f"{found.requirement}: {found.reason} ({found.exchange.where}, the last request of "
            f"{len(shortest.exchanges)}; {len(broken)} of {len(told)} stories break a promise)",
            shortest.exchanges,
        )
    some((each for story in told for each in story if each.found_run_id), "run in any story")
