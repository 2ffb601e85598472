"""What tests ask to be signed of some evidence, the files that go along, and why it is refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from runstone.signoff import signing
from runstone.signoff.signing import Draft, Refused, Wanted


def drafted(evidence: Path, at: dt.datetime, **asked: Any) -> Draft:
    return signing.draft(Wanted(evidence=evidence, by="Ada", **asked), at)


def reasons_against(evidence: Path, at: dt.datetime, **asked: Any) -> tuple[str, ...]:
    with pytest.raises(Refused) as caught:
        drafted(evidence, at, **asked)
    assert all("\n" not in reason for reason in caught.value.reasons)
    return caught.value.reasons


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def waivers(folder: Path, requirement: str, expires: dt.date, more: str = "") -> Path:
    text = f"requirement: {requirement}, reason: known, owner: us, expires: {expires}, link: docs#x{more}"
    return written(folder, "waivers.yaml", f"waivers:\n- {{{text}}}\n")
