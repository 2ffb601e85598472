"""What an earlier acceptance kept must be kept now: regressions by name, and what changed in the contract."""

from __future__ import annotations

from collections.abc import Container, Mapping

from runstone.signoff.lines import AcceptanceFile
from runstone.signoff.statement import Acceptance, Judged, Regression, Supersedes, Terms, sha256
from runstone.verdict.model import Outcome

# What is accepted of a promise that was kept before: by a waiver; the policy names what may go unjudged.
_ACCEPTED: frozenset[Outcome] = frozenset({"pass", "waived"})


def compare(
    earlier: AcceptanceFile,
    requirements: tuple[Judged, ...],
    waivers: tuple[Terms, ...],
    contract: Container[str],
) -> Supersedes:
    """What has changed since the earlier acceptance. `contract`: the requirements that there are.

    A requirement that was kept and is not any more is a regression, whatever it is now: waived, warned
    about, not run, or not applicable since the server lost what it needs. One that the contract no longer
    has is gone.
    """
    before, now = _by_id(earlier.acceptance.predicate), {each.id: each for each in requirements}
    kept = [each.id for each in before.values() if each.verdict == "pass"]
    known = {waiver.requirement for waiver in earlier.acceptance.predicate.waivers}
    predicate = earlier.acceptance.predicate
    return Supersedes(
        sha256=sha256(earlier.payload),
        started_at=predicate.observation.started_at,
        revision=predicate.measure.basis.revision,
        regressions=tuple(
            Regression(id=name, now=now[name].verdict if name in now else "not-run")
            for name in kept
            if (name not in now and name in contract) or (name in now and now[name].verdict != "pass")
        ),
        new_waivers=tuple(
            dict.fromkeys(each.requirement for each in waivers if each.requirement not in known)
        ),
        new=tuple(name for name in now if name not in before),
        gone=tuple(name for name in before if name not in contract),
        reworded=tuple(
            name for name, each in now.items() if name in before and before[name].wording != each.wording
        ),
    )


def of_another_kind(earlier: AcceptanceFile, *, load: bool) -> str:
    """That the earlier acceptance is of a check and this is a `load`, or the other way round; '' for no."""
    if (earlier.acceptance.predicate.load is not None) == load:
        return ""
    return (
        f"this is a {'load' if load else 'check'}, and the baseline {earlier.path} is the acceptance of a "
        f"{'check' if load else 'load'}"
    )


def refusals(since: Supersedes, unjudged: Mapping[str, str]) -> list[str]:
    """The regressions that nobody answers for. `unjudged`: what may go so, by the policy."""
    return [
        f"{each.id} was kept by the acceptance of {since.started_at:%Y-%m-%d} and is {each.now} now"
        for each in since.regressions
        if each.now not in _ACCEPTED and each.id not in unjudged
    ]


def _by_id(acceptance: Acceptance) -> dict[str, Judged]:
    return {each.id: each for each in acceptance.requirements}
