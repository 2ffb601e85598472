"""The page of batches in a real browser: while one is played, reloaded in the middle, with 200 scenarios."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, expect

from runstone.conversations.live.guard import Guard
from tests.conversations.desk import Desk, Thread, ai, serving_desk
from tests.conversations.live import Held, begin, files, heard, live
from tests.conversations.test_commands import BROKEN
from tests.conversations.test_interface import SHORT
from tests.conversations.test_playing import REFUND
from tests.example_reports import OWNED

WIDE, NARROW = 1280, 390
# The second turn is where tests stop the desk: by then an agent has spoken, and nothing is judged.
ASKED = "Who am I?"
TALK = {**SHORT, "tags": ["quick"], "turns": [*SHORT["turns"], {"user": ASKED}]}
_UNFOLD = "for (const each of document.querySelectorAll('#conversations details')) each.open = true"


@contextmanager
def opened(browser: Browser, url: str, width: int = WIDE, theme: str = "light") -> Iterator[Page]:
    """The page, which asks nobody but its server, breaks no rule of its policy, and fits its window."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if theme == "dark" else "light"
    )
    page = context.new_page()
    asked: list[Request] = []
    troubles: list[str] = []
    page.on("request", lambda sent: asked.append(sent))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.goto(url)
    yield page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert "owned" not in page.title()
    assert [each for each in troubles if "status of 422" not in each] == []  # a problem, which the page tells
    home = "/".join(url.split("/")[:3])
    assert [each.url for each in asked if not each.url.startswith((f"{home}/", "data:"))] == []
    context.close()


@pytest.fixture(scope="module")
def desk() -> Held:
    return Held()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, desk: Held) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("live")
    files(folder / "scenarios", TALK, REFUND, BROKEN)
    with serving_desk(desk) as target, live(folder, target) as url:
        yield url


@pytest.fixture(autouse=True)
def going_on(desk: Held) -> Iterator[None]:
    """A test that fails must not stop the next one."""
    yield
    desk.go_on()


@pytest.mark.parametrize(
    "width, theme", [(WIDE, "light"), pytest.param(NARROW, "dark", marks=pytest.mark.slow)]
)
def test_a_batch_is_started_and_watched_to_its_end(
    browser: Browser, served: str, desk: Held, width: int, theme: str
) -> None:
    desk.hold(ASKED)
    with opened(browser, served, width, theme) as page:
        page.get_by_label("Times each").fill("4")
        expect(page.get_by_role("button", name="Play 3 scenarios")).to_be_enabled()
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Playing 12 conversations")
        expect(page.locator(".card .says.user")).not_to_have_count(0)
        # Of any card: the desk answers nobody while it is held, and some may not have been answered before.
        expect(page.locator(".card .says.agent", has_text="Nice to meet you.")).not_to_have_count(0)
        expect(page.get_by_role("button", name="running")).to_be_visible()
        desk.go_on()
        expect(page.locator("h1")).to_have_text("Not accepted: 12 conversations")
        expect(page.locator("#far")).to_have_text("12 of 12 played, 4 fail, 8 pass")
        expect(page.locator("#now")).to_be_hidden()
        expect(page.locator("#batches option").first).to_contain_text("not accepted")
        page.get_by_role("button", name="fail 4").click()
        rows = page.locator("#conversations details:visible")
        expect(rows).to_have_count(4)
        rows.first.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(rows.first.locator(".says.agent")).to_contain_text("How can I help?")
        expect(rows.first.locator(".checks")).to_contain_text('"Evil" is not in the answer')
        page.keyboard.press("/")
        page.keyboard.type("refund order")
        expect(page.locator("#nothing")).to_be_visible()
        page.get_by_role("button", name="Show all").click()
        refund = page.locator("#conversations details").filter(has_text="refund").first
        refund.locator("summary").click()
        expect(refund.get_by_text("The whole conversation")).to_have_count(1)
        expect(refund.locator(".asks")).to_contain_text("Refund order 42?")
        expect(refund.locator(".call").first).to_contain_text('look_up({"order":"42"})')
        expect(refund.locator(".says").nth(4)).to_contain_text("resume: true")
        report = page.get_by_role("link", name="Report").get_attribute("href")
        assert "Not accepted: 3 scenarios" in httpx.get(f"{served}{report}").text


def test_who_reloads_in_the_middle_sees_the_same_as_who_did_not(
    browser: Browser, served: str, desk: Held
) -> None:
    desk.hold(ASKED)
    batch = begin(served, repeat=8, concurrency=2)
    with opened(browser, f"{served}/#{batch}") as page, opened(browser, f"{served}/#{batch}") as other:
        expect(page.locator("#far")).to_contain_text("fail")  # the first eight are broken
        page.reload()
        expect(page.locator("h1")).to_have_text("Playing 24 conversations")
        desk.go_on()
        for each in (page, other):
            expect(each.locator("h1")).to_have_text("Not accepted: 24 conversations")
            each.evaluate(_UNFOLD)
        said = other.locator("#conversations").text_content() or ""
        expect(page.locator("#conversations")).to_have_text(said)
        assert said.count("user I am Ada.") == 8
        checks = [event for _, event in heard(served, batch) if event["kind"] == "assertion_result"]
        expect(page.locator("#conversations .checks li")).to_have_count(len(checks))


