"""The command line in a process of its own, but forked from one that has imported everything.

A process that begins with nothing spends 1 to 2 s of CPU on importing pytest, langgraph and the suites, and
the tests start some hundred of them. The fork server has one thread, as whoever forks should; the process of
the tests has more, where pytest-xdist runs it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import chdir
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from runstone.locations import CHECKOUT

_WARM: Final = "tests.warm"


def runstone(*words: str, timeout: float = 150) -> subprocess.CompletedProcess[str]:
    """The command line with these words, in the folder and the environment of the test."""
    return in_own_process(_command, *words, timeout=timeout)


def in_own_process(
    work: Callable[..., object], *words: str, timeout: float = 150
) -> subprocess.CompletedProcess[str]:
    """`work(*words)` in a forked process; what it printed, and how it ended. Raises TimeoutExpired.

    `work` is a function of a module, as the process imports it by its name.
    """
    with tempfile.TemporaryDirectory(prefix="runstone-tests-") as folder:
        said, complained = Path(folder, "stdout"), Path(folder, "stderr")
        process = _fork_server().Process(
            target=_begin, args=(work, words, dict(os.environ), str(Path.cwd()), said, complained)
        )
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, timeout, said.read_bytes(), complained.read_bytes())
        assert process.exitcode is not None
        return subprocess.CompletedProcess(
            words, process.exitcode, said.read_text("utf-8"), complained.read_text("utf-8")
        )


def one_line_of_error(done: subprocess.CompletedProcess[str]) -> str:
    """What was said on standard error: one line, no traceback."""
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) <= 1, done.stderr
    return lines[0] if lines else ""


def judged(report: Path) -> list[tuple[str, str]]:
    """(id, verdict) of everything in a report.json."""
    found: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return [(each["id"], each["verdict"]) for each in found["verdicts"]]


@cache
def _fork_server() -> ForkServerContext:
    """The fork server of this process; it ends with it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_WARM])
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RUNSTONE")}
    # It finds `tests` in its folder, and what a test says of servers is not for the processes of the others.
    with chdir(CHECKOUT), patch.dict(os.environ, plain, clear=True):
        forkserver.ensure_running()
    return context


def _begin(
    work: Callable[..., object],
    words: tuple[str, ...],
    environment: dict[str, str],
    folder: str,
    said: Path,
    complained: Path,
) -> None:
    """What the forked process does first: nothing of its beginnings shows."""
    for number, path in ((1, said), (2, complained)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    work(*words)


def _command(*words: str) -> None:
    from runstone.cli import main

    sys.argv = ["runstone", *words]
    main()
