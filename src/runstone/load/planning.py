"""A plan from the words of a command line; what makes no sense is told before anything is sent."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Final

import msgspec

from runstone.errors import UsageError, suggestion
from runstone.load.digests import digest_of, digest_of_files
from runstone.load.model import KINDS, Plan
from runstone.target.target import Target

MIX: Final = "wait=3,stream=3,background=2,enqueue=1,interrupt=1,cancel=1,hangup=1"
_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_PERIODS: Final = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_MOST_USERS: Final = 100_000
_FEWEST_WINDOWS: Final = 20
_LONGEST_WINDOW_S: Final = 60.0
_SOAK_WINDOW_S: Final = 300.0


def seconds(words: str, option: str) -> float:
    """A time such as 90, 90s, 10m or 8h. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h|)", words.strip())
    if found is None or float(found[1]) == 0:
        raise UsageError(f"{option} {words!r} is not a time; write it like 90s, 10m or 8h")
    return float(found[1]) * _UNITS[found[2]]


def rate(words: str) -> float:
    """Starts a second, of words such as 20, 20/s or 90/min. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/(s|m|min|h))?", words.strip())
    if found is None or float(found[1]) == 0:
        raise UsageError(f"--rate {words!r} is not a rate above 0; write it like 20/s or 90/min")
    return float(found[1]) / _PERIODS[found[2] or "s"]


def mix(words: str) -> dict[str, int]:
    """Kind → weight, of words such as `wait=3,stream=1`. Raises UsageError."""
    found: dict[str, int] = {}
    for part in words.split(","):
        kind, equals, weight = (each.strip() for each in part.partition("="))
        if kind not in KINDS:
            raise UsageError(
                f"--mix: there is no kind {kind!r}{suggestion(kind, KINDS)}; known are {', '.join(KINDS)}"
            )
        if not equals or not weight.isascii() or not weight.isdigit():
            raise UsageError(f"--mix {part.strip()!r} has no weight; write it like {kind}=3")
        if kind in found:
            raise UsageError(f"--mix has {kind} twice")
        found[kind] = int(weight)
    if not sum(found.values()):
        raise UsageError("--mix gives every kind the weight 0: nothing would be started")
    return found


def planned(
    target: Target,
    webhooks: bool,
    *,
    users: int,
    per_s: float,
    for_s: float,
    kinds: Mapping[str, int],
    workers: int,
    drain_s: float,
    seed: int,
    soak: bool,
    window_s: float | None = None,
) -> Plan:
    """The plan, with its digest. Raises UsageError for what cannot be.

    `webhooks`: whether the target calls them, and all workers can be reached by it.
    """
    if users < 1:
        raise UsageError(f"--users {users}: a load needs at least one")
    if users < workers:
        raise UsageError(f"--users {users}: each of the {workers} workers needs one; give more users")
    if users > _MOST_USERS:
        raise UsageError(f"--users {users} are more than {_MOST_USERS:,}; share them among several loads")
    if per_s * for_s < 1:
        raise UsageError("nothing would be started: --rate times --for is less than one start")
    usual_s = (
        _SOAK_WINDOW_S if soak else max(1.0, min(_LONGEST_WINDOW_S, float(int(for_s / _FEWEST_WINDOWS))))
    )
    plan = Plan(
        target=target.name,
        url=target.url,
        users=users,
        rate=per_s,
        for_s=for_s,
        mix=dict(kinds),
        workers=workers,
        drain_s=drain_s,
        window_s=max(1.0, min(window_s or usual_s, for_s)),
        webhooks=webhooks,
        seed=seed,
        session=secrets.token_hex(6),
    )
    return msgspec.structs.replace(plan, digest=digest_of(plan, digest_of_files()))
