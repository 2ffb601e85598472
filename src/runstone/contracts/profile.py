"""Profiles: which requirements apply to a kind of server, and where its dialect differs."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from runstone.contracts.catalogue import Requirement
from runstone.contracts.reading import MalformedContract, read_yaml, shown_path
from runstone.errors import UsageError, suggestion
from runstone.locations import locate
from runstone.wire.documents import Missing, is_null, resolve, without
from runstone.wire.exchange import excerpt


class UnknownProfile(UsageError):  # noqa: N818 - named as what it reports
    """No profile has this name."""


class WaitBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the body of a wait or join carries things; `values`, `error`, `interrupts` are JSON pointers."""

    schema: str
    values: str
    reserved: tuple[str, ...]
    error: str
    error_schema: str
    interrupts: str

    def values_in(self, body: Any) -> Any:
        """The final values that the body carries, without reserved members. Raises Missing if it has none."""
        values = resolve(body, self.values)
        if is_null(values):
            raise Missing(f"the body has no values at {self.values or 'its root'}: {excerpt(repr(body))}")
        return without(values, self.reserved) if isinstance(values, dict) else values

    def some_values_in(self, body: Any) -> Any:
        """The final values, as proof of what a run did. Raises Missing for none at all, as in `{}`.

        That a body carries them is a promise of its own (RUN-WAIT-002, RUN-JOIN-002); where it is broken,
        nothing is known of the others that only the values could show.
        """
        values = self.values_in(body)
        if values == {}:
            raise Missing("the body carries no values, so it does not show what the run did")
        return values

    def error_in(self, body: Any) -> Any:
        """The error object that the body carries; null if it has none."""
        return resolve(body, self.error)

    def interrupts_in(self, body: Any) -> Any:
        """The list of interrupts that the body carries; null if it has none."""
        return resolve(body, self.interrupts)


class Defaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes that scenarios use."""

    concurrent_runs: int = 32


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of server. `includes`, `excludes`: globs of ids. `capabilities`: what all of it offer."""

    name: str
    description: str
    wait: WaitBody
    includes: tuple[str, ...] = ("*",)
    excludes: tuple[str, ...] = ()
    capabilities: dict[str, bool] = {}
    defaults: Defaults = Defaults()

    def excludes_requirement(self, requirement: Requirement) -> str | None:
        """Why the requirement does not apply to this profile; None when it does."""
        if requirement.profiles and self.name not in requirement.profiles:
            return f"it is promised by profile {' and '.join(requirement.profiles)} only"
        if any(fnmatchcase(requirement.id, glob) for glob in self.excludes):
            return f"profile {self.name} excludes it"
        if not any(fnmatchcase(requirement.id, glob) for glob in self.includes):
            return f"profile {self.name} does not include it"
        return None


def profile_names() -> tuple[str, ...]:
    """The profiles that there are."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


@cache
def load_profile(name: str) -> Profile:
    """The profile of this name. Raises UnknownProfile, which names the nearest one, and MalformedContract."""
    names = profile_names()
    if name not in names:
        hint = suggestion(name, names) or f"; there are {', '.join(names)}"
        raise UnknownProfile(f"there is no profile {name!r}{hint}")
    return read_profile(_folder() / f"{name}.yaml")


def read_profile(path: Path) -> Profile:
    """The profile of a file. Raises MalformedContract."""
    profile = read_yaml(path, Profile)
    if profile.name != path.stem:
        raise MalformedContract(
            f"{shown_path(path)}: the profile's name is {profile.name!r}, the file's {path.stem!r}"
        )
    return profile


def _folder() -> Path:
    return locate("contracts") / "profiles"
