"""Every requirement of the catalogue has exactly one judge, and every judge can fail."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from runstone.contracts import load_catalogue
from runstone.locations import locate

SUITES = sorted(locate("suites").glob("test_*.py"))
_REQUIREMENT = re.compile(r'^@requirement\("([A-Z0-9-]+)"\)', re.MULTILINE)
_FORBIDDEN = re.compile(
    r"\bpytest\.(skip|xfail|importorskip)|\bmark\.(skip|skipif|xfail)\b|\bexcept( Exception)?:"
)


def judged_ids() -> Counter[str]:
    """How many judges each requirement has."""
    return Counter(found for suite in SUITES for found in _REQUIREMENT.findall(suite.read_text("utf-8")))


def test_every_requirement_has_one_judge() -> None:
    judges = judged_ids()
    assert sorted(judges) == sorted(load_catalogue())
    assert [each for each, count in judges.items() if count > 1] == []


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.stem)
def test_no_suite_is_green_by_absence(suite: Path) -> None:
    assert _FORBIDDEN.findall(suite.read_text("utf-8")) == []
