"""From judged evidence to the acceptance that is signed, and everything that keeps evidence from one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import msgspec
from msgspec.structs import asdict

from runstone.contracts import UnknownArea, load_catalogue
from runstone.report import digest
from runstone.report.text import well_formed
from runstone.session.evidence import Manifest, of_shard
from runstone.signoff.loads import unfit as unfit_load
from runstone.signoff.measure import differences as of_another_contract
from runstone.signoff.statement import (
    FAILED,
    WARNED,
    Acceptance,
    Judged,
    LoadMade,
    Measure,
    Observation,
    PolicyUsed,
    Server,
    Supersedes,
    Terms,
    counted,
    wording,
)
from runstone.target.agents import NO_RUNS
from runstone.verdict.model import JUDGED, Verdict
from runstone.verdict.scenarios import ScenarioResults
from runstone.verdict.waivers import Waiver

_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)
_REASON = 300  # characters of why something was not judged


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence does not tell of an acceptance: by whom it is, when, and what was accepted.

    `oldest`: until when the policy allows evidence of that age; None for ever.
    """

    by: str
    at: dt.datetime
    waivers: tuple[Terms, ...]
    unjudged: Mapping[str, str]
    policy: PolicyUsed | None
    oldest: dt.datetime | None
    supersedes: Supersedes | None
    server_digest: bool


def unfit(manifest: Manifest, measure: Measure) -> list[str]:
    """Why nobody may sign for an observation like this, whatever it shows; a line each."""
    if manifest.shard is not None:
        return [f"the evidence is {of_shard(manifest.shard)}"]
    found = unfit_load(manifest) if manifest.kind == "load" else _unfit_check(manifest)
    if started(manifest) == _NEVER:
        found.append("when it was observed is not told")
    if manifest.insecure:
        found.append("it was observed with --insecure: nobody knows which server answered")
    return [*found, *of_another_contract("observed", manifest.basis, measure.basis)]


def _unfit_check(manifest: Manifest) -> list[str]:
    found = []
    if manifest.stopped is not None or not manifest.complete:
        found.append(f"the observation is incomplete: {manifest.stopped or 'it has not ended'}")
    if manifest.unusable:
        found.append(f"the target was {manifest.unusable}")
    if manifest.crashed:
        names = ", ".join(sorted(manifest.crashed))
        found.append(f"Runstone's own scenarios crashed: {names}")
    if any(each.reason == NO_RUNS for each in manifest.capabilities.values()):
        found.append("it was observed with --no-graphs, which leaves out every run")
    if manifest.quick:
        found.append("it was observed with --quick, which leaves out what takes long or costs much")
    elif not manifest.patient:
        found.append("it was observed without --patient, so what must wait for over a minute is missing")
    if manifest.select or _left_out(manifest.areas):
        found.append(f"only a part was asked for ({', '.join([*manifest.areas, *manifest.select])})")
    return found


def _left_out(areas: Sequence[str]) -> set[str]:
    """The areas that every acceptance holds and that were not selected; empty where all were."""
    if not areas:
        return set()
    catalogue = load_catalogue().of_checks
    asked: set[str] = set()
    for name in areas:
        with suppress(UnknownArea):  # of a contract that had it
            asked |= set(catalogue.areas_named(name))
    return set(catalogue.areas) - asked - catalogue.of_kind("exploring")


def started(manifest: Manifest) -> dt.datetime:
    """When the observation began; long ago where the manifest tells no time with an offset."""
    try:
        found = dt.datetime.fromisoformat(manifest.started_at)
    except ValueError:
        return _NEVER
    return _NEVER if found.tzinfo is None else found.astimezone(dt.UTC)


def judged_of(verdicts: Iterable[Verdict]) -> tuple[Judged, ...]:
    """The verdicts of all that belongs to an acceptance.

    Areas whose requests are made up belong to it where they were judged: what was found is not left out.
    """
    exploring = load_catalogue().of_kind("exploring")
    return tuple(
        Judged(
            id=each.id,
            level=each.level,
            area=each.area,
            verdict=each.verdict,
            wording=wording(each.level, each.statement),
            reason="" if each.verdict in JUDGED else well_formed(digest.reasons(each)[:_REASON]),
        )
        for each in verdicts
        if each.area not in exploring or each.verdict != "not-run"
    )


