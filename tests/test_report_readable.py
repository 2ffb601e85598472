"""The reports that people read as text: the step summary and the terminal."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field

import msgspec
import pytest
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console

from runstone import report as reports
from runstone.report.text import moment, prose
from runstone.verdict.model import SEVERITY, Case, Report
from tests.example_reports import example


@pytest.fixture
def full() -> Report:
    """A report in which every verdict occurs."""
    found = example("every-verdict")
    assert {verdict.verdict for verdict in found.verdicts} == set(SEVERITY)
    return found


@pytest.fixture
def empty() -> Report:
    """A report in which nothing was judged."""
    return example("nothing-judged")


@pytest.fixture
def hostile() -> Report:
    """Every string that a target or a user can influence is hostile."""
    return example("hostile-strings")


@pytest.fixture
def green() -> Report:
    """26 areas of eight requirements, all kept."""
    found = example("conforming")
    verdicts = tuple(
        msgspec.structs.replace(found.verdicts[0], id=f"AREA-{area}-{number}", area=f"area-{area}")
        for area in range(26)
        for number in range(8)
    )
    return msgspec.structs.replace(found, verdicts=verdicts)


# --- summary.md --------------------------------------------------------------------------------------------


def markdown_tables(text: str) -> list[list[int]]:
    """The number of cells of each row of each table, as a GitHub-flavoured reader sees them."""
    tables: list[list[int]] = []
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append(0)
        elif token.type in {"td_open", "th_open"}:
            tables[-1][-1] += 1
    return tables


def markdown_html(text: str) -> str:
    return str(MarkdownIt("gfm-like", {"linkify": False}).render(text))


@pytest.mark.parametrize("which", ["full", "empty", "green", "hostile"])
def test_markdown_has_no_broken_table_row(which: str, request: pytest.FixtureRequest) -> None:
    text = reports.to_markdown(request.getfixturevalue(which))
    tables = markdown_tables(text)
    # The reader drops surplus cells, so the pipes are counted as well.
    widths = [len(re.findall(r"(?<!\\)\|", line)) - 1 for line in text.splitlines() if line.startswith("|")]
    assert len(tables) >= 4
    assert sum(len(rows) for rows in tables) == len(widths) - len(tables)  # every row but the delimiters
    for rows in tables:
        assert len(set(rows)) == 1
        for _ in range(len(rows) + 1):
            assert widths.pop(0) == rows[0]


def test_markdown_says_what_a_release_manager_asks(full: Report) -> None:
    page = markdown_html(reports.to_markdown(full))
    for part in (
        "<h4>RUN-WAIT-002 (MUST, run-wait)</h4>",
        "Promise: The body of wait is the final values of the run",
        "got 1: only the input was stored",
        "stateless_turn[tools]#1",
        "curl -sS -i -X POST http://127.0.0.1:2024/",
        "<td>RUN-STREAM-006</td>",
        "<td>2027-03-31</td>",
        "needs run_time_limit, which is neither declared nor found",
        "error by stateless_wait: first difference at /__error__/error",
        "waiver RUN-WAIT-009 expired",
    ):
        assert part in page


def test_markdown_shows_hostile_text_as_text(hostile: Report) -> None:
    page = markdown_html(reports.to_markdown(hostile))
    for markup in ("<b>", "<script", "</script>", "<em>star", "<code>tick", "\x1b", "\x00", "\u202e"):
        assert markup not in page
    assert "&lt;/script&gt;&lt;b&gt;bold&lt;/b&gt; `tick` *star*" in page


def test_markdown_fence_cannot_be_closed_from_inside(full: Report) -> None:
    curl = "curl http://x --data-binary '\n```\n# owned\n````\n'"
    case = Case(case="", verdict="fail", reason="r", curl=(curl,))
    broken = msgspec.structs.replace(full.verdicts[0], verdict="fail", cases=(case,))
    page = markdown_html(reports.to_markdown(msgspec.structs.replace(full, verdicts=(broken,))))
    assert "<h1>" not in page
    assert "# owned" in page


def test_markdown_of_a_dead_server_fits_a_step_summary(full: Report) -> None:
    reason = "x" * 20_000
    case = Case(case="", verdict="fail", reason=reason, curl=("curl " + "y" * 50_000, "curl http://short"))
    dead = tuple(
        msgspec.structs.replace(full.verdicts[0], id=f"A-{number}", verdict="fail", cases=(case,))
        for number in range(300)
    )
    text = reports.to_markdown(msgspec.structs.replace(full, verdicts=dead))
    assert len(text.encode()) < 1_000_000
    assert all(f"A-{number} " in text for number in range(300))
    assert "1 further curl line in report.json" in text


# --- the terminal ------------------------------------------------------------------------------------------


def terminal(report: Report, *, encoding: str = "utf-8") -> str:
    """What a pipe of 80 columns receives."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    console = Console(file=stream, width=80)
    reports.print_summary(report, console, report_dir="reports/out/target")
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("which", ["full", "empty", "green", "hostile"])
def test_piped_summary_is_plain_and_fits_80_columns(which: str, request: pytest.FixtureRequest) -> None:
    text = terminal(request.getfixturevalue(which))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2500-\u257f]", text)
    unwrapped = [line for line in text.splitlines() if cell_len(line) > 80]
    # A curl line must stay one line to be pasted, and the last line one line to be read by a script.
    assert all("curl" in line or line == text.splitlines()[-1] for line in unwrapped)


