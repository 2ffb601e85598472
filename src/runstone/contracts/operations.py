"""Which schema the answer of an operation has, by method and path."""

from __future__ import annotations

import re
from functools import cache, cached_property, lru_cache

import msgspec

from runstone.contracts.reading import read_yaml
from runstone.locations import locate


class Operation(msgspec.Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True):
    """One operation of the run API (contracts/operations.yaml describes each key)."""

    method: str
    path: str
    schema: str
    many: bool = False
    unless: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(self.path)))

    def answers(self, method: str, path: str) -> bool:
        """Whether a request with this method and path (without query) is this operation."""
        return method == self.method and self._pattern.fullmatch(path) is not None


def operation_for(method: str, path: str) -> Operation | None:
    """The operation of a request; None for one that is not described. Raises MalformedContract."""
    return _operation_at(method, path.partition("?")[0])


# Judges ask for the same few thousand paths of a session over and over: 93,000 times for 3,400 of them.
@lru_cache(maxsize=16_384)
def _operation_at(method: str, path: str) -> Operation | None:
    # A literal path goes before one with a placeholder: /threads/search is no thread called "search".
    found = [each for each in _operations() if each.answers(method, path)]
    return min(found, key=lambda each: each.path.count("{"), default=None)


@cache
def _operations() -> tuple[Operation, ...]:
    return read_yaml(locate("contracts") / "operations.yaml", tuple[Operation, ...])
