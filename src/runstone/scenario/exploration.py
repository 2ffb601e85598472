"""How far a scenario that makes up its own requests may go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runstone.contracts import Profile

DEFAULT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Exploration:
    """`seed`: the same one makes up the same requests, for a target that answers the same.

    `seconds`: when the last request is sent, after the beginning of the session. `profile`: what is expected.
    """

    profile: Profile
    seed: int = 0
    seconds: float = DEFAULT_S
