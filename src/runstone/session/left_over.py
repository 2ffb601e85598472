"""What killed sessions of this machine have left on a target, so that the next one can delete it.

While a session observes, it holds a lock and writes down each thing that it makes. A journal whose lock is
free is of a session that ended without cleaning up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import filelock
import msgspec
import platformdirs

from runstone.scenario.clean_up import Thing

_FOLDER: Final = "sessions"


class _Head(msgspec.Struct, frozen=True):
    """The first line of a journal: the target's base URL."""

    url: str


class Journal:
    """One session's own journal, and what it found of others that are dead."""

    def __init__(self, path: Path, left_over: Sequence[Thing]) -> None:
        self.left_over = tuple(left_over)
        self._file = path.open("ab", buffering=0)

    def add(self, thing: Thing) -> None:
        """Write down something that was made, before anything else happens."""
        self._file.write(msgspec.json.encode(thing) + b"\n")

    def close(self) -> None:
        """Write no more."""
        self._file.close()


@contextmanager
def journal_of(url: str, *, take_over: bool = True) -> Iterator[Journal]:
    """A session's journal for the time of the block; it takes over those of dead sessions on the same target.

    `take_over`: False for who deletes nothing but its own.
    Raises OSError where nothing can be written.
    """
    folder = platformdirs.user_cache_path("runstone") / _FOLDER
    with ExitStack() as locks:
        folder.mkdir(parents=True, exist_ok=True)
        dead = list(_dead(folder, url, locks)) if take_over else []
        things = [thing for path in dead for thing in _things(path)]
        own = folder / f"{uuid4()}.jsonl"
        locks.enter_context(filelock.FileLock(own.with_suffix(".lock"), timeout=0))
        own.write_bytes(msgspec.json.encode(_Head(url)) + b"\n")
        journal = Journal(own, things)
        try:
            for thing in things:  # should this session die too before it has deleted them
                journal.add(thing)
            yield journal
        finally:
            journal.close()
            for path in (own, *dead):
                path.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)


def _dead(folder: Path, url: str, locks: ExitStack) -> Iterator[Path]:
    """The journals of sessions on this target that are dead; their locks are ours from now on."""
    for path in sorted(folder.glob("*.jsonl")):
        if _url_of(path) != url:
            continue
        with suppress(filelock.Timeout):
            locks.enter_context(filelock.FileLock(path.with_suffix(".lock"), timeout=0))
            yield path


def _url_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.readline(), type=_Head).url
    except (OSError, msgspec.DecodeError):
        return ""


def _things(path: Path) -> Iterator[Thing]:
    """What a journal names; the last line of a session that was killed may be half a line."""
    for line in path.read_bytes().splitlines()[1:]:
        with suppress(msgspec.DecodeError):
            yield msgspec.json.decode(line, type=Thing)
