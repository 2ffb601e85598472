"""Evidence of a whole observation, put together of the evidence of all its shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from runstone.session import shard_folders
from runstone.session.evidence import EvidenceError, EvidenceWriter, Manifest, Merged, digest_of_manifest
from runstone.session.shard_folders import Part
from runstone.target.capabilities import Capability
from runstone.wire.trace import Trace

_EVIDENCE: Final = "evidence"


class UnfitShards(EvidenceError):  # noqa: N818 - named as what it reports
    """The folders are not all shards of one observation. `reasons`: a line each, with how to fix it."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


def merge(folders: Sequence[Path], out: Path, *, same_server: bool = False) -> Path:
    """Write the evidence of all shards to the folder `evidence` of `out`; that folder.

    Each folder is one that `runstone check --shard` wrote, or the evidence in it. `same_server`: all must
    have observed one start of one server. Raises UnfitShards with every reason.
    """
    parts, reasons = shard_folders.read([_evidence_of(each) for each in folders])
    written = out / _EVIDENCE
    if any(written.resolve() == each.folder.resolve() for each in parts):
        reasons.append(f"{written} is one of the shards and would be overwritten; choose another --out")
    reasons = reasons or shard_folders.misfits(parts, same_server=same_server)
    if reasons:
        raise UnfitShards(reasons)
    parts.sort(key=lambda each: each.shard.number)
    writer = EvidenceWriter(written, _manifest(parts))
    for part in parts:
        for trace in _named_apart(part):
            writer.add(trace)
    writer.save(complete=all(each.manifest.complete for each in parts))
    return written


def _evidence_of(folder: Path) -> Path:
    return folder / _EVIDENCE if (folder / _EVIDENCE).is_dir() else folder


def _named_apart(part: Part) -> Iterator[Trace]:
    """The traces of a shard; what each one records for itself has its number, from the second one on."""
    for name, trace in part.traces.items():
        if part.records_for_itself(name) and part.shard.number > 1:
            own = f"{name}@shard-{part.shard.number}"
            exchanges = tuple(msgspec.structs.replace(each, scenario=own) for each in trace.exchanges)
            yield msgspec.structs.replace(trace, scenario=own, exchanges=exchanges)
        else:
            yield trace


def _manifest(parts: Sequence[Part]) -> Manifest:
    """The manifest of all shards, which is complete only when all traces are written."""
    shards = [each.manifest for each in parts]
    stops = [f"shard {each.shard.number}: {each.manifest.stopped}" for each in parts if each.manifest.stopped]
    marks = {each.start_mark for each in shards}
    return msgspec.structs.replace(
        shards[0],
        session="",
        shard=None,
        merged=tuple(_merged(each) for each in parts),
        start_mark=marks.pop() if len(marks) == 1 else "",
        started_at=min(each.started_at for each in shards),
        turn_s=max(each.turn_s for each in shards),
        capacity=min((each.capacity for each in shards if each.capacity is not None), default=None),
        insecure=any(each.insecure for each in shards),
        complete=False,
        stopped="; ".join(stops) or None,
        files={},
        confirmations=sum(each.confirmations for each in shards),
        **{name: round(sum(getattr(each, name) for each in shards), 3) for name in _SECONDS},
        capabilities=_capabilities(shards),
        **{name: _each_once(shards, name) for name in _LINES},
        **{name: _all_of(shards, name) for name in _MAPPINGS},
    )


# Fields of the manifest by how those of all shards become one.
_SECONDS: Final = ("observe_s", "clean_s", "confirm_s")
_LINES: Final = ("findings", "left")
_MAPPINGS: Final = ("crashed", "again")


def _merged(part: Part) -> Merged:
    return Merged(
        number=part.shard.number,
        manifest=digest_of_manifest(part.folder),
        url=part.manifest.url,
        started_at=part.manifest.started_at,
        observe_s=part.manifest.observe_s,
    )


def _capabilities(shards: Sequence[Manifest]) -> dict[str, Capability]:
    """Of each one what the first shard knows that knows it: clients are looked for where they are needed."""
    every = [item for each in shards for item in each.capabilities.items()]
    return dict([*reversed(every), *(item for item in reversed(every) if item[1].known)])


def _each_once(shards: Sequence[Manifest], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line for each in shards for line in getattr(each, name)))


def _all_of(shards: Sequence[Manifest], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in shards:
        found |= getattr(each, name)
    return found
