"""The command line; everything it does is done elsewhere."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys
from importlib import import_module
from typing import Final, NoReturn

import click

import runstone
from runstone.cli.saying import say_error
from runstone.errors import ExitCode, RunstoneError, suggestion

# What a check records lives to its end. As Python has it (every 700 objects), a tenth of the time, of the
# harness and of the reference runtime, goes into looking for garbage there.
_OBJECTS_BETWEEN_COLLECTIONS: Final = 50_000

# A longer block goes back to the system when it is freed. Of itself glibc keeps those of up to 32 MB, once it
# has seen some, with holes between that small objects of Python cannot use: a sixth of the memory of a check.
_LONG_BLOCK: Final = 128 * 1024
_M_MMAP_THRESHOLD: Final = -3  # of malloc.h


def main() -> NoReturn:
    """Run the command line; a diagnosis is one line on standard error and an exit code."""
    # At its exit Python looks for garbage among all that was recorded, for 0.4 s, only to end thereafter.
    atexit.register(gc.freeze)
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    _give_memory_back()
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except RunstoneError as error:
        say_error(str(error))
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        say_error("interrupted; what was observed is kept")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.HARNESS_ERROR)
    sys.exit(code if isinstance(code, int) else ExitCode.CONFORMING)


def _give_memory_back() -> None:
    """Have the memory of long texts given back; where the C library has no such option, nothing."""
    if sys.platform == "linux" and (choose := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        choose(_M_MMAP_THRESHOLD, _LONG_BLOCK)


# Each is `command` in the module of its name, imported when it is asked for: a server that a scenario starts
# need not import what a check needs.
_COMMANDS: Final = (
    *("check", "ci", "compare", "coverage", "doctor", "explain", "explore", "faults", "fuzz", "graphs"),
    *("history", "init", "judge", "keys", "list", "load", "merge", "mutate", "prove", "result", "scenarios"),
    *("serve", "signoff", "soak", "trend", "up", "verify", "waivers"),
)
_MODULES: Final = {"list": "listing"}  # a module `list` would hide the builtin in this package


class _Commands(click.Group):
    """Commands that are imported when they are asked for."""

    def list_commands(self, _: click.Context) -> list[str]:
        return [*_COMMANDS]

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"{__name__}.{_MODULES.get(name, name)}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = suggestion(args[0], _COMMANDS)
            raise click.UsageError(f"{error.message.rstrip('.')}{hint}", ctx) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(runstone.__version__, prog_name="runstone")
def cli() -> None:
    """Prove whether a server that speaks the LangGraph run API keeps its promises."""
