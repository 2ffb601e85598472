"""Work for two processes: all of it is done and told, whatever becomes of the other process."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runstone.judge.side_by_side import pays, side_by_side

PLACES = 40
Who = tuple[int, int]  # a place, and the process that did it


def done(do: Callable[[int], Who]) -> list[Who]:
    told: list[Who] = []
    side_by_side(PLACES, do, told.append)
    return told


def children() -> list[str]:
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text("utf-8").split()


def who(place: int) -> Who:
    time.sleep(0.002)  # so that neither is done before the other begins
    return place, os.getpid()


def test_each_place_is_done_once_by_one_of_two() -> None:
    told = done(who)
    assert sorted(place for place, _ in told) == [*range(PLACES)]
    assert len({by for _, by in told}) == 2


@pytest.mark.parametrize(
    "end",
    [lambda: os._exit(1), lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: 1 / 0],
    ids=["exit", "kill", "error"],
)
def test_what_the_other_left_undone_is_done_here(end: Callable[[], object]) -> None:
    here = os.getpid()

    def do(place: int) -> Who:
        if os.getpid() != here:
            end()
        return who(place)

    assert sorted(done(do)) == [(place, here) for place in range(PLACES)]


def test_an_error_of_this_process_is_raised_and_nothing_of_the_other_is_left() -> None:
    here, before = os.getpid(), children()

    def do(place: int) -> Who:
        if os.getpid() == here:
            raise KeyboardInterrupt
        time.sleep(60)
        return who(place)

    with pytest.raises(KeyboardInterrupt):
        done(do)
    assert children() == before


def test_ctrl_c_is_for_this_process_alone() -> None:
    here = os.getpid()

    def do(place: int) -> Who:
        if os.getpid() != here:
            signal.raise_signal(signal.SIGINT)
        return who(place)

    assert len({by for _, by in done(do)}) == 2


def test_threads_are_no_obstacle() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        assert len(done(who)) == PLACES
    finally:
        over.set()
        thread.join()


def test_few_are_done_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert [pays(places) for places in (0, 100, 101, 16000, 16001)] == [False, False, True, True, False]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert not pays(1000)
