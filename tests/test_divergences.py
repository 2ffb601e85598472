"""Every waiver of a known server is explained, and every divergence that is explained is waived."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from runstone.contracts import load_catalogue
from runstone.target import recipes
from runstone.verdict.waivers import Waiver, load
from tests import divergences

PAGE = Path(__file__).parent.parent / "docs" / "divergences.md"
CHAPTERS = {
    "langgraph-py": "The official Python server",
    "langgraph-js": "The official JavaScript server",
    "langgraph-js-auth": "The official JavaScript server with authentication",
}
CHAPTERS_WITHOUT_WAIVERS = {"pure-graph": "The independent server pure-graph"}  # see test_pure_graph.py
TOLD_BY_CAUSES = "Servers told by their causes"
FUZZED = "Found by fuzzing"
NOT_JUDGED = "Known and not judged"
_ID = re.compile(r"\b[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*-\d{3}\b")


def divided(text: str, heading: str) -> dict[str, str]:
    """The parts of a text that begin with headings of this level, by their titles."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    pieces = re.split(rf"^{heading} (.+)\n", prose, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def anchor(title: str) -> str:
    """The fragment under which a Markdown page shows the heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def waivers_of(recipe: str) -> list[Waiver]:
    """The waivers that the recipe names; loading refuses ids that are not in the catalogue."""
    path = recipes.load(recipe).waivers
    assert path is not None
    return load(Path(path), load_catalogue())


def sections_of(recipe: str) -> dict[str, str]:
    """The sections of a server's chapter, by their anchors."""
    chapter = divided(PAGE.read_text("utf-8"), "##")[CHAPTERS[recipe]]
    return {anchor(title): text for title, text in divided(chapter, "###").items()}


by_recipe = pytest.mark.parametrize("recipe", CHAPTERS)


def test_every_recipe_with_waivers_has_a_chapter() -> None:
    assert [name for name in recipes.names() if recipes.load(name).waivers] == sorted(CHAPTERS)
    chapters = [*CHAPTERS.values(), FUZZED, NOT_JUDGED, *CHAPTERS_WITHOUT_WAIVERS.values(), TOLD_BY_CAUSES]
    assert [*divided(PAGE.read_text("utf-8"), "##")] == chapters


@by_recipe
def test_every_waiver_links_to_the_section_that_names_it(recipe: str) -> None:
    sections = sections_of(recipe)
    for waiver in waivers_of(recipe):
        page, _, fragment = waiver.link.partition("#")
        assert page == PAGE.relative_to(PAGE.parent.parent).as_posix()
        assert fragment in sections, f"{waiver.requirement} links to #{fragment}, which is not a section"
        judged = sections[fragment].split("Promised:")[0]
        named = re.findall(r"`([^`]+)`", judged)
        wanted = {waiver.requirement_id, waiver.case or waiver.requirement_id}
        assert wanted <= {*named}, f"#{fragment} does not begin with {' and '.join(sorted(wanted))}"


@by_recipe
def test_every_scenario_that_is_named_exists(recipe: str) -> None:
    suites = "".join(path.read_text("utf-8") for path in (PAGE.parent.parent / "suites").glob("*.py"))
    scenarios = set(re.findall(r"^@scenario.*\nasync def (\w+)", suites, re.MULTILINE))
    named = {name for waiver in waivers_of(recipe) for name in waiver.scenarios}
    assert sorted(named - scenarios) == []


@by_recipe
def test_monitors_are_waived_where_they_find_something(recipe: str) -> None:
    """A monitor reads every trace: a waiver for all of them would hide whatever else it finds."""
    everywhere = [each.requirement for each in waivers_of(recipe) if not each.scenarios]
    assert [name for name in everywhere if name.startswith("MON-")] == []


@by_recipe
def test_every_section_is_waived(recipe: str) -> None:
    linked = {waiver.link.partition("#")[2] for waiver in waivers_of(recipe)}
    assert sorted(sections_of(recipe)) == sorted(linked)


@by_recipe
def test_the_overview_lists_every_section_and_its_level(recipe: str) -> None:
    catalogue, text = load_catalogue(), PAGE.read_text("utf-8")
    overview = divided(text, "##")[CHAPTERS[recipe]].split("\n### ")[0]
    rows = re.findall(r"^\| (\w+) \| (\S+) \| \[(.+)\]\(#(.+)\) \|$", overview, re.MULTILINE)
    waived = {(waiver.requirement_id, waiver.link.partition("#")[2]) for waiver in waivers_of(recipe)}
    assert {(requirement, fragment) for _, requirement, _, fragment in rows} == waived
    assert list(dict.fromkeys(anchor(title) for _, _, title, _ in rows)) == list(sections_of(recipe))
    assert [level for level, *_ in rows] == [catalogue[requirement].level for _, requirement, *_ in rows]


@pytest.mark.parametrize("name", ["langgraph-py@0.8.7", "langgraph-js@1.4.6"])
def test_the_waivers_of_a_version_link_to_what_explains_them(name: str) -> None:
    sections = sections_of(name.partition("@")[0])
    for waiver in waivers_of(name):
        assert waiver.requirement_id in sections[waiver.link.partition("#")[2]]


def test_every_requirement_that_is_named_exists() -> None:
    named = set(_ID.findall(PAGE.read_text("utf-8")))
    assert len(named) >= len(waivers_of("langgraph-py")) / 2
    assert sorted(named - set(load_catalogue())) == []


def test_the_causes_are_those_of_the_published_reports() -> None:
    assert divergences.PAGE.read_text("utf-8") == divergences.page(), "run: python -m tests.divergences"
    chapter = divided(PAGE.read_text("utf-8"), "##")[TOLD_BY_CAUSES]
    assert list(divided(chapter, "###")) == list(divergences.SERVERS)


def test_every_published_server_is_explained() -> None:
    """Whoever sees a broken promise in the overview finds the server's chapter or its table of causes."""
    names = json.loads((PAGE.parent.parent / "reports/published/index.json").read_bytes())["targets"]
    told = {*CHAPTERS, *CHAPTERS_WITHOUT_WAIVERS, *divergences.SERVERS, "embedded"}
    assert sorted(set(names) - told) == []
