"""The values of an answer, as judges read them: JSON whose every misreading raises `Missing` by itself.

A judge reads an answer as if it had the shape that the contract promises. Where it has another one, Python
would raise a KeyError or a TypeError, which nobody could tell from a slip of the judge. So the values of an
answer are subclasses of Python's own, in which whatever does not suit the value (a member that is absent, an
item of a number, text in the place of a time) raises `Missing` in words about the answer. Every other
exception of a judge is then its own fault.

null, true and false cannot be derived from: `Null` equals None and `Truth` equals True or False, but neither
*is* it. Compare by `==`, or ask `raw(value) is None`.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final, Self, SupportsIndex

_SHOWN = 60  # characters of a value in a message
_NAMES = 8  # members that a message lists


class Missing(Exception):  # noqa: N818 - it is a finding about the target, not an error of the harness
    """The trace lacks what a judge needs, because the target did not deliver it."""


class Told:
    """What all values of an answer have in common.

    `plain`: the value as Python itself has it; `outer` and `step`: what holds it, and under which name or
    number; of a whole document the answer in words.
    """

    kind: ClassVar[str]
    plain: Any
    outer: Told | str
    step: str | int

    @property
    def place(self) -> str:
        """Where it stands: the answer in words, and the JSON pointer (RFC 6901) to it."""
        steps: list[str] = []
        at = self
        while isinstance(at.outer, Told):
            steps.append(str(at.step).replace("~", "~0").replace("/", "~1"))
            at = at.outer
        return f"{at.outer} at /{'/'.join(reversed(steps))}" if steps else at.outer

    def _lacks(self, wanted: str) -> Missing:
        return Missing(f"{self.place}: wanted {wanted}, got {self._shown()}")

    def _without(self, key: object) -> Exception:
        """What to raise where an item of this kind was asked for, and there are none."""
        if isinstance(key, str):
            return self._lacks(f"an object with {json.dumps(key, ensure_ascii=False)}")
        return self._lacks("an array") if isinstance(key, int | slice) else TypeError(f"{key!r} is not a key")

    def _shown(self) -> str:
        return _excerpt(json.dumps(self.plain, ensure_ascii=False))

    def __getattr__(self, name: str) -> Any:
        # A word of another kind of value is asked of an answer of the wrong shape; any other word is a slip.
        for kind, words in _WORDS.items():
            if name in words:
                raise self._lacks(kind)
        raise AttributeError(f"there is no {name!r} of {self.kind} in an answer")


class _Holder(Told):
    """An object or an array; what it holds is read-only."""

    def __init__(self, plain: Any, outer: Told | str, step: str | int = "") -> None:
        super().__init__(plain)  # type: ignore[call-arg]  # as dict and list have it
        self.plain = plain
        self.outer = outer
        self.step = step


class _Scalar(Told):
    """A text or a number."""

    def __new__(cls, plain: Any, _outer: Told | str, _step: str | int = "") -> Self:
        return super().__new__(cls, plain)  # type: ignore[call-arg]  # as str, int and float have it

    def __init__(self, plain: Any, outer: Told | str, step: str | int = "") -> None:
        self.plain = plain
        self.outer = outer
        self.step = step


class Object(_Holder, dict[str, Any]):
    """A JSON object."""

    kind = "an object"

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            raise self._without(key)
        if key not in self:
            raise Missing(f"{self.place} has no {json.dumps(key, ensure_ascii=False)}, {self._members()}")
        return told(self.plain[key], self, key)

    def get(self, key: str, default: Any = ...) -> Any:
        """The member; the default, or else `Null`, where there is none."""
        if key in self:
            return told(self.plain[key], self, key)
        return Null(self, key, absent=True) if default is ... else default

    def __iter__(self) -> Iterator[str]:
        return (Text(key, self.outer, self.step) for key in self.plain)

    def keys(self) -> Any:
        return dict.fromkeys(self).keys()

    def values(self) -> Any:
        return dict(self.items()).values()

    def items(self) -> Any:
        return {key: self[key] for key in self}.items()

    def copy(self) -> dict[str, Any]:
        return dict(self.items())

    def _members(self) -> str:
        names = [_excerpt(str(name)) for name in self.plain]
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        return f"only {', '.join(names[:_NAMES])}{more}" if names else "it is empty"


class Array(_Holder, list[Any]):
    """A JSON array."""

    kind = "an array"

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Array(self.plain[index], self.outer, self.step)
        if not isinstance(index, int):
            raise self._without(index)
        if not -len(self) <= index < len(self):
            raise Missing(f"{self.place} holds {len(self)} items, and no item {index}")
        return told(self.plain[index], self, index)

    def __iter__(self) -> Iterator[Any]:
        return (told(item, self, number) for number, item in enumerate(self.plain))

    def __reversed__(self) -> Iterator[Any]:
        return iter(list(self)[::-1])

    def copy(self) -> list[Any]:
        return list(self)

    def index(self, value: Any, start: SupportsIndex = 0, stop: SupportsIndex | None = None) -> int:
        for place in range(len(self))[start:stop]:
            if self.plain[place] == value:
                return place
        raise Missing(f"{self.place} does not hold {_excerpt(json.dumps(raw(value), default=str))}")


class Text(_Scalar, str):
    """A JSON string."""

    kind = "a text"

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, int | slice):
            raise self._without(index)
        try:
            return self.plain[index]
        except IndexError:
            raise Missing(f"{self.place} holds {len(self)} characters, and no character {index}") from None

    def __iter__(self) -> Iterator[str]:
        raise self._lacks("an array")  # nobody asks for the characters of an answer one by one

    def __contains__(self, part: object) -> bool:
        if not isinstance(part, str):
            raise self._lacks("an array")
        return part in self.plain

    def __float__(self) -> float:
        return float(self._number(float))

    def __int__(self) -> int:
        return int(self._number(int))

    def _number(self, kind: Callable[[str], Any]) -> Any:
        try:
            return kind(self.plain)
        except ValueError:
            raise self._lacks("a number") from None

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> Any:
        return Array(list(self.plain.split(sep, maxsplit)), self.outer, self.step)

    def splitlines(self, keepends: bool = False) -> Any:
        return Array(list(self.plain.splitlines(keepends)), self.outer, self.step)


class Number(_Scalar, int):
    """A JSON number that is whole."""

    kind = "a number"


class Fraction(_Scalar, float):
    """Any other JSON number."""

    kind = "a number"


class Truth(Told):
    """JSON true or false: equal to True or False, and by `isinstance` a bool, but never the same object."""

    kind = "true or false"

    def __init__(self, plain: bool, outer: Told | str, step: str | int = "") -> None:
        self.plain = plain
        self.outer = outer
        self.step = step

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # what `isinstance` asks for
        return bool

    def __eq__(self, other: object) -> bool:
        return bool(self.plain == raw(other))

    def __hash__(self) -> int:
        return hash(self.plain)

    def __bool__(self) -> bool:
        return bool(self.plain)

    def __repr__(self) -> str:
        return repr(self.plain)


class Null(Told):
    """JSON null, or a member that is absent: equal to None, false, and of no use for anything else."""

    kind = "nothing"
    plain = None

    def __init__(self, outer: Told | str, step: str | int = "", *, absent: bool = False) -> None:
        self.outer = outer
        self.step = step
        self._absent = absent

    def _shown(self) -> str:
        return "nothing" if self._absent else "null"

    def __eq__(self, other: object) -> bool:
        return is_null(other)

    def __hash__(self) -> int:
        return hash(None)

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "None"


def is_null(value: object) -> bool:
    """Whether an answer has null there, or nothing."""
    return value is None or type(value) is Null


def raw(value: Any) -> Any:
    """The value as Python itself has it, as what is not a judge wants it: encoders, validators, scenarios."""
    if isinstance(value, Told):
        return value.plain
    if isinstance(value, dict):
        return {raw(key): raw(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(raw, value)) if type(value) in {list, tuple} else value
    return value


def told(value: Any, outer: Told | str, step: str | int = "") -> Any:
    """A decoded JSON value as judges read it. `outer`: what holds it, or in words which document it is."""
    make = _MAKERS.get(type(value))
    if make is not None:
        return make(value, outer, step)
    return Null(outer, step) if value is None else value


_MAKERS: Final[dict[type, Callable[..., Any]]] = {
    dict: Object,
    list: Array,
    str: Text,
    int: Number,
    float: Fraction,
    bool: Truth,
}
_WORDS: Final[dict[str, frozenset[str]]] = {
    kind: frozenset(name for name in dir(of) if not name.startswith("_"))
    for kind, of in (("an object", dict), ("an array", list), ("a text", str), ("a number", float))
}
_KINDS: Final = {
    dict: "an object",
    list: "an array",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}
# What Python looks up on the class, with the kind of value that it is meant for.
_UNARY: Final = {
    "a number": "neg pos abs round int float index trunc floor ceil",
    "an object or an array": "iter len contains reversed",
    "a text or a number": "hash",
}
_ARITHMETIC: Final = "add sub mul truediv floordiv mod pow and or xor lshift rshift"
_ORDER: Final = "lt le gt ge"
_READ_ONLY: Final = (
    "__setitem__ __delitem__ __iadd__ __imul__ __ior__ append clear extend insert pop popitem remove reverse "
    "setdefault sort update"
)


def _kind_of(value: object) -> str:
    return "null" if is_null(value) else _KINDS[type(raw(value))]


def _excerpt(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _unsuited(wanted: str) -> Callable[..., Any]:
    def operate(self: Any, *_operands: Any) -> Any:
        raise self._lacks(wanted)

    return operate


def _no_item(self: Any, key: object) -> Any:
    raise self._without(key)


def _operating(operate: Callable[[Any, Any], Any], *, reflected: bool = False) -> Callable[..., Any]:
    """An operator of two values, which raises Missing where they do not suit each other."""

    def of_both(self: Any, other: Any) -> Any:
        left, right = (other, self) if reflected else (self, other)
        try:
            result = operate(raw(left), raw(right))
        except TypeError:
            if raw(other) is None or isinstance(raw(other), tuple(_KINDS)):
                raise self._lacks(_kind_of(other)) from None
            return NotImplemented
        return told(result, self.outer, self.step) if isinstance(result, dict | list) else result

    return of_both


def _refusing(name: str) -> Callable[..., Any]:
    def refuse(_self: Any, *_operands: Any) -> Any:
        raise TypeError(f"what a target said is read-only: {name}")

    return refuse


def _guard(kind: type) -> None:
    """Give a kind of value all operators that there are, so that none raises a TypeError."""
    for wanted, words in _UNARY.items():
        for name in (f"__{word}__" for word in words.split()):
            if getattr(kind, name, None) is None:
                setattr(kind, name, _unsuited(wanted))
    if not hasattr(kind, "__getitem__"):
        _give(kind, "__getitem__", _no_item)
    for word in f"{_ARITHMETIC} {_ORDER}".split():
        operate = getattr(operator, f"__{word}__")
        _give(kind, f"__{word}__", _operating(operate))
        if word not in _ORDER.split():
            _give(kind, f"__r{word}__", _operating(operate, reflected=True))
    for name in _READ_ONLY.split():
        if hasattr(kind, name):
            setattr(kind, name, _refusing(name))


def _give(kind: type, name: str, method: Callable[..., Any]) -> None:
    """Give the kind this method, unless it has one that is written for it above."""
    if name not in vars(kind):
        setattr(kind, name, method)


for _each in (Object, Array, Text, Number, Fraction, Truth, Null):
    _guard(_each)
