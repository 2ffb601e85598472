"""Waivers: known failures that someone answers for, until a date. They are strict.

    waivers:
      - requirement: RUN-JOIN-005        # or RUN-JOIN-005:background for one case
        reason: joins answer the thread's newest values
        owner: runtime team
        expires: 2027-03-31
        link: docs/divergences.md#join-of-an-older-run
      - requirement: MON-010
        scenarios: [joined_by_four]      # and broken nowhere else; several waivers may share a requirement
        …

What is broken at some times and kept at others (flaky) is accepted only by a waiver that says `flaky: true`.
One that has expired, matches nothing or is no longer needed is an error that says which.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence, Set
from pathlib import Path
from typing import Annotated

import msgspec

from runstone.contracts import load_catalogue
from runstone.contracts.reading import read_yaml
from runstone.errors import UsageError, suggestion
from runstone.verdict.model import AcceptedBy, Case, Verdict, with_cases
from runstone.wire.attempts import scenario_of

_BROKEN = frozenset({"fail", "warn", "not-testable"})
_JUDGED = frozenset({"pass", "waived", "flaky"}) | _BROKEN
_Said = Annotated[str, msgspec.Meta(min_length=1)]


class WaiverError(UsageError):
    """The waiver file cannot be used."""


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One accepted failure: a requirement, or one case of it (`ID:case`), everywhere or in some scenarios."""

    requirement: str
    reason: _Said
    owner: _Said
    expires: dt.date
    link: _Said
    scenarios: frozenset[str] = frozenset()
    flaky: bool = False  # accepts also what is broken at some times only; then it is needed while it is kept

    @property
    def requirement_id(self) -> str:
        """The requirement's id without the case."""
        return self.requirement.partition(":")[0]

    @property
    def case(self) -> str | None:
        """The case that it is limited to; None for all."""
        return self.requirement.partition(":")[2] or None

    def covers(self, requirement: str, case: Case) -> bool:
        """Whether this waiver speaks of that case."""
        return requirement == self.requirement_id and self.case in {None, case.case}

    def repeats(self, other: Waiver) -> bool:
        """Whether the other one accepts the same failure already."""
        same_place = not self.scenarios or not other.scenarios or bool(self.scenarios & other.scenarios)
        return self.requirement == other.requirement and same_place

    def needed_for(self, case: Case) -> bool:
        """Whether the case is broken where this waiver accepts it."""
        broken = case.verdict in _BROKEN or (self.flaky and case.verdict == "flaky")
        return broken and (not self.scenarios or bool(self.scenarios & _scenarios_of(case)))


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    waivers: list[Waiver] = []


def _scenarios_of(case: Case) -> frozenset[str]:
    return frozenset(map(scenario_of, case.exchanges))


def load(path: Path, requirements: Collection[str]) -> list[Waiver]:
    """Read a waiver file. Raises WaiverError for a malformed file, an unknown id, a waiver given twice."""
    written: _File | None = read_yaml(path, _File | None, WaiverError)  # type: ignore[arg-type]  # a union
    waivers = [] if written is None else written.waivers
    for place, waiver in enumerate(waivers):
        if waiver.requirement_id not in requirements:
            hint = suggestion(waiver.requirement_id, requirements)
            raise WaiverError(f"{path} waives {waiver.requirement_id}, which is not a requirement{hint}")
        if any(waiver.repeats(earlier) for earlier in waivers[:place]):
            raise WaiverError(f"{path} waives {waiver.requirement} twice; keep one")
    return waivers


def load_for(path: Path, judged: Collection[str]) -> list[Waiver]:
    """Those of a file that apply where these requirements are judged: one file serves checks and loads.

    Raises WaiverError.
    """
    return [each for each in load(path, load_catalogue()) if each.requirement_id in judged]


