"""What evidence says of the session that it is of: at its beginning, and once that was observed."""

from __future__ import annotations

import datetime as dt

import runstone
from runstone.contracts.basis import Basis
from runstone.scenario.observer import Observation
from runstone.session import evidence
from runstone.session.settings import Settings
from runstone.target.target import Target


def manifest_at_first(
    settings: Settings, target: Target, basis: Basis, token: str, shard: evidence.ShardOf | None
) -> evidence.Manifest:
    """What evidence says of itself while nothing is observed yet. `token`: what tells this session apart."""
    return evidence.Manifest(
        format=evidence.FORMAT,
        runstone=runstone.__version__,
        session=token,
        profile=settings.profile.name,
        basis=basis,
        areas=settings.areas,
        select=settings.select,
        target=target.name,
        url=target.url,
        shard=shard,
        started_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        quick=settings.quick,
        patient=settings.patient,
        insecure=target.network.marks(target.url),
        explored=settings.exploration is not None,
        run_time_limit=target.run_time_limit,
        agent="" if target.agent is None else target.agent.assistant,
        stopped="the observation was broken off",
    )


def outcome_of(seen: Observation) -> dict[str, object]:
    """What a manifest says besides of an observation that nobody broke off."""
    return {
        "observe_s": round(seen.seconds, 3),
        "prepare_s": round(seen.preparing_s, 3),
        "stopped": seen.stopped,
        "complete": seen.stopped is None,
        "crashed": seen.crashed,
        "capacity": seen.capacity,
        "findings": seen.findings,
    }
