"""The evidence folder: every trace as JSON, and a manifest that vouches for each file by its SHA-256.

    evidence/manifest.json
    evidence/traces/<scenario>.json

Traces are written as they end, so that nothing already observed is lost when a run is broken off; the
manifest of such a run says `complete: false` and why.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import msgspec

from runstone.contracts.basis import Basis
from runstone.errors import UsageError
from runstone.files import replace_file
from runstone.target.capabilities import Capability
from runstone.target.target import RunTimeLimit
from runstone.wire.trace import Trace

FORMAT = 2  # 1 named neither what it was observed by nor what was selected
_READ = frozenset({1, FORMAT})
_MANIFEST = "manifest.json"
_TRACES = "traces"


class EvidenceError(UsageError):
    """The folder is not evidence, or not the evidence that was written."""


class ShardOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of an observation was observed: these scenarios.

    `division`: the digest of what each part observes.
    """

    number: int  # from 1 on
    of: int
    division: str
    scenarios: tuple[str, ...] = ()


class Merged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A shard that evidence was merged of; `manifest`: the SHA-256 of its own manifest."""

    number: int
    manifest: str
    url: str
    started_at: str
    observe_s: float


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was observed, of whom, when and how; `files` maps each trace's path to its SHA-256.

    `basis`: the contract and the suites that it was observed by; None in evidence of format 1. `areas`,
    `select`: what was asked for alone; both empty where everything was. `start_mark`: what tells this start
    of the server from any other one, if the server shows such a thing. `shard`: the part that was observed;
    None for the whole, of which `merged` names the shards, where there were any.
    """

    format: int
    runstone: str
    kind: Literal["check", "load"] = "check"  # of a load, it holds what was counted and some starts in full
    session: str = ""  # which `pytest -n` session observed it; its workers read instead of observing again
    profile: str
    basis: Basis | None = None
    areas: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    target: str
    url: str
    server: str = "unknown"
    start_mark: str = ""
    shard: ShardOf | None = None
    merged: tuple[Merged, ...] = ()
    started_at: str
    observe_s: float = 0.0
    prepare_s: float = 0.0  # of installing official clients, meanwhile
    turn_s: float = 1.0
    capacity: int | None = None  # runs that the target executes at once; None where nobody found out
    findings: tuple[str, ...] = ()  # what was noticed of the target beside all scenarios
    quick: bool = False
    patient: bool = False
    insecure: bool = False  # whether no certificate was checked, so that anybody may have answered
    explored: bool = False  # whether scenarios that make up their own requests were run
    complete: bool = False
    stopped: str | None = None
    unusable: Literal["unreachable", "unfit", ""] = ""
    capabilities: dict[str, Capability] = {}
    run_time_limit: RunTimeLimit | None = None
    agent: str = ""  # the assistant that stood in for the conformance graphs; '' where they ran themselves
    crashed: dict[str, str] = {}
    files: dict[str, str] = {}
    left: tuple[str, ...] = ()  # what was made on the target and could not be deleted
    clean_s: float = 0.0  # what deleting took
    again: dict[str, str] = {}  # what was observed again, by its name, and the requirement that seemed broken
    confirmations: int = 0
    confirm_s: float = 0.0

    @property
    def of_a_part(self) -> str:
        """A remark on what the evidence lacks: the options that left it out; '' where all was asked for."""
        asked = [f"--area {each}" for each in self.areas] + [f"--select {each}" for each in self.select]
        return f" (only {' '.join(asked)} was observed)" if asked else ""


