"""The code in the documentation is that of real files: `python -m tests.examples` copies it from there.

A block of code that follows the comment `<!-- PATH: NAME -->` is the function NAME of a Python file, or the
entry of a YAML file whose id is NAME.
"""

from __future__ import annotations

import ast
import re
from typing import Final

from runstone.locations import CHECKOUT

PAGES: Final = (*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").glob("*.md")))
_EXAMPLE: Final = re.compile(
    r"^<!-- (?P<path>\S+): (?P<name>\S+) -->\n```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class NoSuchExample(Exception):  # noqa: N818 - named for what it reports
    """A page shows code that its file does not have, or no longer."""


def source(path: str, name: str) -> str:
    """The lines of a function, with its decorators, or of an entry of a YAML list. Raises NoSuchExample."""
    file = CHECKOUT / path
    if not file.is_file():
        raise NoSuchExample(f"there is no {path}, of which {name} is shown")
    text = file.read_text("utf-8")
    found = _function(text, name) if file.suffix == ".py" else _entry(text, name)
    if found is None:
        raise NoSuchExample(f"{path} has no {name}; name what is there")
    return found


def _function(text: str, name: str) -> str | None:
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            return "".join(text.splitlines(keepends=True)[first - 1 : node.end_lineno])
    return None


def _entry(text: str, name: str) -> str | None:
    found = re.search(rf"^- id: {re.escape(name)}\n(?:  .*\n)*", text, re.MULTILINE)
    return None if found is None else found[0]


def renewed(page: str) -> str:
    """The text of a page with each example as its file has it now. Raises NoSuchExample."""
    return _EXAMPLE.sub(
        lambda found: (
            f"<!-- {found['path']}: {found['name']} -->\n"
            f"```{found['language']}\n{source(found['path'], found['name'])}```"
        ),
        page,
    )


def main() -> None:
    """Renew every page. Ends with a line for the first example that there is not."""
    for path in PAGES:
        page = path.read_text("utf-8")
        try:
            new = renewed(page)
        except NoSuchExample as error:
            raise SystemExit(f"{path.relative_to(CHECKOUT)}: {error}") from None
        if new != page:
            path.write_text(new, "utf-8")
            print(f"renewed {path.relative_to(CHECKOUT)}")  # noqa: T201 - it is a command


if __name__ == "__main__":
    main()
