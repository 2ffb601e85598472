"""A load as its folder keeps it: load.json, and the recordings of single starts in evidence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from runstone.errors import UsageError
from runstone.load.model import FORMAT, Load
from runstone.session import evidence
from runstone.wire.trace import Trace

LOAD_JSON: Final = "load.json"
EVIDENCE: Final = "evidence"


class UnreadableLoad(UsageError):  # noqa: N818 - named as what it reports
    """The folder holds no load, or one that cannot be read."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A load, and the recordings of the starts that it kept in full, by name."""

    load: Load
    traces: Mapping[str, Trace]


class _Versioned(msgspec.Struct):
    format: int


def holds_load(folder: Path) -> bool:
    """Whether `runstone load` or `soak` wrote this folder."""
    return (folder / LOAD_JSON).is_file()


def folder_of(given: Path) -> Path | None:
    """The folder of a load that is meant: it, or the evidence in it; None where there is none."""
    meant = given.parent if given.name == EVIDENCE else given
    return meant if holds_load(meant) else None


def read(folder: Path) -> Recorded:
    """The load of a folder. Raises UnreadableLoad, and EvidenceError for recordings that were altered."""
    path = folder / LOAD_JSON
    try:
        content = path.read_bytes()
        version = msgspec.json.decode(content, type=_Versioned).format
        if version != FORMAT:
            raise UnreadableLoad(
                f"{path} is of format {version}, this Runstone reads {FORMAT}; "
                "read it with the Runstone that wrote it, or load again"
            )
        load = msgspec.json.decode(content, type=Load)
    except OSError as error:
        raise UnreadableLoad(
            f"cannot read {path}: {error.strerror}; `runstone load --out DIR` writes it"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableLoad(f"{path} is damaged ({error}); load again") from None
    recorded = folder / EVIDENCE
    traces = evidence.read(recorded)[1] if recorded.is_dir() else {}
    return Recorded(load=load, traces=traces)
