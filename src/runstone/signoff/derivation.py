"""Whether an acceptance follows from its evidence: judged again here, and put together again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from runstone.contracts import UnknownProfile
from runstone.session.evidence import EvidenceError
from runstone.signoff.acceptance import (
    Signing,
    build,
    differences,
    judged_of,
    unaccepted,
    unfit,
    unkept,
    waivers_of,
)
from runstone.signoff.intact import Recording
from runstone.signoff.judging import JudgedAgain, judge_again
from runstone.signoff.measure import differences as of_another_contract
from runstone.signoff.measure import installed
from runstone.signoff.statement import SERVER, Acceptance, Judged, Measure, Statement


class Derivation(msgspec.Struct, frozen=True):
    """What speaks against it, a line each; `judged`: what was seen, where it could be judged at all."""

    against: Sequence[str]
    judged: JudgedAgain | None = None


def derive(statement: Statement[Acceptance], recording: Recording) -> Derivation:
    """Judge the evidence by what is installed here, and compare what follows with what was signed."""
    signed = statement.predicate
    try:
        measure = installed(recording.manifest.profile)
        against = [*_of_another_measure(signed.measure, measure), *unfit(recording.manifest, measure)]
        if against:
            return Derivation(against)
        judged = judge_again(recording, waivers_of(signed.waivers), signed.signed_at.date())
    except (EvidenceError, UnknownProfile) as error:
        return Derivation([str(error)])
    requirements = judged_of(judged.verdicts)
    against = [
        *judged.waiver_errors,
        *unkept(judged.verdicts, requirements),
        *unaccepted(judged.report.scenarios),
        *differences(signed, _derived(statement, recording, requirements, judged)),
    ]
    return Derivation(against, judged)


def _of_another_measure(signed: Measure, here: Measure) -> list[str]:
    """In what it was judged by another contract, or other judges, than those here, and what to install."""
    found = of_another_contract("judged", signed.basis, here.basis)
    if signed.kill_matrix != here.kill_matrix:
        ours, theirs = here.kill_matrix[:12], signed.kill_matrix[:12]
        found.append(f"its kill matrix is {theirs}, and {ours} is installed here")
    if found and signed.runstone != here.runstone:
        found.append(f"install Runstone {signed.runstone}")
    return found


def _derived(
    statement: Statement[Acceptance],
    recording: Recording,
    requirements: tuple[Judged, ...],
    judged: JudgedAgain,
) -> Acceptance:
    """The acceptance as it follows from the evidence here, with what only its signers could say of it."""
    signed = statement.predicate
    signing = Signing(
        by=signed.by,
        at=signed.signed_at,
        waivers=signed.waivers,
        unjudged=signed.unjudged,
        policy=signed.policy,
        oldest=signed.valid_until,
        supersedes=signed.supersedes,
        server_digest=bool(statement.digests_of(SERVER)),
    )
    # Its own measure, as another version of Runstone with the same contract and judges may verify too.
    return build(
        recording.manifest, requirements, signed.measure, signing, judged.report.scenarios, judged.load
    )
