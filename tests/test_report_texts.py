"""The reports that are text: JSON, JUnit, Markdown, terminal; and writing them all."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import msgspec
import pytest
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from rich.console import Console

from runstone import report as reports
from runstone.errors import RunstoneError
from runstone.report import digest
from runstone.verdict import (
    GRID_ROWS,
    SEVERITY,
    Case,
    Cell,
    Report,
    Verdict,
    grid_from,
    totals_by_area,
    totals_by_level,
)

SCHEMAS = Path(__file__).parents[1] / "contracts" / "schemas"
EXAMPLES = SCHEMAS / "examples" / "report"
HOSTILE = 'a|b\n</script><b>bold</b> `tick` *star* \x1b[31mred\x1b[0m \x00 \ud800 \u202egnirts Grüße 東京 "q"'


def example(name: str) -> Report:
    return reports.from_json((EXAMPLES / "conforms" / f"{name}.json").read_bytes())


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
def green(full: Report) -> Report:
    """26 areas of eight requirements, all kept."""
    verdicts = tuple(kept(f"AREA-{area}-{number}", f"area-{area}") for area in range(26) for number in range(8))
    return with_verdicts(
        full,
        verdicts,
        conforming=True,
        exit_code=0,
        waiver_errors=(),
        grid=grid_from({(row, "wait"): [Case(case=row, verdict="pass")] for row in GRID_ROWS}),
    )


@pytest.fixture
def hostile(full: Report) -> Report:
    """Every string that a target or a user can influence is hostile."""
    case = Case(case=HOSTILE, verdict="fail", reason=HOSTILE, exchanges=("s#1",), curl=(f"curl {HOSTILE}",))
    verdict = msgspec.structs.replace(full.verdicts[0], verdict="fail", statement=HOSTILE, cases=(case,))
    waived = next(verdict for verdict in full.verdicts if verdict.verdict == "waived")
    assert waived.waiver is not None
    waiver = msgspec.structs.replace(waived.waiver, reason=HOSTILE)
    cells = {"success": {"wait": Cell(verdict="differs", reason=HOSTILE)}}
    return with_verdicts(
        full,
        (
            verdict,
            msgspec.structs.replace(verdict, id="META-009", level="SHOULD", verdict="warn"),
            msgspec.structs.replace(waived, waiver=waiver),
        ),
        target=msgspec.structs.replace(full.target, server=HOSTILE),
        grid=msgspec.structs.replace(full.grid, cells=cells),
        waiver_errors=(HOSTILE,),
        stopped=HOSTILE,
    )


def kept(identity: str, area: str) -> Verdict:
    return Verdict(
        id=identity,
        level="MUST",
        area=area,
        statement="A promise is kept.",
        source=("the OpenAPI document",),
        verdict="pass",
        cases=(Case(case="", verdict="pass", exchanges=("s#1",)),),
    )


def with_verdicts(report: Report, verdicts: tuple[Verdict, ...], **changes: Any) -> Report:
    return msgspec.structs.replace(
        report,
        verdicts=verdicts,
        totals=totals_by_level(verdicts),
        areas=totals_by_area(verdicts),
        **changes,
    )


# --- report.json -------------------------------------------------------------------------------------------


def schema() -> jsonschema.Draft202012Validator:
    document = json.loads((SCHEMAS / "report.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.mark.parametrize("name", ["every-verdict", "nothing-judged", "conforming"])
def test_json_round_trip_keeps_everything_and_fits_the_schema(name: str) -> None:
    text = (EXAMPLES / "conforms" / f"{name}.json").read_text("utf-8")
    assert reports.to_json(reports.from_json(text)) == text
    assert list(schema().iter_errors(json.loads(text))) == []


def test_every_violating_example_breaks_the_schema_in_one_place() -> None:
    violating = sorted((EXAMPLES / "violates").glob("*.json"))
    assert len(violating) >= 3
    for path in violating:
        assert len(list(schema().iter_errors(json.loads(path.read_text("utf-8"))))) == 1, path.name


def test_schema_names_exactly_the_members_of_the_structs() -> None:
    documented = json.loads((SCHEMAS / "report.json").read_text("utf-8"))
    parts = documented["$defs"]
    for name, part in (("verdict", parts["verdict"]), ("case", parts["case"]), ("cell", parts["cell"])):
        struct = {"verdict": Verdict, "case": Case, "cell": Cell}[name]
        assert set(part["properties"]) == set(part["required"]) == set(struct.__struct_fields__)
    assert set(documented["properties"]) == set(documented["required"]) == set(Report.__struct_fields__)
    assert set(parts["outcome"]["enum"]) == set(SEVERITY)


def test_hostile_strings_survive_json_but_for_lone_surrogates(hostile: Report) -> None:
    text = reports.to_json(hostile)
    text.encode("utf-8")
    reason = reports.from_json(text).verdicts[0].cases[0].reason
    assert reason == HOSTILE.replace("\ud800", "\\ud800")


@pytest.mark.parametrize(
    "text, told",
    [
        ("", "no JSON"),
        ('{"runstone": "0.1', "no JSON"),
        ("{}", "missing required field `runstone`"),
        (b"\xff\xfe", "no JSON"),
        ("[]", "Expected `object`"),
    ],
)
def test_malformed_report_is_told_in_one_line(text: str | bytes, told: str) -> None:
    with pytest.raises(reports.MalformedReport, match=re.escape(told)) as caught:
        reports.from_json(text)
    assert isinstance(caught.value, RunstoneError)
    assert "\n" not in str(caught.value)


def test_unknown_verdict_is_malformed() -> None:
    with pytest.raises(reports.MalformedReport, match=r"verdicts\[0\]\.verdict"):
        reports.from_json((EXAMPLES / "violates" / "verdict-unknown.json").read_bytes())


# --- the headline and the counts ---------------------------------------------------------------------------


def test_nothing_judged_conforms_to_nothing_and_is_no_percentage(empty: Report) -> None:
    lying = msgspec.structs.replace(empty, conforming=True, exit_code=0, complete=True)
    assert not digest.conforms(lying)
    texts = (
        reports.to_markdown(lying),
        reports.to_html(lying, []),
        terminal(lying),
        reports.to_junit(lying),
    )
    for text in texts:
        assert "nothing was judged" in text
        # `100%` as a length belongs to the style sheet of the page; a share is written `100 %`.
        assert "100 %" not in text
    assert not JUnitXml.fromstring(texts[3].encode()).failures == 0


def test_a_share_is_rounded_down_so_that_only_all_is_100_percent(green: Report) -> None:
    many = tuple(kept(f"A-{number}", "a") for number in range(2999))
    broken = msgspec.structs.replace(kept("A-x", "a"), verdict="fail")
    assert digest.shares(with_verdicts(green, (*many, broken)))[0].percent == "99.9 %"
    assert digest.shares(green)[0].percent == "100 %"


def test_not_run_stays_in_the_denominator_and_not_applicable_does_not(green: Report) -> None:
    not_run = msgspec.structs.replace(kept("A-1", "a"), verdict="not-run")
    absent = msgspec.structs.replace(kept("A-2", "a"), verdict="not-applicable")
    assert digest.shares(with_verdicts(green, (kept("A-0", "a"), not_run, absent)))[0].words == "1 of 2 kept (50.0 %)"
    assert digest.shares(with_verdicts(green, (absent,)))[0].words == "none applicable"


def test_a_warning_counts_as_broken_only_where_should_fails(full: Report) -> None:
    warned = msgspec.structs.replace(kept("A-1", "a"), level="SHOULD", verdict="warn")
    mild = with_verdicts(full, (warned,), fail_on="must")
    strict = with_verdicts(full, (warned,), fail_on="should")
    assert (digest.failing(mild), digest.warned(mild)) == ([], [warned])
    assert (digest.failing(strict), digest.warned(strict)) == ([warned], [])
    assert JUnitXml.fromstring(reports.to_junit(strict).encode()).failures == 2  # with the expired waiver
    assert JUnitXml.fromstring(reports.to_junit(mild).encode()).failures == 1


# --- junit.xml ---------------------------------------------------------------------------------------------


def junit_cases(report: Report) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(reports.to_junit(report).encode())  # noqa: S314 - written by this very test
    return {case.attrib["name"]: case for case in root.iter("testcase")}


def test_junit_tells_each_verdict_in_its_own_way(full: Report) -> None:
    cases = junit_cases(full)
    outcome = {name: [child.tag for child in case] for name, case in cases.items()}
    assert outcome["META-001"] == []
    assert outcome["ERR-001[unknown thread]"] == []
    assert outcome["ERR-001[malformed body]"] == ["failure"]
    assert outcome["RUN-STREAM-004"] == ["failure"]  # a MUST that could not be tested
    assert outcome["RUN-STREAM-006"] == ["skipped"]  # a SHOULD that could not be tested
    assert outcome["CMD-003"] == ["error"]
    assert outcome["waivers"] == ["failure"]
    skipped = {name: case[0].attrib["message"] for name, case in cases.items() if len(case) and case[0].tag == "skipped"}
    assert skipped["META-004"].startswith("warn: exchange 3 GET /metrics")
    assert skipped["RUN-WAIT-005"].startswith("waived: the class is wrapped")
    assert "runs team, until 2027-03-31" in skipped["RUN-WAIT-005"]
    assert skipped["RUN-WAIT-007"].startswith("not-run: left out by --quick")
    assert skipped["TIMEOUT-001"].startswith("not-applicable: needs run_time_limit")


def test_junit_failure_carries_its_proof(full: Report) -> None:
    failure = junit_cases(full)["RUN-WAIT-002[stateless]"][0]
    assert "got 1: only the input was stored" in failure.attrib["message"]
    text = failure.text or ""
    for part in ("promise: The body of wait", "where: stateless_turn[tools]#1", "\ncurl -sS -i -X POST http://"):
        assert part in text


def test_junit_counts_and_suites_follow_the_areas(full: Report) -> None:
    parsed = JUnitXml.fromstring(reports.to_junit(full).encode())
    assert [suite.name for suite in parsed] == ["session", *(totals.area for totals in full.areas)]
    cases = sum(len(verdict.cases) for verdict in full.verdicts)
    assert parsed.tests == cases + 1
    green_cases = sum(not list(case) for suite in parsed for case in suite)
    assert green_cases == sum(case.verdict == "pass" for verdict in full.verdicts for case in verdict.cases)


def test_junit_stays_well_formed_whatever_a_target_says(hostile: Report) -> None:
    failure = junit_cases(hostile)[f"META-001[{in_xml(HOSTILE)}]"][0]
    assert in_xml(HOSTILE) in (failure.text or "")


def in_xml(text: str) -> str:
    return text.replace("\x1b", "\\x1b").replace("\x00", "\\x00").replace("\ud800", "\\ud800")


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
    page = markdown_html(reports.to_markdown(with_verdicts(full, (broken,))))
    assert "<h1>" not in page
    assert "# owned" in page


def test_markdown_of_a_dead_server_fits_a_step_summary(full: Report) -> None:
    reason = "x" * 20_000
    case = Case(case="", verdict="fail", reason=reason, curl=("curl " + "y" * 50_000, "curl http://short"))
    dead = tuple(
        msgspec.structs.replace(kept(f"A-{number}", "a"), verdict="fail", cases=(case,)) for number in range(300)
    )
    text = reports.to_markdown(with_verdicts(full, dead))
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
    unwrapped = [line for line in text.splitlines() if len(line) > 80]
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
    assert lines[-1] == "conforming; report in reports/out/target"
    assert lines[-2] == "MUST 208 of 208 kept (100 %)"


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
        msgspec.structs.replace(kept(f"A-{number}", "a"), verdict="not-testable", cases=(case,))
        for number in range(200)
    )
    text = terminal(with_verdicts(full, dead))
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
    assert [line for line in lines if line and not line.startswith(" ")] == ["run-wait", "meta", "3 requirements"]
    assert "[bold]of[/bold]" in stream.getvalue()
    assert max(len(line) for line in lines) <= 80


def test_explaining_shows_source_needs_note_and_the_last_verdict(full: Report) -> None:
    stream = io.StringIO()
    reports.print_requirement(Requirement(), Console(file=stream, width=80), verdict=full.verdicts[5])
    text = stream.getvalue()
    for part in ("source:  the SDK", "needs:   wait_timeout", "note:    A body of null", "Last verdict: fail"):
        assert part in text
    assert "seen     wanted messages with 4 entries" in text
    stream = io.StringIO()
    reports.print_requirement(Requirement(note=None, needs=[]), Console(file=stream, width=80))
    assert "note:" not in stream.getvalue()
    assert "nothing beyond the run API" in stream.getvalue()


# --- writing -----------------------------------------------------------------------------------------------


def test_write_all_writes_four_whole_files_and_nothing_else(hostile: Report, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "target"
    reports.write_all(hostile, [], folder)
    reports.write_all(hostile, [], folder)  # over an older report
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["junit.xml", "report.html", "report.json", "summary.md"]
    assert reports.from_json((folder / "report.json").read_bytes()).target.name == "langgraph-js"
    assert (folder / "report.html").stat().st_mode & 0o044 == 0o044


def test_a_failed_write_leaves_the_old_report_and_no_debris(full: Report, tmp_path: Path) -> None:
    reports.write_all(full, [], tmp_path)
    before = (tmp_path / "report.json").read_bytes()
    (tmp_path / "report.html").unlink()
    (tmp_path / "report.html").mkdir()  # a rename onto a folder fails
    with pytest.raises(reports.UnwritableReport, match="cannot write the report to .*--out DIR"):
        reports.write_all(full, [], tmp_path)
    assert (tmp_path / "report.json").read_bytes() == before
    assert not list(tmp_path.glob(".report.html.*"))


def test_a_folder_that_is_a_file_is_told(full: Report, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(reports.UnwritableReport):
        reports.write_all(full, [], tmp_path / "out")
