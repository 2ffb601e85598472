"""The report on a terminal: 80 columns, ASCII, and without any escape code where the output is piped."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from rich.console import Console

from runstone.report import digest, remarks
from runstone.report.paper import Page
from runstone.report.scenarios import print_scenarios
from runstone.report.text import counted, shortened
from runstone.verdict.model import Case, Outcome, Report, Verdict

_FAILURES_IN_FULL = 25  # a dead server breaks 200 promises; beyond these, one line each
_CAUSES = 10
_CASES = 4
_CURLS = 3
_EXCHANGES = 6
_EXCLUSIONS = 12
_CURL = 1_500  # characters; a longer line is in report.json
_REASON = 600
_IDS = 8  # of the requirements that hang on a cause

STYLES: dict[Outcome, str] = {
    "pass": "green",
    "fail": "bold red",
    "flaky": "red",
    "not-testable": "red",
    "harness-error": "bold magenta",
    "warn": "yellow",
    "waived": "cyan",
    "not-applicable": "dim",
    "not-run": "dim",
}
_SAMENESS_STYLES = {"same": "green", "differs": "bold red", "not-testable": "red"}


class RequirementLike(Protocol):
    """What listing and explaining need to know of a requirement."""

    @property
    def id(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def area(self) -> str: ...
    @property
    def statement(self) -> str: ...
    @property
    def source(self) -> Iterable[str]: ...
    @property
    def needs(self) -> Iterable[str]: ...
    @property
    def note(self) -> str | None: ...


def print_summary(report: Report, console: Console, *, report_dir: Path | str) -> None:
    """Causes, areas, parity grid, each failure with its proof, warnings; the last line is the verdict."""
    out = Page(console)
    _print_head(report, out)
    _print_causes(report, out)
    _print_areas(report, out)
    _print_grid(report, out)
    _print_harness_errors(report, out)
    _print_failures(report, out)
    _print_short("Warned", digest.warned(report), out)
    _print_short("Waived", digest.having(report, "waived"), out)
    if report.scenarios is not None:
        out.line("Scenarios", "bold")
        print_scenarios(report.scenarios, console)
    _print_last_line(report, out, report_dir)


def print_catalogue(requirements: Iterable[RequirementLike], console: Console) -> None:
    """The catalogue: a heading per area, then id, level and statement."""
    out = Page(console)
    chosen = list(requirements)
    for number, area in enumerate(dict.fromkeys(requirement.area for requirement in chosen)):
        if number:
            out.line()
        out.line(area, "bold")
        for requirement in (one for one in chosen if one.area == area):
            out.entry(f"  {requirement.id:<16} {requirement.level:<6}  ", requirement.statement)
    out.line()
    out.line(counted(len(chosen), "requirement"))


class ChangeLike(Protocol):
    """What listing needs to know of a fault or a variant."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def statement(self) -> str: ...
    @property
    def breaks(self) -> Iterable[str]: ...


def print_changes(changes: Iterable[ChangeLike], console: Console) -> None:
    """Faults with the promises that they break, then variants: a name, and what the changed server does."""
    out = Page(console)
    chosen = list(changes)
    for kind in dict.fromkeys(change.kind for change in chosen):
        of_kind = [change for change in chosen if change.kind == kind]
        out.line(counted(len(of_kind), kind), "bold")
        for change in sorted(of_kind, key=lambda change: change.name):
            out.line(f"  {change.name}", "cyan")
            out.entry("    ", " ".join((change.statement, *change.breaks)))


def print_requirement(requirement: RequirementLike, console: Console) -> None:
    """One requirement in full."""
    out = Page(console)
    out.line(f"{requirement.id}  {requirement.level}  {requirement.area}", "bold")
    out.line()
    out.entry("", requirement.statement)
    out.line()
    for source in requirement.source:
        out.entry("source:  ", source)
    needs = ", ".join(requirement.needs)
    out.entry("needs:   ", needs or "nothing beyond the run API")
    if requirement.note:
        out.entry("note:    ", requirement.note)


