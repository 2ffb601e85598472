"""Who makes a request: the users whose credentials a target may be given."""

from __future__ import annotations

from typing import Final, Literal

Identity = Literal["first", "second", "restricted", "anonymous"]
FURTHER_IDENTITIES: Final[tuple[Identity, ...]] = ("second", "restricted")
