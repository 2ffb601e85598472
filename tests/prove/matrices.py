"""Reports, faults and whole matrices, made by hand for the tests of the proof."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from runstone import report as reports
from runstone.contracts import (
    Area,
    Catalogue,
    Level,
    Requirement,
)
from runstone.proof.conversations.outcome import Conversation
from runstone.proof.prove import matrix, outcomes
from runstone.proof.prove.matrix import Baseline, Fault, Matrix, Null
from runstone.verdict.model import Case, Outcome, Report, Verdict

EXAMPLES = Path(__file__).parents[2] / "contracts/schemas/examples"
EXAMPLE = EXAMPLES / "report/conforms/conforming.json"
LEVELS: dict[str, Level] = {"A-001": "MUST", "A-002": "SHOULD", "B-001": "MUST", "B-002": "MAY"}
KEPT = frozenset(LEVELS)


def report(**outcomes: Outcome) -> Report:
    """A report on A-001, A-002, B-001 and B-002, given as A_001=…; the rest passes."""
    given = {name.replace("_", "-"): outcome for name, outcome in outcomes.items()}
    verdicts = tuple(
        Verdict(
            id=id,
            level=level,
            area=id[0].lower(),
            statement=f"{id} holds.",
            source=(),
            verdict=given.get(id, "pass"),
            cases=(Case(case="", verdict=given.get(id, "pass"), reason=f"seen of {id}"),),
        )
        for id, level in LEVELS.items()  # noqa: A001 - the catalogue's own name
    )
    return msgspec.structs.replace(reports.from_json(EXAMPLE.read_bytes()), verdicts=verdicts)


def fault(name: str, breaks: Iterable[str], found: Report | None, **changes: Any) -> Fault:
    made = outcomes.fault_of(
        name,
        "It is broken.",
        "embedded",
        tuple(breaks),
        found,
        KEPT,
        trouble=changes.pop("trouble", ""),
    )
    return msgspec.structs.replace(made, **changes)


def catalogue() -> Catalogue:
    each = [
        Requirement(id=id, level=level, area=id[0].lower(), statement=f"{id} holds.", source=("GOAL: x",))
        for id, level in LEVELS.items()  # noqa: A001
    ]
    return Catalogue(each, [Area(name="a", title="A", order=1), Area(name="b", title="B", order=2)])


def whole(faults: Iterable[Fault], *, complete: bool = True, narrow: bool = False, **changes: Any) -> Matrix:
    given: dict[str, Any] = {
        "baselines": [Baseline(server="embedded", kept=4, hits=(), trouble="")],
        "varied_servers": [],
        "null_servers": [],
        **changes,
    }
    told = tuple(faults)
    return matrix.assembled(
        "0.1.0",
        "2026-11-21",
        complete=complete,
        narrow=narrow,
        faults=told,
        requirements=outcomes.requirements_of(catalogue(), told, [report()], frozenset()),
        **given,
    )


def null(**changes: Any) -> Null:
    plain = Null(name="silent", passes=(), passes_unchecked=(), judged_unchecked=9, trouble="")
    return msgspec.structs.replace(plain, **changes)


def spoken(**changes: Any) -> Conversation:
    caught = Conversation(
        name="agent-x",
        statement="It errs.",
        who="agent",
        wanted="fail",
        verdict="fail",
        reason="why",
        kept=1,
    )
    return msgspec.structs.replace(caught, **changes)


KILLERS = (
    fault("all-at-once", ["A-001"], report(A_001="fail", A_002="warn")),
    fault("the-other", ["B-001"], report(B_001="fail")),
)
