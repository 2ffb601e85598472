"""The mutation score as text: mutation.json, mutation.md, and a table on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from runstone import report
from runstone.proof.mutate.score import Score, Share, lowest
from runstone.report.summary import inline
from runstone.report.templates import environment
from runstone.report.text import counted, for_terminal, well_formed_tree

STEM: Final = "mutation"
_SHOWN: Final = 25  # survivors on a terminal; the files name all


def write(found: Score, folder: Path) -> None:
    """Write mutation.json and mutation.md; each appears whole or not at all. Raises UnwritableReport."""
    report.write_texts({f"{STEM}.json": to_json(found), f"{STEM}.md": to_markdown(found)}, folder)


def to_json(found: Score) -> str:
    """The score as indented JSON (contracts/schemas/mutation.json)."""
    encoded = msgspec.json.encode(well_formed_tree(msgspec.to_builtins(found)))
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def to_markdown(found: Score) -> str:
    """The totals, the areas, the operators, the rules, and the survivors as a work list."""
    template = environment(autoescape=False, finalize=inline).get_template(f"{STEM}.md.j2")
    return template.render(
        score=found, areas=lowest(found.areas), operators=lowest(found.operators), headline=headline(found)
    )


def headline(found: Score) -> str:
    """The score in one line."""
    total = found.total
    return (
        f"{total.killed} of {counted(total.of, 'mutant')} killed ({total.percent:.1f} %), "
        f"{total.not_testable} of them not-testable only; "
        f"{sum(each.mutants for each in found.excluded)} left out by rule"
    )


def print_score(found: Score, console: Console, folder: Path) -> None:
    """Areas, operators and rules, the first survivors, what is missing; the last line is the verdict."""
    console.print(_table("area", lowest(found.areas)), _table("operator", lowest(found.operators)))
    rules = Table("rule", "left out", "killed all the same", box=None)
    for each in found.excluded:
        rules.add_row(each.rule, str(each.mutants), str(len(each.killed)))
    console.print(rules)
    for survivor in found.survivors[:_SHOWN]:
        judges = ", ".join(survivor.judges[:3]) or "only monitors"
        place = f"survived  {survivor.exchange} {survivor.operator} at {survivor.where}"
        line = f"{place}: {survivor.before} -> {survivor.after} ({judges})"
        console.print(for_terminal(line), markup=False, highlight=False, soft_wrap=True)
    if len(found.survivors) > _SHOWN:
        console.print(f"and {len(found.survivors) - _SHOWN} more in {folder / STEM}.md", highlight=False)
    for crash in found.crashes:
        console.print(for_terminal(f"a judge broke: {crash}"), markup=False, highlight=False, soft_wrap=True)
    for shortfall in found.shortfalls:
        console.print(for_terminal(f"short: {shortfall}"), markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{headline(found)}; in {found.seconds:.0f} s; report in {folder}", markup=False, highlight=False
    )


def _table(title: str, shares: list[tuple[str, Share]]) -> Table:
    table = Table(title, "mutants", "killed", "%", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, share in shares:
        table.add_row(name, str(share.of), str(share.killed), f"{share.percent:.0f}")
    return table
