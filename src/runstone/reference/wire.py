"""JSON in and out: what is accepted from a client, and how values of a graph are written down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from langgraph.types import Interrupt
from pydantic import BaseModel

from runstone.reference.errors import Invalid

# ormsgpack, which writes the checkpoints, ends at 1,024 levels, and msgspec at Python's own limit of 1,000
# frames; far below both, so that an input that is let in never fails further down.
MAX_DEPTH = 256
# ormsgpack carries 64 bits: anything larger is refused here rather than failing inside a run.
MIN_INT, MAX_INT = -(2**63), 2**64 - 1
# Looked for after every digit was made a 0: a sixth of the time that an expression takes for 20 MB.
_LONG_NUMBER = b"0" * 19
_DIGITS_TO_0 = bytes.maketrans(b"123456789", b"000000000")
_UNSERIALISABLE = (TypeError, ValueError, RecursionError)

T = TypeVar("T")


def decode(body: bytes, shape: type[T]) -> T:
    """Read a request body of this shape. Raises Invalid with the place and the reason.

    Refused beside malformed JSON: NaN and Infinity, lone surrogates, integers past 64 bits, deep nesting.
    """
    try:
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH or _LONG_NUMBER in body.translate(_DIGITS_TO_0):
            _check_limits(msgspec.json.decode(body))
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise Invalid(f"the body does not fit: {error}") from None
    except RecursionError:
        raise Invalid(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"the body is not JSON: {error}") from None


def _check_limits(document: Any) -> None:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif type(value) is int and not MIN_INT <= value <= MAX_INT:
                raise Invalid("the body holds an integer that 64 bits cannot carry")
        if not below:
            return
        level = below
    raise Invalid(f"the body is nested deeper than {MAX_DEPTH} levels")


def to_json(value: Any) -> bytes:
    """Write down a value of a graph: messages and models as plain objects.

    Raises TypeError or ValueError for what JSON cannot carry (a set, bytes, NaN, a lone surrogate): the run
    that made it fails, instead of a client reading something else than the graph wrote.
    """
    text = json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def to_json_marked(value: Any) -> bytes:
    """Like `to_json`, but what JSON cannot carry becomes `{"__not_json__": TYPE}`: state stays readable."""
    try:
        return to_json(value)
    except _UNSERIALISABLE:
        return to_json(_marked(value))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Interrupt):
        return {"value": value.value, "id": value.id}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of type {type(value).__name__} cannot be carried as JSON")


def _marked(value: Any, depth: int = 0) -> Any:
    if depth < MAX_DEPTH:
        if isinstance(value, BaseModel):
            value = value.model_dump()
        if isinstance(value, Mapping):
            return {str(key): _marked(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [_marked(item, depth + 1) for item in value]
        try:
            to_json(value)
        except _UNSERIALISABLE:
            pass
        else:
            return value
    return {"__not_json__": type(value).__qualname__}


def encode(value: Any) -> bytes:
    """Write down an answer that is made of records and of JSON that was written before."""
    return msgspec.json.encode(value)


def contains(document: Any, wanted: Any) -> bool:
    """Whether each pair of `wanted` is in `document`, nested objects by containment."""
    if isinstance(wanted, dict) and isinstance(document, dict):
        return all(key in document and contains(document[key], value) for key, value in wanted.items())
    return same(document, wanted)


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: true is not 1, as Python has it, and 1.0 is."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)


_last = datetime.min.replace(tzinfo=UTC)


def now() -> str:
    """The time, RFC 3339 in UTC with microseconds; each call answers a later one, so updates advance."""
    global _last
    _last = max(datetime.now(UTC), _last + timedelta(microseconds=1))
    return _last.isoformat(timespec="microseconds")


def at(seconds: float) -> str:
    """A moment in seconds since 1970, written as `now` writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
