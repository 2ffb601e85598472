"""Each kind of assertion as a pure function of what a turn, or a conversation, shows.

Three things can come of one: it is met, it is not, or nothing shows whether it is. Where nothing shows it,
neither the assertion nor its opposite holds: an agent that is silent, or dead, passes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from statistics import fmean
from typing import Any, Final

import msgspec
from msgspec import UNSET

from runstone.conversations.format import (
    Assertion,
    EventMatch,
    FunctionCall,
    PlacedMatch,
    Rubric,
    Trajectory,
    ValueMatch,
    innermost,
)
from runstone.conversations.matching import against, fits, follows, shown, shown_call
from runstone.conversations.places import NothingThere, value_at
from runstone.conversations.questions import Answer, Answers, Model, Question, partial, rubric
from runstone.conversations.seen import Call, Seen
from runstone.verdict.scenarios import Check, Result

OwnCheck = Callable[[Seen], Any]


class Found(msgspec.Struct, frozen=True):
    """`met`: None where nothing shows it. `score`: where it is more than met or not."""

    met: bool | None
    why: str = ""
    score: float | None = None


class JudgeFailed(Exception):  # noqa: N818 - what judges failed, not what is judged
    """A model or a function of the user's own did not judge; the message says why."""


class NotJudged(Exception):  # noqa: N818 - a finding, not an error
    """Nobody was there to judge: no model was named, or no function is trusted."""


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """By whom is judged what no function here can: a model's recorded answers, functions of the user's own.

    `asker`: the name of the conversation. `own`: by `module:function`; None where none is trusted.
    """

    asker: str = ""
    model: Model | None = None
    answers: Answers = {}
    own: Callable[[str], OwnCheck] | None = None


def check(assertion: Assertion, seen: Seen, means: Means) -> Check:
    """The assertion judged on what is seen."""
    core, denied = innermost(assertion)
    result: Result
    score = 0.0
    try:
        found = _opposite(core, seen, means) if denied else _found(core, seen, means)
        result = "pass" if found.met else "fail"
        score = (1.0 if found.met else 0.0) if found.score is None else found.score
        why = "" if found.met else found.why
    except JudgeFailed as error:
        result, why = "judge-error", str(error)
    except NotJudged as reason:
        result, why = "not-judged", str(reason)
    return Check(
        asserts=assertion.name or in_words(assertion),
        kind=core.kind,
        result=result,
        score=round(score, 4),
        weight=assertion.weight,
        reason=why,
    )


def _found(core: Assertion, seen: Seen, means: Means) -> Found:
    if core.kind == "llm_rubric":
        return _judged_by_model(core.wanted, seen, means)
    if core.kind == "python":
        return _judged_by_function(core.wanted, seen, means)
    return _KINDS[core.kind](core.wanted, seen)


def _opposite(core: Assertion, seen: Seen, means: Means) -> Found:
    """What is denied must not be seen, where something was there to see: in all that was said."""
    if core.kind in _OF_TEXT:
        if not seen.said.strip():
            return Found(None, f"the agent said nothing{_because(seen)}")
        seen = msgspec.structs.replace(seen, heard=seen.said)
    if not seen.alive and core.kind not in {"status", "latency_s", "event"}:
        return Found(None, f"the turn shows nothing of the agent{_because(seen)}")
    found = _found(core, seen, means)
    if found.met is None:
        return found
    score = None if found.score is None else 1 - found.score
    return Found(not found.met, f"it is so: {in_words(core)}", score)


def _because(seen: Seen) -> str:
    if seen.lost:
        return f": {seen.lost}"
    return f": the run ended as {seen.status}" if seen.status and seen.status != "success" else ""


# of the text


def _text(seen: Seen, good: bool, why: str) -> Found:
    if not seen.heard.strip():
        return Found(None, f"the agent said nothing{_because(seen)}")
    return Found(good, f"{why}: {shown(seen.heard, 240)}")


def _contains(wanted: str, seen: Seen) -> Found:
    return _text(seen, wanted in seen.heard, f"{shown(wanted)} is not in the answer")


def _icontains(wanted: str, seen: Seen) -> Found:
    good = wanted.casefold() in seen.heard.casefold()
    return _text(seen, good, f"{shown(wanted)} is not in the answer, however its letters are written")


def _contains_any(wanted: tuple[str, ...], seen: Seen) -> Found:
    good = any(each in seen.heard for each in wanted)
    return _text(seen, good, f"none of {shown(wanted)} is in the answer")


def _contains_all(wanted: tuple[str, ...], seen: Seen) -> Found:
    lacking = [each for each in wanted if each not in seen.heard]
    return _text(seen, not lacking, f"{shown(lacking)} is not in the answer")


