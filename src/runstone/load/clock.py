"""Seconds since a worker began."""

from __future__ import annotations

import time


class Clock:
    """Begins when it is made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def now(self) -> float:
        """Seconds since then."""
        return time.monotonic() - self._began
