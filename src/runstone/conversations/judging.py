"""From recorded conversations to verdicts: pure, and the same while they are played and years after."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, Final

import msgspec

from runstone.conversations.assertions import Means, OwnCheck, check
from runstone.conversations.format import Assertion, Gate, Scenario, innermost
from runstone.conversations.questions import Model
from runstone.conversations.reading import Case
from runstone.conversations.recorded import Conversation, Played, recorded
from runstone.conversations.seen import Seen, together
from runstone.conversations.statistics import pass_k, wilson
from runstone.verdict.scenarios import (
    UNCLEAR,
    Check,
    ConversationResult,
    JudgeModel,
    Rate,
    Result,
    ScenarioResults,
    ScenarioVerdict,
    TurnResult,
    counted,
    worst,
)
from runstone.wire.trace import Trace

Own = Callable[[str], OwnCheck]
# What need not be the same by each entry point: time, what only a stream has, and a model's opinion.
_OWN_TO_AN_ENTRY_POINT: Final = frozenset({"latency_s", "event", "llm_rubric"})
_SAID: Final = 400  # characters of a message in a report
HARNESS_FAILED: Final = "the harness itself failed"


def judged(
    cases: Sequence[Case], traces: Mapping[str, Trace], crashed: Mapping[str, str], own: Own | None = None
) -> ScenarioResults:
    """The verdicts of these cases on what was recorded. `crashed`: conversations in which Runstone broke."""
    groups: dict[tuple[str, int], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.scenario.scenario, case.number), []).append(case)
    verdicts = tuple(_verdict(group, traces, crashed, own) for group in groups.values())
    return ScenarioResults(scenarios=verdicts, totals=counted(verdicts), judge=_judge_of(cases, traces))


def checks_of_turn(scenario: Scenario, number: int, seen: Seen, means: Means) -> list[Check]:
    """The checks of one turn, from 1: what is written, and that the run ended as one should."""
    expected = scenario.turns[number - 1].expect if number <= len(scenario.turns) else ()
    checks = [check(each, seen, means) for each in applicable(expected, seen, scenario)]
    if not _speaks_of_status((*expected, *scenario.expect)) and seen.status not in {"success", "interrupted"}:
        ended = (
            f"the run ended as {seen.status}" if seen.status else seen.lost or "nothing tells how it ended"
        )
        checks.insert(0, Check(asserts="the run ends well", kind="run", result="fail", reason=ended))
    return checks


def checks_of_whole(scenario: Scenario, turns: Sequence[Seen], means: Means) -> list[Check]:
    """The checks of the whole conversation."""
    whole = together(turns)
    return [check(each, whole, means) for each in applicable(scenario.expect, whole, scenario)]


def applicable(expected: Iterable[Assertion], seen: Seen, scenario: Scenario) -> list[Assertion]:
    """Those that apply: where all entry points are played, only a stream can show events."""
    no_events = scenario.entry_point == "all" and not seen.streamed and bool(seen.status)
    return [each for each in expected if not (no_events and innermost(each)[0].kind == "event")]


def conversation_result(found: Conversation, own: Own | None = None) -> ConversationResult:
    """One recorded conversation judged."""
    scenario, notes, trace = found.case.scenario, found.notes, found.trace
    means = Means(asker=trace.scenario, model=notes.model, answers=notes.answers, own=own)
    seen = found.turns
    turns = []
    for number, (each, played) in enumerate(zip(seen, notes.turns, strict=True), 1):
        turns.append(_turn(number, played, each, checks_of_turn(scenario, number, each, means)))
    reached = trace.blocked.get("") or notes.broken
    turns += [
        _unplayed(number, scenario, reached or "an earlier turn failed")
        for number in range(len(turns) + 1, len(scenario.turns) + 1)
    ]
    if notes.whole:
        whole = checks_of_whole(scenario, seen, means)
    else:
        why = reached or "not played to its end"
        whole = [_not_kept(each, why) for each in scenario.expect]
        if not whole and all(each.result == "pass" for each in turns):
            whole = [Check(asserts="it is played to its end", kind="run", result="fail", reason=why)]
    if notes.broken:  # a user that a model plays, or the harness, is not the fault of the agent
        whole = [Check(asserts="it can be played", kind="run", result="judge-error", reason=notes.broken)]
    checks = [one for turn in turns for one in turn.checks] + whole
    result = worst(each.result for each in checks) if checks else "pass"
    if not any(scenario.assertions()):
        result, whole = worst((result, "not-judged")), [*whole, _NOTHING_ASSERTED]
    failed = next((each for each in (*checks, *whole) if each.result == result != "pass"), None)
    return ConversationResult(
        trace=trace.scenario,
        entry_point=found.case.entry_point,
        repeat=notes.repeat,
        result=result,
        score=score_of(checks),
        reason=_told(failed, turns),
        turns=tuple(turns),
        checks=tuple(whole),
        curl=tuple(each.curl() for each in trace.exchanges if each.label == "result")[:3]
        if result != "pass"
        else (),
    )


_NOTHING_ASSERTED: Final = Check(
    asserts="something is asserted", kind="run", result="not-judged", reason="nothing is asserted"
)


def _turn(number: int, played: Played, seen: Seen, checks: Sequence[Check]) -> TurnResult:
    return TurnResult(
        number=number,
        said=said_in(played),
        answer=_cut(seen.answer),
        calls=tuple(_cut(str(each)) for each in seen.calls),
        status=seen.status,
        latency_s=seen.latency_s,
        result=worst(each.result for each in checks) if checks else "pass",
        score=score_of(checks),
        checks=tuple(checks),
        exchanges=seen.exchanges,
    )


def said_in(played: Played) -> str:
    """What the agent was told, as a reader sees it: a message as it is, anything else by its name."""
    if played.way == "user":
        return _cut(str(played.said))
    return _cut(f"{played.way}: {json.dumps(played.said, ensure_ascii=False)}")


def _unplayed(number: int, scenario: Scenario, why: str) -> TurnResult:
    turn = scenario.turns[number - 1]
    played = Played(thread=turn.thread, said=getattr(turn, turn.ways[0]), way=turn.ways[0])
    checks = [_not_kept(each, f"not played: {why}") for each in turn.expect]
    return TurnResult(
        number=number,
        said=said_in(played),
        result="fail",
        score=0.0,
        checks=tuple(checks),
        status="not played",
    )


def _not_kept(assertion: Assertion, why: str) -> Check:
    kept = check(assertion, Seen(lost=why), Means())
    return msgspec.structs.replace(kept, result="fail", score=0.0, reason=why)


def _told(failed: Check | None, turns: Sequence[TurnResult]) -> str:
    if failed is None:
        return ""
    number = next((each.number for each in turns if failed in each.checks), None)
    return f"{'' if number is None else f'turn {number}: '}{failed.asserts}: {failed.reason}"


def score_of(checks: Sequence[Check]) -> float:
    """The weighted mean of what was judged; what was not judged has no score."""
    counting = [each for each in checks if each.result not in UNCLEAR]
    weight = sum(each.weight for each in counting)
    total = sum(each.score * each.weight for each in counting)
    return round(total / weight, 4) if weight else (0.0 if checks else 1.0)


def _speaks_of_status(expected: Iterable[Assertion]) -> bool:
    return any(innermost(each)[0].kind == "status" for each in expected)


def _cut(text: str) -> str:
    return text if len(text) <= _SAID else f"{text[: _SAID - 1]}…"


def _verdict(
    group: Sequence[Case], traces: Mapping[str, Trace], crashed: Mapping[str, str], own: Own | None
) -> ScenarioVerdict:
    first, scenario = group[0], group[0].scenario
    several = [
        [_result(case, repeat, traces, crashed, own) for repeat in range(1, scenario.repeat.times + 1)]
        for case in group
    ]
    gate = scenario.repeat.gate
    results = [gated([each.result for each in conversations], gate) for conversations in several]
    result = worst(results)
    conversations = [each for some in several for each in some]
    reason = "" if result == "pass" else _first_reason(conversations, result)
    apart = _disagreement(several) if result == "pass" and len(several) > 1 else ""
    if apart:
        result, reason = "fail", f"entry points disagree: {apart}"
    passed = sum(each.result == "pass" for each in conversations)
    low, high = wilson(passed, len(conversations))
    worst_of = min(sum(each.result == "pass" for each in some) for some in several)
    return ScenarioVerdict(
        name=first.name,
        scenario=scenario.scenario,
        assistant=scenario.assistant,
        result=result,
        score=round(fmean(each.score for each in conversations), 4),
        reason=reason,
        tags=scenario.tags,
        variables=dict(first.values),
        gate=f"pass^{gate.pass_k} >= {gate.at_least:g}" if scenario.repeat.times > 1 else "",
        rate=Rate(
            passed=passed,
            of=len(conversations),
            low=round(low, 4),
            high=round(high, 4),
            k=gate.pass_k,
            pass_k=_rounded(pass_k(worst_of, scenario.repeat.times, gate.pass_k)),
        ),
        conversations=tuple(conversations),
    )


def _first_reason(conversations: Sequence[ConversationResult], result: Result) -> str:
    """Why the first of them is not kept, of those with the result of all if there are such."""
    told = [each for each in conversations if each.reason]
    return next((each.reason for each in told if each.result == result), told[0].reason if told else "")


def gated(results: Sequence[Result], gate: Gate) -> Result:
    """The verdict of the repeats of one case: broken only where what is unclear could not save it."""
    passed = sum(each == "pass" for each in results)
    unclear = [each for each in results if each in UNCLEAR]
    reachable = pass_k(passed + len(unclear), len(results), gate.pass_k)
    if reachable is not None and reachable < gate.at_least:
        return "flaky" if passed else "fail"
    return worst(unclear) if unclear or reachable is None else "pass"


def _result(
    case: Case, repeat: int, traces: Mapping[str, Trace], crashed: Mapping[str, str], own: Own | None
) -> ConversationResult:
    name = case.trace(repeat)
    found = recorded(case, repeat, traces)
    result: Result | None = None
    if name in crashed:
        result, reason = "judge-error", f"{HARNESS_FAILED}: {crashed[name].splitlines()[-1]}"
    elif found is None:
        result, reason = "not-judged", "it was not played to its end"
    elif found.notes.digest != case.digest:
        result, reason = "not-judged", "the scenario was changed since it was played"
    if result is None and found is not None:
        return conversation_result(found, own)
    return ConversationResult(
        trace=name,
        entry_point=case.entry_point,
        repeat=repeat,
        result=result or "not-judged",
        score=0.0,
        reason=reason,
    )


def _disagreement(several: Sequence[Sequence[ConversationResult]]) -> str:
    """In what conversations differ that are the same but for the entry point; '' where they agree."""
    for repeats in zip(*several, strict=True):
        first = repeats[0]
        for other in repeats[1:]:
            for one, two in zip(_outline(first), _outline(other), strict=False):
                if one != two:
                    return f"{first.entry_point} shows {one}, {other.entry_point} shows {two}"
    return ""


def _outline(found: ConversationResult) -> list[Any]:
    """What must be the same by each entry point: how turns ended, what they called, what was judged."""
    return [
        {
            "turn": each.number,
            "status": each.status,
            "calls": [call.partition("(")[0] for call in each.calls],
            "checks": [one.result for one in each.checks if one.kind not in _OWN_TO_AN_ENTRY_POINT],
        }
        for each in found.turns
    ]


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 4)


def _judge_of(cases: Sequence[Case], traces: Mapping[str, Trace]) -> JudgeModel | None:
    """The model that the conversations name, and what its recorded answers took."""
    found = [
        each
        for case in cases
        for repeat in range(1, case.scenario.repeat.times + 1)
        if (each := recorded(case, repeat, traces)) is not None
    ]
    models: list[Model] = [each.notes.model for each in found if each.notes.model is not None]
    if not models:
        return None
    answers = {key: answer for each in found for key, answer in each.notes.answers.items()}
    given = [each for each in answers.values() if not each.unasked]
    return JudgeModel(
        model=models[0].name,
        named=tuple(sorted({each.model for each in given if each.model})),
        calls=len(given),
        tokens=sum(each.tokens for each in given),
    )
