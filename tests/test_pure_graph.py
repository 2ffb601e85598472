"""The independent server: it serves the conformance graphs, and what it breaks is explained page and line."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from runstone.contracts import load_catalogue
from runstone.scenario import clients
from runstone.target import recipes
from tests.command_line import runstone
from tests.test_divergences import CHAPTERS_WITHOUT_WAIVERS, PAGE, anchor, divided

LEVELS = ("MUST", "SHOULD", "MAY")


def chapter() -> str:
    return divided(PAGE.read_text("utf-8"), "##")[CHAPTERS_WITHOUT_WAIVERS["pure-graph"]]


def listed(section: str) -> dict[str, list[str]]:
    """The requirements that a section begins with, by level; `HIST-001, -002` names two."""
    found: dict[str, list[str]] = {}
    area = ""
    for level, ids in re.findall(r"(MUST|SHOULD|MAY):\s+([^·.]+)", section.partition("Seen:")[0]):
        for name in re.split(r",\s*", ids.strip()):
            area = area if name.startswith("-") else name.rpartition("-")[0]
            found.setdefault(level, []).append(f"{area}-{name.rpartition('-')[2]}")
    return found


def test_it_has_no_waivers_and_declares_what_it_offers() -> None:
    recipe = recipes.load("pure-graph")
    assert recipe.waivers is None
    assert {name for name, offered in recipe.capabilities.items() if offered} == {
        "exclusive",
        "thread_copy",
        "stateless_threads",
    }


def test_each_requirement_stands_once_and_under_its_level() -> None:
    catalogue = load_catalogue()
    sections = {title: listed(text) for title, text in divided(chapter(), "###").items()}
    assert [title for title, found in sections.items() if not found] == []
    named = [(level, name) for found in sections.values() for level in found for name in found[level]]
    assert len(named) > 250
    assert [name for name, times in Counter(name for _, name in named).items() if times > 1] == []
    assert [(level, name) for level, name in named if catalogue[name].level != level] == []


def test_the_overview_counts_what_the_sections_list() -> None:
    rows = re.findall(r"^\| \[(.+)\]\(#(.+)\) \| (\d+) \| (\d+) \| (\d+) \|$", chapter(), re.MULTILINE)
    sections = {title: listed(text) for title, text in divided(chapter(), "###").items()}
    assert [title for title, *_ in rows] == list(sections)
    assert [fragment for _, fragment, *_ in rows] == [anchor(title) for title in sections]
    for title, _, *counts in rows:
        assert [int(each) for each in counts] == [len(sections[title].get(level, [])) for level in LEVELS]


@pytest.mark.slow
def test_its_graphs_pass_the_self_check(tmp_path: Path) -> None:
    if (reason := clients.missing(["node_sdk"])["node_sdk"]) is not None:
        pytest.fail(f"this machine cannot run it: {reason}")
    done = runstone("check", "pure-graph", "--select", "META-001", "--out", str(tmp_path / "out"))
    assert done.returncode == 1, done.stdout + done.stderr  # unfit graphs would be 3
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    (verdict,) = (each for each in report["verdicts"] if each["id"] == "META-001")
    assert verdict["cases"][0]["reason"] == "wanted 200, got 404"
