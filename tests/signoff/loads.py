"""What tests do with a load under an acceptance: sign it, alter its evidence, verify it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runstone.signoff import lines, verification
from runstone.signoff.signing import Draft
from runstone.signoff.statement import sha256
from tests.signoff.case import rewrite
from tests.signoff.drafting import drafted, reasons_against, waivers

# Later than any load that these tests make, however long the tests before them take.
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=1)
TOMORROW = (NOW + dt.timedelta(days=1)).date()
YESTERDAY = (NOW - dt.timedelta(days=1)).date()


def draft(folder: Path, at: dt.datetime = NOW, **asked: Any) -> Draft:
    return drafted(folder / "evidence", at, **asked)


def refused(folder: Path, at: dt.datetime = NOW, **asked: Any) -> tuple[str, ...]:
    return reasons_against(folder / "evidence", at, **asked)


def waiver(folder: Path, requirement: str, expires: dt.date = TOMORROW) -> Path:
    return waivers(folder, requirement, expires)


def verified(folder: Path, out: Path, **asked: Any) -> verification.Findings:
    questions = verification.Questions(evidence=folder / "evidence", unsigned_ok=True, **asked)
    return verification.verify(lines.read(out / lines.NAME), questions, NOW)


def answers(found: verification.Findings) -> dict[str, str]:
    return {name: each.answer for name, each in found.answers.items()}


def rerecorded(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    """A recording changed by somebody who mends its digest in the manifest, too."""
    path, manifest = folder / f"evidence/traces/{name}.json", folder / "evidence/manifest.json"
    trace = change(json.loads(path.read_bytes()))
    path.write_bytes(json.dumps(trace).encode())
    files = json.loads(manifest.read_bytes())["files"]
    rewrite(manifest, files={**files, f"traces/{name}.json": sha256(path.read_bytes())})


def changed(trace: Any, **changes: Any) -> Any:
    """The recording of what was counted, with some of it changed; a mapping changes some of its members."""
    load = trace["notes"]["load"]["load"]
    for name, value in changes.items():
        load[name] = {**load[name], **value} if isinstance(value, dict) else value
    return trace
