"""The command line in the process of the tests, before somebody who types."""

from __future__ import annotations

import io
from collections.abc import Callable

Run = Callable[..., tuple[int, str]]


class Terminal(io.StringIO):
    """What somebody types; by default that they agree."""

    def isatty(self) -> bool:
        return True