def _print_head(report: Report, out: Page) -> None:
    target = report.target
    out.entry("target   ", f"{target.name} at {target.url} ({target.server or 'server unknown'})")
    mode = ", quick" if report.quick else ""
    out.entry("profile  ", f"{report.profile}{mode}; {remarks.took(report)}")
    note = digest.revision_note(report)
    out.entry("contract ", f"revision {digest.revision(report)}" + (f"; {note}" if note else ""))
    if report.agent is not None:
        out.entry("agent    ", digest.agent_words(report))
    for remark in remarks.remarks(report):
        out.entry(f"{remark.about:<8} ", shortened(remark.text, _REASON), "yellow" if remark.grave else "")
    out.line()


def _print_causes(report: Report, out: Page) -> None:
    """The greatest causes, each with what to ask again."""
    if not report.causes:
        return
    out.line(f"What to fix first: {digest.causes_headline(report)}", "bold")
    for number, cause in enumerate(report.causes[:_CAUSES], 1):
        out.entry(f"{number:>3}. ", shortened(digest.cause_words(cause), _REASON), STYLES["fail"])
        promise = f"{cause.requirement}: " if cause.requirement else ""
        out.entry("     wanted   ", promise + cause.expected)
        out.entry("     ", f"{digest.cause_burden(cause)}: {', '.join(cause.requirements[:_IDS])}")
        for line in cause.curl.splitlines() if len(cause.curl) <= _CURL else []:
            out.line(f"  {line}", "dim")
    left = len(report.causes) - _CAUSES
    if left > 0:
        out.line(f"     and {counted(left, 'further cause')} in report.html and report.json (causes)")
    out.line()


def _print_areas(report: Report, out: Page) -> None:
    rows = digest.area_rows(report)
    if not rows:
        return
    width = max([14, *(len(row.area) for row in rows)])
    out.line(f"{'area':<{width}}{'kept':>8}{'broken':>8}{'warned':>8}{'other':>8}", "bold")
    for row in rows:
        if row.kept or row.broken or row.warned:  # of the others, one line below says how many there are
            _print_row(row, width, out)
    if len(rows) != 1:
        _print_row(digest.total_row(rows), width, out)
    out.line()


def _print_row(row: digest.AreaRow, width: int, out: Page) -> None:
    counts = (
        (row.kept, "green"),
        (row.broken, "bold red"),
        (row.warned, "yellow"),
        (row.other, "dim"),
    )
    cells = [(f"{count or '-':>8}", style if count else "dim") for count, style in counts]
    out.spans((f"{row.area:<{width}}", ""), *cells)


def _print_grid(report: Report, out: Page) -> None:
    grid = report.grid
    if not grid.cells:
        return
    if not any(cell.verdict != "not-run" for row in grid.cells.values() for cell in row.values()):
        out.line("parity: not run\n")
        return
    widths = [max(len(column), 8) + 2 for column in grid.columns]
    first = max([14, *(len(row) for row in grid.rows)])
    heads = [f"{column:>{width}}" for column, width in zip(grid.columns, widths, strict=True)]
    out.line(f"{'parity':<{first}}{''.join(heads)}", "bold")
    for row in grid.rows:
        cells = [grid.cells.get(row, {}).get(column) for column in grid.columns]
        words = [_SHORT.get(cell.verdict, cell.verdict) if cell else "not run" for cell in cells]
        styles = [_SAMENESS_STYLES.get(cell.verdict, "dim") if cell else "dim" for cell in cells]
        spans = [
            (f"{word:>{width}}", style) for word, width, style in zip(words, widths, styles, strict=True)
        ]
        out.spans((f"{row:<{first}}", ""), *spans)
    for row, column, reason in digest.differing_cells(report):
        out.entry(f"  {row} by {column}: ", shortened(reason or "no reason given", _REASON))
    out.line()


_SHORT = {"not-applicable": "n/a", "not-run": "not run", "not-testable": "untestable"}


def _print_harness_errors(report: Report, out: Page) -> None:
    errors = digest.having(report, "harness-error")
    if errors:
        out.line("Runstone itself broke here; nothing is said about the target:", STYLES["harness-error"])
        _print_list(errors, out)


