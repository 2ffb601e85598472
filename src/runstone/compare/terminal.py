"""A comparison on a terminal: totals, the rows that differ, and what was answered differently."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from runstone.compare.comparison import Comparison, Pair, Row
from runstone.compare.texts import extent, headline, phrase, reason_of, to_fix_first, totals_in_words
from runstone.contracts import LEVELS
from runstone.report.digest import OUTCOME_WORDS
from runstone.report.paper import Page
from runstone.report.terminal import STYLES
from runstone.report.text import counted, shortened

_OPERATIONS = 12  # of a pair; the rest is in compare.md
_IDS = 3  # of requirements with the same verdicts for the same reasons
_REASON = 400


def print_comparison(found: Comparison, console: Console, folder: Path) -> None:
    """What differs, in short; the last line says it in one, and where the rest is."""
    out = Page(console)
    for each in found.targets:
        totals = "; ".join(f"{level} {totals_in_words(each.totals[level])}" for level in LEVELS)
        out.entry(f"{each.name}  ", f"{totals} ({each.server or 'server unknown'})")
    _print_causes(found, out)
    for level in LEVELS:
        _print_rows([row for row in found.differing() if row.level == level], found, out)
    for pair in found.pairs:
        _print_pair(pair, out)
    out.line()
    out.line(f"{headline(found)}; {folder / 'compare.html'}", "bold red" if found.exit_code else "bold green")


def _print_causes(found: Comparison, out: Page) -> None:
    for name, lines in to_fix_first(found).items():
        out.line(f"\nWhat to fix first in {name}", "bold")
        for line in lines:
            out.entry("  ", shortened(line, _REASON))


def _print_rows(rows: Sequence[Row], found: Comparison, out: Page) -> None:
    together: defaultdict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        together[tuple((each.verdict, reason_of(each)) for each in row.stands)].append(row)
    if rows:
        out.line(f"\n{counted(len(rows), rows[0].level)} with different verdicts", "bold")
    for alike in together.values():
        ids = [row.id for row in alike]
        more = f" and {len(ids) - _IDS} more" if len(ids) > _IDS else ""
        spans = [(f"  {', '.join(ids[:_IDS])}{more}", "")]
        for target, stand in zip(found.targets, alike[0].stands, strict=True):
            spans.append((f"  {target.name}: ", "dim"))
            spans.append((OUTCOME_WORDS[stand.verdict], STYLES[stand.verdict]))
        out.spans(*spans)
        for target, stand in zip(found.targets, alike[0].stands, strict=True):
            if reason_of(stand) and stand.verdict not in {"pass", "not-run"}:
                lead = f"{target.name}: " if len(found.targets) > 2 else ""
                out.entry("       ", shortened(f"{lead}{reason_of(stand)}", _REASON), "dim")


def _print_pair(pair: Pair, out: Page) -> None:
    out.line(f"\n{pair.left} against {pair.right}: {extent(pair)}", "bold")
    operations = pair.by_operation()
    for operation, lines in list(operations.items())[:_OPERATIONS]:
        out.line(f"{len(lines[0][0].scenarios):5}  {operation}")
        out.entry("       ", shortened(phrase(lines, pair), _REASON), "dim")
    if len(operations) > _OPERATIONS:
        left = counted(len(operations) - _OPERATIONS, "more operation")
        out.line(f"  and {left} in compare.md and compare.html", "dim")
