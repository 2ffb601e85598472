"""The list of words: each entry finds its example and no more, and leaves out no folder without need."""

from __future__ import annotations

from pathlib import Path

import pytest

from runstone.locations import CHECKOUT
from tests import words
from tests.words import Word

LIST = words.load()
each_word = pytest.mark.parametrize("word", LIST.word, ids=lambda word: word.example)


@each_word
def test_a_word_is_found_in_its_example_alone(word: Word) -> None:
    assert list(word.found_in(word.example))
    assert list(word.found_in(word.example.upper()))
    assert not list(word.found_in(word.but_not))
    assert not list(word.found_in(word.instead))


@each_word
def test_a_folder_that_was_swept_is_looked_into(word: Word) -> None:
    """The baseline only shrinks: a folder without the word is not to be left out."""
    texts = {path: path.read_text("utf-8") for path in LIST.files()}
    for folder in word.not_yet:
        inside = [text for path, text in texts.items() if path.is_relative_to(CHECKOUT / folder)]
        assert any(True for text in inside for _ in word.found_in(text)), f"take {folder} out of not_yet"


def test_a_finding_names_its_place_and_what_to_write() -> None:
    word = Word(pattern=r"\bnarrate[sd]\b", instead="tell", example="it narrated")
    page = CHECKOUT / "README.md"
    assert list(words.findings(page, [word])) == []
    [found] = words.findings(page, [Word(pattern=r"\A# Runstone", instead="another name", example="#")])
    assert found == "README.md:1: '# Runstone': write another name"


def test_every_text_of_the_folders_is_looked_into() -> None:
    files = LIST.files()
    for name in ("src/runstone/errors.py", "docs/writing-suites.md", "README.md", "suites/test_err.py"):
        assert CHECKOUT / name in files
    assert not [path for path in files if "examples" in path.parts]
    assert Path(words.__file__) not in files
