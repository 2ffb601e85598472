"""Deadlines, sizes and byte caps of an observation, as multiples of what the target takes for nothing."""

from __future__ import annotations

import msgspec

# A turn of `echo` on the official servers takes about 1 s, on a fast one 0.03 s; a loaded machine was seen to
# take ten times its calm latency for single requests, hence the factor and the floors below.
_SLACK = 10.0
_ANSWERS = 2.0  # the slowest of a few answers is not the slowest of thousands


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and bytes. `turn_s`: the fastest seen `echo` turn, from its request to its result.

    `answer_s`: the slowest seen answer to a request that waits for no run; on a bad line that is the line's.
    """

    turn_s: float = 1.0
    answer_s: float = 0.0
    connect_s: float = 2.5
    request_s: float = 6.0  # one request, beyond the `patience` that its scenario grants
    settle_s: float = 6.0  # a run becoming terminal, a thread leaving busy
    scenario_s: float = 45.0  # one scenario, beyond its own declared waiting
    pause_s: float = 300.0  # the longest that one request is put off where the target asks for it
    poll_s: float = 0.05  # between the first two readings of a status
    longest_poll_s: float = 0.25  # between two later ones
    concurrent_runs: int = 32  # at once, where many are asked for; the profile says how many
    capacity: int = 32  # runs that the target executes at once; more are not told apart
    body_bytes: int = 2 * 1024 * 1024  # of one response
    events: int = 10_000  # and comments of one response; decoding so many takes 0.4 s
    session_bytes: int = 64 * 1024 * 1024  # of all responses; past it each is cut at `crowded_bytes`
    crowded_bytes: int = 64 * 1024

    @classmethod
    def calibrated(cls, turn_s: float, answer_s: float = 0.0) -> Limits:
        """Limits for a target whose `echo` turn and whose slowest answer took this long."""
        slow_s = _ANSWERS * answer_s
        return cls(
            turn_s=turn_s,
            answer_s=answer_s,
            connect_s=2.5 + slow_s,
            request_s=6.0 + _SLACK * turn_s + slow_s,
            settle_s=5.0 + _SLACK * turn_s + slow_s,
            scenario_s=30.0 + 3 * _SLACK * turn_s + _SLACK * slow_s,
            poll_s=min(0.2, max(0.02, turn_s / 6)),
        )