def _equals(wanted: str, seen: Seen) -> Found:
    return _text(seen, seen.answer == wanted, f"the answer is not {shown(wanted)}")


def _regex(wanted: str, seen: Seen) -> Found:
    good = re.search(wanted, seen.heard) is not None
    return _text(seen, good, f"the answer does not match {wanted!r}")


def _json(wanted: PlacedMatch, seen: Seen) -> Found:
    if not seen.answer.strip():
        return Found(None, f"the agent said nothing{_because(seen)}")
    try:
        document = json.loads(seen.answer)
    except ValueError:
        return Found(None, f"the answer is not JSON: {shown(seen.answer)}")
    return _placed(wanted, document, "the answer")


# of what was called


def _contains_function_call(wanted: str | FunctionCall, seen: Seen) -> Found:
    fitting = [each for each in seen.calls if fits(each, wanted)]
    times = None if isinstance(wanted, str) or wanted.times is UNSET else int(wanted.times)
    if not seen.calls and not seen.alive:
        return Found(None if times == 0 else False, f"no tool was called{_because(seen)}")
    if times is not None:
        return Found(
            len(fitting) == times,
            f"{shown_call(wanted)} was called {_times(len(fitting))}, not {_times(times)}: "
            f"{_calls(seen.calls)}",
        )
    return Found(bool(fitting), f"{shown_call(wanted)} was not called: {_calls(seen.calls)}")


def _trajectory(wanted: Any, seen: Seen) -> Found:
    asked = wanted if isinstance(wanted, Trajectory) else Trajectory(calls=wanted)
    if not asked.calls and asked.mode in {"in_order", "any_order"}:
        return Found(None, "no call at all is asked for, so that anything would do")
    if not seen.calls and not seen.alive:
        return Found(None, f"no tool was called{_because(seen)}")
    names = " → ".join(map(shown_call, asked.calls)) or "no call"
    return Found(
        follows(seen.calls, asked.calls, asked.mode), f"wanted {asked.mode} {names}, got {_calls(seen.calls)}"
    )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _calls(calls: tuple[Call, ...]) -> str:
    return " → ".join(map(str, calls)) or "no tool was called"


# of the run


def _interrupt(wanted: Any, seen: Seen) -> Found:
    if not seen.status:
        return Found(None, seen.lost or "nothing tells how the run ended")
    if not seen.interrupts:
        return Found(False, f"the agent asked nothing: the run ended as {seen.status}")
    if not isinstance(wanted, ValueMatch):
        return Found(True)
    reasons = [against(each, wanted) for each in seen.interrupts]
    return Found("" in reasons, f"of what the agent asks: {reasons[0]}")


def _status(wanted: str, seen: Seen) -> Found:
    if not seen.status:
        return Found(None, seen.lost or "nothing tells how the run ended")
    return Found(seen.status == wanted, f"the run ended as {seen.status}, not {wanted}")


def _latency(wanted: float, seen: Seen) -> Found:
    if seen.latency_s is None:
        return Found(None, seen.lost or "no answer arrived whole")
    return Found(seen.latency_s <= wanted, f"it took {seen.latency_s:.2f} s, more than {wanted:g} s")


def _event(wanted: str | EventMatch, seen: Seen) -> Found:
    asked = EventMatch(mode=wanted) if isinstance(wanted, str) else wanted
    if not seen.streamed or not seen.events:
        return Found(None, f"there was no stream{_because(seen)}")
    names = [each.mode for each in seen.events]
    if isinstance(asked.order, tuple):
        rest = iter(names)
        good = all(any(name == each for name in rest) for each in asked.order)
        return Found(good, f"wanted events in the order {', '.join(asked.order)}, got {_some(names)}")
    found = [each for each in seen.events if each.mode == asked.mode]
    if isinstance(asked.contains, str):
        found = [each for each in found if asked.contains in each.data]
    if asked.count is not UNSET:
        return Found(len(found) == asked.count, f"{len(found)} events {asked.mode}, not {asked.count}")
    least = 1 if asked.at_least is UNSET else asked.at_least
    return Found(len(found) >= least, f"{len(found)} such events {asked.mode}, not {least}: {_some(names)}")


def _some(names: list[str]) -> str:
    short = list(dict.fromkeys(names))
    return ", ".join(short[:8])


def _state(wanted: PlacedMatch, seen: Seen) -> Found:
    if seen.state is None:
        return Found(None, f"the state was not read{_because(seen)}")
    return _placed(wanted, seen.state, "the state")


