"""Processes that are forked from a warm one: they find everything imported, and begin at once.

A check by the command line spends two seconds of CPU on importing pytest, the suites and langgraph. Forked
from a process that has done so, it spends none. The process that forks must have one thread only. POSIX only.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import runpy
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from runstone.locations import locate
from runstone.target.recipes import Recipe, StartFailed

FORK: Final = multiprocessing.get_context("fork")
_URL: Final = re.compile(r"\bon (http://[\d.]+:\d+)\s")
_READY_S: Final = 30.0  # a server that is forked is up within 0.3 s where nothing else wants the CPU
_GRACE_S: Final = 5.0
_POLL_S: Final = 0.02


class ServerDied(StartFailed):
    """A forked server ended before it said where it listens, or said nothing in time."""


@contextmanager
def reference_server(recipe: Recipe) -> Iterator[str]:
    """The reference runtime as this recipe of it says, in a forked process with a database of its own.

    Yields its URL. What the environment says of faults and variants holds. Raises ServerDied.
    """
    with tempfile.TemporaryDirectory(prefix="runstone-prove-") as folder:
        fixtures = locate("fixtures")
        places = {"workdir": folder, "fixtures": fixtures, "graphs": fixtures / "graphs"}
        words = [word.format(python="", port=0, **places) for word in recipe.command]
        with forked(lambda: _run(words[words.index("-m") + 1 :]), Path(folder) / "server.log") as url:
            yield url


def _run(words: list[str]) -> None:
    """A module as `python -m` runs it, in this process, which has imported most of it."""
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__")


@contextmanager
def forked(serve: Callable[[], object], log: Path) -> Iterator[str]:
    """A server in a forked process: `serve` prints `on URL` once it listens, and ends with SIGTERM.

    Yields the URL. Raises ServerDied.
    """
    log.touch()
    process = FORK.Process(target=_logged, args=(serve, log))
    process.start()
    try:
        yield _await_url(process, log)
    finally:
        end(process)


def end(process: BaseProcess) -> None:
    """SIGTERM, and SIGKILL after the grace."""
    if process.is_alive():
        process.terminate()
        process.join(_GRACE_S)
    if process.is_alive():
        process.kill()
    process.join()


def _logged(serve: Callable[[], object], log: Path) -> None:
    """What a forked server does first: it takes nothing over of the judging that goes on in its parent."""
    write_to(log)
    warnings.resetwarnings()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serve()


def _end_with_parent() -> None:
    """SIGKILL to this process when the one that forked it is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)


def write_to(log: Path) -> None:
    """Let standard output and error of this process go to a file, at its end."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115 - a descriptor
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115


def _await_url(process: BaseProcess, log: Path) -> str:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        said = log.read_text("utf-8", "replace")
        found = _URL.search(said)
        if found is not None:
            return found[1]
        if not process.is_alive():
            break
        time.sleep(_POLL_S)
    last = " | ".join(line.strip() for line in log.read_text("utf-8", "replace").splitlines()[-3:])
    raise ServerDied(f"the server did not start; it last said: {last[:300] or 'nothing'}")
