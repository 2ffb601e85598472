"""The errors that reach a user: one line each, and the exit codes that commands end with."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What a command ends with."""

    CONFORMING = 0
    NOT_CONFORMING = 1
    USAGE = 2
    UNREACHABLE = 3  # or it serves no fit conformance graphs
    HARNESS_ERROR = 4
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class RunstoneError(Exception):
    """Something ended the command; the message is one line: what was wrong, where, how to fix it."""

    exit_code: ClassVar[ExitCode] = ExitCode.HARNESS_ERROR  # unless a subclass says otherwise


class UsageError(RunstoneError):
    """The user asked for something that does not exist or makes no sense."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


class TargetError(RunstoneError):
    """The target cannot be reached, cannot be started, or serves no fit conformance graphs."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNREACHABLE


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean …?` with the nearest known name, or nothing when none is near."""
    names = {name.casefold(): name for name in known}
    near = get_close_matches(wrong.casefold(), names, 1, 0.5)
    return f"; did you mean {names[near[0]]}?" if near else ""
