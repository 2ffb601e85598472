"""Exploration: requests that nobody wrote, made up from the contract, recorded and judged like all others.

machine   makes up stories (Hypothesis)      model   what a client may expect after any of them
bridge    from the machine to the loop       story   what was told, and the script that tells it again
"""

from __future__ import annotations

from runstone.api import Api
from runstone.errors import UsageError
from runstone.explore.model import Finding, Model, first_broken
from runstone.explore.story import BrokenStory, broken_stories, script, stories_of

__all__ = [
    "BrokenStory",
    "ExtraMissing",
    "Finding",
    "Model",
    "broken_stories",
    "first_broken",
    "script",
    "stories_of",
    "tell_stories",
]


class ExtraMissing(UsageError):  # noqa: N818 - named as what it reports
    """The packages that make up requests are not installed."""


async def tell_stories(api: Api) -> None:
    """Make up stories for as long as `api.exploration` allows, or until a broken one is as short as it gets.

    Raises ExtraMissing without Hypothesis.
    """
    try:
        from runstone.explore.machine import tell
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"to explore needs {error.name}; install it with: pip install 'runstone[fuzz]'"
        ) from None
    await tell(api)