class EvidenceWriter:
    """Writes one folder. An earlier observation in the same folder is removed first."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._files: dict[str, str] = {}
        traces = folder / _TRACES
        try:
            traces.mkdir(parents=True, exist_ok=True)
            for stale in [*folder.glob(_MANIFEST), *traces.glob("*.json"), *folder.rglob("*.tmp")]:
                stale.unlink()
            self.save()
        except OSError as error:
            raise EvidenceError(
                f"cannot write evidence to {folder}: {error.strerror}; use --out DIR"
            ) from None

    def add(self, trace: Trace) -> Trace:
        """Write one trace, and the manifest that vouches for it. Answers the trace as it was written.

        That takes half the memory of the one that was observed: it holds nothing that was decoded meanwhile,
        nor of every text that is not ASCII the UTF-8 too.
        """
        name = f"{_TRACES}/{trace.scenario}.json"
        content = msgspec.json.format(msgspec.json.encode(trace), indent=1)
        replace_file(self.folder / name, content)
        self._files[name] = hashlib.sha256(content).hexdigest()
        self.save()
        return msgspec.json.decode(content, type=Trace)

    def save(self, **changes: object) -> Manifest:
        """Write the manifest, with these of its fields changed."""
        self.manifest = msgspec.structs.replace(
            self.manifest, files=dict(sorted(self._files.items())), **changes
        )
        content = msgspec.json.format(msgspec.json.encode(self.manifest), indent=2)
        replace_file(self.folder / _MANIFEST, content)
        return self.manifest


def read_whole(folder: Path) -> tuple[Manifest, dict[str, Trace]]:
    """As `read`. Raises EvidenceError for a load and a shard too, which are not to be judged like this."""
    manifest, traces = read(folder)
    if manifest.kind == "load":
        raise EvidenceError(f"{folder} is of a load; name the folder that its load.json is in")
    if manifest.shard is not None:
        raise EvidenceError(f"{folder} is {of_shard(manifest.shard)}")
    return manifest, traces


def of_shard(shard: ShardOf) -> str:
    """What a shard is, and what makes evidence of it that can be judged."""
    return (
        f"shard {shard.number} of {shard.of}, which is not judged by itself; "
        f"put all {shard.of} together with `runstone merge DIR… --out DIR`"
    )


def digest_of_manifest(folder: Path) -> str:
    """The SHA-256 of the manifest's bytes, which names the evidence."""
    return hashlib.sha256((folder / _MANIFEST).read_bytes()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """The manifest. Raises EvidenceError when it is missing, malformed or of another version."""
    path = folder / _MANIFEST
    try:
        content = path.read_bytes()
    except OSError:
        raise EvidenceError(
            f"{folder} is not an evidence folder: it has no {_MANIFEST}; `runstone check` writes one"
        ) from None
    return parse_manifest(content, path)


def parse_manifest(content: bytes, path: Path) -> Manifest:
    """The manifest that these bytes are. Raises EvidenceError, which names `path`."""
    try:
        version = msgspec.json.decode(content, type=_Versioned).format
        if version not in _READ:
            raise EvidenceError(
                f"{path} is of evidence format {version}, this Runstone reads up to {FORMAT}; "
                "judge it with the Runstone that wrote it, or observe again"
            )
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{path} is damaged ({error}); observe again") from None


class _Versioned(msgspec.Struct):
    format: int


def read(folder: Path) -> tuple[Manifest, dict[str, Trace]]:
    """The manifest and the traces by scenario. Raises EvidenceError for any file lost, added or altered."""
    manifest = read_manifest(folder)
    present = {f"{_TRACES}/{path.name}" for path in (folder / _TRACES).glob("*.json")}
    # A session that was killed may have written one trace more than its manifest knows: it is not read.
    added = sorted(present - set(manifest.files)) if manifest.complete else ()
    for name in added:
        raise EvidenceError(
            f"{folder / name} is not in the manifest: the evidence was altered; observe again"
        )
    traces: dict[str, Trace] = {}
    decoder = msgspec.json.Decoder(Trace)
    for name, digest in manifest.files.items():
        try:
            content = (folder / name).read_bytes()
        except OSError:
            raise EvidenceError(
                f"{folder / name} is missing: the evidence is truncated; observe again"
            ) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise EvidenceError(
                f"{folder / name} does not have the SHA-256 of the manifest: the evidence was altered; "
                "observe again"
            )
        try:
            trace = decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise EvidenceError(f"{folder / name} is not a trace ({error}); observe again") from None
        traces[trace.scenario] = trace
    return manifest, traces
