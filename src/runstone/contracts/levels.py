"""How binding a promise is, in the words of RFC 2119."""

from __future__ import annotations

from typing import Final, Literal

Level = Literal["MUST", "SHOULD", "MAY"]
LEVELS: Final[tuple[Level, ...]] = ("MUST", "SHOULD", "MAY")  # from the most binding to the least
