"""report.html of verified evidence: it bears a seal only where everything it shows was signed and derived."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec

from runstone.report import write_texts
from runstone.report.html import Seal, to_html
from runstone.signoff import page
from runstone.signoff.judging import JudgedAgain
from runstone.signoff.lines import NAME
from runstone.signoff.statement import MANIFEST, SERVER
from runstone.signoff.verification import Findings
from runstone.verdict.model import Report, exit_code, totals_by_area, totals_by_level


def write_report(found: Findings, path: Path, now: dt.datetime) -> bool:
    """Write the report of the evidence that was judged again; whether there was one to write.

    Raises UnwritableReport.
    """
    if found.judged is None:
        return False
    text = to_html(_with_waivers(found.judged), found.judged.traces.values(), seal_of(found, now))
    write_texts({path.name: text}, path.parent)
    return True


def seal_of(found: Findings, now: dt.datetime) -> Seal | None:
    """The seal; None where something was refused, or was not asked that the page shows."""
    if not found.sealed:
        return None
    statement = found.file.acceptance
    signed = statement.predicate
    reserved = page.reservations(signed)
    server = "".join(f"{name}:{digest}" for name, digest in statement.digests_of(SERVER).items())
    return Seal(
        headline=f"Accepted with reservations: {reserved}" if reserved else "Accepted",
        verified=f"Verified {page.at(now)}: {found.answers['authentic'].reason}",
        covers={
            "The evidence": f"manifest {statement.digests_of(MANIFEST)['sha256']}",
            **(
                {} if signed.load is None else {f"The {page.kind_of(signed.load)}": page.planned(signed.load)}
            ),
            "The verdicts": found.answers["derivable"].reason,
            "The server": server or f"{signed.server.version}, as it says itself; no digest was signed",
            "Until": "without an end" if signed.valid_until is None else page.at(signed.valid_until),
            "The policy": found.answers["acceptable"].reason,
        },
        again=f"runstone verify {NAME} --evidence DIR --signers FILE",
    )


def _with_waivers(judged: JudgedAgain) -> Report:
    """The report as the waivers of the acceptance leave it."""
    report, verdicts = judged.report, judged.verdicts
    code = exit_code(
        verdicts,
        fail_on=report.fail_on,
        complete=report.complete,
        waiver_errors=judged.waiver_errors,
    )
    return msgspec.structs.replace(
        report,
        verdicts=verdicts,
        totals=totals_by_level(verdicts),
        areas=totals_by_area(verdicts),
        waiver_errors=judged.waiver_errors,
        conforming=code == 0,
        exit_code=code,
    )
