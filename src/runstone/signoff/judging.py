"""Judging recorded evidence again, by the suites installed here; report.json is not read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from runstone.contracts import load_profile
from runstone.conversations.running import judge_beside
from runstone.judge.suites import judge
from runstone.session import evidence
from runstone.session.evidence import EvidenceError, Manifest
from runstone.session.session import Session
from runstone.session.settings import Settings
from runstone.signoff import loads
from runstone.signoff.intact import Recording
from runstone.signoff.statement import LoadMade
from runstone.verdict import waivers
from runstone.verdict.model import Report, Verdict
from runstone.verdict.waivers import Waiver
from runstone.wire.trace import Trace


class JudgedAgain(msgspec.Struct, frozen=True):
    """What the evidence shows. `report`: without a waiver; `verdicts`: as the waivers leave them.

    `load`: what is said of the load that the evidence is of; None for a check.
    """

    report: Report
    traces: Mapping[str, Trace]
    verdicts: tuple[Verdict, ...]
    waiver_errors: tuple[str, ...]
    load: LoadMade | None = None


def judge_again(recording: Recording, accepted: Sequence[Waiver], today: dt.date) -> JudgedAgain:
    """Judge all of the evidence, and apply the waivers as of this day.

    Raises EvidenceError where the files are no longer those that were inspected.
    """
    if recording.manifest.kind == "load":
        return _load_again(recording, accepted, today)
    manifest = recording.manifest
    with TemporaryDirectory(prefix="runstone-") as out:
        settings = Settings(
            profile=load_profile(manifest.profile),
            evidence=recording.folder,
            out=Path(out),
            quick=manifest.quick,
            patient=manifest.patient,
            explored=manifest.explored,
            bare_report=True,
        )
        session = Session(settings, lambda *_: None)
        _insist_on_the_same(recording, session.manifest)
        judge_beside(session)
        report = judge(session)
    verdicts, errors = waivers.apply(report.verdicts, accepted, session.traces.keys(), today)
    return JudgedAgain(report, session.traces, tuple(verdicts), tuple(errors))


def _load_again(recording: Recording, accepted: Sequence[Waiver], today: dt.date) -> JudgedAgain:
    manifest, traces = evidence.read(recording.folder)
    _insist_on_the_same(recording, manifest)
    load, report = loads.judge_again(manifest, traces, today)
    verdicts, errors = waivers.apply(report.verdicts, accepted, traces.keys(), today)
    return JudgedAgain(report, traces, tuple(verdicts), tuple(errors), loads.made(load))


def _insist_on_the_same(recording: Recording, manifest: Manifest | None) -> None:
    if manifest != recording.manifest:
        raise EvidenceError(f"{recording.folder} was changed while it was read; try again")
