"""Every requirement of the catalogue has exactly one judge, and every judge can fail."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from runstone.contracts import load_catalogue
from runstone.locations import locate
from runstone.scenario.estimate import recorded_costs

SUITES = sorted(locate("suites").glob("test_*.py"))
_REQUIREMENT = re.compile(r'^@requirement\("([A-Z0-9-]+)"\)', re.MULTILINE)
_SCENARIO = re.compile(r"^@scenario\b.*?^async def (\w+)", re.DOTALL | re.MULTILINE)
_FORBIDDEN = re.compile(
    r"\bpytest\.(skip|xfail|importorskip)|\bmark\.(skip|skipif|xfail)\b|\bexcept( Exception)?:"
)


def judged_ids() -> Counter[str]:
    """How many judges each requirement has."""
    return Counter(found for suite in SUITES for found in _REQUIREMENT.findall(suite.read_text("utf-8")))


def test_every_requirement_has_one_judge() -> None:
    judges = judged_ids()
    assert sorted(judges) == sorted(load_catalogue().of_checks)
    assert [each for each, count in judges.items() if count > 1] == []


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.stem)
def test_no_suite_is_green_by_absence(suite: Path) -> None:
    assert _FORBIDDEN.findall(suite.read_text("utf-8")) == []


@pytest.mark.parametrize("suite", [*SUITES, locate("suites") / "conftest.py"], ids=lambda path: path.stem)
def test_a_suite_imports_nothing_of_the_engine_but_its_words(suite: Path) -> None:
    imported = {
        name
        for node in ast.walk(ast.parse(suite.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [n.name for n in node.names]
        )
    }
    assert {name for name in imported if name.partition(".")[0] in {"runstone", "pytest"}} <= {
        "runstone.suite"
    }


def test_no_helper_of_judges_is_written_twice() -> None:
    bodies: defaultdict[str, list[str]] = defaultdict(list)
    for suite in SUITES:
        for node in ast.parse(suite.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("_"):
                said = [each for each in node.body if not isinstance(each, ast.Expr)]  # without its docstring
                bodies[ast.dump(node.args) + "".join(map(ast.dump, said))].append(f"{suite.stem}.{node.name}")
    assert [names for names in bodies.values() if len(names) > 1] == []


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.stem)
def test_no_judge_tells_python_what_is_wrong(suite: Path) -> None:
    """What pytest makes of `a or b`, `not a` and `all(…)`, `(False or …)`, tells a user nothing."""
    silent = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(suite.read_text("utf-8")))
        if isinstance(node, ast.Assert) and node.msg is None and not _is_told(node.test)
    ]
    assert silent == []


def _is_told(test: ast.expr) -> bool:
    """Whether a reader is told what was wanted: of a comparison, or by what is read and raises Missing."""
    if isinstance(test, ast.Call):
        return not isinstance(test.func, ast.Name) or test.func.id not in {"all", "any", "bool", "isinstance"}
    return isinstance(test, ast.Compare | ast.Attribute)


def test_every_scenario_has_recorded_costs() -> None:
    """By which checks are estimated and shared out; what makes up its requests takes the time it is given."""
    texts = [path.read_text("utf-8") for path in [*SUITES, locate("suites") / "conftest.py"]]
    declared = {name for text in texts for name in _SCENARIO.findall(text)}
    unrecorded = {"explore", "fuzzed_contract", "fuzzed_own_document"}
    assert declared - recorded_costs().keys() == unrecorded, "run: make durations"
    assert recorded_costs().keys() <= declared
