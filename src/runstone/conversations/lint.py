"""What is wrong with files of scenarios though they can be read, and what playing them would not show.

An assertion that cannot fail guards nothing; one that cannot pass will be removed by whoever is tired of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET

from runstone.conversations.assertions import in_words
from runstone.conversations.format import (
    Assertion,
    EventMatch,
    FunctionCall,
    Rubric,
    Scenario,
    Trajectory,
    ValueMatch,
    innermost,
)
from runstone.conversations.reading import BadScenario, Case, Source, cases_of, files_of, source
from runstone.conversations.variables import names_in
from runstone.errors import suggestion

Grade = Literal["error", "warning"]

# Events that come by another name than the mode that asks for them, and those that come unasked.
_EVENTS: Final = {"messages-tuple": "messages"}
_UNASKED: Final = frozenset({"metadata", "error", "end"})
_SECRETS: Final = (
    re.compile(r"\bsk-[A-Za-z0-9_-]{16,}"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}"),
    re.compile(r"\bgithub_pat_\w{20,}"),
    re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/-]{16,}"),
)
_SECRET_KEYS: Final = re.compile(r"(?i)(pass(word|wd)|secret|api[_-]?key|access[_-]?token|credential)")
_SHORTEST_SECRET: Final = 8


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. `place`: of the key within the file."""

    path: Path
    grade: Grade
    place: str
    problem: str

    def __str__(self) -> str:
        where = f"{self.path}: {self.place}" if self.place else str(self.path)
        return f"{where}: {self.grade}: {self.problem}"


def lint(paths: Iterable[Path], settings: Sequence[str] = ()) -> tuple[list[Finding], list[Case]]:
    """The findings in all of these files, and the cases of those that can be read.

    Raises BadScenario where there is no file.
    """
    findings: list[Finding] = []
    read: list[Case] = []
    names: dict[str, Path] = {}
    for path in files_of(paths):
        try:
            found = source(path, settings)
            cases = list(cases_of(found))
        except BadScenario as error:
            told = str(error).removeprefix(f"{path}: ")
            findings.append(Finding(path=path, grade="error", place="", problem=told))
            continue
        name = cases[0].scenario.scenario
        if name in names:
            twice = f"{names[name]} has a scenario {name!r} too"
            findings.append(Finding(path=path, grade="error", place="scenario", problem=twice))
        names.setdefault(name, path)
        read += cases
        findings += _of_document(found)
        findings += dict.fromkeys(each for case in cases for each in _of_scenario(case.scenario, path))
    return findings, read


def _of_document(found: Source) -> Iterator[Finding]:
    """What the text of the file shows: variables that nothing uses, and secrets."""
    variables = found.document.get("vars", {})
    used = names_in({key: each for key, each in found.document.items() if key != "vars"})
    for name in [*variables, *found.files]:
        if name not in used:
            place = f"vars.{name}" if name in variables else f"setup.files.{name}"
            problem = f"nothing uses this variable{suggestion(name, used)}"
            yield Finding(path=found.path, grade="warning", place=place, problem=problem)
    for place in _secrets(found.document, ""):
        problem = "this looks like a secret, and scenarios are recorded as they are: give it by --header"
        yield Finding(path=found.path, grade="error", place=place, problem=problem)


def _secrets(document: Any, place: str) -> Iterator[str]:
    if isinstance(document, str):
        if any(each.search(document) for each in _SECRETS):
            yield place
    elif isinstance(document, Mapping):
        for key, value in document.items():
            inner = f"{place}.{key}" if place else str(key)
            named = isinstance(value, str) and len(value) >= _SHORTEST_SECRET and "{{" not in value
            if named and _SECRET_KEYS.search(str(key)):
                yield inner
            else:
                yield from _secrets(value, inner)
    elif isinstance(document, list):
        for number, each in enumerate(document):
            yield from _secrets(each, f"{place}.{number}")


