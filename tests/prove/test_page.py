"""kill-matrix.html in a real browser: what it shows, filters and tells of a cell; nothing executed."""

from __future__ import annotations

from pathlib import Path

import msgspec
from playwright.sync_api import Browser, expect

from runstone.proof.prove import published
from tests.prove.matrices import KILLERS, fault, report, spoken, whole


def test_page_shows_the_matrix_and_tells_of_a_cell(tmp_path: Path, browser: Browser) -> None:
    hostile = "</script><script>document.title='owned'</script>"
    survivor = fault("never-caught", ["B-001"], report())
    talking = spoken(statement=hostile, reason=hostile)
    found = whole([KILLERS[0], msgspec.structs.replace(survivor, statement=hostile)], conversations=[talking])
    published.write(found, tmp_path)
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "kill-matrix.html").as_uri())
    expect(page.locator("#shown")).to_have_text("2 of 2 faults, 4 of 4 requirements")
    expect(page.locator("#matrix button")).to_have_text(["F", "w", "\u00d7"])
    page.locator("#matrix button.missed").click()
    expect(page.locator("#cell")).to_contain_text(hostile)
    expect(page.locator("#cell")).to_contain_text("pass seen of B-001")
    page.locator("#area").select_option("b")
    expect(page.locator("#shown")).to_have_text("1 of 2 faults, 2 of 4 requirements")
    page.locator("#area").select_option("")
    page.locator("#search").fill("at-once")
    expect(page.locator("#matrix th.name")).to_have_text(["all-at-once"])
    row = page.get_by_role("region").or_(page.locator("section")).filter(has_text="Faults of conversations")
    expect(row.locator("tbody tr")).to_contain_text(["agent-x"])
    expect(row.locator("tbody tr")).to_contain_text([hostile])
    assert page.title().startswith("Kill matrix: 1 of 2 faults caught")
    assert page.title().endswith("; 1 of 1 fault of conversations caught")
    assert complaints == []
    page.close()
