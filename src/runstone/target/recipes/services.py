"""The databases that a known server needs beside itself: its own, gone when it is gone.

They are found on this machine and never installed. Each listens on loopback only, on a free port, asks for a
password (whoever else is on this machine must not get in) and writes to a private folder. What it holds
outlives a restart of the server, but is not safe from a loss of power: nobody reads it later.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstone.target.recipes.ports import HOST, free_port
from runstone.target.recipes.process import Process
from runstone.target.recipes.recipe import InstallFailed, Lack, ServiceName, StartFailed

_READY_S: Final = 60.0  # PostgreSQL takes 0.3 s on an idle machine
_PREPARE_S: Final = 120.0  # initdb takes 1 s on an idle machine
# Where packages put what they do not put on PATH.
_FOLDERS: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
_UNPRIVILEGED: Final = "nobody"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one service runs: its own folder, its port, and the password that it asks for."""

    folder: Path
    port: int
    password: str


@dataclass(frozen=True, slots=True)
class Service:
    """A kind of service.

    `program`: the one by which it is found. `says`: what it prints once it takes connections. `get`: how to
    install it. `command`: fills the folder and answers what is to be run.
    """

    title: str
    program: str
    says: str
    get: str
    command: Callable[[Path, Place], list[str]]


def lacking(name: ServiceName) -> Lack | None:
    """What of a service this machine lacks; None where it has all."""
    service = _SERVICES[name]
    if found(service.program) is None:
        places = "on PATH" if name == "redis" else f"on PATH or in {' or '.join(_FOLDERS[:2])}"
        return Lack(f"it needs {service.title}, and there is no {service.program} {places}", service.get)
    if name == "postgresql" and os.geteuid() == 0 and shutil.which("setpriv") is None:
        told = f"it needs {service.title}, which does not run as root, and there is no setpriv on PATH"
        return Lack(told, "run Runstone as another user, or install util-linux")
    return None


class Services:
    """The services of one server. `start` may be called again: what runs is kept."""

    def __init__(self, server: str, wanted: Sequence[ServiceName]) -> None:
        self._server = server
        self._wanted = wanted
        self._running: dict[ServiceName, Process] = {}
        self._folders = ExitStack()
        self._password = secrets.token_hex(16)
        self._ports: dict[ServiceName, int] = {}

    def start(self, given_up: Callable[[], bool]) -> dict[str, str]:
        """Start what does not run, and answer the placeholders of all. Raises InstallFailed, StartFailed."""
        for name in self._wanted:
            if (lack := lacking(name)) is not None:
                raise InstallFailed(f"cannot run the server {self._server!r}: {lack}")
        for name in self._wanted:
            if name not in self._running:
                self._running[name] = self._started(name, given_up)
        return {**{name: str(port) for name, port in self._ports.items()}, "password": self._password}

    def _started(self, name: ServiceName, given_up: Callable[[], bool]) -> Process:
        service = _SERVICES[name]
        folder = Path(self._folders.enter_context(tempfile.TemporaryDirectory(prefix=f"runstone-{name}-")))
        place = Place(folder, free_port(), self._password)
        program = found(service.program)
        if program is None:  # it was there a moment ago
            raise StartFailed(f"{service.program} is gone")
        log = folder / "service.log"
        called = f"{service.title} of {self._server}"
        process = Process(called, service.command(program, place), {"LC_ALL": "C"}, folder, log)
        try:
            process.await_said(service.says, _READY_S, given_up)
        except BaseException:
            process.kill()
            raise
        self._ports[name] = place.port
        return process

    def stop(self) -> None:
        """End all of them, in good order, and remove what they wrote. Raises StopFailed."""
        try:
            while self._running:
                self._running.popitem()[1].stop()
        finally:
            self._folders.close()


def _postgresql(program: Path, place: Place) -> list[str]:
    """A new cluster, and the command that serves it. Raises StartFailed."""
    data, secret = place.folder / "data", place.folder / "password"
    secret.write_text(place.password, "utf-8")
    demoted = _demoted(place.folder, secret)
    create = ["--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8", "--username=postgres"]
    # Not SCRAM, which drivers of PostgreSQL's relatives do not speak.
    asking = ["--auth=md5", f"--pwfile={secret}"]
    command = [*demoted, str(program), *create, *asking, f"--pgdata={data}"]
    try:
        made = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=place.folder, timeout=_PREPARE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartFailed(f"cannot make a PostgreSQL cluster in {data}: {error}") from None
    if made.returncode != 0:
        said = " ".join((made.stderr or made.stdout).split())[-300:]
        raise StartFailed(f"cannot make a PostgreSQL cluster in {data}: {said}")
    settings = {
        "listen_addresses": HOST,
        "port": str(place.port),
        "unix_socket_directories": "",
        # A killed service leaves no shared memory behind, and nobody waits for a disk.
        "dynamic_shared_memory_type": "mmap",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    }
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    return [*demoted, str(program.resolve().with_name("postgres")), "-D", str(data), *options]


def _demoted(*owned: Path) -> list[str]:
    """The words before a command that must not run as root, as PostgreSQL refuses to; it gets the paths."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(_UNPRIVILEGED)
    for path in owned:
        os.chown(path, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]


def _redis(program: Path, place: Place) -> list[str]:
    """Its settings in a file, as a command line is for everybody to read."""
    settings = {
        "bind": HOST,
        "port": str(place.port),
        "requirepass": place.password,
        "dir": str(place.folder),
        "save": '""',
        "appendonly": "no",
    }
    file = place.folder / "redis.conf"
    file.write_text("".join(f"{key} {value}\n" for key, value in settings.items()), "utf-8")
    return [str(program), str(file)]


_SERVICES: Final[dict[ServiceName, Service]] = {
    "postgresql": Service(
        title="PostgreSQL",
        program="initdb",
        says="database system is ready to accept connections",
        get="install it, such as by `apt-get install postgresql` or `brew install postgresql@17`",
        command=_postgresql,
    ),
    "redis": Service(
        title="Redis",
        program="redis-server",
        says="Ready to accept connections",
        get="install it, such as by `apt-get install redis-server` or `brew install redis`",
        command=_redis,
    ),
}


def found(program: str) -> Path | None:
    """The program on PATH, or the newest where packages put it."""
    if (on_path := shutil.which(program)) is not None:
        return Path(on_path)
    return max(_elsewhere(program), key=_version, default=None)


def _elsewhere(program: str) -> Iterator[Path]:
    for pattern in _FOLDERS:
        yield from (each / program for each in Path("/").glob(pattern[1:]) if (each / program).exists())


def _version(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path.parent))]
