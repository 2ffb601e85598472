"""Evidence as files that somebody may have touched: what is there against what the manifest says.

Nothing outside the folder is opened, whatever a manifest says, nor a link, nor anything that is not a plain
file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from runstone.session.evidence import EvidenceError, Manifest, parse_manifest
from runstone.signoff.lines import Unreadable
from runstone.signoff.statement import sha256

_MANIFEST: Final = "manifest.json"
_TRACES: Final = "traces"
_NAME: Final = re.compile(r"traces/[^/\\\0]+\.json")
# All responses of a session are capped at 64 MiB; their text as JSON, requests included, stays below this.
_LARGEST: Final = 512 * 1024 * 1024
_TOLD: Final = 5  # problems; the rest are counted
# A link is not followed and a pipe not waited for, where the system can tell them.
_CAREFULLY: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Recording(msgspec.Struct, frozen=True):
    """Evidence as it lies there. `digest`: of the manifest's bytes; `problems`: what is not as that says."""

    folder: Path
    digest: str
    manifest: Manifest
    problems: tuple[str, ...]

    def altered(self) -> str:
        """The problems on one line; '' for none."""
        told = "; ".join(self.problems[:_TOLD])
        more = len(self.problems) - _TOLD
        return told if more <= 0 else f"{told}; and {more} more"


def inspect(folder: Path) -> Recording:
    """The evidence of a folder, whatever was done to it. Raises Unreadable where it has no manifest."""
    try:
        content = _read(folder / _MANIFEST)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Unreadable(f"{folder} holds no evidence that can be read: {_MANIFEST}: {reason}") from None
    try:
        manifest = parse_manifest(content, folder / _MANIFEST)
    except EvidenceError as error:
        raise Unreadable(str(error)) from None
    found = [_problem(folder, name, digest) for name, digest in manifest.files.items()]
    problems = (*_added(folder, manifest), *filter(None, found))
    return Recording(folder, sha256(content), manifest, problems)


def _added(folder: Path, manifest: Manifest) -> Iterator[str]:
    """What lies among the traces and the manifest does not name."""
    traces = folder / _TRACES
    if traces.is_symlink():
        yield f"{_TRACES} is a link"
    elif traces.is_dir():
        present = {f"{_TRACES}/{path.name}" for path in traces.iterdir()}
        yield from (f"{name} is not in the manifest" for name in sorted(present - set(manifest.files)))


def _problem(folder: Path, name: str, digest: str) -> str:
    """What is wrong with a file that the manifest names; '' for nothing."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is not a file of the evidence"
    if (folder / _TRACES).is_symlink():
        return f"{name} was not read: it is behind a link"
    try:
        content = _read(folder / name)
    except FileNotFoundError:
        return f"{name} is missing"
    except (OSError, ValueError) as error:
        return f"{name} cannot be read: {error.strerror if isinstance(error, OSError) else error}"
    return "" if sha256(content) == digest else f"{name} does not have the SHA-256 of the manifest"


def _read(path: Path) -> bytes:
    """The bytes of a plain file. Raises OSError, for a link too, and ValueError for another kind or size."""
    with os.fdopen(os.open(path, _CAREFULLY), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("it is not a plain file")
        if about.st_size > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST >> 20} MiB")
        return file.read()
