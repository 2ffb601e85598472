"""Start, await and stop a known server.

A recipe is a YAML file that says how; those of the house lie in fixtures/targets. Each start gets a free port
and a temporary working folder of its own, because servers keep state where they run. The server is the leader
of a process group of its own, and the whole group is gone when `running` is left, whichever way. POSIX only.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import filelock
import httpx
import msgspec
import platformdirs

from runstone.errors import RunstoneError, TargetError, UsageError
from runstone.locations import locate
from runstone.target import RunTimeLimit, Target

HOST: Final = "127.0.0.1"
_GRACE_S: Final = 5.0  # from SIGTERM to SIGKILL
_POLL_S: Final = 0.05
_PLACEHOLDERS: Final = ("python", "port", "workdir", "graphs", "fixtures")


class RecipeError(RunstoneError):
    """A recipe cannot be used, or what it starts does not run."""


class UnknownRecipe(RecipeError, UsageError):  # noqa: N818 - errors here are named as what they report
    """There is no recipe of that name."""


class BadRecipe(RecipeError, UsageError):  # noqa: N818
    """The recipe's file does not say what a recipe must say."""


class PortTaken(RecipeError, UsageError):  # noqa: N818
    """The port that the user asked for is in use."""


class InstallFailed(RecipeError, TargetError):  # noqa: N818
    """The server's packages cannot be installed."""


class StartFailed(RecipeError, TargetError):  # noqa: N818
    """The server's process cannot be started, died, or never became ready."""


class StopFailed(RecipeError):  # noqa: N818
    """A process of the server outlived SIGKILL."""


