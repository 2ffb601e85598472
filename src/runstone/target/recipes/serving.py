"""A known server that can be started, stopped, killed and started again with what it has stored."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from runstone.locations import locate
from runstone.target.recipes.install import interpreter, lacking_python, node_modules
from runstone.target.recipes.ports import HOST, free_port
from runstone.target.recipes.process import Process
from runstone.target.recipes.recipe import Lack, Recipe, StartFailed
from runstone.target.recipes.services import Services, lacking

_MODULES: Final = "node_modules"
_SERVED: Final = "langgraph.json"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is up. `pid` leads the process group; `log` is all that it printed."""

    url: str
    pid: int
    log: Path
    recipe: Recipe


class Server:
    """One server of a recipe, with a port and a working folder that outlive its process.

    Its methods block and may be called from any thread; `close` from another one ends a `start` early.
    """

    def __init__(self, recipe: Recipe, folder: Path, port: int, log: Path, options: Sequence[str]) -> None:
        self.recipe = recipe
        self.url = f"http://{HOST}:{port}"
        self._log = log
        self._options = tuple(options)
        self._process: Process | None = None
        self._closing = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._services = Services(recipe.name, recipe.services)
        self._workdir = folder / "work"
        fixtures = locate("fixtures")
        self._values = {
            "python": "",
            "port": str(port),
            "workdir": str(self._workdir),
            "fixtures": str(fixtures),
            "graphs": str(fixtures / "graphs"),
        }
        copied = [recipe.copy] if isinstance(recipe.copy, str) else recipe.copy or []
        _copy([fixtures / each for each in copied], self._workdir)

    def start(self) -> Running:
        """Start the server and wait until it is ready. Raises InstallFailed and StartFailed."""
        with self._one_at_a_time:
            if self._process is not None and self._process.alive:
                raise StartFailed(f"the server {self.recipe.name!r} is running already, at {self.url}")
            if self._closing.is_set():
                raise StartFailed(f"the start of the server {self.recipe.name!r} was given up")
            values = {**self._values, **self._services.start(self._closing.is_set), **self._installed()}
            command = [*(word.format_map(values) for word in self.recipe.command), *self._options]
            environment = {key: value.format_map(values) for key, value in self.recipe.env.items()}
            process = Process(self.recipe.name, command, environment, self._workdir, self._log)
            self._process = process
            try:
                says = self.recipe.ready.says.format_map(values)
                process.await_ready(self.url, self.recipe.ready, says, self._closing.is_set)
            except BaseException:
                process.stop()
                raise
            return Running(url=self.url, pid=process.pid, log=self._log, recipe=self.recipe)

    def _installed(self) -> dict[str, str]:
        """The placeholders that stand for what is installed."""
        values = {"python": str(interpreter(self.recipe))}
        if (of_npm := node_modules(self.recipe)) is not None:
            node, modules = of_npm
            link = self._workdir / _MODULES  # where Node.js looks for what the files of the folder import
            if not link.is_symlink():
                link.symlink_to(modules, target_is_directory=True)
            values |= {"node": str(node), "modules": str(modules)}
        return values

    def stop(self) -> None:
        """Stop it in good order, by SIGTERM. Raises StopFailed."""
        with self._one_at_a_time:
            if self._process is not None:
                self._process.stop()
                self._process = None  # the number of its group may soon be another's

    def kill(self) -> None:
        """End the whole process group at once, by SIGKILL. Raises StopFailed."""
        with self._one_at_a_time:
            if self._process is not None:
                self._process.kill()
                self._process = None

    def close(self) -> None:
        """Stop it and its services for good: what is being started is given up, nothing more is started."""
        self._closing.set()
        try:
            self.stop()
        finally:
            self._services.stop()

    def discard(self) -> None:
        """End it for good, at once: nobody will start it again with what it has stored."""
        self._closing.set()
        self.kill()

    @property
    def alive(self) -> bool:
        """Whether any of its processes runs."""
        return self._process is not None and self._process.alive

    def last_words(self) -> str:
        """The end of its output, on one line."""
        return self._process.last_words() if self._process is not None else ""


def lacks(recipe: Recipe) -> list[Lack]:
    """What of its needs is not on this machine and is not installed by Runstone either."""
    found = (lacking_python(recipe), *map(lacking, recipe.services))
    return [each for each in found if each is not None]


def _copy(folders: Sequence[Path], workdir: Path) -> None:
    """What recipes copy, without what servers, Python and npm leave behind; each langgraph.json made one."""
    workdir.mkdir()
    leave_out = shutil.ignore_patterns(".*", "__pycache__", _MODULES)
    served: dict[str, Any] = {}
    for folder in folders:
        shutil.copytree(folder, workdir, ignore=leave_out, dirs_exist_ok=True)
        if (path := folder / _SERVED).is_file():
            more = json.loads(path.read_text("utf-8"))
            served |= {**more, "graphs": {**served.get("graphs", {}), **more.get("graphs", {})}}
    if served:
        (workdir / _SERVED).write_text(json.dumps(served), "utf-8")


@contextmanager
def server(
    recipe: Recipe, *, port: int | None = None, log: Path | None = None, options: Sequence[str] = ()
) -> Iterator[Server]:
    """A server that is not started yet, and is closed when the block is left, by Ctrl-C or SIGTERM too.

    `port`: default a free one. `log`: where its output goes; default a file that goes when the server goes.
    `options`: further words of the command. Raises PortTaken.
    """
    with _sigterm_raises(), tempfile.TemporaryDirectory(prefix="runstone-") as folder:
        output = log or Path(folder) / "server.log"
        output.write_bytes(b"")
        chosen = Server(recipe, Path(folder), free_port(port), output, options)
        try:
            yield chosen
        finally:
            chosen.close()


@contextmanager
def running(
    recipe: Recipe, *, port: int | None = None, log: Path | None = None, options: Sequence[str] = ()
) -> Iterator[Running]:
    """A server that is up for the time of the block; the arguments are those of `server`.

    Raises RecipeError: PortTaken, InstallFailed, StartFailed.
    """
    with server(recipe, port=port, log=log, options=options) as chosen:
        yield chosen.start()


@contextmanager
def starting(recipe: Recipe, *, options: Sequence[str] = ()) -> Iterator[Callable[[], Running]]:
    """A server that starts meanwhile. What is given waits until it is up, and raises what `running` raises.

    A start that nobody waited for is given up at the end of the block.
    """
    with ThreadPoolExecutor(1) as thread, server(recipe, options=options) as chosen:
        yield thread.submit(chosen.start).result


def stay_up(
    recipe: Recipe,
    port: int | None,
    announce: Callable[[Running], object],
    *,
    log: Path | None = None,
    options: Sequence[str] = (),
) -> None:
    """Keep the server running until Ctrl-C or SIGTERM. Raises RecipeError; StartFailed also when it dies."""
    try:
        with server(recipe, port=port, log=log, options=options) as chosen:
            announce(chosen.start())
            while chosen.alive:
                time.sleep(0.2)
            raise StartFailed(f"the server {recipe.name!r} died{chosen.last_words()}")
    except (KeyboardInterrupt, _Terminated):
        return


class _Terminated(SystemExit):
    """SIGTERM came; what is open is closed on the way out."""


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM end this process as Ctrl-C does: unhandled, it would leave the server behind."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(number: int, _: FrameType | None) -> NoReturn:
        raise _Terminated(128 + number)

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
