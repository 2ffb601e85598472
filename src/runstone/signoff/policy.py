"""acceptance-policy.yaml: what is demanded of an acceptance. Every key is optional, none ignored.

    profile: langgraph
    minimum_share: {MUST: 100, SHOULD: 95}      # percent of what applies that must be kept
    judged:
      areas: [run-wait, explore]                # explore and fuzz belong to an acceptance only where named
      capabilities: [crons, second_identity]
    unjudged:
      CRON-003: the staging server has no mail gateway
    waivers: {until: 2027-06-30, owners: [runtime team]}
    maximum_age_days: 30
    signers: [Ada Lovelace, Grace Hopper]
    threshold: 2
    identities:
      - {identity: "https://…/release.yml@refs/heads/main", issuer: "https://…"}
    allowed_secrets: ["set-cookie:login"]
    load: {rate: 20, seconds: 600, kinds: [wait, stream]}     # it is for loads, of at least that

A policy with `load` is for loads, one without for checks; neither accepts what is of the other kind.

Whoever signs and whoever verifies may have policies of their own; each is asked by the one who gave it.
Schema: contracts/schemas/acceptance-policy.json.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec

from runstone.contracts import LEVELS, Catalogue, Level, load_capabilities, load_catalogue, profile_names
from runstone.contracts.reading import read_yaml
from runstone.errors import UsageError, suggestion
from runstone.load.model import KINDS as STARTS
from runstone.signoff.credentials import KINDS
from runstone.signoff.statement import Acceptance
from runstone.verdict.model import JUDGED

# Clocks of two machines may differ by as much; further ahead, an acceptance is of the future.
SKEW: Final = dt.timedelta(minutes=5)

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Said = Annotated[str, msgspec.Meta(min_length=1)]


class BadPolicy(UsageError):  # noqa: N818 - named as what it reports
    """The policy cannot be used; the message names the file and the key."""


class MustBeJudged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Areas of which everything that applies, and capabilities that the server, must have shown."""

    areas: tuple[Said, ...] = ()
    capabilities: tuple[Said, ...] = ()


class WaiverRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which waivers are allowed: expiring on `until` at the latest, of these owners (None: of anybody)."""

    until: dt.date | None = None
    owners: tuple[Said, ...] | None = None


class LoadRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must have been planned, at least: users, starts a second, seconds, and kinds of start."""

    users: Count = 1
    rate: Amount = 0.0
    seconds: Amount = 0.0
    kinds: tuple[Said, ...] = ()


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may sign without a key: a certificate's identity, and who vouched for it."""

    identity: Said
    issuer: Said


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy; the empty one demands nothing beyond what every acceptance must keep."""

    profile: Said | None = None
    minimum_share: dict[Level, Percent] = {}
    judged: MustBeJudged = MustBeJudged()
    unjudged: dict[str, Said] = {}
    waivers: WaiverRule = WaiverRule()
    maximum_age_days: Count | None = None
    signers: tuple[Said, ...] = ()
    threshold: Count = 1
    identities: tuple[Identity, ...] = ()
    allowed_secrets: tuple[Said, ...] = ()
    load: LoadRule | None = None  # None: for checks

    def valid_until(self, started_at: dt.datetime) -> dt.datetime | None:
        """When an observation of that moment becomes too old; None for never."""
        return (
            None if self.maximum_age_days is None else started_at + dt.timedelta(days=self.maximum_age_days)
        )


def load(path: Path) -> Policy:
    """The policy of a file, with every name in it known. Raises BadPolicy."""
    policy: Policy = read_yaml(path, Policy, BadPolicy)
    catalogue = load_catalogue()
    judged = catalogue.of_checks if policy.load is None else catalogue.of_loads
    problem = next(_unknown(policy, judged), None)
    if problem is not None:
        raise BadPolicy(f"{path}: {problem}")
    if policy.signers and policy.threshold > len(policy.signers) + len(policy.identities):
        raise BadPolicy(
            f"{path}: threshold {policy.threshold} is more than the {len(policy.signers)} signers and "
            f"{len(policy.identities)} identities that it names"
        )
    return policy


def _unknown(policy: Policy, catalogue: Catalogue) -> Iterator[str]:
    places: tuple[tuple[str, Collection[str], Collection[str]], ...] = (
        ("profile", [] if policy.profile is None else [policy.profile], profile_names()),
        ("judged.areas", policy.judged.areas, catalogue.areas),
        ("judged.capabilities", policy.judged.capabilities, load_capabilities()),
        ("unjudged", policy.unjudged, list(catalogue)),
        ("allowed_secrets", [each.partition(":")[0] for each in policy.allowed_secrets], KINDS),
        ("load.kinds", () if policy.load is None else policy.load.kinds, STARTS),
    )
    for place, given, known in places:
        for name in given:
            if name not in known:
                yield f"{place} names {name!r}, which there is not{suggestion(name, known)}"


def refusals(policy: Policy, acceptance: Acceptance, now: dt.datetime) -> list[str]:
    """Why the policy does not accept it, a line each; empty when it does."""
    if other := of_another_kind(policy, load=acceptance.load is not None):
        return [other]
    return [
        *_of_load(policy, acceptance),
        *_of_profile(policy, acceptance),
        *_of_shares(policy, acceptance),
        *_of_judged(policy, acceptance),
        *_of_unjudged(policy, acceptance),
        *_of_waivers(policy, acceptance),
        *_of_age(policy, acceptance, now),
    ]


def of_another_kind(policy: Policy, *, load: bool) -> str:
    """That the policy is for checks and this is a `load`, or the other way round; '' where it is for this."""
    if load and policy.load is None:
        return "this is a load, and the policy is for checks: it has no `load`"
    if not load and policy.load is not None:
        return "this is a check, and the policy is for loads: it has `load`"
    return ""


def impossible(acceptance: Acceptance, now: dt.datetime) -> list[str]:
    """What its own times say against it: that it is of the future, or older than what it supersedes."""
    observed, signed, before = acceptance.observation.started_at, acceptance.signed_at, acceptance.supersedes
    found = []
    if observed > now + SKEW:
        found.append(f"it was observed at {_at(observed)}, which is in the future")
    elif signed > now + SKEW:
        found.append(f"it was signed at {_at(signed)}, which is in the future")
    elif signed + SKEW < observed:
        found.append(f"it was signed at {_at(signed)}, before it was observed")
    if before is not None and observed < before.started_at:
        found.append(
            f"it was observed at {_at(observed)}, before the acceptance that it supersedes "
            f"({_at(before.started_at)})"
        )
    return found


def over(acceptance: Acceptance, now: dt.datetime) -> list[str]:
    """That it is no longer valid, and the waivers that have expired; empty while it is."""
    if acceptance.valid_until is None or now <= acceptance.valid_until:
        return []
    expired = [each for each in acceptance.waivers if each.expires < now.date()]
    told = "".join(f"; the waiver of {each.requirement} ({each.owner}) expired" for each in expired)
    return [f"it was valid until {_at(acceptance.valid_until)}{told}"]


def _at(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _of_profile(policy: Policy, acceptance: Acceptance) -> Iterator[str]:
    if policy.profile not in {None, acceptance.profile}:
        yield f"profile {acceptance.profile} was judged, the policy demands {policy.profile}"


def _of_load(policy: Policy, acceptance: Acceptance) -> Iterator[str]:
    least, made = policy.load, acceptance.load
    if least is None or made is None:
        return
    if made.users < least.users:
        yield f"{made.users} users were planned, the policy demands {least.users}"
    if made.rate < least.rate:
        yield f"{made.rate:g} starts a second were planned, the policy demands {least.rate:g}"
    if made.seconds < least.seconds:
        yield f"{made.seconds:g} s were planned, the policy demands {least.seconds:g}"
    if lacking := [each for each in least.kinds if not made.mix.get(each)]:
        yield f"nothing of {', '.join(lacking)} was started, and the policy demands it"


def _of_shares(policy: Policy, acceptance: Acceptance) -> Iterator[str]:
    for level in LEVELS:
        least = policy.minimum_share.get(level)
        counts = acceptance.counts.get(level, {})
        applicable = sum(counts.values()) - counts.get("not-applicable", 0)
        kept = counts.get("pass", 0)
        if least and kept * 100 < least * applicable:
            yield f"{kept} of {applicable} {level} are kept, the policy demands {least:g} %"
        elif least and not applicable:
            yield f"no {level} applies, the policy demands that {least:g} % of them are kept"


def _of_judged(policy: Policy, acceptance: Acceptance) -> Iterator[str]:
    for area in policy.judged.areas:
        within = [each for each in acceptance.requirements if each.area == area]
        missing = [each.id for each in within if each.verdict == "not-run"]
        if missing:
            yield f"area {area} must be judged, and {missing[0]} was not run"
        elif not any(each.verdict in JUDGED for each in within):
            yield f"area {area} must be judged, and nothing of it was"
    for name in policy.judged.capabilities:
        if not acceptance.capabilities.get(name):
            yield f"capability {name} must be judged, and the server has it not"


def _of_unjudged(policy: Policy, acceptance: Acceptance) -> Iterator[str]:
    for each in acceptance.having("not-run"):
        if each.id not in policy.unjudged:
            yield f"{each.id} was not run ({each.reason}), and the policy does not name it"


def _of_waivers(policy: Policy, acceptance: Acceptance) -> Iterator[str]:
    rule = policy.waivers
    for waiver in acceptance.waivers:
        if rule.owners is not None and waiver.owner not in rule.owners:
            yield f"the policy does not allow {waiver.owner} to waive {waiver.requirement}"
        if rule.until is not None and waiver.expires > rule.until:
            yield (
                f"the waiver of {waiver.requirement} expires on {waiver.expires}, "
                f"the policy allows none beyond {rule.until}"
            )


def _of_age(policy: Policy, acceptance: Acceptance, now: dt.datetime) -> Iterator[str]:
    oldest = policy.valid_until(acceptance.observation.started_at)
    if oldest is not None and oldest < now:
        days = (now - acceptance.observation.started_at).days
        yield f"it was observed {days} days ago, the policy allows {policy.maximum_age_days}"
