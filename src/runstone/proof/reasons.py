"""Why something is not kept, as a proof publishes it: the same from run to run."""

from __future__ import annotations

import re
from typing import Final

_MOVING: Final = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"  # a UUID
    r"|[0-9a-f]{32}"
    r"|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?"  # a moment
    r"|(?<=127\.0\.0\.1:)\d+"  # a port
    r"|\b\d+\.\d+(?= ?(?:s|ms)\b)"  # how long something took
)
_REASON: Final = 300  # characters


def settled(reason: str, before: str = "") -> str:
    """The reason on one line after `before`, without ids, moments and ports, and no longer than is read."""
    text = before + _MOVING.sub("…", " ".join(reason.split()))
    return text if len(text) <= _REASON else text[: _REASON - 1] + "…"
