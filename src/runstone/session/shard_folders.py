"""The evidence of shards as it was read, and whether they are all shards of one observation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from runstone.session import evidence
from runstone.session.evidence import EvidenceError, Manifest, ShardOf
from runstone.target.capabilities import Capability
from runstone.wire.attempts import scenario_of
from runstone.wire.trace import Trace

# Fields of the manifest that all shards must have in common, and how people call them.
_ALIKE: Final = {
    "runstone": "Runstone",
    "basis": "contract, suites or graphs",
    "profile": "profile",
    "server": "server version",
    "agent": "agent",
    "run_time_limit": "run time limit",
}
_ASKED: Final = ("areas", "select", "quick", "patient", "explored")


class Part(msgspec.Struct, frozen=True):
    """A shard as it was read."""

    folder: Path
    manifest: Manifest
    shard: ShardOf
    traces: dict[str, Trace]

    def records_for_itself(self, name: str) -> bool:
        """Whether a trace is none of the shared scenarios: every shard checks its server, and measures it."""
        return scenario_of(name) not in self.shard.scenarios

    @property
    def told(self) -> str:
        """Which one it is, and where."""
        return f"shard {self.shard.number} of {self.shard.of} ({self.folder})"


def read(folders: Sequence[Path]) -> tuple[list[Part], list[str]]:
    """The shards in these folders, and a line for each folder that holds none that can be used."""
    found: list[Part] = []
    reasons: list[str] = []
    for folder in folders:
        try:
            manifest, traces = evidence.read(folder)
        except EvidenceError as error:
            reasons.append(str(error))
            continue
        if manifest.shard is None:
            reasons.append(f"{folder} is not a shard; observe it with `runstone check … --shard I/N`")
        elif manifest.unusable:
            reasons.append(f"{folder} holds nothing to judge ({manifest.stopped}); run this shard again")
        else:
            found.append(Part(folder, manifest, manifest.shard, traces))
    return found, reasons


def misfits(parts: Sequence[Part], *, same_server: bool) -> list[str]:
    """Why these are not all shards of one observation, a line each; none where they are."""
    first, *others = parts
    found = [reason for part in others for reason in _differences(part, first)]
    if same_server:
        found += _other_starts(parts)
    return [*found, *(_incomplete(parts) if not found else ()), *_twice(parts)]


def _differences(part: Part, first: Part) -> Iterator[str]:
    """In what a shard differs from the first one."""
    one, other = first.manifest, part.manifest
    for name, called in _ALIKE.items():
        if getattr(one, name) != getattr(other, name):
            yield _differs(part, first, called, getattr(other, name), getattr(one, name))
    if _own_name(one) != _own_name(other):
        yield _differs(part, first, "target", other.target, one.target)
    if part.shard.of != first.shard.of:
        yield f"{part.told} is not of {first.shard.of} as {first.folder} is; give shards of one division"
    elif any(getattr(one, name) != getattr(other, name) for name in _ASKED):
        yield (
            f"{part.told} was observed with other --area, --select, --quick or --patient than "
            f"{first.folder}; observe all shards with the same ones"
        )
    elif part.shard.division != first.shard.division:
        yield (
            f"{part.told} and {first.folder} share scenarios out otherwise: by other recorded durations "
            "(contracts/durations.yaml) or other suites; observe all shards with the same ones"
        )
    for name in sorted(one.capabilities.keys() & other.capabilities.keys()):
        if _contradict(one.capabilities[name], other.capabilities[name]):
            yield (
                f"{part.told} found the capability {name} otherwise than {first.folder}: are both servers "
                "started alike? Observe that shard again"
            )


def _contradict(one: Capability, other: Capability) -> bool:
    return one.known and other.known and one.present != other.present


def _differs(part: Part, first: Part, called: str, other: object, one: object) -> str:
    plain = isinstance(one, str) and isinstance(other, str)
    told = f" ({other or 'none'}, not {one or 'none'})" if plain else ""
    return f"{part.told} is of another {called} than {first.folder}{told}; observe that shard again"


def _own_name(manifest: Manifest) -> str:
    """The target's name; '' where that is its address, as each shard may have a server for itself."""
    address = manifest.url.partition("://")[2].replace("/", "-")
    return "" if address.startswith(manifest.target) else manifest.target


def _other_starts(parts: Sequence[Part]) -> Iterator[str]:
    first = parts[0]
    for part in parts:
        if not part.manifest.start_mark:
            yield (
                f"{part.told} does not tell which start of the server it observed, as that lists no "
                "assistant of its own; leave out --same-server"
            )
        elif part.manifest.start_mark != first.manifest.start_mark:
            yield (
                f"{part.told} observed another start of the server than {first.folder} "
                f"({part.manifest.start_mark}, not {first.manifest.start_mark}); observe all shards of one"
            )


def _incomplete(parts: Sequence[Part]) -> Iterator[str]:
    """Shards that are missing or were given twice."""
    of = parts[0].shard.of
    for number in range(1, of + 1):
        folders = [str(each.folder) for each in parts if each.shard.number == number]
        if not folders:
            yield (
                f"shard {number} of {of} is missing; observe it with --shard {number}/{of} and give its "
                "folder too"
            )
        elif len(folders) > 1:
            yield f"shard {number} of {of} was given {len(folders)} times, {' and '.join(folders)}; give one"


def _twice(parts: Sequence[Part]) -> Iterator[str]:
    """Scenarios that two shards hold, which no plan has."""
    seen: dict[str, Part] = {}
    for part in parts:
        for name in sorted(part.shard.scenarios):
            if name in seen and seen[name].shard != part.shard:
                yield f"{part.told} and {seen[name].folder} both hold {name}; observe both shards again"
                break
            seen[name] = part
