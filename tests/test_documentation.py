"""What the documentation shows is there: code of real files, commands and their options, files, targets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from runstone.cli import cli
from runstone.locations import CHECKOUT
from tests import examples
from tests.examples import NoSuchExample

by_page = pytest.mark.parametrize("page", examples.PAGES, ids=lambda path: path.name)
TAUGHT = ("CONTRIBUTING.md", "docs/writing-suites.md")  # pages whose code is to be copied by a reader
_OPTIONS_AND_ALL = re.compile(r"(?:[A-Z_]+=\S+ )*(runstone .*?)\s*(?:#.*|&)?$")


@by_page
def test_code_is_that_of_its_file(page: Path) -> None:
    text = page.read_text("utf-8")
    assert examples.renewed(text) == text, "`python -m tests.examples` copies it again"


@pytest.mark.parametrize("name", TAUGHT)
def test_no_code_of_a_guide_is_made_up(name: str) -> None:
    text = (CHECKOUT / name).read_text("utf-8")
    fences = re.findall(r"^```(python|yaml)$", text, re.MULTILINE)
    named = re.findall(r"^<!-- \S+: \S+ -->\n```(python|yaml)$", text, re.MULTILINE)
    assert fences
    assert named == fences


def test_an_example_is_the_newest_text_of_its_file() -> None:
    shown = "<!-- suites/test_webhook.py: _body -->\n```python\ndef old(): ...\n```\n"
    renewed = examples.renewed(f"before\n{shown}after")
    assert renewed.startswith("before\n<!-- suites/test_webhook.py: _body -->\n```python\ndef _body(")
    assert renewed.endswith("```\nafter")
    assert examples.renewed(renewed) == renewed


@pytest.mark.parametrize(
    "path, name, said",
    [
        ("suites/test_nothing.py", "x", "there is no suites/test_nothing.py"),
        ("suites/test_run_list.py", "test_of_nothing", "has no test_of_nothing"),
        ("contracts/requirements/run-list.yaml", "RUN-LIST-999", "has no RUN-LIST-999"),
    ],
)
def test_an_example_that_is_gone_is_named(path: str, name: str, said: str) -> None:
    with pytest.raises(NoSuchExample, match=said):
        examples.renewed(f"<!-- {path}: {name} -->\n```python\n```\n")


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each `runstone …` that stands on a line of its own."""
    for line in page.read_text("utf-8").splitlines():
        found = _OPTIONS_AND_ALL.fullmatch(line.strip())
        if found is not None and "…" not in found[1]:
            yield shlex.split(found[1])[1:]


@by_page
def test_commands_are_there_with_their_options(page: Path) -> None:
    for words in commands(page):
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None, words
        command.make_context(words[0], words[1:])  # raises for what it does not know


def test_commands_are_found() -> None:
    found = [words for page in examples.PAGES for words in commands(page)]
    assert len(found) > 10
    assert ["check", "langgraph-py"] in found


@by_page
def test_targets_of_make_and_files_are_there(page: Path) -> None:
    text = page.read_text("utf-8")
    makefile = (CHECKOUT / "Makefile").read_text("utf-8")
    for target in re.findall(r"(?:^    |`)make ([a-z-]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    places = r"(?:contracts|docs|fixtures|reports|src|suites|tests|\.github)/[\w./-]*\w/?"
    for place in re.findall(rf"[`(]({places})[`)]", text):
        assert (CHECKOUT / place).exists() or place.startswith("reports/out"), place
