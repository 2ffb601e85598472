"""What a server's machine gave to others while it was under load."""

from __future__ import annotations

import os

import pytest

from runstone.load.watching import Spent, _spent, others


@pytest.mark.parametrize(
    "before, now, wanted",
    [
        (Spent(100, 50, 20), Spent(104, 53, 22), 0.25),  # of 4 s of two cores 1 s
        (Spent(100, 50, 20), Spent(104, 52, 22), 0.0),
        (Spent(100, 50, 20), Spent(104, 51.9, 22), 0.0),  # clocks of different grain
        (Spent(100, 50, 20), Spent(104, 54, 10), 1.0),  # one of its processes has ended
        (Spent(100, 50, 20), Spent(100, 50, 20), None),
        (None, Spent(104, 53, 22), None),
    ],
)
def test_what_others_took(before: Spent | None, now: Spent | None, wanted: float | None) -> None:
    assert others(before, now) == wanted


def test_a_machine_is_measured_where_the_server_is_on_it() -> None:
    assert _spent(None) is None
    spent = _spent(os.getpid())
    assert spent is not None
    assert 0 < spent.own <= spent.used <= spent.all
