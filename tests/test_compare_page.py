"""compare.html in a real browser: what it shows, filters, unfolds; nothing loaded, executed or lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from runstone.compare import compare, publish, texts_of
from runstone.verdict.model import Outcome
from tests.example_reports import OWNED
from tests.test_compare import observed, side


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    traces = [
        observed(turn=[{"said": OWNED, "mine": 1, "own": 2}], other=[{}]),
        observed(turn=[{"said": 1}], other=[{}]),
    ]
    sides = [
        side("one", {"M-1": "pass", "M-2": "pass", "S-1": "pass"}, traces[0]),
        side("other", {"M-1": "fail", "M-2": "pass", "S-1": "not-applicable"}, traces[1]),
    ]
    path: Path = tmp_path_factory.mktemp("page") / "compare.html"
    path.write_text(texts_of(compare(sides), sides)["compare.html"], "utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def overview(tmp_path_factory: pytest.TempPathFactory) -> str:
    good: dict[str, Outcome] = {"M-1": "pass", "M-2": "pass"}
    bad: dict[str, Outcome] = {"M-1": "fail", "M-2": "pass"}
    sides = [
        side(
            f"server {number}",
            bad if number % 2 else good,
            observed(turn=[{"said": OWNED, "number": number}]),
        )
        for number in range(9)
    ]
    folder: Path = tmp_path_factory.mktemp("published")
    publish(compare(sides), sides, folder)
    return (folder / "index.html").as_uri()


@pytest.fixture(params=[1280, 390])
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    yield from shown(browser, request.param, address)


@pytest.fixture(params=[1280, 390])
def overview_page(request: pytest.FixtureRequest, browser: Browser, overview: str) -> Iterator[Page]:
    yield from shown(browser, request.param, overview)


def shown(browser: Browser, width: int, address: str) -> Iterator[Page]:
    """The page as it is opened from a disk; nothing is loaded, nothing fails, nothing is wider than it."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    opened = context.new_page()
    asked: list[Request] = []
    troubles: list[str] = []
    opened.on("request", lambda sent: asked.append(sent))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    opened.goto(address)
    yield opened
    assert troubles == []
    assert {each.url.partition("#")[0] for each in asked if not each.url.startswith("data:")} == {address}
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert "owned" not in opened.title()
    context.close()


def test_only_differences_are_shown_until_all_are_asked_for(page: Page) -> None:
    expect(page.locator("h1")).to_have_text("one and other differ in 1 MUST")
    expect(page.locator(".line:visible")).to_have_count(2)
    page.get_by_label("Only differences").uncheck()
    expect(page.locator(".line:visible")).to_have_count(3)
    page.get_by_role("button", name="SHOULD", exact=True).click()
    expect(page.locator(".line:visible .id")).to_have_text(["S-1"])
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("nowhere")
    expect(page.locator("#nothing")).to_be_visible()
    page.get_by_role("button", name="show all").click()
    expect(page.locator(".line:visible")).to_have_count(3)


def test_an_address_leads_to_its_row_also_where_a_filter_hides_it(page: Page) -> None:
    page.goto(f"{page.url}#M-2")
    page.reload()
    expect(page.locator("#M-2:target")).to_be_in_viewport()
    expect(page.get_by_label("Only differences")).not_to_be_checked()


def test_a_cell_unfolds_all_sides_by_keyboard_too(page: Page) -> None:
    cell = page.get_by_role("button", name="M-1, other: fail")
    cell.focus()
    page.keyboard.press("Enter")
    detail = page.locator("#M-1 .detail")
    expect(detail.locator("section h4").first).to_contain_text("one")
    expect(detail.locator("section.looked")).to_contain_text("other")
    expect(detail.locator(".curl code").first).to_have_text("curl x")
    detail.locator("details.exchange > summary").first.click()
    expect(detail.locator("pre").filter(has_text="document.title")).to_be_visible()
    cell.click()
    expect(detail).to_be_hidden()


def test_the_page_begins_with_what_differs_in_short(page: Page) -> None:
    promises, answers = page.locator(".short .findings").all()
    expect(promises.locator("li")).to_have_count(1)
    expect(promises).to_contain_text("M-1 MUST fail other")
    expect(answers.locator("li")).to_have_count(1)
    expect(answers).to_contain_text("GET /threads/<id>/state")
    expect(answers).to_contain_text("in 1 scenario")
    expect(answers).to_contain_text("only one has mine, own; other type of said")
    promises.get_by_role("link", name="M-1").click()
    expect(page.locator("#M-1")).to_be_in_viewport()


def test_a_difference_unfolds_the_exchanges_of_its_example(page: Page) -> None:
    alone, other = page.locator("details.unlike").all()
    # What the same scenarios show is told in one line, with the requirements once.
    expect(alone.locator(".where")).to_have_text(["/body/mine M-1", "/body/own"])
    expect(other.locator(".where")).to_have_text("/body/said M-1")
    other.locator("summary").first.click()
    expect(other.locator(".both > section")).to_have_count(2)
    expect(other.locator(".both > section pre").first).to_contain_text("document.title")
    expect(other.locator(".both > section").nth(1)).to_contain_text('"said": 1')
    expect(other.locator(".detail")).to_contain_text("At /body/said. Shown by turn.")
    other.get_by_role("link", name="M-1").click()
    expect(page.locator("#M-1")).to_be_in_viewport()


def test_an_overview_leads_from_every_cell_to_its_exchange(overview_page: Page) -> None:
    page = overview_page
    expect(page.locator("h1")).to_have_text("9 known servers, requirement by requirement")
    expect(page.locator(".targets svg")).to_have_count(9)
    expect(page.locator(".line button.stand")).to_have_count(18)
    page.get_by_label("Only differences").uncheck()
    kept = page.get_by_role("button", name="M-2, server 8: pass")
    kept.focus()
    page.keyboard.press("Enter")
    first = page.locator("#M-2 .detail section").first
    expect(first).to_contain_text("server 8")
    first.locator("details.exchange > summary").click()
    expect(first.locator("pre").filter(has_text='"number": 8')).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("M-1")
    expect(page.locator(".line:visible .id")).to_have_text(["M-1"])
