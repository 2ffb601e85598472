"""What verdicts rest on: the contract's revision, and digests of all that judges and of the graphs that run.

A digest is the SHA-256 of what `sha256sum` prints of the files, named from their folder on and sorted:

    cd contracts && LC_ALL=C sha256sum requirements/*.yaml | sha256sum
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from runstone.locations import locate

# The graphs that targets are asked to serve, by the language of the server.
_GRAPHS: Final = ("python", "typescript")
# What does not judge a target: what the mutator takes for equal, and the schemas of Runstone's own documents.
_NOT_JUDGING: Final = frozenset(
    {
        *("equivalence.yaml", "durations.yaml", "report.json", "compare.json", "history.json"),
        *("acceptance.json", "acceptance-policy.json"),
        *(
            "kill-matrix.json",
            "mutation.json",
            "scenario.json",
            "scenarios-report.json",
            "load.json",
            "load-comparison.json",
        ),
    }
)
_CONTRACTS: Final = ("*.yaml", "cases/*.yaml", "schemas/*.json")
_LEFT_BEHIND: Final = frozenset({"__pycache__", "node_modules"})


class Basis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A contract and its judges, exactly. All but the revision are SHA-256 in hexadecimal digits.

    `catalogue`: the requirements and their sources. `suites`: scenarios and judges. `graphs`: by language.
    `judging`: the profile in force, and the other contracts that verdicts depend on.
    """

    revision: str
    catalogue: str
    suites: str
    graphs: dict[str, str]
    judging: str


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of requirements that differ between two revisions; `reworded`: the statement or the level."""

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    reworded: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.reworded)


@cache
def basis_of(profile: str, revision: str) -> Basis:
    """What this installation judges by."""
    contracts, suites, graphs = locate("contracts"), locate("suites"), locate("fixtures/graphs")
    return Basis(
        revision=revision,
        catalogue=digest(contracts, contracts.glob("requirements/*.yaml")),
        suites=digest(suites, suites.glob("*.py")),
        graphs={name: digest(graphs / name, _served(graphs / name)) for name in _GRAPHS},
        judging=digest(contracts, _judging(contracts, profile)),
    )


def digest(folder: Path, files: Iterable[Path]) -> str:
    """The SHA-256 of the list of these files of the folder, each with its own SHA-256."""
    named = sorted((path.relative_to(folder).as_posix(), path) for path in files)
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n" for name, path in named)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _judging(contracts: Path, profile: str) -> Iterator[Path]:
    yield contracts / "profiles" / f"{profile}.yaml"
    for path in (each for glob in _CONTRACTS for each in contracts.glob(glob)):
        if path.name not in _NOT_JUDGING:
            yield path


def _served(folder: Path) -> Iterator[Path]:
    """What a recipe copies of the folder, without what servers, Python and npm leave behind."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") or part in _LEFT_BEHIND for part in parts):
            yield path
