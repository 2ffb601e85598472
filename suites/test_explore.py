"""Exploration: sequences of requests that a state machine makes up, judged by what the contract leads to."""

from __future__ import annotations

from runstone.suite import (
    Api,
    Broken,
    Profile,
    Trace,
    broken_sequences,
    requirement,
    scenario,
    send_sequences,
    sequences_of,
    some,
)


@scenario(explores=True)
async def explore(api: Api) -> None:
    """Make up sequences until one breaks a promise, then look for a shorter one; one after the other."""
    await send_sequences(api)


@requirement("EXPLORE-001")
def test_every_sequence_keeps_the_contract(explore: Trace, profile: Profile) -> None:
    told = some(sequences_of(explore), "sequence")
    broken = broken_sequences(told, profile, explore.note("settle_s"))
    if broken:
        shortest = broken[0]
        found = shortest.finding
        raise Broken(
            f"{found.requirement}: {found.reason} ({found.exchange.where}, the last request of "
            f"{len(shortest.exchanges)}; {len(broken)} of {len(told)} sequences break a promise)",
            shortest.exchanges,
        )
    some((each for sequence in told for each in sequence if each.found_run_id), "run in any sequence")
