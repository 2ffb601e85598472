"""A comparison on a terminal: totals, the rows that differ, and the differences that recur, in 80 columns."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runstone.compare.comparison import Comparison, Pair, Row
from runstone.compare.texts import headline, reason_of, stands_in_words
from runstone.contracts import LEVELS
from runstone.report.text import counted, for_terminal, shortened

_ROWS = 40  # of a level; the rest is in compare.md
_RECURRING = 8
_REASON = 200
_VALUE = 90
_STYLES = {"kept": "green", "broken": "bold red", "not-testable": "red", "warned": "yellow", "waived": "cyan"}


def print_comparison(found: Comparison, console: Console, folder: Path) -> None:
    """What differs, in short; the last line says it in one, and where the rest is."""
    _print_totals(found, console)
    for level in LEVELS:
        rows = [row for row in found.differing() if row.level == level]
        if rows:
            _say(console, Text(f"{counted(len(rows), level)} on which they stand differently", "bold"))
            for row in rows[:_ROWS]:
                _print_row(found, row, console)
            if len(rows) > _ROWS:
                _say(console, Text(f"  and {len(rows) - _ROWS} more in {folder / 'compare.md'}", "dim"))
            _say(console, Text())
    for pair in found.pairs:
        _print_pair(pair, console)
    _say(
        console,
        Text(
            f"{headline(found)}; {folder / 'compare.html'}", "bold red" if found.exit_code else "bold green"
        ),
    )


def _print_totals(found: Comparison, console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for head in ("target", *LEVELS, "server"):
        table.add_column(head, overflow="fold")
    for each in found.targets:
        cells = [stands_in_words(each.totals[level]) for level in LEVELS]
        table.add_row(*(Text(for_terminal(cell)) for cell in (each.name, *cells, each.server or "unknown")))
    console.print(table)
    _say(console, Text())


def _print_row(found: Comparison, row: Row, console: Console) -> None:
    line = Text(f"  {row.id}  ")
    for number, (target, stand) in enumerate(zip(found.targets, row.stands, strict=True)):
        line.append(("  " if number else "") + f"{for_terminal(target.name)}: ", "dim")
        line.append(stand.standing.replace("-", " "), _STYLES.get(stand.standing, "dim"))
    _say(console, line)
    for target, stand in zip(found.targets, row.stands, strict=True):
        reason = reason_of(stand)
        if reason and stand.standing not in {"kept", "not-run"}:
            _say_indented(console, f"{target.name}: {reason}" if len(row.stands) > 2 else reason)


def _print_pair(pair: Pair, console: Console) -> None:
    _say(console, Text(for_terminal(f"{pair.left} against {pair.right}"), "bold"))
    _say(console, Text(f"  {pair.alike} of {counted(pair.compared, 'scenario')} alike", ""))
    for recurring in pair.recurring[:_RECURRING]:
        first = recurring.difference
        _say_indented(
            console,
            f"in {counted(recurring.scenarios, 'scenario')}, first {first.scenario} {first.where}: "
            f"{shortened(first.left or 'nothing', _VALUE)} against "
            f"{shortened(first.right or 'nothing', _VALUE)}",
        )
    shown = {recurring.difference.likeness for recurring in pair.recurring}
    single = [each for each in pair.scenarios if each.telling.likeness not in shown]
    for each in single[:_RECURRING]:
        told = each.telling
        _say_indented(
            console,
            f"{each.scenario}, {told.where}: {shortened(told.left or 'nothing', _VALUE)} against "
            f"{shortened(told.right or 'nothing', _VALUE)}",
        )
    left = max(0, len(pair.recurring) - _RECURRING) + max(0, len(single) - _RECURRING)
    if left:
        _say(console, Text(f"  and {left} more in compare.md and compare.html", "dim"))
    _say(console, Text())


def _say(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True, highlight=False)


def _say_indented(console: Console, text: str) -> None:
    flat = Text(" ".join(for_terminal(shortened(text, 2 * _REASON)).split()))
    for line in flat.wrap(console, max(min(console.width, 100) - 6, 20)):
        _say(console, Text("      ") + Text(line.plain.rstrip(), "dim"))
