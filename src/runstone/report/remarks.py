"""What a report says beside its verdicts: how the target was observed, and what that says of the result.

One place decides it, so that terminal, Markdown, HTML and JUnit never disagree.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from runstone.report.text import counted
from runstone.scenario.capacity import OF_CAPACITY, WAVES
from runstone.verdict.model import UNCONFIRMED, Outcome, Report
from runstone.wire.attempts import attempt_of

About = Literal["capacity", "finding", "again", "disturbed", "left", "insecure"]
_NAMED: Final = 5  # recordings that one line names; report.json has them all
_THING: Final = re.compile(r"(?P<kind>\w+) (?P<id>\{.*\}|\S+): (?P<why>.*)", re.DOTALL)
_PLURALS: Final = {"item": "store items"}


class Remark(msgspec.Struct, frozen=True):
    """One line beside the verdicts; `grave`: it says something against the target, or against the result."""

    about: About
    text: str
    grave: bool = False


class Repeat(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario that was observed again: for which requirement, and what that has resulted in."""

    recording: str
    requirement: str
    verdict: Outcome


def remarks(report: Report) -> list[Remark]:
    """All of them, in the order in which a reader needs them."""
    seen = report.observation
    said = [Remark("insecure", "no certificate was checked: anybody may have answered", grave=True)]
    said = said if report.target.insecure else []
    said += [Remark("finding", each, grave=True) for each in seen.findings]
    said += [Remark("left", each, grave=True) for each in left(seen.left)]
    said += [Remark("capacity", text)] if (text := _capacity(report)) else []
    said += [Remark("again", _again(report))] if seen.again or _unconfirmed(report) else []
    said += [Remark("disturbed", _disturbed(report))] if seen.disturbed else []
    return said


def set_aside(report: Report) -> list[str]:
    """The requirements that need more runs at once than the target executes."""
    return [
        each.id
        for each in report.verdicts
        if each.verdict == "not-applicable"
        and any(case.reason.startswith(OF_CAPACITY) for case in each.cases)
    ]


def repeats(report: Report) -> list[Repeat]:
    """What was observed again, those that are broken still at the top."""
    verdicts = {each.id: each.verdict for each in report.verdicts}
    found = [
        Repeat(recording=name, requirement=because, verdict=verdicts.get(because, "not-run"))
        for name, because in report.observation.again.items()
    ]
    return sorted(found, key=lambda each: (each.verdict == "pass", each.recording))


def left(things: Iterable[str]) -> Iterator[str]:
    """`457 threads are left on the target: DELETE answered 403`, one line for each kind and reason."""
    ids: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for each in things:
        told = _THING.fullmatch(each)
        if told is None:
            yield each
        else:
            ids[told["kind"], told["why"]].append(told["id"])
    for (kind, why), of in ids.items():
        things = counted(len(of), kind, _PLURALS.get(kind, ""))
        yield f"{things} {'is' if len(of) == 1 else 'are'} left on the target: {why} ({_some(of)})"


def took(report: Report) -> str:
    """`434.0 s observing, 64.3 s confirming, 14.2 s judging`; phases that took no time are left out."""
    phases = report.phases
    told = [(phases.prepare_s, "preparing"), (phases.observe_s, "observing")]
    told += [(phases.confirm_s, "confirming"), (phases.clean_s, "cleaning up"), (phases.judge_s, "judging")]
    always = {"observing", "judging"}
    shown = [each for each in told if each[0] >= 0.05 or each[1] in always]
    return ", ".join(f"{seconds:.1f} s {doing}" for seconds, doing in shown)


def _capacity(report: Report) -> str:
    """How many runs at a time, and what follows; '' where that is neither known nor assumed."""
    capacity, aside = report.observation.capacity, set_aside(report)
    if capacity is None:
        assumed = "the agent was asked for 1 run at a time: nobody says how many it executes (--capacity N)"
        return assumed if report.agent is not None else ""
    more = " or more" if capacity >= WAVES[-1] else ""
    said = f"the target executes {counted(capacity, 'run')}{more} at a time"
    if not aside:
        return said
    were = "was" if len(aside) == 1 else "were"
    return f"{said}; {counted(len(aside), 'requirement')} {were} set aside for that ({_some(aside)})"


def _again(report: Report) -> str:
    again = Counter(map(attempt_of, report.observation.again))
    said = [f"{counted(again[2], 'scenario')} observed again, alone, because something seemed broken"]
    said += [f"{again[3]} of them a third time, being disturbed again"] if again[3] else []
    outcomes = Counter(each.verdict for each in report.verdicts)
    said += [f"{outcomes['flaky']} flaky"] if outcomes["flaky"] else []
    said += [f"{number} unconfirmed"] if (number := _unconfirmed(report)) else []
    return ", ".join(said)


def _unconfirmed(report: Report) -> int:
    """Requirements that were broken once and not observed again."""
    return sum(any(case.reason.startswith(UNCONFIRMED) for case in each.cases) for each in report.verdicts)


def _disturbed(report: Report) -> str:
    disturbed = report.observation.disturbed
    reasons = list(dict.fromkeys(why[0] for why in disturbed.values() if why))
    return (
        f"{counted(len(disturbed), 'recording')} disturbed, by the network or this machine: {_some(reasons)}"
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
