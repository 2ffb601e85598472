"""Faults that show now and then only, as races and caches do: no later look may excuse what was seen once."""

from __future__ import annotations

from itertools import count
from typing import Any
from uuid import uuid4

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import runs, threads
from runstone.reference.runs import Run
from runstone.reference.scheduler import Scheduler
from runstone.reference.threads import Thread
from runstone.reference.wire import now


@fault("MON-002", shown_in=("run-stream",))
def every_fifth_stream_names_another_run(seams: Seams) -> None:
    """The `metadata` event of every fifth stream carries an id of its own as the run's."""
    streams = count(1)

    @seams.around(Scheduler, "_publish")
    def publish(original: Any, own: Scheduler, job: Any, name: str, payload: Any) -> None:
        told = payload
        if name == "metadata" and next(streams) % 5 == 0:
            told = payload | {"run_id": str(uuid4())}
        original(own, job, name, told)


@fault("MON-007", shown_in=("run-status",))
def every_tenth_reading_of_a_run_is_its_creation(seams: Seams) -> None:
    """Every tenth run that is shown was created just now."""
    readings = count(1)

    @seams.around(runs, "_run")
    def run(original: Any, row: Any) -> Run:
        shown: Run = original(row)
        if next(readings) % 10 == 0:
            shown.created_at = now()
        return shown


@fault("MON-007", shown_in=("thr-status",))
def every_twentieth_reading_of_a_thread_is_its_creation(seams: Seams) -> None:
    """Every twentieth thread that is shown was created just now."""
    readings = count(1)

    @seams.around(threads, "_thread")
    def thread(original: Any, row: Any) -> Thread:
        shown: Thread = original(row)
        if next(readings) % 20 == 0:
            shown.created_at = now()
        return shown
