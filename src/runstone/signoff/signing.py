"""From evidence to a signed acceptance: all is checked before anybody is asked, and signed only then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from runstone.contracts import load_catalogue
from runstone.errors import ExitCode, RunstoneError
from runstone.report import write_texts
from runstone.session.evidence import EvidenceError, Manifest
from runstone.signoff import acceptance, baseline, credentials, keyless, lines, page
from runstone.signoff import policy as policies
from runstone.signoff.intact import inspect
from runstone.signoff.judging import JudgedAgain, judge_again
from runstone.signoff.keys import PrivateKey
from runstone.signoff.lines import AcceptanceFile, Line
from runstone.signoff.measure import installed
from runstone.signoff.policy import LoadRule, Policy
from runstone.signoff.statement import (
    Acceptance,
    Judged,
    PolicyUsed,
    Statement,
    Supersedes,
    Terms,
    sha256,
    statements,
    subjects,
)
from runstone.signoff.verification import Questions, verify
from runstone.verdict import waivers as waiver_files
from runstone.verdict.waivers import Waiver

_TOLD: Final = 25  # reasons to refuse; a dead server has hundreds

# Of the lines that hold one statement those with one more signature, for both statements.
Signer = Callable[[Sequence[Sequence[Line]]], list[tuple[Line, ...]]]


class Refused(RunstoneError):  # noqa: N818 - named as what it reports
    """Nobody may sign for this; `reasons` has a line for each reason."""

    exit_code = ExitCode.NOT_CONFORMING

    def __init__(self, reasons: Sequence[str]) -> None:
        more = len(reasons) - _TOLD
        self.reasons = (*reasons[:_TOLD], *([f"and {more} more"] if more > 0 else []))
        super().__init__("; ".join(self.reasons))


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for. `server_digest`: the algorithm and the hexadecimal digest."""

    evidence: Path
    by: str
    server_digest: tuple[str, str] | None = None
    waivers: Path | None = None
    policy: Path | None = None
    baseline: Path | None = None


class Draft(msgspec.Struct, frozen=True):
    """An acceptance, signed by whoever has signed it so far: the lines of either statement."""

    statement: Statement[Acceptance]
    lines: tuple[tuple[Line, ...], tuple[Line, ...]]

    def signed(self, sign: Signer) -> Draft:
        """The same with one more signature on both statements."""
        own, common = sign(self.lines)
        return Draft(self.statement, (own, common))

    def write(self, folder: Path) -> Path:
        """Write the acceptance, and the page for people beside it; the path of the former."""
        own, common = self.lines
        texts = {
            lines.NAME: lines.written([*own, *common]),
            page.NAME: page.to_markdown(self.statement),
        }
        write_texts(texts, folder)
        return folder / lines.NAME


def draft(wanted: Wanted, now: dt.datetime) -> Draft:
    """The acceptance as it would be signed. Raises Refused with every reason, UsageError and Unreadable."""
    recording = inspect(wanted.evidence)
    load = recording.manifest.kind == "load"
    undemanding = Policy(load=LoadRule() if load else None)
    policy = undemanding if wanted.policy is None else policies.load(wanted.policy)
    accepted = _waivers(wanted.waivers, load=load)
    earlier = None if wanted.baseline is None else lines.read(wanted.baseline)
    other = "" if earlier is None else baseline.of_another_kind(earlier, load=load)
    _insist([each for each in (policies.of_another_kind(policy, load=load), other) if each])
    measure = installed(recording.manifest.profile)
    _insist([*recording.problems, *acceptance.unfit(recording.manifest, measure)])
    try:
        judged = judge_again(recording, accepted, now.date())
    except EvidenceError as error:
        raise Refused([str(error)]) from None
    requirements = acceptance.judged_of(judged.verdicts)
    agreed = acceptance.terms(accepted)
    signing = acceptance.Signing(
        by=wanted.by,
        at=now,
        waivers=agreed,
        unjudged=policy.unjudged,
        policy=_used(wanted.policy),
        oldest=policy.valid_until(acceptance.started(recording.manifest)),
        supersedes=_since(earlier, requirements, agreed),
        server_digest=wanted.server_digest is not None,
    )
    scenarios = judged.report.scenarios
    found = acceptance.build(recording.manifest, requirements, measure, signing, scenarios, judged.load)
    _insist(_reasons_against(found, recording.manifest, judged, policy))
    own, common = statements(subjects(recording.digest, wanted.server_digest), found)
    return Draft(lines.statement_of(own), ((Line(payload=own),), (Line(payload=common),)))


def _since(
    earlier: AcceptanceFile | None, requirements: tuple[Judged, ...], agreed: tuple[Terms, ...]
) -> Supersedes | None:
    return None if earlier is None else baseline.compare(earlier, requirements, agreed, load_catalogue())


def _reasons_against(found: Acceptance, manifest: Manifest, judged: JudgedAgain, policy: Policy) -> list[str]:
    """What keeps the acceptance from being signed, once the evidence itself is fit for one."""
    secrets = credentials.scan(manifest, judged.traces.values(), policy.allowed_secrets)
    since = found.supersedes
    return [
        *judged.waiver_errors,
        *acceptance.unkept(judged.verdicts, found.requirements),
        *acceptance.unaccepted(judged.report.scenarios),
        *policies.refusals(policy, found, found.signed_at),
        *policies.impossible(found, found.signed_at),
        *([] if since is None else baseline.refusals(since, policy.unjudged)),
        *(f"a credential was recorded: {each}" for each in secrets),
    ]


def countersigned(folder: Path, evidence: Path, now: dt.datetime) -> Draft:
    """The acceptance in a folder, which another one has made, once it was derived again from the evidence.

    Who signs second answers for the verdict as much as who signed first. Raises Refused and Unreadable.
    """
    file = lines.read(folder / lines.NAME)
    findings = verify(file, Questions(evidence=evidence, unsigned_ok=True), now)
    _insist([f"{name}: {each.reason}" for name, each in findings.answers.items() if each.answer == "no"])
    return Draft(file.acceptance, (file.own, file.common))


def by_key(key: PrivateKey) -> Signer:
    """Signs with a local key: in the envelope that is there, beside other keys' signatures."""

    def sign(both: Sequence[Sequence[Line]]) -> list[tuple[Line, ...]]:
        return [_with_signature(some, key) for some in both]

    return sign


def by_identity(both: Sequence[Sequence[Line]]) -> list[tuple[Line, ...]]:
    """Signs with the identity of this machine, in a bundle of its own for each statement."""
    bundles = keyless.sign([some[0].payload for some in both])
    kept = [tuple(line for line in some if line.bundle or line.signatures) for some in both]
    return [(*some, bundle) for some, bundle in zip(kept, bundles, strict=True)]


def _with_signature(some: Sequence[Line], key: PrivateKey) -> tuple[Line, ...]:
    envelope = next((line for line in some if not line.bundle), Line(payload=some[0].payload))
    return (key.sign(envelope), *(line for line in some if line.bundle))


def _insist(reasons: Sequence[str]) -> None:
    if reasons:
        raise Refused(reasons)


def _waivers(path: Path | None, *, load: bool) -> list[Waiver]:
    catalogue = load_catalogue()
    judged = catalogue.of_loads if load else catalogue.of_checks
    return [] if path is None else waiver_files.load_for(path, judged)


def _used(path: Path | None) -> PolicyUsed | None:
    return None if path is None else PolicyUsed(name=path.name, sha256=sha256(path.read_bytes()))
