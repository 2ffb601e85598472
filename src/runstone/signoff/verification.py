"""The five questions to an acceptance, each answered apart: yes, no, or not asked, with the reason.

authentic   who signed, and whether that is enough
bound       whether it speaks of this evidence, and of this server
intact      whether each recorded file is what the manifest vouches for
derivable   whether judging again here gives the same, requirement by requirement
acceptable  whether the verifier's policy takes it, now

Nothing here needs a network. What cannot be answered, because an answer before it is no, is no.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from runstone.contracts import load_catalogue
from runstone.report.text import counted
from runstone.signoff import baseline, keyless
from runstone.signoff import policy as policies
from runstone.signoff.derivation import derive
from runstone.signoff.intact import Recording, inspect
from runstone.signoff.judging import JudgedAgain
from runstone.signoff.keyless import Root
from runstone.signoff.lines import AcceptanceFile, Line
from runstone.signoff.policy import Identity, Policy
from runstone.signoff.signers import Signer, who_signed
from runstone.signoff.statement import (
    MANIFEST,
    SERVER,
    Acceptance,
    sha256,
    suite_result,
)

Name = Literal["authentic", "bound", "intact", "derivable", "acceptable"]
NAMES: Final[tuple[Name, ...]] = ("authentic", "bound", "intact", "derivable", "acceptable")
_TOLD: Final = 5  # reasons of one answer


class Answer(msgspec.Struct, frozen=True):
    """One answer. Only `no` refuses; `not asked` is neither."""

    answer: Literal["yes", "no", "not asked"]
    reason: str


class Questions(msgspec.Struct, frozen=True, kw_only=True):
    """What a verifier has, and so what can be asked. Empty and None: nothing of it.

    `unsigned_ok`: who signed is not asked, as the verifier knows it otherwise.
    """

    evidence: Path | None = None
    server_digest: tuple[str, str] | None = None
    signers: Sequence[Signer] = ()
    root: Root | None = None
    unsigned_ok: bool = False
    policy: Policy | None = None
    baseline: AcceptanceFile | None = None


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """The five answers, and what they were given about. `judged`: where the evidence was judged again."""

    file: AcceptanceFile
    answers: dict[Name, Answer]
    judged: JudgedAgain | None

    @property
    def accepted(self) -> bool:
        """Whether all that was asked is yes."""
        return all(each.answer != "no" for each in self.answers.values())

    @property
    def sealed(self) -> bool:
        """Whether a page of this evidence may bear a seal: signed, and derived from it here."""
        shown: tuple[Name, ...] = ("authentic", "bound", "intact", "derivable")
        return self.accepted and all(self.answers[name].answer == "yes" for name in shown)

    def document(self) -> dict[str, object]:
        """The answers as JSON has them."""
        signed = self.file.acceptance.predicate
        return {
            "acceptance": str(self.file.path),
            "accepted": self.accepted,
            "answers": {name: msgspec.to_builtins(each) for name, each in self.answers.items()},
            "kind": "check" if signed.load is None else "load",
            "load": msgspec.to_builtins(signed.load),
            "server": msgspec.to_builtins(signed.server),
            "profile": signed.profile,
            "result": signed.result,
            "by": signed.by,
            "signedAt": msgspec.to_builtins(signed.signed_at),
            "validUntil": msgspec.to_builtins(signed.valid_until),
            "sha256": sha256(self.file.payload),
        }


def verify(file: AcceptanceFile, asked: Questions, now: dt.datetime) -> Findings:
    """Answer all five. Raises Unreadable where the evidence cannot be read at all."""
    recording = None if asked.evidence is None else inspect(asked.evidence)
    bound = _bound(file, recording, asked)
    intact = _intact(recording)
    derivable, judged = _derivable(file, recording, bound, intact)
    answers: dict[Name, Answer] = {
        "authentic": _authentic(file, asked),
        "bound": bound,
        "intact": intact,
        "derivable": derivable,
        "acceptable": _acceptable(file, asked, now),
    }
    return Findings(file=file, answers=answers, judged=judged)


# --- authentic ---------------------------------------------------------------------------------------------


def _authentic(file: AcceptanceFile, asked: Questions) -> Answer:
    if asked.unsigned_ok:
        return Answer("not asked", "--unsigned-ok was given: who signed is for you to know")
    policy = asked.policy or Policy()
    day = file.acceptance.predicate.signed_at.date()
    counting = [each for each in asked.signers if not policy.signers or each.name in policy.signers]
    both = [file.own, *([] if file.suite_result is None else [file.common])]
    signed = [each for each in counting if all(who_signed(some, [each]) for some in both)]
    timely = [each for each in signed if each.may_sign_on(day)]
    identities, reasons = _identities(both, asked, policy)
    told = [*map(str, timely), *(f"{each.identity} (by {each.issuer})" for each in identities)]
    if len(told) >= policy.threshold:
        return Answer("yes", f"signed by {', '.join(told)}{_age_of(asked.root if identities else None)}")
    found = f"{len(told)} of {policy.threshold} signatures" + (f", by {', '.join(told)}" if told else "")
    late = [f"{each} may not sign on {day}" for each in signed if each not in timely]
    return Answer("no", "; ".join([found, *late, *_why_not(file, asked, counting, policy), *reasons]))


def _identities(
    both: Sequence[Sequence[Line]], asked: Questions, policy: Policy
) -> tuple[list[Identity], list[str]]:
    """The allowed identities that signed both statements, and why other bundles do not count."""
    bundles = [[line for line in some if line.bundle] for some in both]
    if not any(bundles):
        return [], []
    if asked.root is None:
        return [], ["its keyless signatures need --trusted-root"]
    if not policy.identities:
        return [], ["its keyless signatures need a policy that names identities"]
    found, reasons = [], []
    for some in bundles:
        tried = [keyless.signed_by(line, asked.root, policy.identities) for line in some]
        found.append([each for each, _ in tried if each is not None])
        reasons += [reason for each, reason in tried if each is None]
    return [each for each in policy.identities if all(each in some for some in found)], reasons


def _age_of(root: Root | None) -> str:
    return "" if root is None else f"; by a trusted root whose newest key is of {root.newest}"


def _why_not(file: AcceptanceFile, asked: Questions, counting: Sequence[Signer], policy: Policy) -> list[str]:
    if not asked.signers and asked.root is None:
        return ["give --signers FILE, a public key or signers.yaml"]
    if asked.signers and not counting:
        return [f"the policy allows {', '.join(policy.signers)}, of whom --signers has no key"]
    if not any(line.signatures for line in file.own):
        return ["it carries no signature at all"]
    return []


# --- bound and intact --------------------------------------------------------------------------------------


def _bound(file: AcceptanceFile, recording: Recording | None, asked: Questions) -> Answer:
    statement, common = file.acceptance, file.suite_result
    if common is None:
        return Answer("no", "the test-result that belongs to it is missing: a line was dropped")
    if common.subject != statement.subject:
        return Answer("no", "its test-result speaks of another recording: they are of two acceptances")
    if common.predicate != suite_result(statement.predicate):
        return Answer("no", "its test-result does not follow from it: they are of two acceptances")
    wrong, right = [], []
    if recording is not None:
        signed = statement.digests_of(MANIFEST).get("sha256", "no digest")
        if signed == recording.digest:
            right.append(f"this evidence (manifest {signed[:12]})")
        else:
            wrong.append(f"it is of evidence {signed[:12]}, and this is {recording.digest[:12]}")
    if asked.server_digest is not None:
        algorithm, digest = asked.server_digest
        signed = statement.digests_of(SERVER).get(algorithm, "")
        if signed == digest:
            right.append(f"this server ({algorithm}:{digest[:12]})")
        else:
            has = f"it is of server {signed[:12]}" if signed else f"it names no server by {algorithm}"
            wrong.append(f"{has}, and this is {digest[:12]}")
    if wrong:
        return Answer("no", "; ".join(wrong))
    return Answer("yes", f"it is of {' and '.join(right)}") if right else _NOT_GIVEN


_NOT_GIVEN: Final = Answer("not asked", "no --evidence was given")


def _intact(recording: Recording | None) -> Answer:
    if recording is None:
        return _NOT_GIVEN
    if recording.problems:
        return Answer("no", recording.altered())
    return Answer("yes", f"{len(recording.manifest.files)} traces are as the manifest says")


# --- derivable ---------------------------------------------------------------------------------------------


def _derivable(
    file: AcceptanceFile, recording: Recording | None, bound: Answer, intact: Answer
) -> tuple[Answer, JudgedAgain | None]:
    if recording is None:
        return _NOT_GIVEN, None
    if "no" in {bound.answer, intact.answer}:
        return Answer("no", "not judged again, as this is not the evidence that was signed"), None
    found = derive(file.acceptance, recording)
    if found.against:
        return _no(found.against), found.judged
    signed = file.acceptance.predicate
    from_what = "" if signed.load is None else f", from {signed.load.judged_from}"
    reason = f"{len(signed.requirements)} requirements judged again here, the same verdicts{from_what}"
    return Answer("yes", reason), found.judged


def _no(reasons: Sequence[str]) -> Answer:
    more = len(reasons) - _TOLD
    told = [*reasons[:_TOLD], *([f"and {more} more"] if more > 0 else [])]
    return Answer("no", "; ".join(told))


# --- acceptable --------------------------------------------------------------------------------------------


def _acceptable(file: AcceptanceFile, asked: Questions, now: dt.datetime) -> Answer:
    """By the policy; its own dates are asked whether or not there is one."""
    signed = file.acceptance.predicate
    against = [*policies.impossible(signed, now), *policies.over(signed, now)]
    if asked.baseline is not None:
        against += _against_baseline(signed, asked.baseline, asked.policy or Policy())
    if asked.policy is not None:
        against += policies.refusals(asked.policy, signed, now)
    if against:
        return _no(against)
    end = signed.valid_until
    until = "without an end" if end is None else f"until {end.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    if asked.policy is None and asked.baseline is None:
        return Answer("not asked", f"no --policy was given; by its own times it is valid {until}")
    waived = f", with {counted(len(signed.waivers), 'waiver')}" if signed.waivers else ""
    return Answer("yes", f"{signed.result}{waived}, valid {until}")


def _against_baseline(signed: Acceptance, earlier: AcceptanceFile, policy: Policy) -> list[str]:
    if other := baseline.of_another_kind(earlier, load=signed.load is not None):
        return [other]
    since = signed.supersedes
    if since is None:
        return ["it supersedes no acceptance, and so not the one given"]
    if since.sha256 != sha256(earlier.payload):
        given = sha256(earlier.payload)[:12]
        return [f"it supersedes the acceptance {since.sha256[:12]}, not the one given ({given})"]
    compared = baseline.compare(earlier, signed.requirements, signed.waivers, load_catalogue())
    told = [] if compared == since else ["what it says has changed since is not what has"]
    return [*told, *baseline.refusals(compared, policy.unjudged)]
