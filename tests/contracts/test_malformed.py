"""A catalogue that is malformed says where and what."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runstone.contracts import (
    Catalogue,
    MalformedContract,
)
from runstone.contracts.catalogue import read_catalogue
from tests.contracts.reading import CONTRACTS


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(CONTRACTS, tmp_path / "contracts", ignore=shutil.ignore_patterns("schemas"))
    return tmp_path / "contracts"


def edited(contracts: Path, file: str, old: str, new: str) -> Catalogue:
    path = contracts / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return read_catalogue(contracts)


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("level: MUST", "levl: MUST", r"unknown key 'levl' at META-001; did you mean level"),
        ("title:", "titel:", "unknown key 'titel'; did you mean title"),
        ("level: MUST", "level: WILL", r"invalid enum value 'WILL' at META-001\.level"),
        ("level: MUST", "needs: openapi", r"expected `array`, got `str` at META-001\.needs"),
        (
            "  needs: [metrics]",
            "  needs: [metric]",
            "META-004 names the unknown capability 'metric'; did you mean metrics",
        ),
        ("OAS: GET /ok", "OSA: GET /ok", "META-001 names the unknown source 'OSA'; did you mean OAS"),
        (
            "  needs: [metrics]",
            "  profiles: [langraph]",
            "unknown profile 'langraph'; did you mean langgraph",
        ),
        ("id: META-002", "id: META-001", "META-001 is given twice"),
        ("area: meta", "area: mta", "its area is 'mta', but its name says 'meta'"),
        ("  level: MUST", "  level: MUST\n  level: MAY", "the key 'level' is given twice, line 7"),
        ("order: 10\n", "", "object missing required field `order`"),
        ("order: 10", "order: first", r"expected `int`, got `str` at order"),
        ("order: 10", "order: 10\nkind: exploratory", r"invalid enum value 'exploratory' at kind"),
        ("area: meta", "area: [meta", "is not valid YAML"),
    ],
)
def test_malformed_catalogue_says_where_and_what(copied: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(MalformedContract, match=said) as raised:
        edited(copied, "requirements/meta.yaml", old, new)
    assert str(raised.value).startswith("contracts/requirements/meta.yaml")
    assert "\n" not in str(raised.value)


def test_two_areas_cannot_stand_at_one_place(copied: Path) -> None:
    with pytest.raises(MalformedContract, match=r"meta\.yaml: its order 20 is that of err already"):
        edited(copied, "requirements/meta.yaml", "order: 10", "order: 20")


def test_missing_and_undecodable_files_are_named(copied: Path) -> None:
    (copied / "requirements" / "sse.yaml").write_bytes(b"area: \xff")
    with pytest.raises(MalformedContract, match=r"contracts/requirements/sse\.yaml is not valid YAML"):
        read_catalogue(copied)
    (copied / "capabilities.yaml").unlink()
    with pytest.raises(MalformedContract, match=r"cannot read contracts/capabilities\.yaml"):
        read_catalogue(copied)


def test_requirement_without_a_source_is_refused(copied: Path) -> None:
    with pytest.raises(MalformedContract, match="EXEC-002 has no source"):
        edited(
            copied,
            "requirements/exec.yaml",
            'exactly once.\n  source: ["GOAL: a run executes its graph once"]\n- id: EXEC-003',
            "exactly once.\n  source: []\n- id: EXEC-003",
        )
