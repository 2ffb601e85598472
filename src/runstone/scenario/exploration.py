"""How far a scenario that makes up its own requests may go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from runstone.contracts import Profile
from runstone.errors import UsageError

# What makes up the requests of an area. It comes with the extra `fuzz`, and judging does without it.
_PACKAGES: Final = {"explore": ("hypothesis",), "fuzz": ("hypothesis", "schemathesis")}
# Their scenarios are run only where one of these areas is selected: they take as long as they are given.
EXPLORING_AREAS: Final = frozenset(_PACKAGES)
DEFAULT_S: Final = 30.0


class ExtraMissing(UsageError):  # noqa: N818 - named as what it reports
    """The packages that make up requests are not installed."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """`seed`: the same one makes up the same requests, for a target that answers the same.

    `seconds`: when the last request is sent, after the beginning of the session. `profile`: what is expected.
    """

    profile: Profile
    seed: int = 0
    seconds: float = DEFAULT_S


def insist_on_packages(areas: Iterable[str]) -> None:
    """Raises ExtraMissing when what makes up the requests of these areas is not installed."""
    for area in sorted(EXPLORING_AREAS.intersection(areas)):
        for package in _PACKAGES[area]:
            if find_spec(package) is None:
                raise ExtraMissing(
                    f"area {area} makes up its requests with {package}, which is not installed; "
                    "install it with: pip install 'runstone[fuzz]'"
                )
