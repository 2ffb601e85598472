"""Whether values, arguments, calls and sequences of calls are as an assertion wants them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from msgspec import UNSET

from runstone.conversations.format import FunctionCall, Mode, ValueMatch
from runstone.conversations.seen import Call


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal; true is not 1, and 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(each, right[key]) for key, each in left.items())
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def holds(whole: Any, part: Any) -> bool:
    """Whether an object has all of the members of `part`, at any depth; other values must be equal."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and holds(whole[key], each) for key, each in part.items())
    return same(whole, part)


def against_schema(value: Any, schema: Any) -> str:
    """The worst way in which the value breaks the schema; '' where it does not."""
    error = best_match(Draft202012Validator(schema).iter_errors(value))
    return "" if error is None else f"{error.json_path}: {error.message}"


def against(value: Any, wanted: ValueMatch) -> str:
    """Why the value is not as it is wanted; '' where it is."""
    if wanted.equals is not UNSET:
        return "" if same(value, wanted.equals) else f"it is {shown(value)}, not {shown(wanted.equals)}"
    if isinstance(wanted.contains, str):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return "" if wanted.contains in text else f"{shown(value)} does not contain {shown(wanted.contains)}"
    if wanted.schema is not UNSET:
        return against_schema(value, wanted.schema)
    return ""


def fits(call: Call, wanted: str | FunctionCall) -> bool:
    """Whether this call is the one that is wanted."""
    if isinstance(wanted, str):
        return call.name == wanted
    if call.name != wanted.name:
        return False
    if not isinstance(wanted.arguments, dict):
        return True
    if wanted.match == "schema":
        return not against_schema(call.arguments, wanted.arguments)
    return (holds if wanted.match == "subset" else same)(call.arguments, wanted.arguments)


def follows(calls: Sequence[Call], wanted: Sequence[str | FunctionCall], mode: Mode) -> bool:
    """Whether the calls are a trajectory of this mode."""
    if mode == "exact":
        return len(calls) == len(wanted) and all(map(fits, calls, wanted))
    if mode == "in_order":
        rest = iter(calls)
        return all(any(fits(call, each) for call in rest) for each in wanted)
    if mode == "unordered" and len(calls) != len(wanted):
        return False
    return _assigned(calls, wanted)


def _assigned(calls: Sequence[Call], wanted: Sequence[str | FunctionCall]) -> bool:
    """Whether each wanted call can be given a call of its own: a matching, by augmenting paths."""
    given: dict[int, int] = {}  # number of a call → of what it is given to

    def give(number: int, tried: set[int]) -> bool:
        for place, call in enumerate(calls):
            if place not in tried and fits(call, wanted[number]):
                tried.add(place)
                if place not in given or give(given[place], tried):
                    given[place] = number
                    return True
        return False

    return all(give(number, set()) for number in range(len(wanted)))


def shown(value: Any, limit: int = 120) -> str:
    """A value for a reason, on one line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def shown_call(wanted: str | FunctionCall) -> str:
    """A wanted call in words: `issue_refund(order="42")`."""
    if isinstance(wanted, str):
        return wanted
    if not isinstance(wanted.arguments, dict):
        return wanted.name
    if wanted.match == "schema":
        return f"{wanted.name}(by a schema)"
    inside = ", ".join(f"{key}={shown(value)}" for key, value in wanted.arguments.items())
    return f"{wanted.name}({inside}{', …' if wanted.match == 'subset' else ''})"
