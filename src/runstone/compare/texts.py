"""A comparison as text: compare.json, compare.md and compare.html."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec
from markupsafe import Markup

from runstone import report
from runstone.compare.comparison import Comparison, Difference, Pair, Row, Side, Stand
from runstone.contracts import LEVELS
from runstone.report.digest import OUTCOME_WORDS, cause_weight, cause_words
from runstone.report.html import page_style
from runstone.report.proof import ShownExchange, brief_exchange, inert_json, packed_json, shown_exchange
from runstone.report.summary import inline
from runstone.report.templates import environment
from runstone.report.text import counted, for_terminal, shortened

STEM: Final = "compare"
_REASON = 400
_CAUSES = 3  # of each target; its own report has them all
_FIRST = 80  # exchanges of examples that are shown whole, whatever else is
_IN_SHORT = 3  # lines of an operation
_WHOLE_BUDGET = 900_000  # bytes of exchanges in the page
_OVERVIEW_BUDGET = 9_000_000  # the same of an overview; they take a tenth, as the page holds them compressed
_BRIEF_BUDGET = 300_000  # bytes of first lines, past the whole ones; then the evidence folder has the rest


class InShort(msgspec.Struct, frozen=True, kw_only=True):
    """How an overview tells of one target: its badge, its shares by level, and its number of causes."""

    badge: Markup
    shares: dict[str, str]
    causes: int


def texts_of(found: Comparison, sides: Sequence[Side]) -> dict[str, str]:
    """The three files by their names; compare.json as contracts/schemas/compare.json has it."""
    return {
        f"{STEM}.json": report.to_json(found, indent=1),
        f"{STEM}.md": to_markdown(found),
        f"{STEM}.html": to_html(found, sides),
    }


def to_markdown(found: Comparison) -> str:
    """Totals, what to fix first, the rows and answers that differ, and the parity grids."""
    template = environment(autoescape=False, finalize=inline).get_template(f"{STEM}.md.j2")
    return template.render(**_words_for(found), causes=to_fix_first(found))


def to_fix_first(found: Comparison) -> dict[str, list[str]]:
    """The greatest causes of each target, a line each; targets without any are left out."""
    told = {
        each.name: [f"{cause_weight(cause)}: {cause_words(cause)}" for cause in each.causes[:_CAUSES]]
        for each in found.targets
    }
    return {name: lines for name, lines in told.items() if lines}


def to_html(found: Comparison, sides: Sequence[Side], overview: Mapping[str, InShort] | None = None) -> str:
    """One page that loads nothing: each requirement and each difference, with both sides of it.

    `overview`: the page is about the targets by their names, not about what is different between them.
    """
    template = environment(autoescape=True, finalize=_shown).get_template(f"{STEM}.html.j2")
    names = [each.name for each in found.targets]
    data = {
        "targets": names,
        "words": OUTCOME_WORDS,
        "areas": [{"name": name, "rows": list(map(_row, rows))} for name, rows in _areas(found).items()],
        "pairs": [
            {
                "sides": [names.index(pair.left), names.index(pair.right)],
                "lines": [line[0] for lines in pair.by_operation().values() for line in lines],
            }
            for pair in found.pairs
        ],
        "exchanges": _exchanges(found, sides, _OVERVIEW_BUDGET if overview else _WHOLE_BUDGET),
    }
    return template.render(
        **_words_for(found),
        causes=to_fix_first(found),
        overview=overview,
        **page_style(["report.css", f"{STEM}.css"], "page.js", "exchanges.js", f"{STEM}.js"),
        data=packed_json(data),
    )


def headline(found: Comparison) -> str:
    """`embedded and langgraph-py differ in 2 MUST, 12 SHOULD`, or that they do not."""
    names = [each.name for each in found.targets]
    who = f"{', '.join(names[:-1])} and {names[-1]}"
    if any(stand.verdict == "harness-error" for row in found.requirements for stand in row.stands):
        return f"Runstone broke while it judged {who}"
    said = [f"{found.differ_in[level]} {level}" for level in LEVELS if found.differ_in[level]]
    return f"{who} differ in {', '.join(said)}" if said else f"{who} keep the same promises"


def extent(pair: Pair) -> str:
    """`186 differences in 156 of 162 scenarios`, or that there is none."""
    if not pair.differences:
        return f"no difference in {counted(pair.compared, 'scenario')}"
    differing = pair.compared - pair.alike
    return f"{counted(len(pair.differences), 'difference')} in {differing} of {pair.compared} scenarios"


def totals_in_words(counts: Mapping[str, int]) -> str:
    """`201 pass, 2 waived`: what applies and was judged."""
    left_out = {"not-applicable", "not-run"}
    said = [f"{count} {name.replace('-', ' ')}" for name, count in counts.items() if name not in left_out]
    return ", ".join(said) or "none"


def reason_of(stand: Stand) -> str:
    """Why a target stands so, on one line."""
    reasons = dict.fromkeys(each.reason for each in stand.cases if each.reason)
    return shortened("; ".join(reasons), _REASON)


def phrase(lines: Sequence[Sequence[Difference]], pair: Pair) -> str:
    """`only a has interrupts; only b has config, state_updated_at; and 3 more differences`."""
    said: defaultdict[str, list[str]] = defaultdict(list)
    for each in chain(*lines[:_IN_SHORT]):
        head, name = _in_words(each, pair)
        said[head].append(name)
    words = [f"{head} {', '.join(filter(None, names))}".strip() for head, names in said.items()]
    if len(lines) > _IN_SHORT:
        words.append(f"and {counted(sum(map(len, lines[_IN_SHORT:])), 'more difference')}")
    return "; ".join(words)


def _in_words(told: Difference, pair: Pair) -> tuple[str, str]:
    owner = {"left-only": pair.left, "right-only": pair.right}.get(told.kind)
    name = told.place.removeprefix("/").removeprefix("body/")
    if not name:
        return f"only {owner} was asked", ""
    if owner is not None:
        return f"only {owner} has", name
    if name == "status":
        return "status", f"{told.example.left} against {told.example.right}"
    return "other" if told.kind == "value" else "other type of", name


def _words_for(found: Comparison) -> dict[str, Any]:
    return {
        "found": found,
        "headline": headline(found),
        "differing": found.differing(),
        "levels": LEVELS,
        "outcomes": OUTCOME_WORDS,
        "extent": extent,
        "totals": totals_in_words,
        "reason": reason_of,
        "phrase": phrase,
        "counted": counted,
        "shortened": shortened,
        "cells": _cells,
    }


def _areas(found: Comparison) -> dict[str, list[Row]]:
    areas: defaultdict[str, list[Row]] = defaultdict(list)
    for row in found.requirements:
        areas[row.area].append(row)
    return areas


def _row(row: Row) -> dict[str, Any]:
    """A row as the page's script draws it."""
    return {
        "id": row.id,
        "level": row.level,
        "statement": for_terminal(row.statement),
        "differs": row.differs,
        "split": row.split,
        "stands": row.stands,
    }


