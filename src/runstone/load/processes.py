"""The processes that make a load: Locust as a master and its workers, and the pipe by which they tell.

Nothing of Locust is imported here: gevent changes the process that it runs in.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from runstone.errors import RunstoneError, TargetError, UsageError
from runstone.load.messages import GIVEN, PIPE, Message, Orders

PORT: Final = 5557  # Locust's own
_LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
_EXTRA: Final = {"locust": "locust", "hdrh": "hdrhistogram"}
_GRACE_S: Final = 5.0
_DECODER: Final = msgspec.json.Decoder(Message)


class ExtraMissing(UsageError):  # noqa: N818 - named as what it reports
    """Packages that only loads need are not installed."""


class GeneratorFailed(RunstoneError):  # noqa: N818 - named as what it reports
    """What makes the load ended, and not because it was done."""


class MasterUnreachable(TargetError):  # noqa: N818 - named as what it reports
    """Nobody listens where the master should be."""


def insist_on_packages() -> None:
    """Raises ExtraMissing."""
    for module, package in _EXTRA.items():
        if find_spec(module) is None:
            raise ExtraMissing(
                f"loads are made by {package}, which is not installed; "
                "install it with: pip install 'runstone[load]'"
            )


class Processes:
    """The processes that were started, and what they told."""

    def __init__(self, log: Path) -> None:
        self.told: queue.Queue[Message] = queue.Queue()
        self._log = log
        self._started: list[subprocess.Popen[bytes]] = []
        self._reading, self._writing = os.pipe()
        self._sealed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start_master(self, orders: Orders, host: str, port: int) -> None:
        """The one that workers meet; it waits for as many as the plan has, then lets them begin."""
        plan = orders.plan
        self._start(
            *("--master", "--headless", "--only-summary"),
            *("--users", str(plan.users), "--spawn-rate", str(plan.users)),
            *("--expect-workers", str(plan.workers)),
            *("--master-bind-host", host, "--master-bind-port", str(port)),
            environment={GIVEN: msgspec.json.encode(orders).decode()},
        )

    def start_worker(self, host: str, port: int) -> None:
        """One that works for the master there."""
        self._start("--worker", "--master-host", host, "--master-port", str(port))

    def _start(self, *options: str, environment: dict[str, str] | None = None) -> None:
        # Locust reads its own variables and files, which are for other loads than this one.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("LOCUST_")}
        own = {PIPE: str(self._writing), "PYTHONUNBUFFERED": "1", **(environment or {})}
        log = ["--logfile", str(self._log.resolve()), "--loglevel", "ERROR"]
        with self._log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), *log, *options],
                env=inherited | own,
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[self._writing],
                start_new_session=True,  # Ctrl-C is for this process, which tells them what to do
            )
        self._started.append(process)

    def sealed(self) -> None:
        """All are started: when the last one ends, so does the pipe."""
        if not self._sealed:
            self._sealed = True
            os.close(self._writing)

    def drain(self) -> None:
        """Let the master tell all workers to start nothing more."""
        with suppress(ProcessLookupError):
            self._started[0].send_signal(signal.SIGUSR1)

    @property
    def alive(self) -> bool:
        """Whether the first of them still runs: the master, where there is one."""
        return self._started[0].poll() is None

    @property
    def any_alive(self) -> bool:
        """Whether any of them still runs."""
        return any(each.poll() is None for each in self._started)

    def last_words(self) -> str:
        """The last line of their log, or nothing."""
        lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        return f": {lines[-1].strip()}" if lines else ""

    def wait(self, seconds: float) -> None:
        """Let them end by themselves for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(each.poll() is None for each in self._started):
            time.sleep(0.05)

    def end(self) -> None:
        """End all of them, and whatever they started."""
        self.sealed()
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        self.wait(_GRACE_S)
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _read(self) -> None:
        with os.fdopen(self._reading, "rb") as lines:
            for line in lines:
                self.told.put(_DECODER.decode(line))


@contextmanager
def processes(log: Path) -> Iterator[Processes]:
    """None of them is left when the block is."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    started = Processes(log)
    try:
        yield started
    finally:
        started.end()


def insist_on_port(host: str, port: int) -> None:
    """Raises UsageError where the master cannot listen there."""
    try:
        with socket.create_server(("" if host == "*" else host, port)):
            return
    except OSError as error:
        raise UsageError(
            f"no master can listen on port {port} ({error.strerror}); give another --port"
        ) from None


def await_master(host: str, port: int, seconds: float) -> None:
    """Return when somebody listens there. Raises MasterUnreachable."""
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=2.0).close()
        except OSError as error:
            why = error.strerror or str(error)
        else:
            return
        if time.monotonic() > until:
            raise MasterUnreachable(
                f"no master listens on {host}:{port} ({why}); start `runstone load --expect-workers N` there"
            )
        time.sleep(0.5)
