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
from runstone.session.evidence import EvidenceError
from runstone.session.session import Session
from runstone.session.settings import Settings
from runstone.signoff.intact import Recording
from runstone.verdict import waivers
from runstone.verdict.model import Report, Verdict
from runstone.verdict.waivers import Waiver
from runstone.wire.trace import Trace


class JudgedAgain(msgspec.Struct, frozen=True):
    """What the evidence shows. `report`: without a waiver; `verdicts`: as the waivers leave them."""

    report: Report
    traces: Mapping[str, Trace]
    verdicts: tuple[Verdict, ...]
    waiver_errors: tuple[str, ...]


def judge_again(recording: Recording, accepted: Sequence[Waiver], today: dt.date) -> JudgedAgain:
    """Judge all of the evidence, and apply the waivers as of this day.

    Raises EvidenceError where the files are no longer those that were inspected.
    """
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
        if session.manifest != manifest:
            raise EvidenceError(f"{recording.folder} was changed while it was read; try again")
        judge_beside(session)
        report = judge(session)
    verdicts, errors = waivers.apply(report.verdicts, accepted, session.traces.keys(), today)
    return JudgedAgain(report, session.traces, tuple(verdicts), tuple(errors))
