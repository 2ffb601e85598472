"""Commands in processes of their own, as a user runs them, but forked from one that has imported everything.

A process that begins with nothing spends 1 to 2 s of CPU on importing pytest, langgraph and the suites, and
the tests start some hundred of them. The fork server has one thread, as whoever forks should; the process of
the tests has more, where pytest-xdist runs it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import msgspec
import pytest

from runstone.locations import CHECKOUT
from runstone.target import recipes
from runstone.target.recipes import Recipe

_WARM: Final = "tests.warm"
_POLL_S: Final = 0.01


class Started:
    """A process that runs; what it printed is read from its files. It is used like a `Popen`."""

    def __init__(self, process: BaseProcess, folder: Path) -> None:
        self._process = process
        self._said, self._complained = folder / "stdout", folder / "stderr"

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def wait(self, timeout: float) -> int:
        """The exit code, once it has ended. Raises TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, and wait until it has."""
        self.send_signal(signal.SIGKILL)
        self._process.join()

    def first_line(self, timeout: float = 60) -> str:
        """The first line that it prints; what there is of it, where it ended before."""
        deadline = time.monotonic() + timeout
        while "\n" not in (said := self.said) and self._process.is_alive():
            assert time.monotonic() < deadline, f"nothing was said within {timeout:g} s"
            time.sleep(_POLL_S)
        return said.partition("\n")[0]

    @property
    def said(self) -> str:
        return self._said.read_text("utf-8") if self._said.exists() else ""

    @property
    def complained(self) -> str:
        return self._complained.read_text("utf-8") if self._complained.exists() else ""


@contextmanager
def started(
    work: Callable[..., object],
    *given: object,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Started]:
    """`work(*given)` in a forked process, which ends with the block; by default where the test is.

    `work` is a function of a module, as the process imports it by its name; what is given can be pickled.
    """
    with tempfile.TemporaryDirectory(prefix="runstone-tests-") as folder:
        surroundings = dict(os.environ if env is None else env), str(cwd or Path.cwd())
        process = _fork_server().Process(target=_begin, args=(work, given, *surroundings, folder))
        process.start()
        running = Started(process, Path(folder))
        try:
            yield running
        finally:
            running.kill()


def in_own_process(
    work: Callable[..., object],
    *given: object,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 150,
) -> subprocess.CompletedProcess[str]:
    """`work(*given)` to its end: what it printed, and how it ended. Raises TimeoutExpired."""
    with started(work, *given, cwd=cwd, env=env) as running:
        code = running.wait(timeout)
        return subprocess.CompletedProcess(work.__name__, code, running.said, running.complained)


def runstone(*words: str, timeout: float = 150) -> subprocess.CompletedProcess[str]:
    """The command line with these words."""
    return in_own_process(command, *words, timeout=timeout)


def command(*words: str) -> None:
    """What `runstone` with these words does."""
    from runstone.cli import main

    sys.argv = ["runstone", *words]
    main()


def plain_pytest(*words: str) -> None:
    """What `python -m pytest` with these words does."""
    raise SystemExit(pytest.main([*words]))


def one_line_of_error(done: subprocess.CompletedProcess[str]) -> str:
    """What was said on standard error: one line, no traceback; before it, only signs of life."""
    assert "Traceback" not in done.stderr + done.stdout
    *before, last = done.stderr.strip().splitlines() or [""]
    assert all(re.search(r": .*after \d+ (s|min)", each) for each in before), done.stderr
    return last


def judged(report: Path) -> list[tuple[str, str]]:
    """(id, verdict) of everything in a report.json."""
    found: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return [(each["id"], each["verdict"]) for each in found["verdicts"]]


@cache
def _fork_server() -> ForkServerContext:
    """The fork server of this process; it ends with it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_WARM])
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("RUNSTONE", "PYTEST"))}
    # It finds `tests` in its folder, and what a test says of servers is not for the processes of the others.
    with chdir(CHECKOUT), patch.dict(os.environ, plain, clear=True):
        forkserver.ensure_running()
    return context


def _begin(
    work: Callable[..., object],
    given: tuple[object, ...],
    environment: dict[str, str],
    place: str,
    output: str,
) -> None:
    """What the forked process does first: nothing of its beginnings shows."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(output, name), os.O_WRONLY | os.O_CREAT, 0o644), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place)
    work(*given)


def embedded_with(graphs: Path) -> Recipe:
    """The recipe of the reference runtime, with the graphs of this langgraph.json and no others."""
    recipe = recipes.load("embedded")
    own = recipe.command[: recipe.command.index("--graphs")]
    return msgspec.structs.replace(recipe, command=[*own, "--graphs", str(graphs)])
