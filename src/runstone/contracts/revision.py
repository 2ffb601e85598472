"""Which contract this is: digests of what is promised and of how it is judged. (Provisional.)"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from runstone.locations import locate


@cache
def catalogue_digest() -> str:
    folder = locate("contracts")
    return folder_digest([*folder.rglob("*.yaml"), *(folder / "schemas").glob("*.json")], folder)


def revision() -> str:
    return catalogue_digest()[:12]


@cache
def suites_digest() -> str:
    return folder_digest(locate("suites").glob("*.py"), locate("suites"))


@cache
def graphs_digest() -> str:
    folder = locate("fixtures") / "graphs"
    return folder_digest([*folder.rglob("*.py"), *folder.rglob("*.ts")], folder)


def folder_digest(files, folder: Path) -> str:
    made = hashlib.sha256()
    for path in sorted(files):
        if "node_modules" in path.parts:
            continue
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        made.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return made.hexdigest()
