"""Loads under an acceptance: what keeps one from it, what is judged again, and what is said of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from runstone.load.digests import digest_of, digest_of_files
from runstone.load.judging import report_of
from runstone.load.model import Load
from runstone.load.reading import COUNTS, UnreadableLoad, load_in
from runstone.load.rejudging import contradicted
from runstone.report.text import counted
from runstone.session.evidence import EvidenceError, Manifest
from runstone.signoff.statement import LoadMade
from runstone.verdict.model import Report
from runstone.wire.trace import Trace


def unfit(manifest: Manifest) -> list[str]:
    """Why nobody may sign for a load like this, whatever it shows; a line each."""
    if manifest.complete and manifest.stopped is None:
        return []
    return [f"the load is not whole: {manifest.stopped or 'it has not ended'}"]


def judge_again(manifest: Manifest, traces: Mapping[str, Trace], today: dt.date) -> tuple[Load, Report]:
    """The load that evidence holds, and its report without a waiver; no load.json is read.

    Raises EvidenceError where its recordings do not show what was counted, or where other files than those
    that are installed here made and judged it.
    """
    try:
        load = load_in(traces)
    except UnreadableLoad as error:
        raise EvidenceError(str(error)) from None
    if load.plan.digest != digest_of(load.plan, digest_of_files()):
        raise EvidenceError(
            f"the load was made and judged by other files than those here: install Runstone {load.runstone}"
        )
    if _told(manifest) != _counted(load):
        raise EvidenceError(f"the manifest and {COUNTS} tell of two loads")
    starts = {name: trace for name, trace in traces.items() if name != COUNTS}
    if contradiction := contradicted(load, starts):
        raise EvidenceError(f"{COUNTS}: {contradiction}")
    return load, report_of(load, starts, today=today)


def _told(manifest: Manifest) -> tuple[object, ...]:
    own = (manifest.target, manifest.url, manifest.server, manifest.started_at)
    return (*own, manifest.insecure, manifest.complete)


def _counted(load: Load) -> tuple[object, ...]:
    own = (load.plan.target, load.plan.url, load.server, load.started_at)
    return (*own, load.insecure, load.outcome.kind == "whole")


def made(load: Load) -> LoadMade:
    """What an acceptance says of a load."""
    plan, runs = load.plan, sum(each.issued for each in load.counts.values())
    return LoadMade(
        soak=load.soak,
        users=plan.users,
        rate=plan.rate,
        seconds=plan.for_s,
        mix=plan.mix,
        workers=plan.workers,
        webhooks=plan.webhooks,
        offered=load.figures.offered,
        achieved=load.figures.achieved,
        runs=runs,
        recorded=len(load.samples),
        untested={each.id: each.not_tested for each in load.invariants if each.kept and each.not_tested},
        judged_from=(
            f"what {counted(plan.workers, 'worker')} counted of {runs:,} runs; the recordings of "
            f"{counted(len(load.samples), 'start')} and of the sweep were judged again, no other run is kept"
        ),
        digest=plan.digest,
    )
