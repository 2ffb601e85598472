"""Work for two processes: this one and a fork of it, which take what is to be done from one queue."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

_Done = TypeVar("_Done")

_FEW: Final = 100  # that are done before a process is forked and has answered
_PLACE_BYTES: Final = 2  # of a place in the queue
_MANY: Final = 16_000  # a pipe, which the queue is, holds 64 KiB unread


def pays(places: int) -> bool:
    """Whether two processes are sooner done with so many. Beside threads a fork is safe on Linux alone."""
    several = sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1
    return several and _FEW < places <= _MANY


def side_by_side(places: int, do: Callable[[int], _Done], tell: Callable[[_Done], None]) -> None:
    """Do each place, and `tell` here what was answered: own answers at once, the other process's at the end.

    `do` changes nothing that the other process should see; what it answers can be pickled. What the other
    process took and did not answer, because it died, is done here. Raises what `do` and `tell` raise here.
    """
    queue, answers = _queue_of(places), os.pipe()
    other = _forked()
    if other == 0:
        _answer_all(queue, answers[1], do)
    os.close(answers[1])
    left = set(range(places))
    try:
        for place in _taken(queue):
            left.remove(place)
            tell(do(place))
        for place, done in _answered(answers[0]):
            left.remove(place)
            tell(done)
    finally:
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)
        os.close(queue)
        os.close(answers[0])
    for place in sorted(left):
        tell(do(place))


def _queue_of(places: int) -> int:
    """A pipe with all places in it, of which several processes may read."""
    queue, end = os.pipe()
    os.write(end, b"".join(place.to_bytes(_PLACE_BYTES, "big") for place in range(places)))
    os.close(end)
    return queue


def _taken(queue: int) -> Iterator[int]:
    while place := os.read(queue, _PLACE_BYTES):
        yield int.from_bytes(place, "big")


def _forked() -> int:
    with warnings.catch_warnings():
        # From Python 3.12 on it warns where threads run: the fork takes no lock that one of them could hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _answer_all(queue: int, end: int, do: Callable[[int], _Done]) -> None:
    """What the fork does. It leaves without a word, whatever happens: what it did not do is done there."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process is told, and ends this one
        done = [(place, do(place)) for place in _taken(queue)]
        with os.fdopen(end, "wb") as answers:
            pickle.dump(done, answers)
    finally:
        os._exit(0)


def _answered(answers: int) -> list[tuple[int, Any]]:
    try:
        with os.fdopen(os.dup(answers), "rb") as told:
            return pickle.load(told)  # type: ignore[no-any-return]  # noqa: S301 - of our own process
    except (EOFError, pickle.UnpicklingError):
        return []
