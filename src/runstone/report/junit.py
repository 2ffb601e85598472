"""junit.xml: a suite per area, a case per judgement. What was not kept is never green by absence."""

from __future__ import annotations

import msgspec
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from runstone.report.digest import judged, revision
from runstone.report.remarks import remarks
from runstone.report.scenarios import scenario_suites
from runstone.report.text import for_xml, shortened
from runstone.verdict.model import Case, Report, Verdict, fails_target

_MESSAGE = 300  # characters: CI systems show the message in a list, the text on a page


def to_junit(report: Report) -> str:
    """The report as JUnit XML.

    What makes the target fail is a failure with reason, exchanges and curl; a harness error is an error;
    warn, waived, not-applicable and not-run are skipped with their reason. What spoils the run as a whole
    (nothing judged, stopped early, waivers in error) fails a suite named `session`.
    """
    document = JUnitXml(for_xml(f"runstone {report.target.name}"))
    session = _session_cases(report)
    if session:
        document.add_testsuite(_suite("session", session, report))
    for area in dict.fromkeys(verdict.area for verdict in report.verdicts):
        verdicts = [verdict for verdict in report.verdicts if verdict.area == area]
        cases = [_case(verdict, case, report) for verdict in verdicts for case in _cases(verdict)]
        document.add_testsuite(_suite(area, cases, report))
    if report.scenarios is not None:
        for suite in scenario_suites(report.scenarios):
            document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call] # junitparser annotates most, not this
    written: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return '<?xml version="1.0" encoding="utf-8"?>\n' + written.decode("utf-8") + "\n"


def _suite(name: str, cases: list[TestCase], report: Report) -> TestSuite:
    suite = TestSuite(for_xml(name))
    suite.timestamp = for_xml(report.started_at)
    for key, value in (
        ("target", report.target.name),
        ("url", report.target.url),
        ("server", report.target.server),
        ("profile", report.profile),
        ("revision", revision(report)),
        ("runstone", report.runstone),
        *((remark.about, remark.text) for remark in remarks(report)),
    ):
        suite.add_property(key, for_xml(value))
    suite.add_testcases(cases)
    return suite


def _session_cases(report: Report) -> list[TestCase]:
    problems = [("waivers", message) for message in report.waiver_errors]
    if not report.complete:
        problems.append(("complete", report.stopped or "the run ended before everything was judged"))
    if not judged(report):
        problems.append(("judged", "nothing was judged"))
    return [
        _with(TestCase(name, "runstone.session.session"), Failure(for_xml(shortened(why, _MESSAGE))), why)
        for name, why in problems
    ]


def _cases(verdict: Verdict) -> tuple[Case, ...]:
    return verdict.cases or (Case(case="", verdict=verdict.verdict),)


def _case(verdict: Verdict, case: Case, report: Report) -> TestCase:
    name = f"{verdict.id}[{case.case}]" if case.case else verdict.id
    written = TestCase(for_xml(name), for_xml(f"runstone.{verdict.area}"))
    alone = msgspec.structs.replace(verdict, verdict=case.verdict)
    reason = case.reason or "no reason given"
    if case.verdict == "harness-error":
        return _with(written, Error(for_xml(shortened(reason, _MESSAGE))), _proof(verdict, case))
    if _is_waived(verdict, case):
        return _skipped(written, f"waived: {_waiver(verdict)}; seen: {reason}")
    if fails_target(alone, report.fail_on):
        message = f"{verdict.level} {case.verdict}: {reason}"
        return _with(written, Failure(for_xml(shortened(message, _MESSAGE))), _proof(verdict, case))
    if case.verdict != "pass":
        word = "warn" if case.verdict == "not-testable" else case.verdict
        return _skipped(written, f"{word}: {reason}")
    return written


def _is_waived(verdict: Verdict, case: Case) -> bool:
    broken = case.verdict in {"fail", "warn", "flaky", "not-testable"}
    return case.verdict == "waived" or (verdict.verdict == "waived" and broken)


def _waiver(verdict: Verdict) -> str:
    waiver = verdict.waiver
    if waiver is None:
        return "no waiver given"
    return f"{waiver.reason} ({waiver.owner}, until {waiver.expires}, {waiver.link})"


def _skipped(case: TestCase, message: str) -> TestCase:
    case.result = [Skipped(for_xml(message))]
    return case


def _with(case: TestCase, result: Failure | Error, text: str) -> TestCase:
    result.text = for_xml(text)
    case.result = [result]
    return case


def _proof(verdict: Verdict, case: Case) -> str:
    lines = [f"promise: {verdict.statement}", f"seen: {case.reason or 'no reason given'}"]
    if case.exchanges:
        lines.append(f"where: {', '.join(case.exchanges)}")
    if verdict.source:
        lines.append(f"source: {'; '.join(verdict.source)}")
    return "\n".join([*lines, *case.curl])
