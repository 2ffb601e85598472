"""Many checks at once, each in a forked process group, each with an end."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Final, NoReturn

from runstone.proof.prove.checks import Check
from runstone.proof.prove.processes import FORK
from runstone.verdict.model import Report

# Beyond its own budget: the server's start and stop, the judging, and what a second server takes.
BEYOND_BUDGET_S: Final = 45.0
_GRACE_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Done:
    """How a check ended. `report` is None when it was ended from outside or died; `trouble` says so."""

    check: Check
    report: Report | None
    trouble: str
    seconds: float


@dataclass(slots=True)
class _Running:
    check: Check
    process: BaseProcess
    began: float
    ended_by_us: bool = False

    @property
    def overdue_s(self) -> float:
        return time.monotonic() - self.began - self.check.budget_s - BEYOND_BUDGET_S


def run_all(checks: Iterable[Check], slots: int, tell: Callable[[Done, int], None]) -> list[Done]:
    """Run the checks in their order, as many at once as their weights leave slots for.

    While the next one does not fit, those that weigh next to nothing go before it.
    `tell` hears of each that ended, and how many are left. To be called while this process has one thread.
    """
    waiting, running, ended = list(checks), list[_Running](), list[Done]()
    with _asked_to_stop() as asked:
        try:
            while waiting or running:
                if asked:
                    raise KeyboardInterrupt
                while (fitting := _fitting(waiting, running, slots)) is not None:
                    waiting.remove(fitting)
                    running.append(_begun(fitting))
                wait([each.process.sentinel for each in running], timeout=1.0)
                for each in [each for each in running if not each.process.is_alive()]:
                    running.remove(each)
                    ended.append(_done(each))
                    tell(ended[-1], len(waiting) + len(running))
                for each in running:
                    _hurry(each)
        finally:
            for each in running:
                _signal(each.process, signal.SIGTERM)
            for each in running:
                each.process.join(_GRACE_S)
                _signal(each.process, signal.SIGKILL)
    return ended


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """The signals that came: Ctrl-C and SIGTERM are noted, and acted upon between two steps.

    An exception that a handler raises while a process is being forked would be lost in Python's own hooks.
    """
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _: came.append(number)) for number in numbers]
    try:
        yield came
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _fitting(waiting: list[Check], running: list[_Running], slots: int) -> Check | None:
    left = slots - sum(each.check.weight for each in running)
    may_go = (check for check in waiting if check is waiting[0] or check.weight < 1)
    return next((check for check in may_go if not running or check.weight <= left), None)


def _begun(check: Check) -> _Running:
    if check.out.exists():
        shutil.rmtree(check.out)
    process = FORK.Process(target=_lead, args=(check,), name=check.name)
    process.start()
    return _Running(check, process, time.monotonic())


def _lead(check: Check) -> None:
    """A process group of its own, so that nothing of a check is left when the group is ended."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's, which ends the groups
    signal.signal(signal.SIGTERM, _leave)  # on the way out, scenarios end the servers that they started
    check.run()


def _leave(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _hurry(running: _Running) -> None:
    if running.overdue_s > 0:
        running.ended_by_us = True
        _signal(running.process, signal.SIGTERM)
    if running.overdue_s > _GRACE_S:
        _signal(running.process, signal.SIGKILL)


def _done(running: _Running) -> Done:
    process, check = running.process, running.check
    process.join()
    _signal(process, signal.SIGKILL)  # whoever is left of the group
    report = None if running.ended_by_us else check.report()
    trouble = ""
    if running.ended_by_us:
        trouble = f"the check did not end within {check.budget_s + BEYOND_BUDGET_S:.0f} s"
    elif report is None:
        trouble = f"the check ended with code {process.exitcode}: {check.last_words() or 'it said nothing'}"
    return Done(check, report, trouble, time.monotonic() - running.began)


def _signal(process: BaseProcess, number: signal.Signals) -> None:
    if process.pid is None:
        return
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # gone
