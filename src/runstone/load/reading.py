"""A load as its folder keeps it: load.json, and in evidence what was counted and single starts in full.

What was counted is a recording like any other, so that the manifest vouches for it and evidence can be judged
where no load.json is. load.json says the same, for tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from runstone.errors import UsageError
from runstone.load.invariants import NOTE
from runstone.load.model import FORMAT, Load
from runstone.session import evidence
from runstone.wire.trace import Trace

LOAD_JSON: Final = "load.json"
EVIDENCE: Final = "evidence"
COUNTS: Final = "load-counts"  # the recording of what was counted


class UnreadableLoad(UsageError):  # noqa: N818 - named as what it reports
    """The folder holds no load, or one that cannot be read."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A load, and the recordings of its sweep and of the starts that it kept in full, by name.

    `counted`: the load as its evidence has it; None where an older Runstone recorded it.
    """

    load: Load
    traces: Mapping[str, Trace]
    counted: Load | None = None


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
    starts = {name: trace for name, trace in traces.items() if name != COUNTS}
    return Recorded(load=load, traces=starts, counted=load_in(traces) if COUNTS in traces else None)


def counted(load: Load) -> Trace:
    """What a load has counted, as a recording."""
    return Trace(scenario=COUNTS, notes={NOTE: {"kind": "counts", "load": msgspec.to_builtins(load)}})


def load_in(traces: Mapping[str, Trace]) -> Load:
    """The load that these recordings are of. Raises UnreadableLoad where what was counted is not in them."""
    if (trace := traces.get(COUNTS)) is None:
        raise UnreadableLoad(f"the evidence lacks {COUNTS}, what the load has counted; load again")
    try:
        return msgspec.convert(trace.notes[NOTE]["load"], Load)
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise UnreadableLoad(f"{COUNTS} is damaged ({error}); load again") from None
