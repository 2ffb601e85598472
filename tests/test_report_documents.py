"""The reports that machines read, the counts behind all of them, and writing them."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import msgspec
import pytest
from junitparser import JUnitXml
from referencing import Registry, Resource
from rich.console import Console

from runstone import report as reports
from runstone.contracts import Level
from runstone.errors import RunstoneError
from runstone.report import digest
from runstone.verdict.model import SEVERITY, Case, Cell, Outcome, Report, Verdict
from tests.example_reports import EXAMPLES, example

VIOLATING = EXAMPLES.parent / "violates"
SCHEMAS = Path(__file__).parents[1] / "contracts" / "schemas"


@pytest.fixture
def full() -> Report:
    """A report in which every verdict occurs."""
    return example("every-verdict")


@pytest.fixture
def empty() -> Report:
    """A report in which nothing was judged."""
    return example("nothing-judged")


@pytest.fixture
def hostile() -> Report:
    """Every string that a target or a user can influence is hostile."""
    return example("hostile-strings")


def one(identity: str, verdict: Outcome, level: Level = "MUST") -> Verdict:
    """A requirement with one case of this verdict."""
    case = Case(case="", verdict=verdict, reason="seen")
    kept = example("conforming").verdicts[0]
    return msgspec.structs.replace(kept, id=identity, level=level, verdict=verdict, cases=(case,))


def having(report: Report, *verdicts: Verdict, **changes: object) -> Report:
    return msgspec.structs.replace(report, verdicts=verdicts, **changes)


# --- report.json -------------------------------------------------------------------------------------------


def schema() -> jsonschema.Draft202012Validator:
    document = json.loads((SCHEMAS / "report.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    named = json.loads((SCHEMAS / "scenarios-report.json").read_text("utf-8"))  # the schema that it refers to
    return jsonschema.Draft202012Validator(
        document, registry=Registry().with_resource(named["$id"], Resource.from_contents(named))
    )


@pytest.mark.parametrize("name", ["every-verdict", "nothing-judged", "conforming", "hostile-strings"])
def test_json_round_trip_keeps_everything_and_fits_the_schema(name: str) -> None:
    text = (EXAMPLES / f"{name}.json").read_text("utf-8")
    assert reports.to_json(reports.from_json(text)) == text
    assert list(schema().iter_errors(json.loads(text))) == []


def test_every_violating_example_breaks_the_schema_in_one_place() -> None:
    violating = sorted(VIOLATING.glob("*.json"))
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


def test_half_a_surrogate_pair_is_written_as_its_escape(full: Report) -> None:
    odd = one("A-1", "fail")
    odd = msgspec.structs.replace(odd, cases=(msgspec.structs.replace(odd.cases[0], reason="got \ud800"),))
    text = reports.to_json(having(full, odd))
    text.encode("utf-8")
    assert reports.from_json(text).verdicts[0].cases[0].reason == "got \\ud800"


@pytest.mark.parametrize(
    "text, told",
    [
        ("", "not JSON"),
        ('{"runstone": "0.1', "not JSON"),
        ("{}", "missing required field `runstone`"),
        (b"\xff\xfe", "not JSON"),
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
        reports.from_json((VIOLATING / "verdict-unknown.json").read_bytes())


# --- the headline and the counts ---------------------------------------------------------------------------


def test_nothing_judged_conforms_to_nothing_and_is_no_percentage(empty: Report) -> None:
    lying = msgspec.structs.replace(empty, conforming=True, exit_code=0, complete=True)
    assert not digest.conforms(lying)
    console = Console(file=io.StringIO(), width=80, record=True)
    reports.print_summary(lying, console, report_dir="out")
    junit = reports.to_junit(lying)
    for text in (reports.to_markdown(lying), reports.to_html(lying, []), console.export_text(), junit):
        assert "nothing was judged" in text
        # `100%` as a length belongs to the style sheet of the page; a share is written `100 %`.
        assert "100 %" not in text
    assert JUnitXml.fromstring(junit.encode()).failures == 1


def test_a_share_is_rounded_down_so_that_only_all_is_100_percent(full: Report) -> None:
    many = [one(f"A-{number}", "pass") for number in range(2999)]
    assert digest.shares(having(full, *many))[0].percent == "100 %"
    assert digest.shares(having(full, *many, one("A-x", "fail")))[0].percent == "99.9 %"


@pytest.mark.parametrize("complete, words", [(False, "1 of 2 kept (50.0 %)"), (True, "1 of 1 kept (100 %)")])
def test_what_a_broken_off_run_did_not_reach_is_counted(full: Report, complete: bool, words: str) -> None:
    absent = one("A-2", "not-applicable")
    mixed = having(full, one("A-0", "pass"), one("A-1", "not-run"), absent, complete=complete)
    assert digest.shares(mixed)[0].words == words
    assert digest.shares(having(full, absent))[0].words == "none applicable"


def test_a_warning_counts_as_broken_only_where_should_fails(full: Report) -> None:
    warned = one("A-1", "warn", "SHOULD")
    mild = having(full, warned, fail_on="must")
    strict = having(full, warned, fail_on="should")
    assert (digest.failing(mild), digest.warned(mild)) == ([], [warned])
    assert (digest.failing(strict), digest.warned(strict)) == ([warned], [])
    assert JUnitXml.fromstring(reports.to_junit(strict).encode()).failures == 2  # with the expired waiver
    assert JUnitXml.fromstring(reports.to_junit(mild).encode()).failures == 1


def test_a_waiver_in_error_and_an_unfinished_run_are_grounds(full: Report) -> None:
    assert digest.grounds(full) == ["1 harness error", "4 MUST broken", "1 waiver in error"]
    unfinished = having(full, one("A-1", "pass"), complete=False, stopped="budget spent", waiver_errors=())
    assert digest.grounds(unfinished) == ["the run is incomplete"]
    assert "budget spent" in (junit_cases(unfinished)["complete"][0].text or "")


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
    skipped = {
        name: case[0].attrib["message"]
        for name, case in cases.items()
        if len(case) and case[0].tag == "skipped"
    }
    assert skipped["META-004"].startswith("warn: exchange 3 GET /metrics")
    assert skipped["RUN-WAIT-005"].startswith("waived: the class is wrapped")
    assert "runs team, until 2027-03-31" in skipped["RUN-WAIT-005"]
    assert skipped["RUN-WAIT-007"].startswith("not-run: left out by --quick")
    assert skipped["TIMEOUT-001"].startswith("not-applicable: needs run_time_limit")


def test_junit_failure_carries_its_proof(full: Report) -> None:
    failure = junit_cases(full)["RUN-WAIT-002[stateless]"][0]
    assert "got 1: only the input was stored" in failure.attrib["message"]
    text = failure.text or ""
    for part in (
        "promise: The body of wait",
        "where: stateless_turn[tools]#1",
        "\ncurl -sS -i -X POST http://",
    ):
        assert part in text


def test_junit_counts_and_suites_follow_the_areas(full: Report) -> None:
    parsed = JUnitXml.fromstring(reports.to_junit(full).encode())
    assert [suite.name for suite in parsed] == ["session", *(totals.area for totals in full.areas)]
    cases = sum(len(verdict.cases) for verdict in full.verdicts)
    assert parsed.tests == cases + 1
    green_cases = sum(not list(case) for suite in parsed for case in suite)
    assert green_cases == sum(case.verdict == "pass" for verdict in full.verdicts for case in verdict.cases)


def test_junit_stays_well_formed_whatever_a_target_says(hostile: Report) -> None:
    said = hostile.verdicts[0].cases[0].reason
    assert "\x1b" in said
    in_xml = said.replace("\x1b", "\\x1b").replace("\x00", "\\x00")
    failure = junit_cases(hostile)[f"META-001[{in_xml}]"][0]
    assert f"seen: {in_xml}" in (failure.text or "")


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
    with pytest.raises(reports.UnwritableReport, match=r"cannot write the report to .*--out DIR"):
        reports.write_all(full, [], tmp_path)
    assert (tmp_path / "report.json").read_bytes() == before
    assert not list(tmp_path.glob(".report.html.*"))


def test_a_folder_that_is_a_file_is_told(full: Report, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(reports.UnwritableReport):
        reports.write_all(full, [], tmp_path / "out")