def test_summary_shows_promise_seen_where_and_curl(full: Report) -> None:
    text = terminal(full)
    broken = text[text.index("BROKEN RUN-WAIT-002") : text.index("BROKEN RUN-STREAM-004")]
    assert "promise  The body of wait is the final values of the run" in broken
    assert "seen     wanted messages with 4 entries, got 1" in broken
    assert "where    stateless_turn[tools]#1" in broken
    curl = full.verdicts[5].cases[1].curl[0]
    assert f"  {curl}\n" in broken
    assert re.search(r"META-004\s+exchange 3 GET /metrics answered 404", text)
    assert re.search(r"^error +same +same +same +differs +same$", text, re.MULTILINE)
    assert re.search(r"^run-wait +1 +1 +- +2$", text, re.MULTILINE)
    assert text.splitlines()[-1].startswith("NOT CONFORMING, 1 harness error, 4 MUST broken")
    assert text.splitlines()[-1].endswith("report in reports/out/target")


def test_a_green_run_fits_a_screen_and_says_so_last(green: Report) -> None:
    lines = terminal(green).splitlines()
    assert len(lines) <= 42
    assert lines[-1] == "conforming, 208 kept; report in reports/out/target"
    assert lines[-2] == "MUST 208 of 208 kept (100 %)"


def test_a_conforming_run_does_not_hide_what_it_left_out(green: Report) -> None:
    left_out = msgspec.structs.replace(green.verdicts[0], verdict="not-run")
    partial = msgspec.structs.replace(green, verdicts=(left_out, *green.verdicts[1:]))
    assert terminal(partial).splitlines()[-1].startswith("conforming, 207 kept, 1 not run;")
    assert "**Conforming**: 1 not run" in reports.to_markdown(partial)


def test_nothing_judged_is_not_conforming_on_the_terminal(empty: Report) -> None:
    text = terminal(empty)
    assert text.splitlines()[-1].startswith("NOT CONFORMING, nothing was judged")
    assert "%" not in text
    assert "nothing answered at http://127.0.0.1:9" in text


def test_an_ascii_pipe_takes_the_summary(hostile: Report) -> None:
    assert "Gr\\xfc\\xdfe" in terminal(hostile, encoding="ascii")


def test_a_dead_server_still_names_every_broken_promise(full: Report) -> None:
    case = Case(case="", verdict="not-testable", reason="no response: timed out")
    dead = tuple(
        msgspec.structs.replace(full.verdicts[0], id=f"A-{number}", verdict="not-testable", cases=(case,))
        for number in range(200)
    )
    text = terminal(msgspec.structs.replace(full, verdicts=dead))
    assert all(re.search(rf"\bA-{number}\b", text) for number in range(200))
    assert len(text.splitlines()) < 400


def test_a_terminal_gets_colours(full: Report) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system="standard")
    reports.print_summary(full, console, report_dir="reports/out/target")
    assert "\x1b[" in stream.getvalue()


@dataclass
class Requirement:
    id: str = "RUN-WAIT-002"
    level: str = "MUST"
    area: str = "run-wait"
    statement: str = "The body of wait is the final values [bold]of[/bold] the run. " * 3
    source: list[str] = field(default_factory=lambda: ["the OpenAPI document", "the SDK"])
    needs: list[str] = field(default_factory=lambda: ["wait_timeout"])
    note: str | None = "A body of null is tolerated."


def test_catalogue_lists_by_area() -> None:
    stream = io.StringIO()
    chosen = [Requirement(), Requirement(id="META-001", area="meta"), Requirement(id="RUN-WAIT-003")]
    reports.print_catalogue(chosen, Console(file=stream, width=80))
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == [
        "run-wait",
        "meta",
        "3 requirements",
    ]
    assert "[bold]of[/bold]" in stream.getvalue()
    assert max(len(line) for line in lines) <= 80


def test_explaining_shows_source_needs_and_note() -> None:
    stream = io.StringIO()
    reports.print_requirement(Requirement(), Console(file=stream, width=80))
    text = stream.getvalue()
    for part in ("source:  the SDK", "needs:   wait_timeout", "note:    A body of null"):
        assert part in text
    stream = io.StringIO()
    reports.print_requirement(Requirement(note=None, needs=[]), Console(file=stream, width=80))
    assert "note:" not in stream.getvalue()
    assert "nothing beyond the run API" in stream.getvalue()


# --- in words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, shown",
    [
        ("2026-11-21T17:42:18+00:00", "2026-11-21 17:42 UTC"),
        ("2026-11-21T18:42:18.25+01:00", "2026-11-21 17:42 UTC"),
        ("2026-11-21T17:42:18Z", "2026-11-21 17:42 UTC"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_times_are_written_for_people(text: str, shown: str) -> None:
    assert moment(text) == shown


def test_code_in_a_statement_is_shown_as_code_and_nothing_else_is_markup() -> None:
    assert prose("`ok` is true, `a` & <b>") == "<code>ok</code> is true, <code>a</code> &amp; &lt;b&gt;"
    assert prose("`<script>` one ` alone") == "<code>&lt;script&gt;</code> one ` alone"
    assert prose("\x1b[2J `\u202e`") == "\\x1b[2J <code>\\u202e</code>"
