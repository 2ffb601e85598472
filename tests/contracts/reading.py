"""The contracts are data that others trust: they are checked here as strictly as code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runstone.contracts import (
    lifecycle,
    load_catalogue,
    profile_names,
    schema_names,
)
from runstone.locations import locate

CONTRACTS = locate("contracts")
SCHEMAS = CONTRACTS / "schemas"
EXAMPLES = SCHEMAS / "examples"
NOT_JUDGED = Path(__file__).parents[2] / "docs" / "not-judged.md"

by_schema = pytest.mark.parametrize("name", schema_names())
by_requirement = pytest.mark.parametrize("promise", load_catalogue().values(), ids=lambda each: each.id)
by_profile = pytest.mark.parametrize("name", profile_names())
by_automaton = pytest.mark.parametrize(
    "automaton", [lifecycle().runs, lifecycle().threads], ids=["runs", "threads"]
)


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def examples(kind: str) -> list[Any]:
    paths = sorted(EXAMPLES.glob(f"*/{kind}/*.json"))
    return [pytest.param(path.parts[-3], path, id=f"{path.parts[-3]}-{path.stem}") for path in paths]