def unkept(verdicts: Sequence[Verdict], requirements: Sequence[Judged]) -> list[str]:
    """What no acceptance can hold, a line each: whatever is broken and nobody answers for."""
    reasons = {each.id: digest.reasons(each) for each in verdicts}
    words = {"fail": "is broken", "not-testable": "could not be tested", "flaky": "is flaky, and not waived"}
    found = [
        f"{each.id} ({each.level}) {words.get(each.verdict, 'could not be judged')}: {reasons[each.id]}"
        for each in requirements
        if each.verdict in FAILED
    ]
    return found if any(each.verdict in JUDGED for each in requirements) else [*found, "nothing was judged"]


def unaccepted(scenarios: ScenarioResults | None) -> list[str]:
    """What no acceptance can say of a team's own scenarios, a line each: whatever did not pass."""
    broken = [each for each in scenarios.scenarios if each.result != "pass"] if scenarios else []
    return [f"scenario {each.name}: {digest.RESULT_WORDS[each.result]}: {each.reason}" for each in broken]


def build(
    manifest: Manifest,
    requirements: tuple[Judged, ...],
    measure: Measure,
    signing: Signing,
    scenarios: ScenarioResults | None = None,
    load: LoadMade | None = None,
) -> Acceptance:
    """The acceptance: a pure function of the evidence, the measure, and what was agreed to."""
    doubtful = [each for each in requirements if each.verdict in WARNED]
    return Acceptance(
        result="WARNED" if doubtful else "PASSED",
        server=Server(
            name=well_formed(manifest.target),
            url=well_formed(manifest.url),
            version=well_formed(manifest.server),
            version_from="digest" if signing.server_digest else "self-reported",
        ),
        profile=manifest.profile,
        measure=measure,
        observation=Observation(
            started_at=started(manifest),
            seconds=manifest.observe_s,
            traces=len(manifest.files),
            capacity=manifest.capacity,
            confirmations=manifest.confirmations,
            made_up=tuple(
                sorted({each.area for each in requirements} & load_catalogue().of_kind("exploring"))
            ),
            agent=manifest.agent,
        ),
        counts=counted(requirements),
        requirements=requirements,
        scenarios={well_formed(each.name): each.result for each in scenarios.scenarios} if scenarios else {},
        load=load,
        capabilities={name: each.present for name, each in sorted(manifest.capabilities.items())},
        waivers=signing.waivers,
        unjudged={
            each.id: signing.unjudged.get(each.id, "") for each in doubtful if each.verdict == "not-run"
        },
        policy=signing.policy,
        signed_at=signing.at,
        valid_until=_valid_until(signing),
        supersedes=signing.supersedes,
        by=signing.by,
    )


def _valid_until(signing: Signing) -> dt.datetime | None:
    """The last moment of the waiver that expires first, or of the age that the policy allows."""
    ends = [dt.datetime.combine(each.expires, dt.time(23, 59, 59), dt.UTC) for each in signing.waivers]
    return min([*ends, *([] if signing.oldest is None else [signing.oldest])], default=None)


def terms(waivers: Iterable[Waiver]) -> tuple[Terms, ...]:
    """Waivers as an acceptance holds them, in an order that does not depend on the file's."""
    found = [Terms(**{**asdict(each), "scenarios": tuple(sorted(each.scenarios))}) for each in waivers]
    return tuple(sorted(found, key=lambda each: (each.requirement, each.scenarios)))


def waivers_of(agreed: Iterable[Terms]) -> list[Waiver]:
    """The same waivers as they are applied."""
    return [Waiver(**{**asdict(each), "scenarios": frozenset(each.scenarios)}) for each in agreed]


def differences(signed: Acceptance, found: Acceptance) -> list[str]:
    """Where an acceptance is not what the evidence shows here, a line each; empty when it is."""
    before, now = ({each.id: each for each in one.requirements} for one in (signed, found))
    told = [f"{name} was signed, and is not judged here" for name in before if name not in now]
    told += [f"{name} is judged here, and was not signed" for name in now if name not in before]
    for name, each in before.items():
        if name in now and each.verdict != now[name].verdict:
            told.append(f"{name} was signed as {each.verdict} and is {now[name].verdict} here")
        elif name in now and each != now[name]:
            told.append(f"{name} was signed in other words, or for another reason, than it is judged here")
    for field in Acceptance.__struct_fields__:
        one, other = getattr(signed, field), getattr(found, field)
        if field != "requirements" and one != other:
            told.append(f"its {field.replace('_', ' ')} is not what follows from the evidence")
    return told
