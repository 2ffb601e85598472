"""Digests by which workers of several machines know that they do the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from runstone.load.model import Plan


def digest_of_files() -> str:
    """The SHA-256 of all that a worker runs: this room, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def digest_of(plan: Plan, files: str) -> str:
    """The SHA-256 of the plan, its own digest left out, and of the files."""
    bare = msgspec.structs.replace(plan, digest="")
    return hashlib.sha256(msgspec.json.encode(bare) + files.encode()).hexdigest()
