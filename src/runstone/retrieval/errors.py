"""Why a status or a result could not be had: one type per diagnosis, one line per message."""

# ruff: noqa: N818 - a diagnosis is a type, named for what it says

from __future__ import annotations

from runstone.errors import ExitCode, RunstoneError


class RetrievalError(RunstoneError):
    """A run's status or result could not be had."""

    exit_code = ExitCode.NOT_CONFORMING  # the result was not got


class RunNotFound(RetrievalError):
    """The server knows no such run, or calls the ids malformed, or the run vanished while it was watched."""


class DeadlinePassed(RetrievalError):
    """The run had not ended when the poller's deadline passed; `status` is the last one read."""

    def __init__(self, message: str, status: str) -> None:
        super().__init__(message)
        self.status = status


class StatusUnavailable(RetrievalError):
    """The status could not be read: refused, a server error, no JSON, no status that the API defines."""

    exit_code = ExitCode.UNREACHABLE


class Unreachable(StatusUnavailable):
    """The server did not answer at all."""


class StrategyFailed(RetrievalError):
    """One path to the result did not lead there. Base of the types below, which `Attempt.error` holds."""


class NoAnswer(StrategyFailed):
    """The connection could not be made, or broke before or within the response."""


class TooSlow(StrategyFailed):
    """The response had not ended at its wall-clock deadline, heartbeats or not."""


class TooLarge(StrategyFailed):
    """The response went past the byte cap."""


class Refused(StrategyFailed):
    """The server answered with an HTTP status that is not a success; `code` is that status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class MalformedAnswer(StrategyFailed):
    """The body is not UTF-8, not JSON, or not the object that the API promises there."""


class BrokenStream(StrategyFailed):
    """The event stream is garbled, or nothing shows that it arrived to its end."""


class AnotherRun(StrategyFailed):
    """What the server answered cannot be told to be this run's: another run or a person wrote it."""


class ContradictsStatus(StrategyFailed):
    """The run ended well by its status, and in an error by this answer."""


class NoValues(StrategyFailed):
    """The answer is sound and holds no result."""


class FailureNotTold(StrategyFailed):
    """The run failed, and the answer shows values as though it had not."""


class EmptyResultOfFailedRun(FailureNotTold):
    """The run failed, and the answer is empty: no values and no error."""
