"""The requirement catalogue: every promise with its id, level, sources and the capabilities that it needs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from typing import Final, Literal

import msgspec

from runstone.contracts.levels import Level
from runstone.contracts.reading import MalformedContract, read_yaml, shown_path
from runstone.errors import UsageError, suggestion
from runstone.locations import locate

SOURCES: Final = "sources.yaml"


class UnknownRequirement(UsageError, KeyError):  # noqa: N818 - named as what it reports
    """No requirement has this id, or none matches this glob."""

    def __str__(self) -> str:  # a KeyError would show the message in quotes
        return str(self.args[0])


class UnknownArea(UsageError):  # noqa: N818
    """No area has this name."""


# `monitor`: its judges read every trace of the session, of all scenarios or of those that the other selected
# areas need. `exploring`: its scenarios make up their requests for as long as they are given; they run, and
# its requirements are in a report, only where somebody asked for the area. `under-load`: judged of a load
# (`runstone load`) and of nothing else, so no part of a check, of a proof or of the acceptance of a check.
AreaKind = Literal["ordinary", "monitor", "exploring", "under-load"]


class Area(msgspec.Struct, frozen=True, kw_only=True):
    """Requirements that belong together. `order`: its place in reports, the lowest first."""

    name: str
    title: str
    order: int
    kind: AreaKind = "ordinary"


class Requirement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One promise. `source`: texts "ALIAS: where", the aliases of sources.yaml. `needs`: capabilities.

    `profiles` limits it to these profiles; empty: all. `note`: what is tolerated, or why it has this level.
    """

    id: str
    level: Level
    area: str
    statement: str
    source: tuple[str, ...]
    needs: tuple[str, ...] = ()
    note: str = ""
    profiles: tuple[str, ...] = ()


class Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a capability is found; any of these shows it.

    `flag`: a true member of /info's `flags`; `path`: one that answers 200; `route`: an operation that the
    server's own OpenAPI document lists, or that can be tried out.
    """

    flag: str | None = None
    path: str | None = None
    route: str | None = None


class CapabilityDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a server may or may not offer; without a probe it can only be declared.

    `unseen`: what is told where it is neither declared nor could be looked for.
    """

    meaning: str
    declared_as: str
    probe: Probe | None = None
    unseen: str = ""


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an alias in `source` stands for; `kind` says what it can carry (sources.yaml)."""

    kind: Literal["contract", "client", "library", "goal", "server"]
    title: str
    version: str = ""
    vendor: str = ""


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A requirement as its file has it: without the area, which the file names once."""

    id: str
    level: Level
    statement: str
    source: tuple[str, ...]
    needs: tuple[str, ...] = ()
    note: str = ""
    profiles: tuple[str, ...] = ()


class _AreaFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    area: str
    title: str
    order: int
    kind: AreaKind = "ordinary"
    requirements: tuple[_Entry, ...]


class Catalogue(Mapping[str, Requirement]):
    """Requirements by id, in the order of the areas and their files. `areas`: by name, in their order."""

    def __init__(self, requirements: Iterable[Requirement], areas: Iterable[Area]) -> None:
        self._by_id = {each.id: each for each in requirements}
        self.areas: Mapping[str, Area] = {each.name: each for each in areas}

    def __getitem__(self, id: str) -> Requirement:  # noqa: A002 - the catalogue's own name
        """Raises UnknownRequirement, which names the nearest id."""
        found = self._by_id.get(id)
        if found is None:
            raise UnknownRequirement(f"there is no requirement {id!r}{suggestion(id, self._by_id)}")
        return found

    def __contains__(self, id: object) -> bool:  # noqa: A002
        return id in self._by_id

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def select(
        self, *, area: str | None = None, glob: str | None = None, level: Level | None = None
    ) -> tuple[Requirement, ...]:
        """The requirements of an area (`areas_named`) whose id matches a glob, of this level.

        Raises UnknownArea, and UnknownRequirement for a glob that no id at all matches.
        """
        if glob is not None and not any(fnmatchcase(id, glob) for id in self._by_id):  # noqa: A001
            raise UnknownRequirement(f"no requirement matches {glob!r}{suggestion(glob, self._by_id)}")
        areas = self.areas if area is None else self.areas_named(area)
        return tuple(
            each
            for each in self._by_id.values()
            if each.area in areas
            and (glob is None or fnmatchcase(each.id, glob))
            and (level is None or each.level == level)
        )

    def areas_named(self, name: str) -> tuple[str, ...]:
        """The areas that a user means: a name, a glob (`run-*`), or the part after a dash (`wait`).

        Raises UnknownArea, which names the nearest one.
        """
        if name in self.areas:
            return (name,)
        meant = tuple(
            each for each in self.areas if fnmatchcase(each, name) or each.partition("-")[2] == name
        )
        if not meant:
            hint = suggestion(name, self.areas) or f"; the areas are {', '.join(self.areas)}"
            raise UnknownArea(f"there is no area {name!r}{hint}")
        return meant

    def selected(self, names: Iterable[str]) -> frozenset[str]:
        """The areas that a user means by some names; none for no names. Raises UnknownArea."""
        return frozenset(area for name in names for area in self.areas_named(name))

    @cached_property
    def of_checks(self) -> Catalogue:
        """What a check judges: all but what only a load shows."""
        return self._within(self.areas.keys() - self.of_kind("under-load"))

    @cached_property
    def of_loads(self) -> Catalogue:
        """What a load judges."""
        return self._within(self.of_kind("under-load"))

    def _within(self, areas: Container[str]) -> Catalogue:
        return Catalogue(
            (each for each in self._by_id.values() if each.area in areas),
            (each for each in self.areas.values() if each.name in areas),
        )

    def of_kind(self, kind: AreaKind) -> frozenset[str]:
        """The names of the areas of one kind."""
        return frozenset(name for name, area in self.areas.items() if area.kind == kind)


