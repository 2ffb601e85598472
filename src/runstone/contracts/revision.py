"""The revisions of the catalogue: what each one promised, so that two of them can be compared.

contracts/revisions has a file for each, named after it (2026.11, then 2026.11.1 or 2026.12): the id of every
requirement with its level and a digest of its statement. The newest is the revision in force and follows the
catalogue (`python -m runstone.contracts`, or `make revision`); the others never change again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from runstone.contracts.basis import Changes
from runstone.contracts.catalogue import Requirement, load_catalogue
from runstone.contracts.reading import MalformedContract, read_yaml, shown_path
from runstone.errors import UsageError
from runstone.files import replace_file
from runstone.locations import locate

_NAME: Final = re.compile(r"\d{4}\.\d{2}(\.\d+)?")
_DIGITS: Final = 16  # of a statement's SHA-256: enough to tell two apart, few enough to be read
_HEAD: Final = """\
# Revision {name} of the catalogue: each requirement, its level and the beginning of its statement's SHA-256.
# `make revision` writes it, as long as it is the newest; `make revision NAME=2027.01` begins the next one.
"""

Promised = Mapping[str, str]  # id → level and digest


class StaleRevision(MalformedContract):
    """The catalogue changed, and the revision in force does not tell so."""


@cache
def current_revision() -> str:
    """The name of the revision in force. Raises MalformedContract."""
    return _newest(locate("contracts")).stem


def changes_since(revision: str) -> Changes | None:
    """What the catalogue in force promises otherwise than that revision; None for one that is not known."""
    known = {path.stem: path for path in _files(locate("contracts"))}
    if revision not in known:
        return None
    return changes(read_yaml(known[revision], dict[str, str]), promised(load_catalogue()))


def promised(catalogue: Mapping[str, Requirement]) -> dict[str, str]:
    """What a revision keeps of the catalogue."""
    return {each.id: f"{each.level} {_digest(each.statement)}" for each in catalogue.values()}


def changes(before: Promised, after: Promised) -> Changes:
    """What is promised otherwise afterwards."""
    return Changes(
        new=tuple(id for id in after if id not in before),  # noqa: A001 - the catalogue's own name
        gone=tuple(id for id in before if id not in after),  # noqa: A001
        reworded=tuple(id for id in after if before.get(id, after[id]) != after[id]),  # noqa: A001
    )


def insist_on_fresh(contracts: Path, catalogue: Mapping[str, Requirement]) -> None:
    """Raises StaleRevision when the newest revision is not that of the catalogue."""
    path = _newest(contracts)
    found = changes(read_yaml(path, dict[str, str]), promised(catalogue))
    if found:
        ids = ", ".join((*found.new, *found.gone, *found.reworded)[:5])
        raise StaleRevision(
            f"{shown_path(path)} is not of this catalogue ({ids}); write it with: make revision"
        )


def write(contracts: Path, catalogue: Mapping[str, Requirement], name: str | None = None) -> Path:
    """Write the newest revision again, or begin one of that name. Raises UsageError for an older name."""
    path = _newest(contracts) if name is None else contracts / "revisions" / f"{name}.yaml"
    if not _NAME.fullmatch(path.stem):
        raise UsageError(f"{name!r} is not a name of a revision; write it like 2026.11 or 2026.11.1")
    if newer := [each.stem for each in _files(contracts) if _order(each) > _order(path)]:
        raise UsageError(f"revision {name} is older than {newer[-1]}, which is in force")
    lines = [f"{id}: {kept}\n" for id, kept in sorted(promised(catalogue).items())]  # noqa: A001
    replace_file(path, _HEAD.format(name=path.stem) + "".join(lines))
    return path


def _newest(contracts: Path) -> Path:
    files = _files(contracts)
    if not files:
        raise MalformedContract(
            f"{shown_path(contracts)}/revisions is empty; begin one: make revision NAME=…"
        )
    return files[-1]


def _files(contracts: Path) -> list[Path]:
    """Those of the revisions, the oldest first."""
    found = list((contracts / "revisions").glob("*.yaml"))
    for path in found:
        if not _NAME.fullmatch(path.stem):
            raise MalformedContract(f"{shown_path(path)} has no name like 2026.11.yaml or 2026.11.1.yaml")
    return sorted(found, key=_order)


def _order(revision: Path) -> tuple[int, ...]:
    return tuple(map(int, revision.stem.split(".")))


def _digest(statement: str) -> str:
    return hashlib.sha256(" ".join(statement.split()).encode()).hexdigest()[:_DIGITS]
