"""Comparison: what two answers have in common once ids, times and other volatile parts are set aside.

Ids are not dropped but renamed by the order of their first appearance, so that two answers agree only when
the same places hold the same id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from runstone.wire.documents import raw
from runstone.wire.exchange import UUID, excerpt

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?")
_HEX_ID = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{32}(?![0-9a-fA-F])")
_RUN_LIKE = re.compile(rf"(?:run-|lc_run-+|lc_)?{UUID.pattern}")
_SHORTEST = 19  # characters of the shortest time; ids are longer


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two documents differ: a JSON pointer and what stands there on both sides."""

    path: str
    left: Any
    right: Any

    def __str__(self) -> str:
        """What is wrong there, in words: of the left side, where the right one is what was wanted."""
        place = _in_words(self.path)
        if isinstance(self.left, Absent):
            return f"{place} is missing, wanted {shown(self.right)}"
        if isinstance(self.right, Absent):
            return f"{place} is {shown(self.left)}, wanted none"
        return f"{place} is {shown(self.left)}, wanted {shown(self.right)}"


def _in_words(path: str) -> str:
    """`/values/note`, `item 3 of /log`; people count from one."""
    parent, _, step = path.rpartition("/")
    if step.isdigit():
        return f"item {int(step) + 1} of {parent or 'the list'}"
    return path or "it"


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


def canonical(document: Any) -> Any:
    """The document with ids and times replaced by `<id 1>` … and `<time>`."""
    return _Renamer().rename(raw(document))


class _Renamer:
    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def rename(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._text(key): self.rename(member) for key, member in sorted(value.items())}
        if isinstance(value, list):
            return [self.rename(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        return _renamed(text, self._known)

    def _known(self, found: re.Match[str]) -> str:
        return self._ids.setdefault(found.group().lower(), f"<id {len(self._ids) + 1}>")


def anonymous(text: str) -> str:
    """The text with every id as `<id>` and every time as `<time>`: which of them is which is lost."""
    return _renamed(text, lambda _: "<id>")


def _renamed(text: str, name: Callable[[re.Match[str]], str]) -> str:
    if len(text) < _SHORTEST:
        return text
    return _HEX_ID.sub(name, _RUN_LIKE.sub(name, _TIME.sub("<time>", text)))


def first_difference(left: Any, right: Any) -> Difference | None:
    """The first difference in document order; None for none. `1` equals `1.0`, but not true."""
    if repr(left) == repr(right):  # which is so nearly always, and soon seen; 1, 1.0 and true read otherwise
        return None
    return next(differences(raw(left), raw(right)), None)


def difference_in_shape(left: Any, right: Any) -> Difference | None:
    """Where two results of an agent that is not deterministic cannot both be whole; None for nowhere.

    Both are of one kind (object, array, text, number, boolean), both or neither of them empty, and what
    objects have in common is of one kind too. Deeper than that two good answers may differ in anything; null
    is of no kind.
    """
    left, right = raw(left), raw(right)
    if kind(left) != kind(right) or (isinstance(left, (dict, list, str)) and bool(left) != bool(right)):
        return Difference("", left, right)
    if not isinstance(left, dict):
        return None
    for key in (key for key in left if key in right):
        one, other = left[key], right[key]
        if one is not None and other is not None and kind(one) != kind(other):
            return Difference(f"/{_escaped(key)}", one, other)
    return None


_KINDS = (
    (bool, "boolean"),  # before the numbers, of which Python takes it for one
    ((int, float), "number"),
    (str, "text"),
    (dict, "object"),
    (list, "array"),
)


def kind(value: Any) -> str:
    """What a JSON value is: `object`, `array`, `text`, `number`, `boolean` or `null`."""
    return next((name for types, name in _KINDS if isinstance(value, types)), "null")


def _escaped(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


Pairing = Callable[[list[Any], list[Any]], Iterable[tuple[int, Any, Any]]]


def by_index(left: list[Any], right: list[Any]) -> Iterator[tuple[int, Any, Any]]:
    """The items of two arrays side by side, with their index; ABSENT where one array is over."""
    for index, (here, there) in enumerate(zip_longest(left, right, fillvalue=ABSENT)):
        yield index, here, there


def differences(left: Any, right: Any, path: str = "", *, paired: Pairing = by_index) -> Iterator[Difference]:
    """Every place where two documents differ, in document order; `paired` says which items of arrays meet."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in [*left, *(key for key in right if key not in left)]:
            step = f"{path}/{_escaped(key)}"
            yield from differences(left.get(key, ABSENT), right.get(key, ABSENT), step, paired=paired)
    elif isinstance(left, list) and isinstance(right, list):
        for index, here, there in paired(left, right):
            yield from differences(here, there, f"{path}/{index}", paired=paired)
    elif isinstance(left, bool) is not isinstance(right, bool) or left != right:
        yield Difference(path, left, right)
