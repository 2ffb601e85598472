"""The words that the project does not use, of words.toml: `python -m tests.words [FILE …]` looks for them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from runstone.locations import CHECKOUT

_LIST: Final = Path(__file__).with_suffix(".toml")
_TEXT: Final = frozenset(
    {".css", ".html", ".j2", ".js", ".json", ".md", ".py", ".toml", ".ts", ".yaml", ".yml"}
)
# What is copied from published reports has the words of the servers, and of the contract of their day.
_COPIED: Final = re.compile(r"^<!-- causes: .*?^<!-- /causes -->$", re.MULTILINE | re.DOTALL)


class Word(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not to be written (`pattern`), and what is. `not_yet`: the folders in which it still stands."""

    pattern: str
    instead: str
    example: str
    but_not: str = ""
    not_yet: tuple[str, ...] = ()

    def found_in(self, text: str) -> Iterator[re.Match[str]]:
        """Each place of a text where it stands."""
        return re.finditer(self.pattern, text, re.IGNORECASE)


class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The list: where it is looked for, but not in `data`, and what."""

    folders: tuple[str, ...]
    pages: tuple[str, ...]
    data: tuple[str, ...]
    word: tuple[Word, ...]

    def files(self) -> list[Path]:
        """Every file in which words are looked for."""
        found = [CHECKOUT / page for page in self.pages if (CHECKOUT / page).exists()]
        for folder in self.folders:
            found += sorted(path for path in (CHECKOUT / folder).rglob("*") if path.suffix in _TEXT)
        return [path for path in found if "node_modules" not in path.parts and not _within(path, self.data)]


@cache
def load() -> Words:
    """The list of words.toml."""
    return msgspec.toml.decode(_LIST.read_bytes(), type=Words)


def findings(path: Path, words: Sequence[Word]) -> Iterator[str]:
    """A line for each word that stands in the file, and is looked for there."""
    text = _COPIED.sub(lambda found: "\n" * found[0].count("\n"), path.read_text("utf-8"))
    for word in words:
        if _within(path, word.not_yet):
            continue
        for found in word.found_in(text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{path.relative_to(CHECKOUT)}:{line}: {' '.join(found[0].split())!r}: write {word.instead}"


def _within(path: Path, folders: Sequence[str]) -> bool:
    return any(path.is_relative_to(CHECKOUT / folder) for folder in folders)


def main(names: Sequence[str]) -> int:
    """Look into these files, or into all; 1 where something was found."""
    words = load()
    everywhere = words.files()
    files = [path for name in names if (path := Path(name).resolve()) in everywhere] if names else everywhere
    found = [line for path in files for line in findings(path, words.word)]
    for line in found:
        print(line)  # noqa: T201 - it is a command
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