class Install(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the server needs. `python`: a file of pinned requirements next to the recipe."""

    python: str


class Ready(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the server is up: `path` answers 200 and its output holds `says`, within `timeout_s` seconds.

    `says` is the URL as the server prints it. Without it, a server that moves to another port by itself could
    not be told from whoever answers on the port that was asked for.
    """

    path: str = "/ok"
    says: str = ""
    timeout_s: float = 60.0


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to start a known server, and what it can do.

    `command`, `env` and `ready.says` may hold {python} (that of `install`, else this one), {port}, {workdir},
    {fixtures} and {graphs} (fixtures/graphs). `copy` names a folder of the fixtures whose content is copied
    to the working folder. `waivers` and `install.python` are files next to the recipe; absolute once loaded.
    """

    name: str
    description: str
    command: list[str]
    env: dict[str, str] = {}
    install: Install | None = None
    copy: str | None = None
    ready: Ready = Ready()
    capabilities: dict[str, bool] = {}
    run_time_limit: RunTimeLimit | None = None
    profile_option: str = ""  # the option by which the command takes a profile's name
    waivers: str | None = None

    def target(self, url: str) -> Target:
        """The server as a target, once it runs at `url`."""
        return Target(name=self.name, url=url, declared=self.capabilities, run_time_limit=self.run_time_limit)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is up. `pid` leads the process group; `log` is all that it printed."""

    url: str
    pid: int
    log: Path
    recipe: Recipe


def names() -> list[str]:
    """The recipes of the house, sorted."""
    return sorted(path.stem for path in locate("fixtures/targets").glob("*.yaml") if "." not in path.stem)


def load(name_or_path: str) -> Recipe:
    """Read a recipe of the house by its name, or any by the path of its file (it ends in .yaml).

    Raises UnknownRecipe and BadRecipe.
    """
    path = Path(name_or_path)
    if path.suffix != ".yaml":
        if name_or_path not in names():
            near = get_close_matches(name_or_path, names(), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UnknownRecipe(f"no recipe {name_or_path!r}{hint} (there are: {', '.join(names())})")
        path = locate(f"fixtures/targets/{name_or_path}.yaml")
    try:
        recipe = msgspec.yaml.decode(path.read_bytes(), type=Recipe)
    except OSError as error:
        raise UnknownRecipe(f"cannot read the recipe {path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecipe(f"{path} is no recipe: {' '.join(str(error).split())}") from None
    return _resolved(recipe, path.resolve())


def _resolved(recipe: Recipe, path: Path) -> Recipe:
    """The recipe with its files found and its placeholders checked."""
    if not recipe.command:
        raise BadRecipe(f"{path}: command is empty")
    for text in (*recipe.command, *recipe.env.values(), recipe.ready.says):
        try:
            used = {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}
        except ValueError as error:
            raise BadRecipe(f"{path}: {text!r} has a stray brace ({error}); write {{{{ or }}}}") from None
        if unknown := used.difference(_PLACEHOLDERS):
            known = ", ".join(f"{{{name}}}" for name in _PLACEHOLDERS)
            raise BadRecipe(f"{path}: {{{min(unknown)}}} is no placeholder; there are {known}")

    def beside(name: str) -> str:
        if not (path.parent / name).is_file():
            raise BadRecipe(f"{path} names {name}, which is not next to it")
        return str(path.parent / name)

    if recipe.waivers is not None:
        recipe = msgspec.structs.replace(recipe, waivers=beside(recipe.waivers))
    if recipe.install is not None:
        recipe = msgspec.structs.replace(recipe, install=Install(python=beside(recipe.install.python)))
    return recipe


# installing


def is_installed(recipe: Recipe) -> bool:
    """Whether `running` can start the server at once, or has to install it first (that takes a minute)."""
    return recipe.install is None or _interpreter(_environment(recipe, recipe.install)).exists()


def interpreter(recipe: Recipe) -> Path:
    """The Python that the recipe runs with, its environment installed if need be. Raises InstallFailed."""
    if recipe.install is None:
        return Path(sys.executable)
    environment = _environment(recipe, recipe.install)
    try:
        environment.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{environment}.lock"):  # two that start at once install once
            if not _interpreter(environment).exists():
                _install(recipe.name, Path(recipe.install.python), environment)
    except OSError as error:
        raise InstallFailed(f"cannot install the server {recipe.name!r} in {environment}: {error}") from None
    return _interpreter(environment)


def _environment(recipe: Recipe, install: Install) -> Path:
    """The recipe's folder in the user's cache. Other pins or another Python are another folder."""
    stamp = hashlib.sha256(f"{sys.version}\n{sys.base_prefix}\n".encode() + Path(install.python).read_bytes())
    return platformdirs.user_cache_path("runstone") / "targets" / f"{recipe.name}-{stamp.hexdigest()[:12]}"


def _interpreter(environment: Path) -> Path:
    return environment / "bin" / "python"  # a dead link, when the Python behind it is gone, does not exist


def _install(name: str, requirements: Path, environment: Path) -> None:
    """Build the environment under a temporary name and move it: one that is half made is never used.

    Its scripts do not survive the move (they hold the path that they were made in): recipes call {python} -m.
    """
    making = Path(tempfile.mkdtemp(prefix=f".{environment.name}-", dir=environment.parent))
    pip = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r", str(requirements)]
    try:
        _step(name, [sys.executable, "-m", "venv", str(making)], "is Python's venv module there?")
        _step(name, [str(_interpreter(making)), *pip], "is the package index within reach?")
        shutil.rmtree(environment, ignore_errors=True)
        making.rename(environment)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _step(name: str, command: list[str], mend: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in said if line.lower().startswith("error")] or said[-1:]
        raise InstallFailed(f"cannot install the server {name!r}: {' '.join(errors)[:400]} ({mend})")


# running


@contextmanager
def running(
    recipe: Recipe, *, port: int | None = None, log: Path | None = None, options: Sequence[str] = ()
) -> Iterator[Running]:
    """Start the server, wait until it is ready, and stop it when the block is left, Ctrl-C or SIGTERM too.

    `port`: default a free one. `log`: where its output goes; default a file that goes when the server goes.
    `options`: further words of the command. Raises RecipeError: PortTaken, InstallFailed, StartFailed.
    """
    with _sigterm_raises(), tempfile.TemporaryDirectory(prefix="runstone-") as folder:
        python, fixtures = interpreter(recipe), locate("fixtures")
        workdir, output = Path(folder) / "work", log or Path(folder) / "server.log"
        if recipe.copy is not None:
            leave_out = shutil.ignore_patterns(".*", "__pycache__")  # what servers and Python leave behind
            shutil.copytree(fixtures / recipe.copy, workdir, ignore=leave_out)
        workdir.mkdir(exist_ok=True)
        port = _free_port(port)
        values = {
            "python": str(python),
            "port": str(port),
            "workdir": str(workdir),
            "fixtures": str(fixtures),
            "graphs": str(fixtures / "graphs"),
        }
        command = [*(word.format_map(values) for word in recipe.command), *options]
        environment = {key: value.format_map(values) for key, value in recipe.env.items()}
        with _process(command, environment, workdir, output) as process:
            url = f"http://{HOST}:{port}"
            _await_ready(recipe, process, url, recipe.ready.says.format_map(values), output)
            yield Running(url=url, pid=process.pid, log=output, recipe=recipe)


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
        with running(recipe, port=port, log=log, options=options) as server:
            announce(server)
            while _group_lives(server.pid):
                time.sleep(0.2)
            raise StartFailed(f"the server {recipe.name!r} died{_last_words(server.log)}")
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


def _free_port(wanted: int | None) -> int:
    """The wanted port if nobody listens there, or any free one."""
    with socket.socket() as probe:
        # As servers do: a port on which only closed connections linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted or 0))
        except (OSError, OverflowError):
            raise PortTaken(f"port {wanted} on {HOST} is taken or not allowed; choose another") from None
        return int(probe.getsockname()[1])


@contextmanager
def _process(
    command: list[str], env: Mapping[str, str], workdir: Path, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The command as the leader of a process group, of which nothing is left afterwards."""
    process = None
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=workdir,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        yield process
    except OSError as error:
        if process is not None:
            raise  # it comes from inside the block
        raise StartFailed(f"cannot start {command[0]}: {error.strerror} ({error.filename})") from None
    finally:
        if process is not None:
            _stop(process)


def _await_ready(recipe: Recipe, process: subprocess.Popen[bytes], url: str, says: str, log: Path) -> None:
    """Poll until the server is ready. Raises StartFailed when it dies, is silent, or runs elsewhere."""
    ready, deadline = recipe.ready, time.monotonic() + recipe.ready.timeout_s
    # Not followed by a digit: port 2024 is not meant by a line about port 20245.
    announced = re.compile(re.escape(says) + r"(?!\d)")
    seen = "nothing answered"
    with httpx.Client(trust_env=False, timeout=2.0) as client:  # no proxy between us and loopback
        while time.monotonic() < deadline:
            if process.poll() is not None:
                code = process.returncode
                raise StartFailed(f"the server {recipe.name!r} died with code {code}{_last_words(log)}")
            try:
                status = client.get(url + ready.path).status_code
            except httpx.TransportError:
                time.sleep(_POLL_S)
                continue
            if status == httpx.codes.OK and announced.search(log.read_text("utf-8", "replace")):
                return
            seen = f"{status}; its output does not say {says!r}" if status == httpx.codes.OK else str(status)
            time.sleep(_POLL_S)
    raise StartFailed(
        f"the server {recipe.name!r} was not ready after {ready.timeout_s:g} s "
        f"(GET {url}{ready.path}: {seen}){_last_words(log)}"
    )


def _last_words(log: Path, lines: int = 3) -> str:
    """The end of the server's output, on one line."""
    said = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line)[:200] for line in said[-lines:]]
    return f"; it last said: {' | '.join(plain)}" if plain else "; it said nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the group, SIGKILL after the grace, or at once when Ctrl-C comes a second time."""
    group = process.pid
    try:
        _signal(group, signal.SIGTERM)
        _await_end(process)
    finally:
        _signal(group, signal.SIGKILL)
        _await_end(process)
    if _group_lives(group):
        raise StopFailed(f"a process of group {group} outlived SIGKILL; look at it with: ps -g {group}")


def _await_end(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _GRACE_S
    while process.poll() is None or _group_lives(process.pid):
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL_S)


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return  # gone; macOS says "not permitted" of a group in which only zombies are left


def _group_lives(group: int) -> bool:
    """Whether any process of the group runs. Zombies do not: in a container nobody may ever collect them."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    proc = Path("/proc/self/stat")
    return not proc.exists() or any(_runs(stat, group) for stat in Path("/proc").glob("[0-9]*/stat"))


def _runs(stat: Path, group: int) -> bool:
    try:
        state, _, its_group = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return False  # it ended between the listing and the reading
    return int(its_group) == group and state not in {"Z", "X"}
