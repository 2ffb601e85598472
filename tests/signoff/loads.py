"""What tests do with a load under an acceptance: sign it, alter its evidence, verify it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runstone.signoff import lines, signing, verification
from runstone.signoff.signing import Draft, Refused, Wanted
from runstone.signoff.statement import sha256
from tests.signoff.case import rewrite

# Later than any load that these tests make, however long the tests before them take.
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=1)
TOMORROW = (NOW + dt.timedelta(days=1)).date()
YESTERDAY = (NOW - dt.timedelta(days=1)).date()


def draft(folder: Path, at: dt.datetime = NOW, **asked: Any) -> Draft:
    return signing.draft(Wanted(evidence=folder / "evidence", by="Ada", **asked), at)


def refused(folder: Path, at: dt.datetime = NOW, **asked: Any) -> tuple[str, ...]:
    with pytest.raises(Refused) as caught:
        draft(folder, at, **asked)
    assert all("\n" not in reason for reason in caught.value.reasons)
    return caught.value.reasons


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def waiver(folder: Path, requirement: str, expires: dt.date = TOMORROW) -> Path:
    text = f"requirement: {requirement}, reason: known, owner: us, expires: {expires}, link: docs#x"
    return written(folder, "waivers.yaml", f"waivers:\n- {{{text}}}\n")


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
