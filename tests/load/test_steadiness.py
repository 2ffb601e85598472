"""The last third of a load against the first, by kind of start."""

from __future__ import annotations

import msgspec
import pytest

from runstone.load.invariants import STEADY
from runstone.load.model import Invariant, OfKind, Window
from runstone.load.steadiness import steady

KINDS = {"wait": OfKind(finished=40, p99_ms=100.0)}


def window(at: int, p99_ms: float, errors: int = 0, **changes: object) -> Window:
    """A second of fifty starts: forty waits that take so long, and ten of a run that sleeps a second."""
    plain = Window(
        at=float(at),
        seconds=1.0,
        offered=50.0,
        achieved=50.0,
        finished=50,
        errors=errors,
        p50_ms=p99_ms / 2,
        p95_ms=1_000.0,
        p99_ms=1_000.0,
        max_ms=1_000.0,
        in_flight=1,
        kinds={"wait": OfKind(finished=40, p99_ms=p99_ms), "hangup": OfKind(finished=10, p99_ms=1_000.0)},
    )
    return msgspec.structs.replace(plain, **changes)


def verdict(found: Invariant) -> str:
    (name,) = (name for name in ("kept", "broken", "not_tested") if getattr(found, name))
    return name


@pytest.mark.parametrize(
    "windows, wanted",
    [
        ([window(at, 100) for at in range(9)], "kept"),
        ([window(at, 100 + 10 * at) for at in range(9)], "kept"),
        ([window(at, 50 + 50 * at) for at in range(9)], "broken"),  # while the mix takes a second throughout
        ([window(at, 1 + 5 * at) for at in range(9)], "kept"),  # more than twice, and still nothing
        ([window(at, 100 + 5_000 * (at == 7)) for at in range(9)], "kept"),  # one stall
        ([window(at, 100 + 5_000 * (at in {5, 6, 8})) for at in range(9)], "kept"),  # others use the machine
        ([window(at, 100, errors=2 * (at > 6)) for at in range(9)], "broken"),
        ([window(at, 100 + 100 * at, finished=9) for at in range(9)], "not_tested"),
        ([window(at, 100 + 100 * at, lag_max_s=0.4) for at in range(9)], "not_tested"),
        ([window(at, 100 + 100 * at, others_cpu=0.1 * at) for at in range(9)], "not_tested"),
        ([window(at, 100 + 100 * at, others_cpu=0.6) for at in range(9)], "broken"),
        ([window(at, 100 * at, finished=40) for at in range(1, 10)], "not_tested"),  # a queue from the start
        ([window(at, 100 + 100 * at, finished=40 if at > 3 else 50) for at in range(9)], "broken"),
        (
            [window(at, 100, finished=50 * (at < 6), kinds=KINDS if at < 6 else {}) for at in range(9)],
            "broken",
        ),
        ([window(at, 100 + 100 * at, kinds={}) for at in range(9)], "not_tested"),
        ([window(at, 100) for at in range(5)], "not_tested"),
        ([], "not_tested"),
    ],
)
def test_the_last_third_against_the_first(windows: list[Window], wanted: str) -> None:
    found = steady(windows)
    assert found.id == STEADY
    assert verdict(found) == wanted


def test_the_kind_that_grew_is_named() -> None:
    found = steady([window(at, 50 + 50 * at, server_rss=100_000_000 + 1_000 * at) for at in range(9)])
    assert found.remark == (
        "p99 of wait in the best window 50 ms of the first third, 350 ms of the last; errors 0.0% and 0.0%; "
        "the server's memory changed by +0.0 MB over 400 starts"
    )


def test_a_kind_that_is_rare_is_not_compared() -> None:
    rare = [
        window(
            at,
            100,
            kinds={"wait": OfKind(finished=40, p99_ms=100), "cancel": OfKind(finished=1, p99_ms=at * 1e3)},
        )
        for at in range(9)
    ]
    assert verdict(steady(rare)) == "kept"


def test_figures_of_a_late_generator_say_nothing() -> None:
    late = "the generator itself was 2.0 s late (p99): give it more processes"
    found = steady([window(at, 100 + 100 * at) for at in range(9)], late)
    assert verdict(found) == "not_tested"
    assert found.remark.startswith(late)
    assert not found.why_not_tested  # it is none of the target's doing


def test_the_time_of_draining_is_in_no_third() -> None:
    slow = [window(at, 5_000, draining=True) for at in range(9, 14)]
    assert steady([*(window(at, 100) for at in range(9)), *slow]).kept
