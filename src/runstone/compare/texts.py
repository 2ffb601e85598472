"""A comparison as text: compare.json, compare.md and compare.html."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from markupsafe import Markup

from runstone import report
from runstone.compare.comparison import Comparison, Pair, Row, Side, Stand
from runstone.contracts import LEVELS
from runstone.report.html import page_style
from runstone.report.proof import ShownExchange, brief_exchange, inert_json, shown_exchange
from runstone.report.summary import inline
from runstone.report.templates import environment
from runstone.report.text import counted, for_terminal, shortened, well_formed_tree

STEM: Final = "compare"
_REASON = 400
_WHOLE_BUDGET = 900_000  # bytes of exchanges in the page: with all that is around them it stays below 2.5 MB


def write(found: Comparison, sides: Sequence[Side], folder: Path) -> None:
    """Write the three files; each appears whole or not at all. Raises UnwritableReport."""
    report.write_texts(texts_of(found, sides), folder)


def texts_of(found: Comparison, sides: Sequence[Side]) -> dict[str, str]:
    """The three files by their names."""
    return {
        f"{STEM}.json": to_json(found),
        f"{STEM}.md": to_markdown(found),
        f"{STEM}.html": to_html(found, sides),
    }


def to_json(found: Comparison) -> str:
    """The comparison as indented JSON (contracts/schemas/compare.json)."""
    return msgspec.json.format(msgspec.json.encode(_encodable(found)), indent=1).decode() + "\n"


def _encodable(value: Any) -> Any:
    """The value; without half of a surrogate pair, where a reason quotes one as a target may send it."""
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return well_formed_tree(msgspec.to_builtins(value))
    return value


def to_markdown(found: Comparison) -> str:
    """Totals, the rows that differ, parity, and per scenario the first difference."""
    template = environment(autoescape=False, finalize=inline).get_template(f"{STEM}.md.j2")
    return template.render(**_told(found))


def to_html(found: Comparison, sides: Sequence[Side]) -> str:
    """One page that loads nothing: each requirement and each scenario, with both sides of what differs."""
    template = environment(autoescape=True, finalize=_shown).get_template(f"{STEM}.html.j2")
    data = {
        "targets": [each.name for each in found.targets],
        "rows": {row.id: row.stands for row in found.requirements},
        "pairs": [_places(pair, found) for pair in found.pairs],
        "exchanges": _exchanges(found, sides),
    }
    return template.render(
        **_told(found),
        **page_style(["report.css", f"{STEM}.css"], "page.js", "exchanges.js", f"{STEM}.js"),
        data=Markup(inert_json(_encodable(data)).decode()),  # noqa: S704 - made inert
    )


def headline(found: Comparison) -> str:
    """`embedded and langgraph-py differ in 2 MUST, 12 SHOULD`, or that they do not."""
    names = [each.name for each in found.targets]
    who = f"{', '.join(names[:-1])} and {names[-1]}"
    if any(stand.standing == "harness-error" for row in found.requirements for stand in row.stands):
        return f"Runstone broke while it judged {who}"
    said = [f"{found.differ_in[level]} {level}" for level in LEVELS if found.differ_in[level]]
    return f"{who} differ in {', '.join(said)}" if said else f"{who} keep the same promises"


def stands_in_words(counts: Mapping[str, int]) -> str:
    """`201 kept, 2 waived`: what applies and was judged."""
    left_out = {"not-applicable", "not-run"}
    said = [f"{count} {name.replace('-', ' ')}" for name, count in counts.items() if name not in left_out]
    return ", ".join(said) or "none"


def reason_of(stand: Stand) -> str:
    """Why a target stands so, on one line."""
    reasons = dict.fromkeys(each.reason for each in stand.cases if each.reason)
    return shortened("; ".join(reasons), _REASON)


def _told(found: Comparison) -> dict[str, Any]:
    return {
        "found": found,
        "headline": headline(found),
        "differing": found.differing(),
        "areas": _by_area(found.requirements),
        "levels": LEVELS,
        "words": stands_in_words,
        "reason": reason_of,
        "counted": counted,
        "shortened": shortened,
        "cells": _cells,
        "grid_differs": _grid_differs,
    }


def _by_area(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.area, []).append(row)
    return list(grouped.items())


def _cells(found: Comparison, row: str, column: str) -> list[tuple[str, str, str]]:
    """One cell of the parity grids: sameness, reason and requirement for each target."""
    cells = [each.grid.cells.get(row, {}).get(column) for each in found.targets]
    return [(each.verdict, each.reason, each.requirement) if each else ("not-run", "", "") for each in cells]


def _grid_differs(cells: Sequence[tuple[str, str, str]]) -> bool:
    return len({verdict for verdict, _, _ in cells} - {"not-run"}) > 1


def _places(pair: Pair, found: Comparison) -> dict[str, Any]:
    """Which two sides a pair is of, and what it says of each scenario."""
    names = [each.name for each in found.targets]
    return {
        "sides": [names.index(pair.left), names.index(pair.right)],
        "scenarios": {each.scenario: each for each in pair.scenarios},
    }


def _exchanges(found: Comparison, sides: Sequence[Side]) -> list[dict[str, ShownExchange]]:
    """The exchanges that the page speaks of, by side and key; past the budget only their first lines."""
    known = [
        {each.key: each for trace in (side.traces or {}).values() for each in trace.exchanges}
        for side in sides
    ]
    shown: list[dict[str, ShownExchange]] = [{} for _ in sides]
    spent = 0
    for side, key in _keys_by_urgency(found):
        if key in shown[side]:
            continue
        entry = (shown_exchange if spent < _WHOLE_BUDGET else brief_exchange)(known[side], key)
        spent += len(inert_json(entry))
        shown[side][key] = entry
    return shown


def _keys_by_urgency(found: Comparison) -> Iterator[tuple[int, str]]:
    names = [each.name for each in found.targets]
    rows = sorted(found.requirements, key=lambda row: (not row.split, not row.differs))
    for row in (row for row in rows if row.differs):
        yield from _keys_of(row)
    for pair in found.pairs:
        sides = names.index(pair.left), names.index(pair.right)
        for each in pair.scenarios:
            for difference in (each.telling, each.first):
                yield from (
                    (side, key)
                    for side, key in zip(sides, difference.exchanges, strict=True)
                    if key is not None
                )
    for row in (row for row in rows if not row.differs):
        yield from _keys_of(row)


def _keys_of(row: Row) -> Iterator[tuple[int, str]]:
    for side, stand in enumerate(row.stands):
        yield from ((side, key) for case in stand.cases for key in case.exchanges)


def _shown(value: Any) -> Any:
    return for_terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value
