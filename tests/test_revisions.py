"""Revisions of the catalogue: kept for ever, compared by requirement, and never behind the catalogue."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runstone.contracts import MalformedContract, load_catalogue
from runstone.contracts import revision as revisions
from runstone.contracts.basis import Changes
from runstone.contracts.catalogue import Catalogue, read_catalogue
from runstone.contracts.revision import (
    StaleRevision,
    changes_since,
    current_revision,
    insist_on_fresh,
    promised,
    write,
)
from runstone.errors import UsageError
from runstone.locations import CHECKOUT

CONTRACTS = CHECKOUT / "contracts"


def test_the_revision_in_force_tells_of_the_catalogue() -> None:
    """Whoever changes what is promised says so in contracts/revisions: run `make revision`."""
    insist_on_fresh(CONTRACTS, load_catalogue())


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the contracts, which is taken for those of the installation."""
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, folder)
    monkeypatch.setattr(revisions, "locate", lambda _: folder)
    monkeypatch.setattr(revisions, "load_catalogue", lambda: read_catalogue(folder))
    current_revision.cache_clear()
    yield folder
    current_revision.cache_clear()


def edited(contracts: Path) -> Catalogue:
    """The catalogue after some of its files were edited: one statement, one level, one id, and a comment."""
    for name, before, after in (
        ("meta", "statement: ", "statement: Always, "),
        ("sse", "level: SHOULD", "level: MAY"),
        ("thr-get", "THR-GET-001", "THR-GET-901"),
        ("err", "area: err", "area: err  # as ever"),
    ):
        path = contracts / "requirements" / f"{name}.yaml"
        text = path.read_text("utf-8")
        assert before in text
        path.write_text(text.replace(before, after, 1), "utf-8")
    return read_catalogue(contracts)


def test_a_catalogue_that_went_ahead_of_its_revision_is_one_line_that_says_what_to_do(
    contracts: Path,
) -> None:
    with pytest.raises(StaleRevision) as caught:
        insist_on_fresh(contracts, edited(contracts))
    said = str(caught.value)
    assert "contracts/revisions/" in said
    assert "(THR-GET-901, THR-GET-001, META-001, SSE-" in said
    assert said.endswith("write it with: make revision")
    assert "\n" not in said
    write(contracts, read_catalogue(contracts))
    insist_on_fresh(contracts, read_catalogue(contracts))


def test_what_changed_since_an_older_revision_is_told_by_requirement(contracts: Path) -> None:
    older = current_revision()
    write(contracts, edited(contracts), "2999.01")
    current_revision.cache_clear()
    assert current_revision() == "2999.01"
    found = changes_since(older)
    assert found is not None
    assert (found.new, found.gone) == (("THR-GET-901",), ("THR-GET-001",))
    assert [each.partition("-")[0] for each in found.reworded] == ["META", "SSE"]
    assert changes_since("2999.01") == Changes()
    assert changes_since("1999.01") is None


def test_revisions_are_ordered_by_number_and_not_by_letter(contracts: Path) -> None:
    catalogue = read_catalogue(contracts)
    for name in ("2999.02", "2999.02.2", "2999.02.10"):
        write(contracts, catalogue, name)
    current_revision.cache_clear()
    assert current_revision() == "2999.02.10"


@pytest.mark.parametrize(
    "name, said",
    [("2000.01", "is older than"), ("next", "is not a name of a revision"), ("2999.1", "is not a name")],
)
def test_a_revision_that_cannot_be_begun(name: str, said: str, contracts: Path) -> None:
    before = sorted((contracts / "revisions").iterdir())
    with pytest.raises(UsageError, match=said):
        write(contracts, read_catalogue(contracts), name)
    assert sorted((contracts / "revisions").iterdir()) == before


def test_a_folder_without_a_revision_and_a_file_with_another_name(contracts: Path) -> None:
    (contracts / "revisions/latest.yaml").write_text("{}", "utf-8")
    with pytest.raises(MalformedContract, match=r"latest\.yaml has no name like 2026\.11\.yaml"):
        current_revision()
    shutil.rmtree(contracts / "revisions")
    with pytest.raises(MalformedContract, match="revisions is empty; begin one: make revision NAME="):
        current_revision()


def test_only_level_and_statement_make_a_promise(contracts: Path) -> None:
    """A source or a note that is added changes nothing that is promised."""
    before = promised(read_catalogue(contracts))
    path = contracts / "requirements/sse.yaml"
    path.write_text(path.read_text("utf-8").replace("source: [", "source: ['GOAL: again', ", 1), "utf-8")
    assert promised(read_catalogue(contracts)) == before


def test_the_command_writes_what_is_there_already() -> None:
    """Run on a catalogue that its revision tells of, it changes nothing."""
    path = CONTRACTS / "revisions" / f"{current_revision()}.yaml"
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "runstone.contracts"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"wrote contracts/revisions/{path.name}\n")
    assert path.read_bytes() == before
