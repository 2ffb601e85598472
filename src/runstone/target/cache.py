"""Folders of the user's cache that are made once, however many ask for them at the same time."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import filelock
import platformdirs


def folder(kind: str, name: str, made_of: Iterable[bytes]) -> Path:
    """Where it is or will be: what is made of anything else has another folder."""
    stamp = hashlib.sha256(b"\n".join(made_of)).hexdigest()
    return platformdirs.user_cache_path("runstone") / kind / f"{name}-{stamp[:12]}"


def make_once(wanted: Path, proof: Path, make: Callable[[Path], None]) -> None:
    """Let `make` fill the folder unless `proof` exists, which is the folder or something in it.

    It fills a folder of another name, which is moved when it is whole: what is half made is never used.
    Raises OSError, and what `make` raises.
    """
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{wanted}.lock"):
        if proof.exists():
            return
        making = Path(tempfile.mkdtemp(prefix=f".{wanted.name}-", dir=wanted.parent))
        try:
            make(making)
            shutil.rmtree(wanted, ignore_errors=True)
            making.rename(wanted)
        finally:
            shutil.rmtree(making, ignore_errors=True)