def _print_failures(report: Report, out: Page) -> None:
    failures = digest.failing(report)
    for verdict in failures[:_FAILURES_IN_FULL]:
        out.spans(
            ("BROKEN ", STYLES["fail"]),
            (f"{verdict.id}", "bold"),
            (f"  {verdict.level}, {verdict.area}", "dim"),
        )
        out.entry("  promise  ", verdict.statement)
        cases = digest.telling_cases(verdict)
        for case in cases[:_CASES]:
            _print_case(case, out)
        if len(cases) > _CASES:
            out.line(f"  and {counted(len(cases) - _CASES, 'further case')} in report.json")
        out.line()
    further = failures[_FAILURES_IN_FULL:]
    if further:
        out.line(f"and {counted(len(further), 'further promise')} broken:", STYLES["fail"])
        _print_list(further, out)


def _print_case(case: Case, out: Page) -> None:
    if case.case:
        out.entry("  case     ", f"{case.case} ({digest.OUTCOME_WORDS[case.verdict]})")
    if case.reason:
        out.entry("  seen     ", shortened(case.reason, _REASON), STYLES[case.verdict])
    if case.exchanges:
        before = len(case.exchanges) - _EXCHANGES
        shown = ", ".join(case.exchanges[-_EXCHANGES:])
        out.entry("  where    ", shown + (f" and {before} before" if before > 0 else ""))
    # The last ones: a judge finds its way to what it judges.
    lines = [line for line in case.curl if len(line) <= _CURL][-_CURLS:]
    for line in lines:
        out.line(f"  {line}", "dim")
    left = len(case.curl) - len(lines)
    if left:
        out.line(f"  ({counted(left, 'further curl line')} in report.json)")


def _print_short(title: str, verdicts: list[Verdict], out: Page) -> None:
    if verdicts:
        out.line(title, "bold")
        _print_list(verdicts, out)


def _print_list(verdicts: list[Verdict], out: Page) -> None:
    width = max(len(verdict.id) for verdict in verdicts)
    for verdict in verdicts:
        reason = shortened(digest.reasons(verdict) or "no reason given", 300)
        if verdict.verdict == "waived" and verdict.waiver is not None:
            reason = f"until {verdict.waiver.expires}: {verdict.waiver.reason}"
        out.entry(f"  {verdict.id:<{width}}  ", reason)
    out.line()


def _print_exclusions(report: Report, out: Page) -> None:
    """Why requirements do not apply: what the target does not have, or what the profile leaves out."""
    groups = [group for group in digest.unjudged(report) if group.verdict == "not-applicable"]
    for group in groups[:_EXCLUSIONS]:
        out.entry(f"  {len(group.ids):>3} not applicable: ", shortened(group.reason, _REASON))
    if len(groups) > _EXCLUSIONS:
        out.line(f"  and {counted(len(groups) - _EXCLUSIONS, 'further reason')} in report.json")


def _print_last_line(report: Report, out: Page, report_dir: Path | str) -> None:
    for message in report.waiver_errors:
        out.entry("waiver in error: ", message, STYLES["fail"])
    if report.stopped:
        out.entry("incomplete: ", report.stopped, STYLES["fail"])
    others = [v.verdict for v in report.verdicts if digest.standing(v, report.fail_on) == "other"]
    counts = [(others.count(outcome), word) for outcome, word in digest.OUTCOME_WORDS.items()]
    if others:
        out.entry("other: ", ", ".join(f"{count} {word}" for count, word in counts if count))
    _print_exclusions(report, out)
    kept = ", ".join(f"{share.level} {share.words}" for share in digest.shares(report) if share.counts)
    if kept:
        out.entry("", kept)
    good = digest.conforms(report)
    verdict = "conforming" if good else "NOT CONFORMING"
    kept_count = f"{len(digest.having(report, 'pass'))} kept"
    said = ", ".join([verdict, *digest.grounds(report), kept_count, *digest.reservations(report)])
    out.line(f"{said}; report in {report_dir}", "bold green" if good else "bold red")
