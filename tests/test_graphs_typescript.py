"""The TypeScript conformance graphs result in what the Python ones do, in each case of graph_cases.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runstone.locations import locate
from tests.twins import Outcomes, Twins, canonical, node, places

GRAPHS = Twins(
    locate("fixtures/graphs/python"), locate("fixtures/graphs/typescript"), file="graph_cases.json"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return GRAPHS.project(tmp_path_factory.mktemp("graphs") / "typescript")


@pytest.fixture(scope="module")
def in_typescript(project: Path) -> dict[str, Outcomes]:
    return GRAPHS.in_typescript(project)


def test_both_languages_serve_the_same_graphs() -> None:
    assert set(places(GRAPHS.typescript)) == set(places(GRAPHS.python))


def test_every_graph_has_a_case() -> None:
    assert {case["graph"] for case in GRAPHS.cases.values()} == set(places(GRAPHS.python))


@pytest.mark.parametrize("name", GRAPHS.cases)
def test_both_languages_result_in_the_same(name: str, in_typescript: dict[str, Outcomes]) -> None:
    case = GRAPHS.cases[name]
    assert list(canonical(in_typescript[name], case)) == list(canonical(GRAPHS.in_python(case), case))


def test_types_are_sound(project: Path) -> None:
    node(project, "node_modules/typescript/bin/tsc", "--project", "tsconfig.json")


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((GRAPHS.typescript / "package-lock.json").read_text("utf-8"))
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    # A package that comes inside another has no sum of its own.
    own = {name: each for name, each in lock["packages"].items() if name and not each.get("inBundle")}
    assert [name for name, package in own.items() if not package.get("integrity")] == []
