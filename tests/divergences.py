"""What servers without waivers do otherwise, told once per cause: `python -m tests.divergences` writes it.

It makes reports/published/causes.md of the published reports, for the servers that docs/divergences.md does
not explain by hand. `make publish` renews it.
"""

from __future__ import annotations

from typing import Final

from runstone import report
from runstone.compare.published import NoPlaceForResults
from runstone.locations import CHECKOUT
from runstone.report import digest
from runstone.report.summary import inline
from runstone.report.text import shortened

PUBLISHED: Final = CHECKOUT / "reports" / "published"
PAGE: Final = PUBLISHED / "causes.md"
SERVERS: Final = ("langgraph-py@0.8.7", "langgraph-js@1.4.6", "langhost", "gaussdb", "skeino")
_LONG: Final = 240
_MOST: Final = 60  # causes of a server; the greatest come first


def table(name: str) -> str:
    """One line for each cause of the published report, the greatest first. Raises NoPlaceForResults."""
    folder = PUBLISHED / name
    try:
        found = report.read(folder)
    except OSError as error:
        raise NoPlaceForResults(f"{folder} holds no report: {error.strerror}; run `make publish`") from None
    server = found.target.server or "a version that it does not tell"
    lines = [
        f"Observed on {found.started_at[:10]}, {inline(server)}: {digest.causes_headline(found)}.",
        "",
        "| requirements | what was asked, and what came | what is promised | those that hang on it |",
        "|---|---|---|---|",
    ]
    for cause in found.causes[:_MOST]:
        told = (
            digest.cause_weight(cause),
            digest.cause_words(cause),
            cause.expected,
            ", ".join(cause.requirements),
        )
        lines.append(
            "| " + " | ".join(inline(shortened(each, _LONG)) for each in told[:3]) + f" | {told[3]} |"
        )
    if (more := len(found.causes) - _MOST) > 0:
        lines += ["", f"And {more} smaller causes, in the report and in reports/published/index.html."]
    return "\n".join(lines)


def page() -> str:
    """A chapter for each server."""
    head = "# Divergences, once per cause\n\nThe chapters of these servers are in docs/divergences.md.\n"
    return head + "".join(f"\n## {name}\n\n{table(name)}\n" for name in SERVERS)


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
