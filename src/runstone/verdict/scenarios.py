"""What acceptance scenarios result in: checks of turns, conversations, and scenarios with their repeats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

from runstone.errors import ExitCode

Result = Literal["pass", "not-judged", "judge-error", "flaky", "fail"]

# From the mildest to the most severe: of several checks, the last one in this order stands.
RESULTS: Final[tuple[Result, ...]] = ("pass", "not-judged", "judge-error", "flaky", "fail")
BROKEN: Final[frozenset[Result]] = frozenset({"fail", "flaky"})
UNCLEAR: Final[frozenset[Result]] = frozenset({"judge-error", "not-judged"})


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One assertion judged. `asserts`: what it demands, in words. `score`: from 0 to 1, times `weight`."""

    asserts: str
    kind: str
    result: Result
    score: float = 0.0
    weight: float = 1.0
    reason: str = ""


class TurnResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One turn as it was played. `said`: what the agent was told, `answer`: what it said last."""

    number: int
    said: str
    answer: str = ""
    calls: tuple[str, ...] = ()
    status: str = ""
    latency_s: float | None = None
    result: Result
    score: float
    checks: tuple[Check, ...] = ()
    exchanges: tuple[str, ...] = ()


class ConversationResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One repeat of a case. `checks`: those of the whole; `reason`: the first that was not kept."""

    trace: str
    entry_point: str
    repeat: int
    result: Result
    score: float
    reason: str = ""
    turns: tuple[TurnResult, ...] = ()
    checks: tuple[Check, ...] = ()
    curl: tuple[str, ...] = ()


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How many repeats passed, with the 95 % Wilson interval, and the chance that `k` of them all pass."""

    passed: int
    of: int
    low: float
    high: float
    k: int
    pass_k: float | None


class ScenarioVerdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A scenario with one choice of its variables: its verdict over all entry points and repeats."""

    name: str
    scenario: str
    assistant: str
    result: Result
    score: float
    reason: str = ""
    tags: tuple[str, ...] = ()
    variables: dict[str, Any] = {}
    gate: str = ""
    rate: Rate
    conversations: tuple[ConversationResult, ...] = ()


class JudgeModel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The model that judged rubrics and played users, and what that took; `named`: as its answers name it."""

    model: str
    named: tuple[str, ...] = ()
    calls: int = 0
    tokens: int = 0


class ScenarioResults(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All scenarios of one run, as they come; `totals`: result → number of scenarios."""

    scenarios: tuple[ScenarioVerdict, ...]
    totals: dict[str, int]
    judge: JudgeModel | None = None

    @property
    def accepted(self) -> bool:
        """Whether every one of them passed, and there was one."""
        return bool(self.scenarios) and all(each.result == "pass" for each in self.scenarios)


class ScenariosReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `runstone scenarios` found. Schema: contracts/schemas/scenarios-report.json."""

    runstone: str
    started_at: str
    duration_s: float
    complete: bool
    stopped: str | None
    exit_code: int
    accepted: bool
    target: str
    url: str
    server: str
    insecure: bool
    results: ScenarioResults


def worst(results: Iterable[Result]) -> Result:
    """The result that stands for all; `not-judged` for none, as nothing was asked."""
    return max(results, key=RESULTS.index, default="not-judged")


def counted(verdicts: Sequence[ScenarioVerdict]) -> dict[str, int]:
    """Result → number of scenarios; only results that occur, the mildest first."""
    counts = Counter(each.result for each in verdicts)
    return {result: counts[result] for result in RESULTS if counts[result]}


def exit_code(results: ScenarioResults) -> ExitCode:
    """1 where one is broken, 4 where one could not be judged, or there is none."""
    if any(each.result in BROKEN for each in results.scenarios):
        return ExitCode.NOT_CONFORMING
    return ExitCode.CONFORMING if results.accepted else ExitCode.HARNESS_ERROR
