"""What the end of a judge comes to: a case with its verdict, its reason, and the text that tells it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from runstone import report as reports
from runstone.contracts import Level, Requirement
from runstone.session.session import NotObserved, ScenarioCrashed
from runstone.verdict.model import Case, Outcome, broken_outcome
from runstone.wire.canonical import first_difference, shown
from runstone.wire.documents import Missing, raw
from runstone.wire.exchange import Exchange, excerpt
from runstone.wire.trace import Inapplicable

_REASON = 600  # characters of a reason; the exchanges hold the rest
_EXCHANGES = 40  # that a case names; a monitor reads thousands
_CURL_LINES = 6  # more than a single judge reads on purpose; a report shows every exchange anyway
_SEVERITY: dict[Level, str] = {"MUST": "critical", "SHOULD": "normal", "MAY": "minor"}  # as Allure names it
_FAILING: frozenset[Outcome] = frozenset({"fail", "harness-error"})


def case_of(
    name: str,
    promise: Requirement,
    error: BaseException | None,
    read: Sequence[Exchange],
    unseen: str | None = None,
    *,
    narrowed: bool = False,
) -> Case:
    """The case that a judge's end makes.

    `error`: what it raised; `unseen`: what kept it from seeing all; `narrowed`: it reads every trace, and not
    all were asked for, so that what they lack is not the target's doing.
    """
    if narrowed and isinstance(error, Missing):
        error = NotObserved(f"nothing that was selected shows it: {error}")
    outcome, reason = _outcome(promise, error, unseen)
    shows_curl = outcome in {"fail", "warn", "not-testable"}
    return Case(
        case=name,
        verdict=outcome,
        reason=reason,
        exchanges=tuple(exchange.key for exchange in read[:_EXCHANGES]),
        curl=tuple(exchange.curl() for exchange in read[-_CURL_LINES:]) if shows_curl else (),
    )


def _outcome(promise: Requirement, error: BaseException | None, unseen: str | None) -> tuple[Outcome, str]:
    if error is None:
        return ("pass", "") if unseen is None else ("not-run", f"not all was observed: {unseen}")
    if isinstance(error, Inapplicable):
        return "not-applicable", str(error)
    if isinstance(error, NotObserved):
        return "not-run", str(error)
    if isinstance(error, Missing):
        return "not-testable", excerpt(str(error), _REASON)
    if isinstance(error, AssertionError):
        return broken_outcome(promise.level), _assertion_text(error)
    kind = type(error).__name__
    who = "scenario" if isinstance(error, ScenarioCrashed) else "judge"
    last = str(error).strip().splitlines()[-1:] or [""]
    return "harness-error", f"the {who} itself failed: {kind}: {excerpt(last[0], _REASON)}"


def _assertion_text(error: AssertionError) -> str:
    """The assertion's own message; of pytest's explanation only its first line."""
    text = str(error).strip() or "the promise was broken"
    first, _, rest = text.partition("\n")
    if first.startswith("assert ") and rest and "wanted" not in first:
        first = f"{first} {rest.splitlines()[0].strip()}"
    return excerpt(first.removeprefix("assert "), _REASON)


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
        "in": "wanted one of",
        "not in": "wanted none of",
    }
    wanted = words.get(op, f"wanted {op}")
    return f"{wanted} {shown(_plain(right))}, got {shown(_plain(left))}"


def _plain(value: object) -> object:
    return list(value) if isinstance(value, (set, frozenset, tuple)) else value


def pytest_outcome(case: Case, promise: Requirement) -> Literal["passed", "failed", "skipped"]:
    """How plain pytest, JUnit and Allure see a case: whatever is neither kept nor broken is never green."""
    if case.verdict == "pass":
        return "passed"
    broken_must = case.verdict == "not-testable" and promise.level == "MUST"
    return "failed" if case.verdict in _FAILING or broken_must else "skipped"


def failure_text(promise: Requirement, case: Case) -> str:
    """The case as plain pytest shows it: promised, seen, where, and the lines that repeat it."""
    lines = [f"promised  {promise.id} ({promise.level}): {promise.statement}", f"seen      {case.reason}"]
    lines += [f"where     {', '.join(case.exchanges[-4:])}"] if case.exchanges else []
    lines += [f"repeat    {line}" for line in case.curl]
    return "\n".join(lines)


def tell_allure(promise: Requirement, case: Case, read: Sequence[Exchange]) -> None:
    """Labels, description and exchanges of the result that allure-pytest is about to write."""
    import allure  # only where --alluredir asks for it

    dynamic: Any = allure.dynamic  # not annotated
    dynamic.title(f"{promise.id}[{case.case}]" if case.case else promise.id)
    dynamic.description(promise.statement)
    dynamic.story(promise.area)
    dynamic.severity(_SEVERITY[promise.level])
    for label, value in (("requirement", promise.id), ("level", promise.level), ("verdict", case.verdict)):
        dynamic.label(label, value)
    for exchange in read[:_EXCHANGES]:
        allure.attach(reports.to_text(exchange), exchange.key, allure.attachment_type.TEXT)
