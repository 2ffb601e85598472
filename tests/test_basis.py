"""What verdicts rest on: digests that anybody can make again, and that change with what they stand for."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from runstone import basis
from runstone.basis import Basis, basis_of
from runstone.locations import CHECKOUT

PARTS = ("contracts", "suites", "fixtures/graphs")


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of all that is digested, which a test may edit."""
    for part in PARTS:
        shutil.copytree(CHECKOUT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(basis, "locate", lambda part: tmp_path / part)
    return tmp_path


def taken(profile: str = "langgraph") -> Basis:
    basis_of.cache_clear()
    try:
        return basis_of(profile, "2026.11")
    finally:
        basis_of.cache_clear()  # the next test may look at another installation


def shell(command: str, folder: Path) -> str:
    done = subprocess.run(["/bin/sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def test_a_digest_is_what_sha256sum_makes() -> None:
    found = taken()
    requirements = "LC_ALL=C sha256sum requirements/*.yaml | sha256sum"
    assert found.catalogue == shell(requirements, CHECKOUT / "contracts")
    assert found.suites == shell("LC_ALL=C sha256sum *.py | sha256sum", CHECKOUT / "suites")


def append(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("\n")


def rename(path: Path) -> None:
    path.rename(path.with_stem(f"{path.stem}_x"))


EDITS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "contracts/requirements/sse.yaml": ("catalogue", append),
    "contracts/requirements/sources.yaml": ("catalogue", append),
    "suites/test_sse.py": ("suites", append),
    "suites/conftest.py": ("suites", rename),
    "fixtures/graphs/python/conformance/echo.py": ("graphs", append),
    "fixtures/graphs/python/langgraph.json": ("graphs", append),
    "fixtures/graphs/typescript/package-lock.json": ("graphs", append),
    "fixtures/graphs/typescript/conformance/echo.ts": ("graphs", Path.unlink),
    "contracts/profiles/langgraph.yaml": ("judging", append),
    "contracts/capabilities.yaml": ("judging", append),
    "contracts/streams.yaml": ("judging", append),
    "contracts/schemas/run.json": ("judging", append),
}


@pytest.mark.parametrize("name", EDITS)
def test_each_part_changes_its_own_digest_alone(name: str, installation: Path) -> None:
    before = taken()
    part, edit = EDITS[name]
    edit(installation / name)
    after = taken()
    differ = {
        field for field in msgspec.structs.asdict(before) if getattr(before, field) != getattr(after, field)
    }
    assert differ == {part}


@pytest.mark.parametrize(
    "name",
    [
        "contracts/equivalence.yaml",
        "contracts/schemas/report.json",
        "contracts/profiles/wait-state.yaml",
        "fixtures/graphs/python/conformance/__pycache__/echo.pyc",
        "fixtures/graphs/typescript/node_modules/x/index.js",
        "fixtures/graphs/python/.langgraph_api/store.pckl",
    ],
)
def test_what_judges_nothing_changes_no_digest(name: str, installation: Path) -> None:
    before = taken()
    (installation / name).parent.mkdir(parents=True, exist_ok=True)
    append(installation / name)
    assert taken() == before


def test_another_profile_judges_otherwise() -> None:
    assert taken("wait-state").judging != taken("langgraph").judging
