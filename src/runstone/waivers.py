"""Waivers: known failures that someone answers for, until a date. They are strict.

    waivers:
      - requirement: RUN-JOIN-005        # or RUN-JOIN-005:background for one case
        reason: joins answer the thread's newest values
        owner: runtime team
        expires: 2027-03-31
        link: docs/divergences.md#join-of-an-older-run

One that has expired, matches nothing or is no longer needed is an error that says which.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

import msgspec
import yaml

from runstone.errors import UsageError
from runstone.verdict import AcceptedBy, Case, Verdict, most_severe

_BROKEN = frozenset({"fail", "warn", "not-testable"})
_JUDGED = frozenset({"pass", "waived"}) | _BROKEN


class WaiverError(UsageError):
    """The waiver file cannot be used."""


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One accepted failure: a requirement, or one case of it (`ID:case`)."""

    requirement: str
    reason: str
    owner: str
    expires: dt.date
    link: str

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


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    waivers: list[Waiver] = []


def load(path: Path, known: Container[str], names: Iterable[str]) -> list[Waiver]:
    """Read a waiver file. Raises WaiverError for a malformed file, an unknown id, a waiver given twice."""
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise WaiverError(f"cannot read the waivers {path}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date like 2027-02-31, or no UTF-8
        raise WaiverError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    try:
        waivers = msgspec.convert(_dates_as_text(document or {}), _File, strict=True).waivers
    except msgspec.ValidationError as error:
        raise WaiverError(
            f"{path}: {error}; a waiver has requirement, reason, owner, expires (YYYY-MM-DD), link"
        ) from None
    seen: set[str] = set()
    for waiver in waivers:
        if waiver.requirement_id not in known:
            near = get_close_matches(waiver.requirement_id, list(names), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise WaiverError(f"{path} waives {waiver.requirement_id}, which is no requirement{hint}")
        if waiver.requirement in seen:
            raise WaiverError(f"{path} waives {waiver.requirement} twice; keep one")
        seen.add(waiver.requirement)
    return waivers


def _dates_as_text(value: object) -> object:
    """YAML reads an unquoted date as a date; msgspec wants its text: one error for both forms."""
    if isinstance(value, dict):
        return {key: _dates_as_text(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_dates_as_text(item) for item in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def apply(
    verdicts: Sequence[Verdict], waivers: Sequence[Waiver], today: dt.date
) -> tuple[list[Verdict], list[str]]:
    """The verdicts with waived failures marked, and a line for each waiver that is expired or not needed."""
    valid = [waiver for waiver in waivers if waiver.expires >= today]
    errors = [
        f"the waiver of {waiver.requirement} ({waiver.owner}) expired on {waiver.expires}: renew or remove it"
        for waiver in waivers
        if waiver.expires < today
    ]
    by_id = {verdict.id: verdict for verdict in verdicts}
    errors += [line for waiver in valid if (line := _needless(waiver, by_id.get(waiver.requirement_id)))]
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
    if any(case.verdict in _BROKEN | {"not-run"} for case in covered):
        return None
    if any(case.verdict in _JUDGED for case in covered):
        return f"the waiver of {waiver.requirement} is not needed: the target keeps it now; remove it"
    return f"the waiver of {waiver.requirement} matches nothing: it is {verdict.verdict} here; remove it"


def _waived(verdict: Verdict, waivers: Sequence[Waiver]) -> Verdict:
    accepted: Waiver | None = None
    cases: list[Case] = []
    for case in verdict.cases:
        waiver = next((each for each in waivers if each.covers(verdict.id, case)), None)
        if waiver is None or case.verdict not in _BROKEN:
            cases.append(case)
            continue
        accepted = waiver
        cases.append(msgspec.structs.replace(case, verdict="waived"))
    if accepted is None:
        return verdict
    return msgspec.structs.replace(
        verdict,
        verdict=most_severe(case.verdict for case in cases),
        cases=tuple(cases),
        waiver=AcceptedBy(
            reason=accepted.reason,
            owner=accepted.owner,
            expires=accepted.expires.isoformat(),
            link=accepted.link,
        ),
    )
