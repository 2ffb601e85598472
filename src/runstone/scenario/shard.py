"""The name of a part of an observation, as users give it."""

from __future__ import annotations

import re
from typing import Final

_SHARD: Final = re.compile(r"([1-9]\d{0,3})/([1-9]\d{0,3})", re.ASCII)


class Shard(str):
    """Which part of an observation is meant: `2/4` is the second of four. Raises ValueError."""

    __slots__ = ()

    def __new__(cls, text: str) -> Shard:
        found = _SHARD.fullmatch(text)
        if found is None:
            raise ValueError("a shard is I/N, like 2/4 for the second of four")
        if int(found[1]) > int(found[2]):
            raise ValueError(
                f"of {found[2]} shards there is no number {found[1]}; the last one is {found[2]}/{found[2]}"
            )
        return super().__new__(cls, text)

    @property
    def number(self) -> int:
        """From 1 on."""
        return int(self.partition("/")[0])

    @property
    def of(self) -> int:
        """How many shards there are."""
        return int(self.partition("/")[2])
