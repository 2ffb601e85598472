"""The agent of the example scenarios keeps one contract in both languages, case by case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runstone.locations import locate
from tests.twins import Outcomes, Twins, canonical, node, places

AGENTS = Twins(
    locate("fixtures/agents/python"), locate("fixtures/agents/typescript"), file="agent_cases.json"
)
GRAPHS = locate("fixtures/graphs/typescript")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return AGENTS.project(tmp_path_factory.mktemp("agents") / "typescript")


@pytest.fixture(scope="module")
def in_typescript(project: Path) -> dict[str, Outcomes]:
    return AGENTS.in_typescript(project)


def test_what_both_languages_serve_has_cases() -> None:
    assert {case["graph"] for case in AGENTS.cases.values()} == set(places(AGENTS.typescript))
    assert set(places(AGENTS.typescript)) <= set(places(AGENTS.python))


@pytest.mark.parametrize("name", AGENTS.cases)
def test_both_languages_result_in_the_same(name: str, in_typescript: dict[str, Outcomes]) -> None:
    case = AGENTS.cases[name]
    assert list(canonical(in_typescript[name], case)) == list(canonical(AGENTS.in_python(case), case))


@pytest.mark.slow
def test_types_are_sound(project: Path) -> None:
    node(project, "node_modules/typescript/bin/tsc", "--project", "tsconfig.json")


def test_the_packages_are_those_of_the_graphs() -> None:
    """The recipe serves both with one set of packages, which one lock file pins."""

    def packages(folder: Path) -> dict[str, str]:
        found: dict[str, str] = json.loads((folder / "package.json").read_text("utf-8"))["dependencies"]
        return found

    assert packages(AGENTS.typescript).items() <= packages(GRAPHS).items()
