"""Loads side by side from the command line: what differs, and what cannot be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, expect

from runstone.cli import cli
from runstone.contracts import violations
from runstone.errors import RunstoneError
from runstone.load.model import Load
from tests.load.loads import OWNED, broken, sound, written


def named(load: Load, target: str) -> Load:
    return msgspec.structs.replace(load, plan=msgspec.structs.replace(load.plan, target=target))


def compared(folder: Path, *loads: Load) -> tuple[int, str, Path]:
    """The exit code, what was printed, and where the texts are."""
    folders = [str(written(load, folder / f"load-{place}")) for place, load in enumerate(loads)]
    done = CliRunner().invoke(cli, ["compare", *folders, "--out", str(folder / "out")], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.output, folder / "out"


def test_what_one_keeps_and_another_breaks_is_told(tmp_path: Path) -> None:
    code, said, out = compared(tmp_path, named(sound(), "old"), named(broken("LOAD-102", 3), "new"))
    assert code == 1
    assert said.splitlines()[-1].startswith("old and new differ in 1 MUST under load; ")
    found = json.loads((out / "compare.json").read_bytes())
    assert violations("load-comparison", found) == []
    assert [row["id"] for row in found["promises"] if row["split"]] == ["LOAD-102"]
    text = (out / "compare.md").read_text("utf-8")
    assert "| LOAD-102 | MUST | pass: 4,000 kept it | fail: 3,997 kept it, 3 broke it |" in text


def test_figures_stand_beside_each_other_with_the_change(tmp_path: Path) -> None:
    code, said, out = compared(tmp_path, named(sound(), "old"), named(sound(slower=2.0), "new"))
    assert code == 0
    assert "old and new keep the same under load" in said
    assert "| wait p99 | 60.0 ms | 120.0 ms (+100 %) |" in (out / "compare.md").read_text("utf-8")


def test_two_loads_of_one_target_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    code, said, _ = compared(tmp_path, sound(), sound())
    assert code == 0
    assert f"{tmp_path / 'load-0'} and {tmp_path / 'load-1'} keep the same" in " ".join(said.split())


@pytest.mark.parametrize(
    "other, said",
    [
        (
            sound(rate=80.0),
            "was offered 50 starts a second and .* 80; load one of them again with --rate 50/s",
        ),
        (
            msgspec.structs.replace(sound(), plan=msgspec.structs.replace(sound().plan, mix={"wait": 1})),
            "different kinds of runs; load one of them again with --mix wait=3,stream=2,enqueue=1",
        ),
    ],
    ids=["rate", "mix"],
)
def test_loads_of_different_work_are_not_compared(other: Load, said: str, tmp_path: Path) -> None:
    with pytest.raises(RunstoneError, match=said) as refused:
        compared(tmp_path, sound(), other)
    assert refused.value.exit_code == 2
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda path: path.write_text("{", "utf-8"), "load.json is damaged"),
        (
            lambda path: path.write_text('{"format": 9}', "utf-8"),
            "load.json is of format 9, this Runstone reads 1",
        ),
        (lambda path: path.unlink(), "load-0 is a load and .*load-1 is none; compare loads with loads"),
    ],
    ids=["damaged", "newer", "no-load"],
)
def test_a_folder_that_cannot_be_read_is_one_line(spoil: object, said: str, tmp_path: Path) -> None:
    folders = [written(sound(), tmp_path / f"load-{place}") for place in (0, 1)]
    assert callable(spoil)
    spoil(folders[1] / "load.json")
    with pytest.raises(RunstoneError, match=said):
        CliRunner().invoke(
            cli, ["compare", *map(str, folders)], standalone_mode=False, catch_exceptions=False
        )


@pytest.fixture(params=[1280, 390])
def page(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The page of a comparison with hostile names; it must load and complain about nothing."""
    _, _, out = compared(tmp_path, named(sound(), "old"), named(broken(), OWNED))
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    opened = context.new_page()
    troubles: list[str] = []
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("console", lambda message: troubles.append(message.text))
    opened.goto((out / "compare.html").as_uri())
    yield opened
    assert troubles == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= request.param
    assert opened.title().startswith("old and </script>")
    context.close()


def test_the_page_lays_the_loads_over_each_other(page: Page) -> None:
    expect(page.locator("#LOAD-102 .badge")).to_have_text(["pass", "fail"])
    assert page.locator("#chart-p99 polyline").count() == 2
    assert page.locator("#chart-percentile-wait polyline.l-side-1").count() == 1
    expect(page.locator(".seal")).to_have_text("They differ in a MUST")
