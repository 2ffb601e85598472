"""Comparison: what two answers have in common once ids, times and other volatile parts are set aside.

Ids are not dropped but renamed by the order of their first appearance, so that two answers agree only when
the same places hold the same id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from runstone.wire.documents import raw
from runstone.wire.trace import UUID, excerpt

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?")
_HEX_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_RUN_LIKE = re.compile(r"(?P<prefix>run-|lc_run-+|lc_)?" + f"(?:{UUID.pattern})")

# Members that name this very run, thread or moment and may differ between any two runs.
VOLATILE = frozenset({"created_at", "updated_at", "run_id", "thread_id", "checkpoint_id", "checkpoint_ns"})


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two documents differ: a JSON pointer and what stands there on both sides."""

    path: str
    left: Any
    right: Any

    def __str__(self) -> str:
        return f"at {self.path or 'the root'}: got {shown(self.left)}, wanted {shown(self.right)}"


class Absent:
    """Stands for a member or item that one side does not have."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = Absent()


def shown(value: Any, limit: int = 120) -> str:
    """The value as short JSON for a reason."""
    if isinstance(value, Absent):
        return repr(value)
    value = raw(value)
    try:
        return excerpt(json.dumps(value, ensure_ascii=False), limit)
    except (TypeError, ValueError):
        return excerpt(repr(value), limit)


def canonical(document: Any, *, drop: Collection[str] = ()) -> Any:
    """The document with ids and times replaced by `<id 1>` … and `<time>`, without the members `drop`."""
    return _Renamer(frozenset(drop)).rename(raw(document))


class _Renamer:
    def __init__(self, drop: frozenset[str]) -> None:
        self._drop = drop
        self._ids: dict[str, str] = {}

    def rename(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                self._text(key): self.rename(member)
                for key, member in sorted(value.items())
                if key not in self._drop
            }
        if isinstance(value, list):
            return [self.rename(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        if len(text) < 19:  # the shortest time; ids are longer
            return text
        text = _TIME.sub("<time>", text)
        text = _RUN_LIKE.sub(self._known, text)
        return _HEX_ID.sub(self._known, text)

    def _known(self, found: re.Match[str]) -> str:
        return self._ids.setdefault(found.group().lower(), f"<id {len(self._ids) + 1}>")


def first_difference(left: Any, right: Any, path: str = "") -> Difference | None:
    """The first difference in document order; None for none. `1` equals `1.0`, but not true."""
    return next(_differences(raw(left), raw(right), path), None)


def difference_in_shape(left: Any, right: Any) -> Difference | None:
    """Where two results of an agent that is not deterministic cannot both be whole; None for nowhere.

    Both are of one kind (object, array, text, number, boolean), both or neither of them empty, and what
    objects have in common is of one kind too. Deeper than that two good answers may differ in anything; null
    is of no kind.
    """
    left, right = raw(left), raw(right)
    if _kind(left) != _kind(right) or (isinstance(left, (dict, list, str)) and bool(left) != bool(right)):
        return Difference("", left, right)
    if not isinstance(left, dict):
        return None
    for key in (key for key in left if key in right):
        one, other = left[key], right[key]
        if one is not None and other is not None and _kind(one) != _kind(other):
            return Difference(f"/{_escaped(key)}", one, other)
    return None


def _kind(value: Any) -> str:
    kinds: dict[type, str] = {int: "number", float: "number"}
    return kinds.get(type(value), type(value).__name__)


def _escaped(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def _differences(left: Any, right: Any, path: str) -> Iterator[Difference]:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in [*left, *(key for key in right if key not in left)]:
            step = f"{path}/{_escaped(key)}"
            yield from _differences(left.get(key, ABSENT), right.get(key, ABSENT), step)
    elif isinstance(left, list) and isinstance(right, list):
        for index in range(max(len(left), len(right))):
            here = left[index] if index < len(left) else ABSENT
            there = right[index] if index < len(right) else ABSENT
            yield from _differences(here, there, f"{path}/{index}")
    elif isinstance(left, bool) is not isinstance(right, bool) or left != right:
        yield Difference(path, left, right)
