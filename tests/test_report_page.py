"""report.html in a real browser: filters, unfolding, jumps; nothing loaded, executed or lost."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from runstone import report as reports
from runstone.report.proof import BODY
from runstone.verdict.model import Report
from runstone.wire.exchange import Comment, Event
from runstone.wire.trace import Trace
from tests.example_reports import OWNED, example, exchange

BIG_NUMBER = '{"log":["s1",{}],"big":9007199254740993,"big":1.50}'


def sample_traces() -> list[Trace]:
    events = (
        Event(event="metadata", data='{"run_id":"r"}', at=0.0141),
        Event(event="values", data=OWNED, at=0.25, id="7-0"),
        *(Event(event="values", data=f'{{"n":{number}}}', at=0.3) for number in range(100)),
    )
    return [
        Trace(
            scenario="errors",
            exchanges=(exchange("errors", 1), exchange("errors", 2, content=OWNED, code=400)),
        ),
        Trace(
            scenario="tool_turn_by_wait",
            exchanges=(
                exchange("tool_turn_by_wait", 2, content=BIG_NUMBER),
                exchange("tool_turn_by_wait", 3, content='{"long":"' + "x" * 9_000 + '"}'),
            ),
        ),
        Trace(scenario="failing_wait", exchanges=(exchange("failing_wait", 2),)),
        Trace(scenario="failing_wait@2", exchanges=(exchange("failing_wait@2", 2),)),
        Trace(
            scenario="failing_stream",
            exchanges=(exchange("failing_stream", 2, code=None, failure="timed out"),),
        ),
        Trace(
            scenario="stream_modes[values]",
            exchanges=(
                exchange(
                    "stream_modes[values]", 2, events=events, comments=(Comment(text="heartbeat", at=1.0),)
                ),
            ),
        ),
    ]


@pytest.fixture(scope="module")
def report() -> Report:
    return example("every-verdict")


@pytest.fixture(scope="module")
def address(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    reports.write_all(report, sample_traces(), folder)
    return (folder / "report.html").as_uri()


class Watched:
    """What a page did that a report must not do."""

    def __init__(self, page: Page) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", self._request)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _request(self, request: Request) -> None:
        if not request.url.startswith("data:"):
            self.requests.append(request.url)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The report, opened; afterwards it must have loaded and complained about nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    watched = Watched(opened)
    opened.goto(address)
    yield opened
    title = opened.title()
    context.close()
    assert watched.complaints == []
    assert {url.partition("#")[0] for url in watched.requests} == {address}
    assert title == "Runstone broke while it judged langgraph-js"  # hostile text did not rename it


def visible(page: Page) -> list[str]:
    ids: list[str] = page.eval_on_selector_all(
        "details.requirement", "found => found.filter(item => item.checkVisibility()).map(item => item.id)"
    )
    return ids


def unfold(page: Page, identity: str, number: int = 0) -> None:
    page.locator(f"#{identity} > summary").click()
    page.locator(f"#{identity} .exchange > summary").nth(number).click()


def test_filters_by_verdict_level_area_and_words_reflect_in_the_address(page: Page, report: Report) -> None:
    everything = [verdict.id for verdict in report.verdicts]
    assert visible(page) == everything
    chip = page.locator(".chip[data-value=fail]")
    chip.click()
    assert visible(page) == ["ERR-001", "RUN-WAIT-002"]
    expect(chip).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#shown")).to_have_text(f"2 of {len(everything)} shown")
    page.locator("#area").select_option("run-wait")
    assert visible(page) == ["RUN-WAIT-002"]
    assert page.url.endswith("#verdict=fail&area=run-wait")
    page.locator("#reset").click()
    assert visible(page) == everything
    assert "#" not in page.url
    page.locator(".chip[data-value=MAY]").click()
    assert visible(page) == ["META-004", "TIMEOUT-002"]
    page.keyboard.press("/")
    page.keyboard.type("408 partial")
    assert visible(page) == ["TIMEOUT-002"]
    page.locator("#search").fill("nothing says this")
    expect(page.locator("#nothing")).to_be_visible()


def test_the_address_restores_the_filters(page: Page, address: str) -> None:
    page.goto(f"{address}#verdict=fail,warn&level=MUST,MAY&q=%2Fmetrics")
    assert visible(page) == ["META-004"]
    expect(page.locator("#search")).to_have_value("/metrics")
    page.goto(f"{address}#verdict=%zz&q=%zz")  # an address typed by hand
    assert visible(page) == []


def test_unfolding_shows_the_exchange_as_it_was_sent(page: Page) -> None:
    unfold(page, "RUN-WAIT-002")
    shown = page.locator("#RUN-WAIT-002 .exchange").first
    expect(shown.locator("summary").first).to_contain_text(
        "tool_turn_by_wait#2POST /threads/6f1d1c9e…/runs/wait2001.04 s"
    )
    expect(shown).to_contain_text("POST /threads/6f1d1c9e-3c55-4f0e-9a52-6a1a4b7f3c10/runs/wait")
    expect(shown.locator(".timings")).to_have_text(
        "sent1.50 s into the sessionheaders12 ms afterfirst byte13 ms afterend1.04 s after"
    )
    body = shown.locator("pre").last.text_content()
    assert body == '{\n  "log": [\n    "s1",\n    {}\n  ],\n  "big": 9007199254740993,\n  "big": 1.50\n}'
    shown.locator(".headers summary").first.click()
    expect(shown.locator(".headers").first).to_contain_text("[redacted:x-api-key]")


def test_a_long_body_is_cut_and_says_so(page: Page) -> None:
    unfold(page, "RUN-WAIT-002", 1)
    expect(page.locator("#RUN-WAIT-002 .exchange").nth(1)).to_contain_text(
        f"cut after {BODY} of 9011 characters"
    )


def test_events_come_as_a_table_with_their_times(page: Page) -> None:
    unfold(page, "RUN-STREAM-001")
    events = page.locator("#RUN-STREAM-001 .events").first
    assert events.locator("tbody tr").first.locator("td").all_text_contents() == [
        "14.1",
        "metadata",
        "",
        '{"run_id":"r"}',
    ]
    assert events.locator("tbody tr").nth(1).locator("td").all_text_contents() == [
        "250.0",
        "values",
        "7-0",
        OWNED,
    ]
    expect(events.locator(".gap")).to_have_text("42 events left out; the evidence folder has them")
    assert events.locator("tbody tr").last.locator("td").last.text_content() == '{"n":99}'
    expect(page.locator("#RUN-STREAM-001 h5", has_text="Events")).to_have_text(
        "Events (102, and comment lines: 1)"
    )


def test_an_exchange_without_a_response_or_a_record_says_why(page: Page) -> None:
    unfold(page, "RUN-STREAM-004")
    expect(page.locator("#RUN-STREAM-004 .exchange")).to_contain_text("no response")
    expect(page.locator("#RUN-STREAM-004 .remark")).to_have_text("timed out")
    unfold(page, "META-004")
    expect(page.locator("#META-004 .exchange-body")).to_have_text("Not among the recorded traces.")


def test_a_flaky_verdict_shows_both_recordings(page: Page) -> None:
    page.locator("#PARITY-005 > summary").click()
    case = page.locator("#PARITY-005 .case").nth(1)
    shown = case.locator(".exchanges > *").all_inner_texts()
    titles = [text.splitlines()[0] for text in shown]
    assert titles[0] == "Judged on"
    assert titles[2] == "Judged on when it was observed again"
    assert [case.locator(".exchange").count(), len(titles)] == [2, 4]


def test_hostile_text_stays_text(page: Page, report: Report) -> None:
    unfold(page, "ERR-001", 1)
    expect(page.locator("#ERR-001 .exchange pre").last).to_have_text(OWNED)
    reason = next(verdict for verdict in report.verdicts if verdict.id == "ERR-001").cases[1].reason
    assert page.locator("#ERR-001 .reason").text_content() == reason
    assert page.locator("b", has_text=re.compile("^bold$")).count() == 0
    assert page.locator("img").count() == 0


def test_a_cell_of_the_grid_tells_its_reason_and_jumps_to_its_requirement(page: Page) -> None:
    page.locator(".chip[data-value=pass]").click()  # the requirement is filtered out
    cell = page.locator(".grid .s-differs")
    assert "first difference at /__error__/error" in (cell.get_attribute("title") or "")
    cell.click()
    assert page.url.endswith("#PARITY-005")
    expect(page.locator("#PARITY-005")).to_have_attribute("open", "")
    expect(page.locator("#PARITY-005 > summary")).to_be_focused()
    expect(page.locator("#PARITY-005 > summary")).to_be_in_viewport()


def test_every_jump_has_somewhere_to_go(page: Page) -> None:
    lost = page.eval_on_selector_all(
        "a[href^='#']", "found => found.map(a => a.hash.slice(1)).filter(id => !document.getElementById(id))"
    )
    assert lost == []


def test_the_keyboard_unfolds_and_filters(page: Page) -> None:
    page.locator("#META-001 > summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#META-001")).to_have_attribute("open", "")
    page.locator(".chip[data-value=waived]").focus()
    page.keyboard.press("Space")
    assert visible(page) == ["RUN-WAIT-005"]


def test_what_to_fix_first_is_read_with_the_keyboard_alone(page: Page, report: Report) -> None:
    first = page.locator("ol.causes > li").first
    expect(first).to_contain_text("Wanted")
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(first.locator("pre")).to_be_visible()
    page.keyboard.press("Tab")
    jump = first.locator(".hanging a").first
    expect(jump).to_be_focused()
    expect(jump).to_have_text(report.causes[0].requirements[0])
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"#{report.causes[0].requirements[0]}$"))


def test_a_case_leads_to_its_cause(page: Page, report: Report) -> None:
    case = next(case for verdict in report.verdicts for case in verdict.cases if case.cause)
    leads = page.locator(f"a[href='#{case.cause}']").first
    expect(leads).to_have_text("Its cause")
    assert page.locator(f"li#{case.cause}").count() == 1


def test_a_curl_line_is_copied_whole(page: Page, report: Report) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#RUN-WAIT-002 > summary").click()
    button = page.locator("#RUN-WAIT-002 .copy")
    button.click()
    expect(button).to_have_text(re.compile("Copied|Selected"))
    curl = next(verdict for verdict in report.verdicts if verdict.id == "RUN-WAIT-002").cases[1].curl[0]
    copied = page.evaluate("getSelection().toString() || navigator.clipboard.readText()")
    assert copied == curl


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_as_wide_as_the_window_and_readable_in_both_schemes(
    browser: Browser, address: str, width: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(address)
    unfold(page, "RUN-WAIT-002")
    unfold(page, "RUN-STREAM-001")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    poor = page.evaluate(CONTRAST)
    context.close()
    assert poor == []


# Texts whose contrast to the nearest painted background is below 4.5, the limit of WCAG 2 level AA.
CONTRAST = """() => {
  const channels = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = (colour) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = channels(colour).map((channel) => linear(channel / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const solid = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      const alpha = channels(colour)[3];
      if (alpha === undefined || alpha === 1) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = [...document.body.querySelectorAll('*')].filter((node) =>
    node.checkVisibility() && !node.closest('svg') &&
    [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()));
  if (texts.length < 100) return ['hardly any text was found'];
  return texts.map((node) => {
    const [a, b] = [light(getComputedStyle(node).color), light(solid(node))].sort((x, y) => y - x);
    return [Math.round(100 * (a + 0.05) / (b + 0.05)) / 100, node.className, node.textContent.slice(0, 30)];
  }).filter(([contrast]) => contrast < 4.5);
}"""
