"""How pytest, JUnit and Allure tell what a judge decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import pytest

from runstone import report as reports
from runstone.contracts import Level, Requirement
from runstone.judge.items import JudgeItem
from runstone.judge.running import Judgement
from runstone.verdict.model import EXCHANGES_NAMED, Case, Outcome
from runstone.wire.canonical import first_difference, shown
from runstone.wire.documents import raw
from runstone.wire.exchange import Exchange

_SEVERITY: dict[Level, str] = {"MUST": "critical", "SHOULD": "normal", "MAY": "minor"}  # as Allure names it
_FAILING: frozenset[Outcome] = frozenset({"fail", "harness-error"})
_LETTERS: Final[dict[Outcome, tuple[str, str]]] = {
    "pass": (".", "PASS"),
    "fail": ("F", "FAIL"),
    "flaky": ("f", "FLAKY"),
    "warn": ("w", "WARN"),
    "not-testable": ("t", "NOT-TESTABLE"),
    "not-applicable": ("-", "NOT-APPLICABLE"),
    "not-run": ("n", "NOT-RUN"),
    "harness-error": ("E", "HARNESS-ERROR"),
}


def compared(op: str, left: object, right: object) -> str | None:
    """`wanted …, got …` for a comparison that failed, and for documents the place where they first differ."""
    left, right = raw(left), raw(right)
    if op == "==" and isinstance(left, (dict, list)) and isinstance(right, type(left)):
        difference = first_difference(left, right)
        return None if difference is None else str(difference)
    if op in {"in", "not in"} and isinstance(right, str):
        return f"wanted {'no ' if op == 'not in' else ''}{shown(left)} in the text {shown(right)}"
    words = {
        "==": "wanted",
        "!=": "wanted anything but",
        "is": "wanted",
        "is not": "wanted anything but",
        "in": "wanted one of",
        "not in": "wanted none of",
    }
    wanted = words.get(op, f"wanted {op}")
    return f"{wanted} {shown(_plain(right))}, got {shown(_plain(left))}"


def _plain(value: object) -> object:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)  # a set has another order each time
    return list(value) if isinstance(value, tuple) else value


def _pytest_outcome(case: Case, promise: Requirement) -> Literal["passed", "failed", "skipped"]:
    """How plain pytest, JUnit and Allure see a case: whatever is neither kept nor broken is never green."""
    if case.verdict == "pass":
        return "passed"
    broken_must = case.verdict == "not-testable" and promise.level == "MUST"
    return "failed" if case.verdict in _FAILING or broken_must else "skipped"


def _failure_text(promise: Requirement, case: Case) -> str:
    """The case as plain pytest shows it: promised, seen, where, and the lines that repeat it."""
    lines = [f"promised  {promise.id} ({promise.level}): {promise.statement}", f"seen      {case.reason}"]
    lines += [f"where     {', '.join(case.exchanges[-4:])}"] if case.exchanges else []
    lines += [f"repeat    {line}" for line in case.curl]
    return "\n".join(lines)


def report_of_case(item: JudgeItem, judgement: Judgement, call: pytest.CallInfo[None]) -> pytest.TestReport:
    """pytest's report of a judge; Allure and JUnit XML are told the case too."""
    promise, case = item.judge.requirement, judgement.case
    if item.config.pluginmanager.hasplugin("allure_listener"):
        _tell_allure(promise, case, judgement.read)
    # JUnit XML takes them from the report of the teardown, which pytest makes of the item.
    item.user_properties += [("id", promise.id), ("level", promise.level), ("verdict", case.verdict)]
    report = pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords=dict.fromkeys(item.keywords, 1),
        outcome=_pytest_outcome(case, promise),
        # pytest's own rendering of a traceback takes 20 ms, and says less than the line we have.
        longrepr=None,
        when="call",
        duration=call.duration,
        start=call.start,
        stop=call.stop,
        user_properties=item.user_properties,
    )
    if report.outcome == "failed":
        report.longrepr = _failure_text(promise, case)
        if case.verdict == "harness-error" and call.excinfo is not None:
            report.longrepr += f"\n{call.excinfo.getrepr(style='short')}"
    elif report.outcome == "skipped":
        path, line, _ = item.location
        report.longrepr = (path, line or 0, f"{case.verdict}: {case.reason}")
    return report


def status_of_case(verdict: Outcome) -> tuple[str, str, str]:
    """The category, the letter and the word that pytest's progress shows a case with this verdict by."""
    letter, word = _LETTERS[verdict]
    return {"pass": "passed", "fail": "failed"}.get(verdict, verdict), letter, word


def _tell_allure(promise: Requirement, case: Case, read: Sequence[Exchange]) -> None:
    """Labels, description and exchanges of the result that allure-pytest is about to write."""
    import allure  # only where --alluredir asks for it

    dynamic: Any = allure.dynamic  # not annotated
    dynamic.title(f"{promise.id}[{case.case}]" if case.case else promise.id)
    dynamic.description(promise.statement)
    dynamic.story(promise.area)
    dynamic.severity(_SEVERITY[promise.level])
    for label, value in (("requirement", promise.id), ("level", promise.level), ("verdict", case.verdict)):
        dynamic.label(label, value)
    for exchange in read[:EXCHANGES_NAMED]:
        allure.attach(reports.to_text(exchange), exchange.key, allure.attachment_type.TEXT)
