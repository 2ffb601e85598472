"""What acceptance scenarios result in, as JUnit XML, as a page, and on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite
from rich.console import Console

from runstone.report.digest import RESULT_WORDS, scenario_totals
from runstone.report.paper import Page
from runstone.report.text import counted, for_terminal, for_xml, shortened
from runstone.verdict.scenarios import (
    UNCLEAR,
    Check,
    ConversationResult,
    Result,
    ScenarioResults,
    ScenariosReport,
    ScenarioVerdict,
)

_MESSAGE: Final = 300  # characters: CI systems show the message in a list, the text on a page
_REASON: Final = 600
_CONVERSATIONS: Final = 1  # of a scenario, that a terminal tells of: the others differ in little
_CHECKS: Final = 6

STYLES: Final[dict[Result, str]] = {
    "pass": "green",
    "not-judged": "bold magenta",
    "judge-error": "bold magenta",
    "flaky": "red",
    "fail": "bold red",
}


def rate_words(verdict: ScenarioVerdict) -> str:
    """`4 of 5 passed (38 to 96 %), pass^3 0.4`; '' where it was played once."""
    rate = verdict.rate
    if rate.of < 2:
        return ""
    chance = "" if rate.pass_k is None or rate.k < 2 else f", pass^{rate.k} {rate.pass_k:.2f}"
    return f"{rate.passed} of {rate.of} passed ({rate.low:.0%} to {rate.high:.0%}{chance})"


# JUnit


def scenarios_to_junit(report: ScenariosReport) -> str:
    """The report as JUnit XML: a suite `scenarios` with a case for each scenario.

    What is broken is a failure, what could not be judged an error; a run that ended early fails `session`.
    """
    document = JUnitXml(for_xml(f"runstone scenarios {report.target}"))
    for suite in scenario_suites(report.results, report.stopped):
        suite.timestamp = for_xml(report.started_at)
        for key in ("target", "url", "server", "runstone"):
            suite.add_property(key, for_xml(getattr(report, key)))
        document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call] # junitparser annotates most, not this
    written: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return '<?xml version="1.0" encoding="utf-8"?>\n' + written.decode("utf-8") + "\n"


def scenario_suites(results: ScenarioResults, stopped: str | None = None) -> Iterator[TestSuite]:
    """The suites of JUnit that scenarios make."""
    if stopped or not results.scenarios:
        why = stopped or "no scenario was played"
        case = TestCase("complete", "runstone.scenarios.session")
        case.result = [_with(Failure(for_xml(shortened(why, _MESSAGE))), why)]
        session = TestSuite("scenarios.session")
        session.add_testcases([case])
        yield session
    suite = TestSuite("scenarios")
    suite.add_testcases([_case(each) for each in results.scenarios])
    yield suite


def _case(verdict: ScenarioVerdict) -> TestCase:
    case = TestCase(for_xml(verdict.name), "runstone.scenarios")
    times = [each.latency_s or 0.0 for one in verdict.conversations for each in one.turns]
    case.time = round(sum(times), 3)
    if verdict.result == "pass":
        return case
    message = for_xml(shortened(f"{RESULT_WORDS[verdict.result]}: {verdict.reason}", _MESSAGE))
    told = "\n".join(proof(verdict))
    case.result = [_with(Error(message) if verdict.result in UNCLEAR else Failure(message), told)]
    return case


def _with(result: Failure | Error, text: str) -> Failure | Error:
    result.text = for_xml(text)
    return result


def proof(verdict: ScenarioVerdict) -> Iterator[str]:
    """What was said in the conversations that are not kept, and what was expected of them, line by line."""
    if rate_words(verdict):
        yield f"{rate_words(verdict)}, gate {verdict.gate or 'all must pass'}"
    for one in verdict.conversations:
        if one.result != "pass":
            yield f"{one.trace}: {RESULT_WORDS[one.result]}, score {one.score:g}"
            for turn in one.turns:
                yield f"  turn {turn.number} user: {turn.said}"
                yield from (f"  turn {turn.number} calls: {each}" for each in turn.calls)
                yield f"  turn {turn.number} agent: {turn.answer}"
                yield from (f"    {line}" for line in _unkept(turn.checks))
            yield from (f"  {line}" for line in _unkept(one.checks))
            yield from one.curl


def _unkept(checks: Iterable[Check]) -> list[str]:
    return [
        f"{RESULT_WORDS[each.result]}: {each.asserts}: {each.reason}"
        for each in checks
        if each.result != "pass"
    ]


# the terminal


def print_scenarios(results: ScenarioResults, console: Console) -> None:
    """A line a scenario, and of those that are not kept what was said and what was expected."""
    out = Page(console)
    width = max((len(each.name) for each in results.scenarios), default=0)
    for each in results.scenarios:
        told = "  ".join(filter(None, [f"score {each.score:.2f}", rate_words(each)]))
        out.spans(
            (f"{RESULT_WORDS[each.result]:<12}", STYLES[each.result]),
            (f"{for_terminal(each.name):<{min(width, 48)}}  ", "bold"),
            (told, "dim"),
        )
    out.line()
    for each in results.scenarios:
        if each.result != "pass":
            _print_broken(each, out)


def print_scenarios_report(report: ScenariosReport, console: Console, *, report_dir: Path | str) -> None:
    """The whole report; the last line is the verdict."""
    out = Page(console)
    out.line(f"{report.target}  {report.server}", "bold")
    if report.insecure:
        out.line("no certificate was checked: anybody may have answered", STYLES["fail"])
    out.line()
    print_scenarios(report.results, console)
    if report.stopped:
        out.entry("incomplete: ", report.stopped, STYLES["fail"])
    judge = report.results.judge
    if judge is not None and judge.calls:
        out.entry(
            "judge: ", f"{judge.model}, {counted(judge.calls, 'call')}, {counted(judge.tokens, 'token')}"
        )
    word = "accepted" if report.accepted else "NOT ACCEPTED"
    style = "bold green" if report.accepted else "bold red"
    out.line(f"{word}, {scenario_totals(report.results)}; report in {report_dir}", style)


def _print_broken(verdict: ScenarioVerdict, out: Page) -> None:
    out.spans(
        (f"{RESULT_WORDS[verdict.result].upper()} ", STYLES[verdict.result]),
        (for_terminal(verdict.name), "bold"),
        (f"  {rate_words(verdict)}", "dim"),
    )
    if verdict.reason:
        out.entry("  because  ", shortened(verdict.reason, _REASON), STYLES[verdict.result])
    broken = [each for each in verdict.conversations if each.result != "pass"]
    for one in broken[:_CONVERSATIONS]:
        _print_conversation(one, out)
    if len(broken) > _CONVERSATIONS:
        out.line(f"  and {counted(len(broken) - _CONVERSATIONS, 'further conversation')} in report.json")
    out.line()


def _print_conversation(one: ConversationResult, out: Page) -> None:
    out.line(f"  {one.trace}, score {one.score:g}", "dim")
    for turn in one.turns:
        out.entry("    user   ", shortened(turn.said, _REASON))
        for call in turn.calls:
            out.entry("    calls  ", shortened(call, _REASON))
        out.entry(
            "    agent  ", shortened(turn.answer, _REASON) or f"(nothing; {turn.status or 'no result'})"
        )
        lost = any(each.kind == "run" for each in turn.checks)  # nothing else can be told of such a turn
        for line in _unkept(turn.checks)[: 1 if lost else _CHECKS]:
            out.entry("    ! ", shortened(line, _REASON), STYLES[turn.result])
    for line in _unkept(one.checks)[:_CHECKS]:
        out.entry("    ! ", shortened(line, _REASON), STYLES[one.result])


# the page


def page_words() -> dict[str, Any]:
    """What the part of a page that shows scenarios needs."""
    return {"words": RESULT_WORDS, "rate_words": rate_words, "cut": lambda text: shortened(text, 2_000)}