def _placed(wanted: PlacedMatch, document: Any, what: str) -> Found:
    try:
        value = value_at(document, wanted.path)
    except NothingThere as error:
        asks = any(getattr(wanted, name) is not UNSET for name in ("equals", "contains", "schema"))
        # Where a value is asked for, one that is missing shows nothing; where its presence is, it does.
        return Found(None if asks else False, f"of {what}: {error}")
    reason = against(value, wanted)
    return Found(not reason, f"of {what} at {wanted.path}: {reason}")


# by a model, or a function of the user's own


def questions(assertion: Assertion, seen: Seen, means: Means) -> Iterator[Question]:
    """What a model must be asked for this assertion; nothing where there is nothing to judge."""
    core, _ = innermost(assertion)
    if core.kind == "llm_rubric" and means.model is not None and seen.said.strip():
        yield from _samples(core.wanted, seen, means.asker, means.model)


def _samples(wanted: str | Rubric, seen: Seen, asker: str, model: Model) -> list[Question]:
    asked = _rubric(wanted)
    return [rubric(model, asked.criteria, seen, asker=asker, sample=each) for each in range(asked.samples)]


def _rubric(wanted: str | Rubric) -> Rubric:
    return Rubric(criteria=wanted) if isinstance(wanted, str) else wanted


def _judged_by_model(wanted: str | Rubric, seen: Seen, means: Means) -> Found:
    if not seen.said.strip():
        return Found(None, f"the agent said nothing{_because(seen)}")
    if means.model is None:
        raise NotJudged("no model judges: name one with --judge-model")
    asked = _rubric(wanted)
    answers = [means.answers.get(each.key) for each in _samples(wanted, seen, means.asker, means.model)]
    for answer in answers:
        _insist_on_answer(answer)
    reason = partial(means.answers, means.model)
    if reason:
        raise JudgeFailed(reason)
    given = [each for each in answers if each is not None and each.score is not None]
    score = fmean(each.score or 0.0 for each in given)
    return Found(
        score >= asked.threshold, f"scored {score:.2f} of {asked.threshold:g}: {given[0].reason}", score
    )


def _insist_on_answer(answer: Answer | None) -> None:
    if answer is None:
        raise NotJudged("the model was not asked this; judge it again with --judge-model")
    if answer.unasked:
        raise NotJudged(answer.unasked)
    if answer.error or answer.score is None:
        raise JudgeFailed(answer.error or "the model gave no score")


def _judged_by_function(wanted: str, seen: Seen, means: Means) -> Found:
    if means.own is None:
        raise NotJudged(f"{wanted} was not run: --trust-python runs functions of your own")
    try:
        given = means.own(wanted)(seen)
    except NotJudged:
        raise
    except Exception as error:
        raise JudgeFailed(f"{wanted} failed: {type(error).__name__}: {error}") from error
    why = ""
    if isinstance(given, tuple) and len(given) == 2:
        given, why = given
    if isinstance(given, bool):
        return Found(given, str(why) or f"{wanted} says no")
    raise JudgeFailed(f"{wanted} answered {given!r}: neither True nor False, nor one of them with a reason")


_KINDS: Final[Mapping[str, Callable[[Any, Seen], Found]]] = {
    "contains": _contains,
    "icontains": _icontains,
    "contains_any": _contains_any,
    "contains_all": _contains_all,
    "equals": _equals,
    "regex": _regex,
    "json": _json,
    "contains_function_call": _contains_function_call,
    "trajectory": _trajectory,
    "interrupt": _interrupt,
    "status": _status,
    "latency_s": _latency,
    "event": _event,
    "state": _state,
}
_OF_TEXT: Final = frozenset(
    {"contains", "icontains", "contains_any", "contains_all", "equals", "regex", "json", "llm_rubric"}
)


def in_words(assertion: Assertion) -> str:
    """What an assertion demands, on one line."""
    core, denied = innermost(assertion)
    wanted = core.wanted
    match wanted:
        case Trajectory():
            told = f"{wanted.mode} {' → '.join(map(shown_call, wanted.calls)) or 'nothing'}"
        case FunctionCall():
            told = shown_call(wanted)
            told += f" {_times(wanted.times)}" if isinstance(wanted.times, int) else ""
        case tuple() if core.kind == "trajectory":
            told = f"in_order {' → '.join(map(shown_call, wanted)) or 'nothing'}"
        case Rubric():
            told = f"{shown(wanted.criteria)} at least {wanted.threshold:g}"
        case msgspec.Struct():
            told = shown(msgspec.to_builtins(wanted))
        case str():
            told = shown(wanted)
        case _:
            told = shown(msgspec.to_builtins(wanted))
    return f"{'not ' if denied else ''}{core.kind} {told}"
