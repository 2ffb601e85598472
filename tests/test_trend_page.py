"""The pages of sixty nights in a real browser: what they show and tell; nothing loaded or executed."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from runstone.contracts import load_catalogue
from runstone.report import write_texts
from runstone.trend import course_of, texts_of
from runstone.trend.history import RecordedCause
from tests.example_reports import OWNED
from tests.nights import on
from tests.test_trend import (
    ACCEPTED_ID,
    ALWAYS_ID,
    GONE_ID,
    LAST,
    LASTING_ID,
    LATEST_ID,
    PAST_ID,
    UNSTEADY_ID,
    WAVERING_ID,
    sixty,
)

CAUSE = RecordedCause(id="a", operation="GET /ok", answer="500", reason=OWNED, must=2, should=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    nights = [
        msgspec.structs.replace(
            each,
            server=OWNED if index == 3 else each.server,
            reasons=each.reasons | ({ALWAYS_ID: OWNED} if index == LAST else {}),
            causes=(CAUSE,) if 5 <= index <= 10 else (),
        )
        for index, each in enumerate(sixty())
    ]
    course = course_of("embedded", nights, load_catalogue())
    place: Path = tmp_path_factory.mktemp("trend")
    texts = texts_of([course], now=on(LAST), late_after=dt.timedelta(hours=36), nights=90)
    write_texts(texts, place)
    return place


@pytest.fixture(params=[1280, 390])
def page(request: pytest.FixtureRequest, browser: Browser, folder: Path) -> Iterator[Page]:
    """The page of the target on the morning after the last night; it must load and complain about nothing."""
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    opened = context.new_page()
    opened.clock.set_fixed_time(on(LAST) + dt.timedelta(hours=6))
    asked: list[str] = []
    troubles: list[str] = []
    opened.on("request", lambda sent: asked.append(sent.url))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("console", lambda message: troubles.append(message.text))
    opened.goto((folder / "embedded.html").as_uri())
    yield opened
    assert troubles == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= request.param
    assert "owned" not in opened.title()
    context.close()


def test_what_fails_since_when(page: Page) -> None:
    expect(page.locator("h1")).to_have_text("embedded breaks 3 MUST")
    row = page.locator(f"tr#{LASTING_ID}")
    expect(row.locator(".night")).to_have_text(["2026-10-11", "2026-10-10"])
    expect(row.locator(".version")).to_have_text(["server 1.2", "server 1.1"])
    expect(page.locator(f"tr#{ALWAYS_ID}")).to_contain_text("not once since 2026-09-01")
    expect(page.locator(f"tr#{LATEST_ID}")).to_contain_text("new")
    expect(page.locator(f"tr#{ACCEPTED_ID} .badge")).to_have_text("waived")
    expect(page.locator("tr[id]")).to_have_count(4)


def test_the_matrix_shows_what_changed_and_tells_of_a_night(page: Page) -> None:
    rows = page.locator("#matrix tbody tr")
    ids = {LASTING_ID, PAST_ID, ALWAYS_ID, ACCEPTED_ID, LATEST_ID, GONE_ID, WAVERING_ID, UNSTEADY_ID}
    expect(rows).to_have_count(len(ids))
    shown = {re.sub("(MUST|SHOULD|MAY)$", "", name) for name in rows.locator("th").all_text_contents()}
    assert shown == ids
    row = page.locator("#matrix tbody tr", has_text=LASTING_ID)
    assert row.locator("td.c-f").count() == 19
    row.locator("td").nth(45).click()
    expect(page.locator("#cell")).to_contain_text(
        f"{LASTING_ID} (MUST): fail on 2026-10-16 02:17 UTC, server 1.2"
    )
    expect(page.locator("#cell p").nth(2)).not_to_be_empty()  # the reason stands since night 40
    expect(page.locator("#matrix tbody td.breaks")).to_have_count(len(ids))
    page.get_by_label("also those kept").check()
    assert rows.count() > 400
    page.get_by_label("Find").fill(LASTING_ID.lower())
    expect(rows).to_have_count(1)


def test_causes_flaky_rates_and_lines_are_there(page: Page) -> None:
    causes = page.locator("section", has=page.locator("#causes-title"))
    expect(causes.locator("tbody .night")).to_have_text(["2026-09-06", "2026-09-11"])
    flaky = page.locator("section", has=page.locator("#flaky-title"))
    expect(flaky.locator("tbody tr").first).to_contain_text("5 of 30 nights")
    assert page.locator("polyline.l-MUST").count() == 3
    assert page.locator("polyline.l-time").count() == 3
    expect(page.locator("line.break")).to_have_count(2)


def test_a_page_that_nobody_renewed_says_so(browser: Browser, folder: Path) -> None:
    for name in ("index", "embedded"):
        opened = browser.new_page()
        opened.clock.set_fixed_time(on(LAST) + dt.timedelta(hours=35))
        opened.goto((folder / f"{name}.html").as_uri())
        expect(opened.locator(".late")).to_be_hidden()
        opened.clock.set_fixed_time(on(LAST) + dt.timedelta(hours=37))
        opened.reload()
        expect(opened.locator(".late")).to_contain_text("Nothing was checked since 2026-10-30 02:17 UTC")
        expect(opened.locator("body")).to_have_class("bad")
        opened.close()


def test_the_overview_leads_to_the_target(browser: Browser, folder: Path) -> None:
    opened = browser.new_page()
    opened.goto((folder / "index.html").as_uri())
    expect(opened.locator("h1")).to_have_text("1 target needs a look")
    expect(opened.locator(".target")).to_contain_text(LATEST_ID)
    assert opened.locator(".strip rect").count() == 60
    opened.get_by_role("link", name="embedded").click()
    expect(opened.locator("h1")).to_have_text("embedded breaks 3 MUST")
    opened.close()
