"""How a run ended, and what wait and join answer for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langgraph.types import StateSnapshot

from runstone.reference.checkpoints import empty_state, thread_state
from runstone.reference.runs import RunStatus
from runstone.reference.settings import Profile
from runstone.reference.wire import encode, to_json


@dataclass(frozen=True)
class Outcome:
    """A terminal status; for any but success the error `{error: CLASS, message: TEXT}` that clients see."""

    status: RunStatus
    error: dict[str, str] | None = None

    @property
    def rests(self) -> str | None:
        """The status that the thread takes whatever its state is: an error outlasts what is left to do."""
        return "error" if self.status in ("error", "timeout") else None


SUCCESS = Outcome("success")
CANCELLED = Outcome("interrupted", {"error": "UserInterrupt", "message": "the run was cancelled"})
ROLLED_BACK = Outcome(
    "interrupted", {"error": "UserRollback", "message": "the run was cancelled and rolled back"}
)


def failed(error: BaseException) -> Outcome:
    """The outcome of a run whose graph raised: class name and text of the first exception, never a trace."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    name = type(error).__name__
    return Outcome("error", {"error": name, "message": _sayable(str(error)) or name})


def timed_out(limit: float) -> Outcome:
    """The outcome of a run that took longer than its limit in seconds."""
    return Outcome(
        "timeout", {"error": "TimeoutError", "message": f"the run took longer than its limit of {limit:g} s"}
    )


def resting_status(outcome: Outcome, state: StateSnapshot | None) -> str:
    """What the thread is when the run is over: interrupted while something is left to do."""
    return outcome.rests or ("interrupted" if state is not None and state.next else "idle")


def output(outcome: Outcome, state: StateSnapshot | None, profile: Profile) -> bytes:
    """The body of wait: values (and `__interrupt__`), or `{"__error__": …}`; in `wait-state` a whole state.

    Raises TypeError or ValueError when the values cannot be carried as JSON.
    """
    error = {"__error__": outcome.error} if outcome.error else {}
    if profile == "wait-state":
        if state is not None and not error:
            to_json(state.values)
        return encode((thread_state(state) if state else empty_state()) | error)
    if error or state is None:
        return encode(error)
    return to_json(_with_interrupts(state))


def _with_interrupts(state: StateSnapshot) -> Any:
    if not state.interrupts:
        return state.values
    values = state.values if isinstance(state.values, dict) else {}
    return {**values, "__interrupt__": list(state.interrupts)}


def _sayable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
