"""The errors that reach a user: one line each, and the exit code of the command that they end."""

from __future__ import annotations

from typing import ClassVar


class RunstoneError(Exception):
    """Something ended the command; the message is one line: what was wrong, where, how to mend it."""

    exit_code: ClassVar[int] = 4  # Runstone itself is broken, unless a subclass says otherwise


class UsageError(RunstoneError):
    """The user asked for something that does not exist or makes no sense."""

    exit_code: ClassVar[int] = 2


class TargetError(RunstoneError):
    """The target cannot be reached, cannot be started, or serves no fit conformance graphs."""

    exit_code: ClassVar[int] = 3
