"""Faults of the stream of a thread: when it ends, and what it does not tell."""

from __future__ import annotations

from typing import Any

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference.feeds import Feeds


@fault("TSTREAM-001", "TSTREAM-002")
def thread_stream_ends_with_a_run(seams: Seams) -> None:
    """The stream of a thread ends when the first of its runs has ended."""

    @seams.around(Feeds, "run_ended")
    def run_ended(original: Any, own: Feeds, thread_id: str, run_id: str) -> None:
        original(own, thread_id, run_id)
        own.close(thread_id)


@fault("TSTREAM-002")
def ends_of_runs_are_not_told(seams: Seams) -> None:
    """The stream of a thread tells of the beginnings of runs alone."""

    @seams.around(Feeds, "run_ended")
    def run_ended(original: Any, own: Feeds, thread_id: str, run_id: str) -> None:
        """Nothing is told."""


@fault("TSTREAM-003")
def update_of_a_state_is_told_without_it(seams: Seams) -> None:
    """The stream of a thread tells that its state was updated, and not what was written."""

    @seams.around(Feeds, "state_updated")
    def state_updated(original: Any, own: Feeds, thread_id: str, update: dict[str, Any]) -> None:
        original(own, thread_id, {"as_node": update["as_node"]})


@fault("TSTREAM-004")
def thread_stream_skips_an_event(seams: Seams) -> None:
    """A client that comes back to the stream of a thread misses the first event after the one it names."""

    @seams.around(Feeds, "kept_after")
    def kept_after(original: Any, own: Feeds, thread_id: str, number: int) -> Any:
        return original(own, thread_id, number)[1 if number >= 0 else 0 :]