def insist_on_scenarios(path: Path, waivers: Sequence[Waiver], known: Collection[str]) -> None:
    """Raises WaiverError for a waiver that is limited to a scenario which is none of those that are known.

    It would accept nothing, and nothing would tell: of scenarios that were not observed nothing can be said.
    """
    for waiver in waivers:
        for name in sorted(waiver.scenarios):
            if name not in known:
                hint = suggestion(name, known)
                raise WaiverError(
                    f"{path} waives {waiver.requirement} in the scenario {name!r}, which no suite has{hint}"
                )


def apply(
    verdicts: Sequence[Verdict], waivers: Sequence[Waiver], observed: Set[str], today: dt.date
) -> tuple[list[Verdict], list[str]]:
    """The verdicts with waived failures marked, and a line for each waiver that is expired or not needed.

    `observed`: the scenarios of the session; of a waiver for others nothing can be said.
    """
    valid = [waiver for waiver in waivers if waiver.expires >= today]
    errors = [
        f"the waiver of {waiver.requirement} ({waiver.owner}) expired on {waiver.expires}: renew or remove it"
        for waiver in waivers
        if waiver.expires < today
    ]
    by_id = {verdict.id: verdict for verdict in verdicts}
    told_of = [waiver for waiver in valid if not waiver.scenarios or waiver.scenarios & observed]
    errors += [line for waiver in told_of if (line := _needless(waiver, by_id.get(waiver.requirement_id)))]
    return [_waived(verdict, valid) for verdict in verdicts], errors


def _needless(waiver: Waiver, verdict: Verdict | None) -> str | None:
    if verdict is None:
        return f"the waiver of {waiver.requirement} matches nothing: the profile excludes it; remove it"
    covered = [case for case in verdict.cases if waiver.covers(verdict.id, case)]
    if verdict.verdict == "not-run" and all(case.verdict == "not-run" for case in covered):
        return None  # deselected, or not reached: nothing can be said about it
    if not covered and waiver.case is not None:
        cases = ", ".join(case.case for case in verdict.cases) or "none"
        return f"the waiver of {waiver.requirement} matches nothing: the cases of {verdict.id} are {cases}"
    if any(case.verdict == "not-run" or waiver.needed_for(case) for case in covered):
        return None
    if waiver.flaky and any(case.verdict in {"pass", *_BROKEN} for case in covered):
        return None  # here, or in these scenarios, it is kept this time; at the next it may be broken
    if any(case.verdict == "flaky" for case in covered):
        return f"the waiver of {waiver.requirement} does not say `flaky: true`, and it is flaky here"
    if any(case.verdict in _JUDGED for case in covered):
        where = f" in {', '.join(sorted(waiver.scenarios))}" if waiver.scenarios else ""
        return f"the waiver of {waiver.requirement} is not needed: the target keeps it now{where}; remove it"
    return f"the waiver of {waiver.requirement} matches nothing: it is {verdict.verdict} here; remove it"


def _waived(verdict: Verdict, waivers: Sequence[Waiver]) -> Verdict:
    accepted: list[Waiver] = []
    cases: list[Case] = []
    for case in verdict.cases:
        needed = [each for each in waivers if each.covers(verdict.id, case) and each.needed_for(case)]
        if needed and _cover_all(needed, case):
            accepted += needed
            case = msgspec.structs.replace(case, verdict="waived")
        cases.append(case)
    if not accepted:
        return verdict
    waiver = AcceptedBy(
        reason="; ".join(dict.fromkeys(each.reason for each in accepted)),
        owner=", ".join(dict.fromkeys(each.owner for each in accepted)),
        expires=min(each.expires for each in accepted).isoformat(),
        link=accepted[0].link,
    )
    return with_cases(verdict, cases, waiver)


def _cover_all(waivers: Sequence[Waiver], case: Case) -> bool:
    """Whether these accept the case in each scenario in which it is broken."""
    accepted = frozenset[str]().union(*(each.scenarios for each in waivers))
    return any(not each.scenarios for each in waivers) or _scenarios_of(case) <= accepted
