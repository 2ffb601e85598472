"""load.html in a real browser: what it shows and unfolds; nothing loaded or executed."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from runstone.load.charts import charts_of
from runstone.load.judging import report_of
from runstone.load.model import Load, Outcome
from runstone.load.page import to_html
from tests.load.loads import OWNED, TRACE, broken, sound, traces

TODAY = dt.date(2026, 11, 29)
_ANY = re.compile(".")


def page_of(load: Load) -> str:
    recorded = traces(OWNED)
    return to_html(load, report_of(load, recorded, today=TODAY), recorded)


def hostile() -> Load:
    """A broken load of a target that says what would run a script, had the page let it."""
    load = broken(number=250)
    invariants = tuple(
        msgspec.structs.replace(each, remark=OWNED, why_not_tested={OWNED: 2}) for each in load.invariants
    )
    return msgspec.structs.replace(
        load, server=OWNED, errors={OWNED: 3, "x" * 400: 1}, invariants=invariants, left=(OWNED,)
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("page") / "load.html"
    made.write_text(page_of(hostile()), "utf-8")
    return made


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["wide", "narrow"])
def page(request: pytest.FixtureRequest, browser: Browser, path: Path) -> Iterator[Page]:
    """The page of a broken load; it must load and complain about nothing."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened = context.new_page()
    asked: list[str] = []
    troubles: list[str] = []
    opened.on("request", lambda sent: asked.append(sent.url))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("console", lambda message: troubles.append(message.text))
    opened.goto(path.as_uri())
    yield opened
    assert troubles == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert "owned" not in opened.title()
    context.close()


def test_the_verdict_and_the_counters_are_told(page: Page) -> None:
    expect(page.locator("h1")).to_have_text("embedded does not keep what it promises under load")
    expect(page.locator(".seal")).to_have_text("Broken")
    told = page.locator("#LOAD-102")
    expect(told.locator("summary").first).to_contain_text("3,750 runs kept it, 250 broke it")
    expect(told).to_have_attribute("open", "")
    expect(page.locator("#LOAD-101")).not_to_have_attribute("open", "")
    expect(page.locator("details.requirement")).to_have_count(9)
    expect(told).to_contain_text("230 more")
    expect(page.locator(".counts tbody tr").first).to_contain_text("1,500")


def test_a_broken_start_unfolds_to_its_exchanges_by_keyboard_alone(page: Page) -> None:
    start = page.locator("#LOAD-102 details.start").first
    start.locator("summary").first.focus()
    page.keyboard.press("Enter")
    exchanges = start.locator("details.exchange")
    expect(exchanges).to_have_count(2)
    exchanges.last.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(exchanges.last).to_contain_text("GET /threads/7b0e8f2a-0000-4000-8000-000000000042/state")
    expect(exchanges.last).to_contain_text("document.title = 'owned'")
    unrecorded = page.locator("#LOAD-102 details.start").nth(1)
    unrecorded.locator("summary").click()
    expect(unrecorded).to_contain_text("It was counted and not recorded")
    drawn = page.locator(".starts details.start")
    drawn.locator("summary").first.click()
    expect(drawn.locator("details.exchange")).to_have_count(2)


def test_charts_have_lines_scales_and_their_numbers(page: Page) -> None:
    for name, lines in (("latency", 4), ("percentile", 3), ("throughput", 3), ("memory", 1)):
        assert page.locator(f"#chart-{name} polyline").count() == lines
        expect(page.locator(f"#chart-{name} svg[role=img]")).to_have_attribute("aria-label", _ANY)
    assert page.locator("#chart-in-flight polyline.l-server").count() == 2  # it did not tell in one window
    expect(page.locator("#chart-latency .ticks text").first).to_have_text("10 ms")
    expect(page.locator("#chart-throughput rect.b-draining")).to_have_count(1)
    page.get_by_text("the numbers behind the charts").click()
    expect(page.locator("#windows tbody tr")).to_have_count(13)
    expect(page.locator("#windows tbody tr").nth(4)).to_contain_text("\u2013")


def test_an_address_leads_to_a_promise(page: Page, path: Path) -> None:
    page.goto(f"{path.as_uri()}#LOAD-106")
    page.reload()
    expect(page.locator("#LOAD-106")).to_have_attribute("open", "")
    expect(page.locator("#LOAD-106 > summary")).to_be_focused()


@pytest.mark.parametrize(
    "load, said",
    [
        (sound(), ["keeps what it promises under load", ">Kept<", "4,000 runs kept it"]),
        (
            msgspec.structs.replace(
                sound(),
                exit_code=4,
                outcome=Outcome(kind="generator-bound", reason="It was 2.1 s late."),
                stopped="Ctrl-C",
            ),
            ["has no verdict under load", ">No verdict<", "Bound by the generator.", "Ctrl-C", "not run"],
        ),
        (
            msgspec.structs.replace(
                sound(),
                exit_code=4,
                outcome=Outcome(kind="incomplete", reason="worker 2 of 2 did not report"),
                invariants=(),
                windows=(),
                latencies=(),
                counts={},
                samples=(),
            ),
            ["Incomplete.", "worker 2 of 2 did not report", "nothing was counted"],
        ),
    ],
    ids=["sound", "generator-bound", "incomplete"],
)
def test_what_a_page_of_a_whole_or_half_load_says(load: Load, said: list[str]) -> None:
    text = page_of(load)
    assert [each for each in said if each not in text] == []


def test_a_long_soak_and_slow_answers_are_drawn_on_round_scales() -> None:
    first = sound().windows[0]
    windows = tuple(
        msgspec.structs.replace(
            first,
            at=300.0 * number,
            seconds=300.0,
            p50_ms=4.0,
            max_ms=31_000.0,
            errors=number,
            broken=number == 3,
        )
        for number in range(96)
    )
    charts = {each.name: each for each in charts_of(msgspec.structs.replace(sound(), windows=windows))}
    assert [tick.text for tick in charts["latency"].up] == ["1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"]
    assert [tick.text for tick in charts["latency"].across] == ["0 s", "2 h", "4 h", "6 h", "8 h"]
    assert [band.kind for band in charts["latency"].bands] == ["broken"]
    assert charts["errors"].up[-1].text == "100"
    assert [tick.at for tick in charts["errors"].up] == sorted(
        (tick.at for tick in charts["errors"].up), reverse=True
    )


def test_the_page_names_the_recording_that_it_cannot_draw() -> None:
    load = broken()
    assert "Its recording is not here." in to_html(load, report_of(load, {}, today=TODAY), {})
    assert f"traces/{TRACE}.json" in page_of(load)
