"""What a judge's end means: the one place where the verdict of a case is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runstone.contracts import Requirement
from runstone.judge.observed import NotObserved, ScenarioCrashed
from runstone.verdict.model import EXCHANGES_NAMED, Case, Outcome, broken_outcome
from runstone.wire.documents import Missing
from runstone.wire.exchange import Exchange, excerpt
from runstone.wire.trace import Inapplicable

_REASON = 600  # characters of a reason; the exchanges hold the rest
# What pytest tells of an assertion about a value alone, in Python's words, and what that says to a reader.
_BROKEN: Final = "the promise was broken"
_NOTHING: Final = "wanted something, got nothing"
_VALUES: Final = {"": _BROKEN, "False": _BROKEN} | dict.fromkeys(
    ("None", "[]", "{}", "()", "set()", "''"), _NOTHING
)
_CURL_LINES = 6  # more than a single judge reads on purpose; a report shows every exchange anyway


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
        exchanges=tuple(exchange.key for exchange in read[:EXCHANGES_NAMED]),
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
    """The assertion's own message; of pytest's explanation only its first line, without values of Python."""
    first = str(error).strip().partition("\n")[0].removeprefix("assert ")
    return excerpt(_VALUES.get(first, first), _REASON)
