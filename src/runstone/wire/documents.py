"""What a target said, as judges read it: documents, headers and lists in which nothing lacks in silence."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from typing import Any, SupportsIndex, TypeVar, overload

from runstone.wire.values import Array, Missing, Null, Object, Told, is_null, raw, told

__all__ = [
    "Array",
    "Headers",
    "Missing",
    "Object",
    "Several",
    "encoded",
    "is_null",
    "raw",
    "resolve",
    "told",
    "without",
]

Item = TypeVar("Item")


class Headers(dict[str, str]):
    """The headers of an answer by lower-case name."""

    def __init__(self, headers: Mapping[str, str], where: str) -> None:
        super().__init__(headers)
        self._where = where

    def __missing__(self, name: str) -> str:
        raise Missing(f"{self._where} has no header {name}")


class Several(list[Item]):
    """Some of what was sent or received, in order; `what` says of what."""

    def __init__(self, items: Iterable[Item], what: str) -> None:
        super().__init__(items)
        self._what = what

    @overload
    def __getitem__(self, index: SupportsIndex) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Item | list[Item]:
        try:
            return super().__getitem__(index)
        except IndexError:
            raise Missing(f"{self._what}: there are {len(self)}, and so no number {index}") from None


def without(document: Any, names: Container[str]) -> Any:
    """The object without these of its members."""
    kept = {key: member for key, member in raw(document).items() if key not in names}
    return Object(kept, document.outer, document.step) if isinstance(document, Object) else kept


def resolve(document: Any, pointer: str) -> Any:
    """The part of a document that a JSON pointer (RFC 6901) names; null if there is none."""
    for token in pointer.split("/")[1:]:
        step = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return Null(document, step, absent=True) if isinstance(document, Told) else None
    return document


def encoded(value: Any, **options: Any) -> str:
    """The value as JSON, whatever in it a target has told. Raises TypeError for what is not JSON."""

    def of_told(each: Any) -> Any:
        if isinstance(each, Told):
            return each.plain
        raise TypeError(f"{type(each).__name__} is not JSON serializable")

    return json.dumps(value, ensure_ascii=False, default=of_told, **options)