def _of_scenario(scenario: Scenario, path: Path) -> Iterator[Finding]:
    def error(place: str, problem: str) -> Finding:
        return Finding(path=path, grade="error", place=place, problem=problem)

    if not any(_can_fail(each, scenario) for each in scenario.assertions()):
        yield error("", "it cannot fail: nothing is asserted that could be broken")
    for place, expected in _expectations(scenario):
        for number, each in enumerate(expected):
            here = f"{place}.{number}"
            if not _can_fail(each, scenario):
                yield error(here, f"it cannot fail: {in_words(each)}")
            reason = _cannot_pass(each, scenario)
            if reason:
                yield error(here, f"it cannot pass: {in_words(each)}: {reason}")
        for reason in _contradictions(expected):
            yield error(place, reason)
    yield from (error(place, problem) for place, problem in _of_turns(scenario))


def _expectations(scenario: Scenario) -> Iterator[tuple[str, tuple[Assertion, ...]]]:
    for number, turn in enumerate(scenario.turns):
        yield f"turns.{number}.expect", turn.expect
    yield "expect", scenario.expect


def _of_turns(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """A resume answers a question; where none can have been asked, it answers nothing."""
    asked: dict[str, bool] = {}
    for number, turn in enumerate(scenario.turns):
        if "resume" in turn.ways and not asked.get(turn.thread, False):
            reason = (
                "nothing was asked on this thread"
                if turn.thread not in asked
                else "the turn before asks nothing"
            )
            yield f"turns.{number}.resume", f"it contradicts what comes before: {reason}"
        ends = {(core.kind, denied): core for core, denied in map(innermost, turn.expect)}
        done = ("status", False) in ends and ends["status", False].status != "interrupted"
        asked[turn.thread] = not (done or ("interrupt", True) in ends)


def _can_fail(assertion: Assertion, scenario: Scenario) -> bool:
    """Whether an agent that does something can break it."""
    core, denied = innermost(assertion)
    if denied:
        return not _never(core, scenario)
    return not _always(core)


def _always(core: Assertion) -> bool:
    """Whether whatever an agent does meets it, as long as it does something."""
    wanted = core.wanted
    match wanted:
        case Rubric():
            return wanted.threshold == 0
        case EventMatch():
            return wanted.at_least == 0 and wanted.count is UNSET
        case ValueMatch() if core.kind == "state":
            return getattr(wanted, "path", "$") == "$" and _takes_anything(wanted)
        case _:
            return core.kind == "regex" and re.search(wanted, "") is not None


def _takes_anything(wanted: ValueMatch) -> bool:
    given = wanted.equals is not UNSET or wanted.contains is not UNSET
    return not given and wanted.schema in (UNSET, True, {})


def _cannot_pass(assertion: Assertion, scenario: Scenario) -> str:
    """Why no agent can meet it; '' where one can."""
    core, denied = innermost(assertion)
    if denied:
        return "it denies what always holds" if _always(core) else ""
    return _never(core, scenario)


def _never(core: Assertion, scenario: Scenario) -> str:
    """Why nothing can ever meet it; '' where something can."""
    wanted = core.wanted
    calls = wanted if isinstance(wanted, tuple) else wanted.calls if isinstance(wanted, Trajectory) else None
    mode = wanted.mode if isinstance(wanted, Trajectory) else "in_order"
    if core.kind == "trajectory" and calls == () and mode in {"in_order", "any_order"}:
        return "it asks for no call; mode exact demands that there is none"
    if core.kind == "event":
        return _never_streamed(wanted, scenario)
    if isinstance(wanted, ValueMatch) and wanted.schema is False:
        return "its schema allows nothing"
    if core.kind == "state" and scenario.entry_point == "stateless":
        return "a stateless run leaves no state to read"
    return ""


def _never_streamed(wanted: str | EventMatch, scenario: Scenario) -> str:
    if scenario.entry_point not in {"stream", "all"}:
        return f"entry_point {scenario.entry_point} streams no event"
    asked = EventMatch(mode=wanted) if isinstance(wanted, str) else wanted
    names = asked.order if isinstance(asked.order, tuple) else (str(asked.mode),)
    streamed = {_EVENTS.get(mode, mode) for mode in scenario.stream_mode} | _UNASKED
    lacking = [name for name in names if name not in streamed]
    wants_some = asked.count is UNSET or asked.count != 0
    return (
        f"stream_mode brings no event {lacking[0]}{suggestion(lacking[0], streamed)}"
        if lacking and wants_some
        else ""
    )


def _contradictions(expected: Sequence[Assertion]) -> Iterator[str]:
    """Pairs of one list of which no answer can meet both."""
    several = [innermost(each) for each in expected]
    for number, (one, denied) in enumerate(several):
        for other, other_denied in several[number + 1 :]:
            if denied != other_denied:
                demanded, refused = (other, one) if denied else (one, other)
                if _implies(demanded, refused):
                    yield f"it contradicts itself: {in_words(demanded)}, and not {in_words(refused)}"
            elif not denied and _exclude(one, other):
                yield f"it contradicts itself: {in_words(one)}, and {in_words(other)}"


def _implies(demanded: Assertion, refused: Assertion) -> bool:
    """Whether what is demanded makes what is refused true."""
    if msgspec.structs.replace(demanded, weight=1.0, name="") == msgspec.structs.replace(
        refused, weight=1.0, name=""
    ):
        return True
    if refused.kind in {"contains", "icontains"}:
        return any(refused.wanted in text for text in _surely_said(demanded))
    if refused.kind == "interrupt" and refused.wanted is True:
        return demanded.kind == "interrupt" or (
            demanded.kind == "status" and demanded.wanted == "interrupted"
        )
    return refused.kind == "contains_function_call" and refused.wanted in _surely_called(demanded)


def _exclude(one: Assertion, other: Assertion) -> bool:
    """Whether two assertions cannot both be met."""
    kinds = {one.kind, other.kind}
    if one.kind == other.kind and one.kind in {"equals", "status"}:
        return bool(one.wanted != other.wanted)
    if kinds == {"interrupt", "status"}:
        status = one.wanted if one.kind == "status" else other.wanted
        return bool(status != "interrupted")
    for exact, part in ((one, other), (other, one)):
        if exact.kind == "equals" and part.kind == "contains":
            return part.wanted not in exact.wanted
    return any(_counts_none(each, other_one) for each, other_one in ((one, other), (other, one)))


def _counts_none(none: Assertion, some: Assertion) -> bool:
    """Whether the first demands that a tool is not called which the second demands."""
    wanted = none.wanted
    never = isinstance(wanted, FunctionCall) and wanted.times == 0 and wanted.arguments is UNSET
    return never and wanted.name in _surely_called(some)


def _surely_said(demanded: Assertion) -> tuple[str, ...]:
    if demanded.kind in {"contains", "equals"}:
        return (demanded.wanted,)
    return tuple(demanded.wanted) if demanded.kind == "contains_all" else ()


def _surely_called(demanded: Assertion) -> set[str]:
    """The names of the tools that are called where this holds."""
    if demanded.kind not in {"contains_function_call", "trajectory"}:
        return set()
    wanted = demanded.wanted
    calls = wanted.calls if isinstance(wanted, Trajectory) else wanted
    several = calls if isinstance(calls, tuple) else (calls,)
    return {
        each if isinstance(each, str) else each.name
        for each in several
        if isinstance(each, str) or each.times is UNSET or each.times > 0
    }


def tools_of(scenario: Scenario) -> set[str]:
    """The names of the tools that a scenario speaks of, be it that they are called or that they are not."""
    found: set[str] = set()
    for each in scenario.assertions():
        core, _ = innermost(each)
        found |= _surely_called(core)
        if isinstance(core.wanted, FunctionCall):
            found.add(core.wanted.name)
    return found
