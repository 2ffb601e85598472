"""What reports are written on in a terminal: plain lines, wrapped to the width."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

from runstone.report.text import for_terminal

_WIDEST: Final = 100  # columns: longer lines are tiring to read


class Page:
    """Writes plain lines, wrapped to the width; styles show on a terminal only. Nothing is read as markup."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = min(console.width, _WIDEST)
        self._encoding = console.encoding

    def line(self, text: str = "", style: str = "") -> None:
        """One line as it is: never wrapped, so that a curl line can be pasted."""
        self.spans((text, style))

    def spans(self, *spans: tuple[str, str]) -> None:
        """One line made of text and style pairs."""
        text = Text.assemble(*((self._plain(part), style) for part, style in spans))
        self._console.print(text, soft_wrap=True, highlight=False, markup=False, emoji=False)

    def entry(self, lead: str, text: str, style: str = "") -> None:
        """`lead` and then the text, wrapped and indented to where the text begins."""
        flat = Text(" ".join(self._plain(text).split()))
        for line in flat.wrap(self._console, max(self._width - len(lead), 20)):
            self.spans((lead, ""), (line.plain.rstrip(), style))
            lead = " " * len(lead)

    def _plain(self, text: str) -> str:
        """The text as this console can show it: a pipe in a C locale takes ASCII only."""
        return for_terminal(text).encode(self._encoding, "backslashreplace").decode(self._encoding)