def _cells(found: Comparison, row: str, column: str) -> list[tuple[str, str, str]]:
    """One cell of the parity grids: sameness, reason and requirement for each target."""
    cells = [each.grid.cells.get(row, {}).get(column) for each in found.targets]
    return [(each.verdict, each.reason, each.requirement) if each else ("not-run", "", "") for each in cells]


def _exchanges(found: Comparison, sides: Sequence[Side], budget: int) -> list[dict[str, ShownExchange]]:
    """The exchanges that the page speaks of, by side and key; past the budget only their first lines."""
    known = [
        {each.key: each for trace in (side.traces or {}).values() for each in trace.exchanges}
        for side in sides
    ]
    shown: list[dict[str, ShownExchange]] = [{} for _ in sides]
    spent = 0
    for side, key in _keys_by_urgency(found):
        if key not in shown[side]:
            entry = (shown_exchange if spent < budget else brief_exchange)(known[side], key)
            spent += len(inert_json(entry))
            if spent > budget + _BRIEF_BUDGET:
                break
            shown[side][key] = entry
    return shown


def _keys_by_urgency(found: Comparison) -> Iterator[tuple[int, str]]:
    """The side and key of each exchange: of the first differences, of rows that differ, and of all else."""
    names = [each.name for each in found.targets]
    examples = [
        [
            (names.index(name), key)
            for each in pair.differences
            for name, key in zip((pair.left, pair.right), each.example.exchanges, strict=True)
            if key is not None
        ]
        for pair in found.pairs
    ]
    yield from chain(*(some[:_FIRST] for some in examples))
    yield from _keys_of(found.differing())
    yield from chain(*examples)
    yield from _keys_of(found.requirements)


def _keys_of(rows: Sequence[Row]) -> Iterator[tuple[int, str]]:
    for side, stand in (each for row in rows for each in enumerate(row.stands)):
        yield from ((side, key) for case in stand.cases for key in case.exchanges)


def _shown(value: Any) -> Any:
    return for_terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value
