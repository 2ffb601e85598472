"""The names of recordings: the first of a scenario has its name, a later one `@2` or `@3` behind it.

What each shard of an observation records for itself, such as `capacity@shard-2`, is a first observation too.
"""

from __future__ import annotations

from typing import Final

ATTEMPTS: Final = 3  # disturbed as often, an exchange is judged as it is


def recording_of(scenario: str, attempt: int) -> str:
    """How the observation of a scenario goes by its number, from 1 on."""
    return scenario if attempt == 1 else f"{scenario}@{attempt}"


def attempt_of(recording: str) -> int:
    """Which observation of its scenario it is."""
    number = recording.rpartition("@")[2]
    return int(number) if "@" in recording and number.isdecimal() else 1


def scenario_of(recording: str) -> str:
    """The scenario that was recorded; `recording` may have the number of an exchange behind it."""
    return recording.partition("#")[0].partition("@")[0]
