"""What judging costs: `runstone load` against a bare Locust file that sends the same and looks at nothing.

Both send as fast as the server answers, with the same users and processes, each to an embedded runtime of its
own, one after the other. So both are bound by the server, or by what the machine has left for them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
from rich.console import Console
from rich.table import Table

from runstone.errors import ExitCode
from runstone.load import planning
from runstone.target import recipes

SHARE_WANTED = 0.8
MEMORY_ALLOWED_MB = 150
USERS, PROCESSES, SECONDS = 50, 2, 30
_BEYOND = "2000/s"  # more than any server of one machine can do, so that nobody waits for the timetable
_LOOK_S = 0.25
_BARE = Path(__file__).with_name("bare_locustfile.py")


class Made(NamedTuple):
    """What one generator did, and took: of all its processes, and of the greatest one."""

    starts_per_s: float
    cpu_s: float
    rss_mb: float


class Watched:
    """A process and all that it started: how much they took until they were last seen."""

    def __init__(self) -> None:
        self.cpu_s: dict[int, float] = {}
        self.rss_mb: dict[int, float] = {}

    def look(self, whole: psutil.Process) -> None:
        """Once more."""
        for each in (whole, *whole.children(recursive=True)):
            try:
                times, rss = each.cpu_times(), each.memory_info().rss
            except psutil.Error:
                continue
            self.cpu_s[each.pid] = times.user + times.system
            self.rss_mb[each.pid] = max(self.rss_mb.get(each.pid, 0.0), rss / 1e6)


@contextmanager
def watched(pid: int) -> Iterator[Watched]:
    """What this process and its children take, for the time of the block."""
    seen, over, whole = Watched(), threading.Event(), psutil.Process(pid)

    def watch() -> None:
        while not over.wait(_LOOK_S):
            try:
                seen.look(whole)
            except psutil.Error:
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def run(command: Sequence[str], environment: Mapping[str, str], code: int, log: Path) -> Watched:
    """What it took."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env={**os.environ, **environment}, stdout=output, stderr=output
        )
        with watched(process.pid) as seen:
            process.wait()
    if process.returncode != code:
        sys.exit(f"{command[0]} failed with exit code {process.returncode}: {log.read_text('utf-8')}")
    return seen


def bare(url: str, folder: Path) -> Made:
    """By the bare Locust file."""
    words = ("--headless", "--only-summary", "--loglevel", "ERROR", "--host", url)
    load = (*("--users", str(USERS)), *("--spawn-rate", str(USERS)), *("--run-time", f"{SECONDS}s"))
    command = ("locust", "--locustfile", str(_BARE), "--processes", str(PROCESSES), *words, *load)
    counts = folder / "counts"
    told = {"BARE_MIX": json.dumps(planning.mix(planning.MIX)), "BARE_COUNTS": str(counts)}
    seen = run(command, told, ExitCode.CONFORMING, folder / "log")
    starts = sum(map(int, counts.read_text("utf-8").split()))
    return Made(starts / SECONDS, sum(seen.cpu_s.values()), max(seen.rss_mb.values()))


def judging(url: str, folder: Path) -> Made:
    """By `runstone load`, which says that it was bound by its users: they were never to wait."""
    load = ("--users", str(USERS), "--processes", str(PROCESSES), "--rate", _BEYOND, "--for", f"{SECONDS}s")
    command = ("runstone", "load", url, *load, "--out", str(folder))
    seen = run(command, {}, ExitCode.HARNESS_ERROR, folder / "log")
    made = json.loads((folder / "load.json").read_bytes())
    starts = sum(each["finished"] for each in made["windows"] if not each["draining"])
    return Made(starts / SECONDS, sum(seen.cpu_s.values()), max(seen.rss_mb.values()))


def main() -> int:
    """Print the measurements; 1 when one is over its budget."""
    table = Table("by", "starts/s", "share", "CPU a start", "of the time", "greatest process")
    made: dict[str, Made] = {}
    for name, measure in (("a bare Locust file", bare), ("runstone load", judging)):
        with recipes.running(recipes.load("embedded")) as server, tempfile.TemporaryDirectory() as folder:
            made[name] = seen = measure(server.url, Path(folder))
        share = seen.starts_per_s / made["a bare Locust file"].starts_per_s
        table.add_row(
            name,
            f"{seen.starts_per_s:.1f}",
            f"{share:.2f}",
            f"{1e3 * seen.cpu_s / (seen.starts_per_s * SECONDS):.1f} ms",
            f"{seen.cpu_s / SECONDS:.0%} of a core",
            f"{seen.rss_mb:.0f} MB",
        )
    Console(width=100).print(table)
    return int(share < SHARE_WANTED or seen.rss_mb > MEMORY_ALLOWED_MB)


if __name__ == "__main__":
    sys.exit(main())