def test_a_batch_is_cancelled_and_another_one_chosen(browser: Browser, served: str, desk: Held) -> None:
    first = begin(served, scenarios=["short"])
    heard(served, first)
    with opened(browser, served) as page:
        expect(page.locator("h1")).to_contain_text("conversation")
        page.get_by_label("Tag").select_option("quick")
        page.get_by_label("Times each").fill("200")
        desk.hold(ASKED, after=20)
        page.get_by_role("button", name="Play 1 scenario").click()
        expect(page.locator("h1")).to_have_text("Playing 200 conversations")
        expect(page.locator("#far")).to_contain_text("pass")
        page.get_by_role("button", name="Cancel").click()
        desk.go_on()
        expect(page.locator("h1")).to_have_text("Cancelled: 200 conversations")
        expect(page.locator("#notice")).to_contain_text("it was stopped before its end")
        expect(page.locator("#far")).to_have_text(
            re.compile(r"^\d+ of 200 played, \d+ not judged, \d+ pass$")
        )
        expect(page.locator("#chips button:visible", has_text="running")).to_have_count(0)
        page.get_by_label("Batch").select_option(first)
        expect(page.locator("h1")).to_have_text("Accepted: 1 conversation")
        page.get_by_label("Target").fill("nowhere")
        page.get_by_role("button", name="Play").click()
        expect(page.get_by_role("alert")).to_contain_text("'nowhere' is not a URL")


class Evil(Desk):
    """Says what would be run, were it ever taken for markup."""

    def act(self, thread: Thread, _: str) -> None:
        thread.messages.append(ai(OWNED, (OWNED, {OWNED: OWNED})))
        thread.interrupts = [{OWNED: OWNED}]


def test_what_an_agent_says_is_text(browser: Browser, tmp_path: Path) -> None:
    said = {"user": OWNED, "expect": [{"equals": OWNED, "name": OWNED}, {"contains": "nothing of it"}]}
    files(
        tmp_path / "scenarios",
        {"scenario": "evil", "assistant": "desk", "description": OWNED, "turns": [said]},
    )
    with serving_desk(Evil()) as target, live(tmp_path, target) as url:
        batch = begin(url)
        heard(url, batch)
        with opened(browser, url) as page:
            expect(page.locator("h1")).to_have_text("Not accepted: 1 conversation")
            page.locator("#conversations summary").click()
            expect(page.locator("#conversations .says.agent")).to_contain_text("document.title")


@pytest.mark.slow
def test_of_events_that_are_no_longer_kept_the_results_are_shown(browser: Browser, tmp_path: Path) -> None:
    files(tmp_path / "scenarios", BROKEN, {**SHORT, "repeat": {"times": 20}})
    with serving_desk(Desk()) as target, live(tmp_path, target, kept_bytes=3_000) as url:
        batch = begin(url, concurrency=1)
        while httpx.get(f"{url}/batches/{batch}").json()["state"] != "done":
            time.sleep(0.05)
        with opened(browser, url) as page:
            expect(page.locator("h1")).to_have_text("Not accepted: 21 conversations")
            expect(page.locator("#far")).to_have_text("21 of 21 played, 1 fail, 20 pass")
            page.get_by_role("button", name="fail 1").click()
            expect(page.locator("#conversations details:visible")).to_contain_text(
                '"Evil" is not in the answer'
            )


@pytest.mark.slow
def test_two_hundred_scenarios(browser: Browser, tmp_path: Path) -> None:
    files(tmp_path / "scenarios", *({**SHORT, "scenario": f"short-{number:03}"} for number in range(200)))
    with serving_desk(Desk()) as target, live(tmp_path, target) as url, opened(browser, url) as page:
        page.get_by_role("button", name="Play 200 scenarios").click()
        expect(page.locator(".card")).not_to_have_count(0)
        page.reload()
        expect(page.locator("h1")).to_have_text("Accepted: 200 conversations", timeout=60_000)
        expect(page.locator("#far")).to_have_text("200 of 200 played, 200 pass")
        page.locator("#search").fill("short-19")
        expect(page.locator("#conversations details:visible")).to_have_count(10)
        expect(page.locator("#shown")).to_have_text("10 of 200")


def test_the_page_comes_in_by_its_token(browser: Browser, tmp_path: Path) -> None:
    files(tmp_path / "scenarios", SHORT)
    guard = Guard.of("192.0.2.1", token=None, open_to_all=False)
    with (
        serving_desk(Desk()) as target,
        live(tmp_path, target, guard=guard) as url,
        opened(browser, f"{url}/?token={guard.token}") as page,
    ):
        assert page.url == f"{url}/"
        page.get_by_role("button", name="Play 1 scenario").click()
        expect(page.locator("h1")).to_have_text("Accepted: 1 conversation")