@cache
def load_catalogue() -> Catalogue:
    """The catalogue of contracts/requirements. Raises MalformedContract."""
    return read_catalogue(locate("contracts"))


@cache
def load_capabilities() -> Mapping[str, CapabilityDefinition]:
    """The capabilities by name. Raises MalformedContract."""
    return read_yaml(locate("contracts") / "capabilities.yaml", dict[str, CapabilityDefinition])


@cache
def load_sources() -> Mapping[str, Source]:
    """The sources by alias. Raises MalformedContract."""
    return read_yaml(locate("contracts") / "requirements" / SOURCES, dict[str, Source])


def read_catalogue(contracts: Path) -> Catalogue:
    """The catalogue of a folder of contracts, checked as a whole. Raises MalformedContract."""
    folder = contracts / "requirements"
    sources = read_yaml(folder / SOURCES, dict[str, Source])
    capabilities = read_yaml(contracts / "capabilities.yaml", dict[str, CapabilityDefinition])
    profiles = {path.stem for path in (contracts / "profiles").glob("*.yaml")}
    areas: dict[int, Area] = {}
    requirements: dict[str, Requirement] = {}
    for path, document in _area_files(folder):
        where = shown_path(path)
        name = document.area
        if name != path.stem:
            raise MalformedContract(f"{where}: its area is {name!r}, but its name says {path.stem!r}")
        if document.order in areas:
            raise MalformedContract(
                f"{where}: its order {document.order} is that of {areas[document.order].name} already"
            )
        areas[document.order] = Area(
            name=name, title=document.title, order=document.order, kind=document.kind
        )
        for entry in document.requirements:
            if entry.id in requirements:
                raise MalformedContract(f"{where}: {entry.id} is given twice; ids are unique")
            _check(entry, where, sources, capabilities, profiles)
            requirements[entry.id] = Requirement(area=name, **msgspec.structs.asdict(entry))
    return Catalogue(requirements.values(), areas.values())


def _area_files(folder: Path) -> list[tuple[Path, _AreaFile]]:
    """Every file of the folder other than SOURCES, in the order that they declare."""
    paths = sorted(path for path in folder.glob("*.yaml") if path.name != SOURCES)
    return sorted(((path, read_yaml(path, _AreaFile)) for path in paths), key=lambda each: each[1].order)


def _check(
    entry: _Entry, where: str, sources: Iterable[str], capabilities: Iterable[str], profiles: Iterable[str]
) -> None:
    """Raise MalformedContract when the entry refers to something that does not exist."""
    aliases = [text.partition(":")[0] for text in entry.source]
    for kind, used, known in (
        ("source", aliases, sources),
        ("capability", entry.needs, capabilities),
        ("profile", entry.profiles, profiles),
    ):
        for name in used:
            if name not in known:
                raise MalformedContract(
                    f"{where}: {entry.id} names the unknown {kind} {name!r}{suggestion(name, known)}"
                )
    if not entry.source:
        raise MalformedContract(f"{where}: {entry.id} has no source; a promise rests on something")
