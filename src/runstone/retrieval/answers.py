"""What an answer says about a run, whichever path it came by; and whether it may stand as the run's result.

Each path's answer becomes a `Finding`; `accept` holds it against the run's status. The rule that matters: a
run that failed has no values, and an answer that shows some, or nothing, has not told of the failure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from runstone.retrieval.errors import (
    ContradictsStatus,
    EmptyResultOfFailedRun,
    FailureNotTold,
    MalformedAnswer,
    NoValues,
)
from runstone.retrieval.poller import Status

FAILED: frozenset[Status] = frozenset({"error", "timeout"})

_RAISED = re.compile(r"(?P<error>[A-Za-z_][\w.]*)\((?P<arguments>.*)\)", re.DOTALL)
_TEXT_LITERAL = re.compile(r"""(?P<quote>['"])(?:\\.|(?!(?P=quote)|\\).)*(?P=quote)""", re.DOTALL)
_HANDMADE = frozenset({"update", "fork"})  # checkpoint sources that are not a step of a run


class Nothing:
    """The type of `NOTHING`: an answer without values, told apart from the values null."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = Nothing()


@dataclass(frozen=True)
class Failure:
    """Why a run failed: the error's class name ('' where it is not told) and its text."""

    error: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one answer says."""

    values: Any = NOTHING
    failure: Failure | None = None
    interrupts: tuple[Any, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there are no values, or such as a server that kept nothing also answers."""
        return self.values is NOTHING or self.values in (None, {}, [], "")


def accept(status: Status, finding: Finding, source: str) -> Finding:
    """The finding, if it can be the result of a run with this status; a failed run's values are left out.

    `source` begins the messages. Raises EmptyResultOfFailedRun, FailureNotTold, ContradictsStatus, NoValues.
    """
    if status in FAILED:
        if finding.failure is None and finding.empty:
            raise EmptyResultOfFailedRun(f"{source} is empty, though the run ended with {status}")
        if finding.failure is None:
            raise FailureNotTold(f"{source} shows values and no error, though the run ended with {status}")
        return replace(finding, values=NOTHING)
    if status == "success":
        if finding.failure is not None:
            raise ContradictsStatus(
                f"{source} tells an error, {finding.failure.error}, though the run succeeded"
            )
        if finding.values is NOTHING and not finding.interrupts:
            raise NoValues(f"{source} holds no values")
    elif finding.empty and finding.failure is None and not finding.interrupts:
        raise NoValues(f"{source} holds neither values nor an interrupt of the interrupted run")
    return finding


def from_values(values: Any) -> Finding:
    """Values as streams and bare bodies carry them: with `__interrupt__` and `__error__` among the keys."""
    if not isinstance(values, dict):
        return Finding(values=values)
    plain = {key: value for key, value in values.items() if key not in {"__interrupt__", "__error__"}}
    return Finding(
        values=NOTHING if values and not plain else plain,
        failure=failure_from(values.get("__error__")),
        interrupts=tuple(_array(values.get("__interrupt__"))),
    )


def failure_from(told: Any) -> Failure | None:
    """An error as servers tell it: `{error, message}`, `{name, message}`, or text such as `KeyError('x')`."""
    if isinstance(told, str) and told.strip():
        raised = _RAISED.fullmatch(told.strip())
        return Failure(raised["error"], _unquoted(raised["arguments"])) if raised else Failure("", told)
    if isinstance(told, dict):
        error = _first_text(told, "error", "name", "type")
        message = _first_text(told, "message", "detail")
        return Failure(error, message) if error or message else None
    return None


def _unquoted(arguments: str) -> str:
    if not _TEXT_LITERAL.fullmatch(arguments):
        return arguments
    try:
        return str(ast.literal_eval(arguments))
    except (ValueError, SyntaxError):  # an escape that this Python does not know
        return arguments[1:-1]


def _array(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _first_text(told: Mapping[str, Any], *keys: str) -> str:
    return next((told[key] for key in keys if isinstance(told.get(key), str) and told[key]), "")


@dataclass(frozen=True)
class ThreadState:
    """A ThreadState body. `run_id` is the run that wrote the checkpoint, where its metadata tells."""

    body: Mapping[str, Any]

    @classmethod
    def of(cls, body: Any, source: str) -> ThreadState:
        """Raises MalformedAnswer for a body that is not a thread state."""
        if not cls.fits(body):
            raise MalformedAnswer(
                f"{source} is not a thread state: it lacks values, next, checkpoint or metadata"
            )
        return cls(body)

    @staticmethod
    def fits(body: Any) -> bool:
        """Whether this is a thread state by its members, and not a graph's own values."""
        return isinstance(body, dict) and {"values", "next", "checkpoint", "metadata"} <= body.keys()

    def _member(self, name: str, key: str) -> str | None:
        part = self.body[name]
        value = part.get(key) if isinstance(part, dict) else None
        return value if isinstance(value, str) else None

    @property
    def run_id(self) -> str | None:
        """The run that wrote the checkpoint; None where the metadata does not say."""
        return self._member("metadata", "run_id")

    @property
    def graph_id(self) -> str | None:
        """The graph whose run wrote the checkpoint, where the metadata says."""
        return self._member("metadata", "graph_id")

    @property
    def thread_id(self) -> str | None:
        """The thread of the checkpoint, where it says."""
        return self._member("checkpoint", "thread_id")

    @property
    def handmade(self) -> bool:
        """Whether the state was written by an update or a fork, which may carry the last run's id on."""
        return self._member("metadata", "source") in _HANDMADE

    def written_by(self, run_id: str) -> bool:
        """Whether a step of this run wrote the checkpoint."""
        return self.run_id is not None and self.run_id.lower() == run_id.lower() and not self.handmade

    @property
    def _tasks(self) -> list[dict[str, Any]]:
        return [task for task in _array(self.body.get("tasks")) if isinstance(task, dict)]

    @property
    def finding(self) -> Finding:
        """Its values, the first task's error (or `__error__` beside the values) and all open interrupts."""
        interrupts = _array(self.body.get("interrupts"))
        if not interrupts:
            interrupts = [each for task in self._tasks for each in _array(task.get("interrupts"))]
        told = [self.body.get("__error__"), *(task.get("error") for task in self._tasks)]
        failures = [failure for failure in map(failure_from, told) if failure is not None]
        values = from_values(self.body["values"])
        return Finding(
            values=values.values,
            failure=values.failure or next(iter(failures), None),
            interrupts=tuple(interrupts) or values.interrupts,
        )
