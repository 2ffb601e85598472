"""`{{name}}` in a file of scenarios: what it stands for, case by case.

Only a name between two braces on each side is a variable, so that a rubric or a prompt may hold JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from itertools import product
from typing import Any, Final

# What stands for another text in each conversation: a namespace of the store, for instance, of its own.
UNIQUE: Final = "unique"
_VARIABLE: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_-]*)\s*\}\}")


def combinations(variables: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A mapping for each combination of values; a list has several, anything else is one."""
    values = [each if isinstance(each, list) else [each] for each in variables.values()]
    for chosen in product(*values):
        yield dict(zip(variables, chosen, strict=True))


def varying(variables: Mapping[str, Any]) -> list[str]:
    """The names of the variables that have several values."""
    return [name for name, value in variables.items() if isinstance(value, list) and len(value) > 1]


def names_in(document: Any) -> Set[str]:
    """The variables that a document speaks of."""
    if isinstance(document, str):
        return {*_VARIABLE.findall(document)}
    if isinstance(document, Mapping):
        return {name for pair in document.items() for each in pair for name in names_in(each)}
    if isinstance(document, list | tuple):
        return {name for each in document for name in names_in(each)}
    return set()


def substituted(document: Any, values: Mapping[str, Any]) -> Any:
    """The document with the values in place; a text that is nothing but a variable becomes its very value.

    A variable without a value stays as it stands.
    """
    if isinstance(document, str):
        alone = _VARIABLE.fullmatch(document.strip())
        if alone and alone[1] in values:
            return values[alone[1]]
        return _VARIABLE.sub(lambda found: _text(found, values), document)
    if isinstance(document, Mapping):
        return {substituted(key, values): substituted(value, values) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [substituted(each, values) for each in document]
    return document


def _text(found: re.Match[str], values: Mapping[str, Any]) -> str:
    return str(values[found[1]]) if found[1] in values else found[0]
