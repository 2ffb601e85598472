"""A server's processes: a group of their own, of which nothing is left when the server is stopped.

Nor when the harness is gone, however it went. POSIX only.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import httpx

from runstone.target.readiness import ANSWER_S, NotReady, await_answer, await_fit
from runstone.target.recipes import supervisor
from runstone.target.recipes.recipe import Ready, StartFailed, StopFailed

GRACE_S: Final = 5.0  # from SIGTERM to SIGKILL
_POLL_S: Final = 0.05


class Process:
    """One process group, from its start to its end. `log` is appended to; only what is new counts.

    A supervisor leads it, which ends the group when this process no longer holds the other end of a pipe:
    kill -9 leaves no time to do it from here.
    """

    def __init__(
        self, name: str, command: list[str], env: Mapping[str, str], workdir: Path, log: Path
    ) -> None:
        self.name = name
        self.log = log
        self._said_before = log.stat().st_size if log.exists() else 0
        supervised = [sys.executable, "-I", "-S", supervisor.__file__, str(os.getpid()), *command]
        try:
            with log.open("ab") as output:
                self._popen = subprocess.Popen(
                    supervised,
                    cwd=workdir,
                    env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise StartFailed(f"cannot start the server {name!r}: {error}") from None

    @property
    def pid(self) -> int:
        """Of the leader, which is the group's id too."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether any process of the group runs."""
        return _group_lives(self.pid)

    def await_ready(self, url: str, ready: Ready, says: str, given_up: Callable[[], bool]) -> None:
        """Wait until the server is ready. Raises StartFailed when it dies, is silent, or runs elsewhere."""
        # Not followed by a digit: port 2024 is not meant by a line about port 20245.
        announced = re.compile(re.escape(says) + r"(?!\d)")

        def unfit(status: int) -> str | None:
            if status != httpx.codes.OK:
                return str(status)
            return None if announced.search(self._said()) else f"{status}; its output does not say {says!r}"

        try:
            # No proxy on the way to loopback, and no TLS, for which all authorities would be read.
            with httpx.Client(trust_env=False, timeout=ANSWER_S, verify=False) as client:  # noqa: S501
                watch = self._watching(given_up)
                await_answer(client, url + ready.path, seconds=ready.timeout_s, unfit=unfit, watch=watch)
        except NotReady as seen:
            raise StartFailed(
                f"the server {self.name!r} was not ready after {ready.timeout_s:g} s "
                f"(GET {url}{ready.path}: {seen}){self.last_words()}"
            ) from None

    def await_said(self, words: str, seconds: float, given_up: Callable[[], bool]) -> None:
        """Wait until its output holds these words. Raises StartFailed as `await_ready` does."""

        def unfit() -> str | None:
            return None if words in self._said() else f"its output does not say {words!r}"

        try:
            await_fit(unfit, seconds=seconds, watch=self._watching(given_up))
        except NotReady as seen:
            raise StartFailed(
                f"the server {self.name!r} was not ready after {seconds:g} s ({seen}){self.last_words()}"
            ) from None

    def _watching(self, given_up: Callable[[], bool]) -> Callable[[], None]:
        """What ends the waiting early: nobody waits any more, or the process is dead."""

        def watch() -> None:
            if given_up():
                raise StartFailed(f"the start of the server {self.name!r} was given up")
            if self._popen.poll() is not None:
                code = self._popen.returncode
                raise StartFailed(f"the server {self.name!r} died with code {code}{self.last_words()}")

        return watch

    def _said(self) -> str:
        with self.log.open("rb") as output:
            output.seek(self._said_before)
            return output.read().decode("utf-8", "replace")

    def last_words(self, lines: int = 3) -> str:
        """The end of its output, on one line."""
        said = [line.strip() for line in self._said().splitlines() if line.strip()]
        plain = [re.sub(r"\x1b\[[0-9;]*m", "", line)[:200] for line in said[-lines:]]
        return f"; it last said: {' | '.join(plain)}" if plain else "; it said nothing"

    def stop(self) -> None:
        """SIGTERM to the group, SIGKILL after the grace, or at once when Ctrl-C comes a second time.

        Raises StopFailed when a process outlives SIGKILL.
        """
        try:
            _signal(self.pid, signal.SIGTERM)
            self._await_end()
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to the group. Raises StopFailed when a process outlives it."""
        _signal(self.pid, signal.SIGKILL)
        self._await_end()
        if self._popen.stdin is not None:
            self._popen.stdin.close()
        if self.alive:
            raise StopFailed(
                f"a process of group {self.pid} outlived SIGKILL; look at it with: ps -g {self.pid}"
            )

    def _await_end(self) -> None:
        deadline = time.monotonic() + GRACE_S
        while self._popen.poll() is None or self.alive:
            if time.monotonic() > deadline:
                return
            time.sleep(_POLL_S)


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return  # gone; macOS says "not permitted" of a group in which only zombies are left


def _group_lives(group: int) -> bool:
    """Whether any process of the group runs."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return not Path("/proc").is_dir() or any(supervisor.running(group))
