"""What a scenario can give a name to: the labels, parts and notes that its source speaks of.

A judge that asks for a label which the trace lacks may have met a target that broke before, or have mistyped
the label. Only the second asks for a word that neither the scenario, nor what it calls, nor the operations
of the API can ever say. f-strings stand for all that they can make.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any, Final

import msgspec

from runstone.errors import suggestion
from runstone.scenario.api import Api
from runstone.wire.webhooks import DELIVERY

# What is named by the engine itself: a delivery, what a client's turn left, when a server was restarted.
_OWN: Final = frozenset({DELIVERY, "stray_delivery", "outcome", "client", "restarted_at"})
_NUMBER: Final = r"\d+(?:\.\d+)?"  # of what is counted, or of seconds
_REQUEST: Final = re.compile(r"[A-Z]+ /.*")  # the label of a request that was given none


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of one scenario, and the forms of those that it puts together."""

    words: frozenset[str]
    forms: tuple[re.Pattern[str], ...] = ()

    def knows(self, name: str) -> bool:
        """Whether the scenario could give this name; that of a part within a part is made of both, dotted."""
        return self._says(name) or all(map(self._says, name.split(".")))

    def _says(self, word: str) -> bool:
        return word in self.words or any(form.fullmatch(word) for form in self.forms)

    def hint(self, name: str) -> str:
        """`; did you mean …?` with the nearest word, or nothing."""
        return suggestion(name, self.words)


@cache
def vocabulary(scenario: Callable[..., Any]) -> Vocabulary:
    """The vocabulary of a scenario's function."""
    words = {*_OWN, *_defaults()}
    made: list[ast.JoinedStr] = []
    pending: list[Any] = [scenario]
    seen: set[FunctionType] = set()
    while pending:
        each = pending.pop()
        if not isinstance(each, FunctionType):
            words |= set(_texts_in(each))
        elif each not in seen and not each.__module__.startswith("runstone."):
            seen.add(each)
            tree = _tree(each)
            words |= {*_constants(tree), *_noted(tree)}
            made += [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
            pending += [each.__globals__[name] for name in _names(tree) if name in each.__globals__]
    words.discard("")
    any_word = "|".join([_NUMBER, *sorted(map(re.escape, words), key=len, reverse=True)])
    forms = [_form(text, any_word) for text in made]
    return Vocabulary(frozenset(words), (re.compile(_NUMBER), _REQUEST, *forms))


def _tree(function: Callable[..., Any]) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _constants(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bool):
            yield str(node.value)


def _noted(tree: ast.AST) -> Iterator[str]:
    """The keys of `api.note(key=…)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "note":
            yield from (keyword.arg for keyword in node.keywords if keyword.arg)


def _form(text: ast.JoinedStr, any_word: str) -> re.Pattern[str]:
    """What an f-string can make: its own text, with a word or a number in the place of each expression."""
    parts = [
        re.escape(str(each.value)) if isinstance(each, ast.Constant) else f"(?:{any_word})"
        for each in text.values
    ]
    return re.compile("".join(parts))


def _texts_in(value: Any) -> Iterator[str]:
    """The texts of a constant of a suite, such as a table of cases of its own or of the contract."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, msgspec.Struct):
        yield from _texts_in([getattr(value, name) for name in value.__struct_fields__])
    elif isinstance(value, Mapping):
        for each in value.items():
            yield from _texts_in(each)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _texts_in(each)


@cache
def _defaults() -> frozenset[str]:
    """The labels that the operations give of themselves."""
    found: set[str] = set()
    for _, method in inspect.getmembers(Api, inspect.isfunction):
        for node in ast.walk(_tree(method)):
            if isinstance(node, ast.keyword) and node.arg == "label":
                found |= {*_constants(node.value)}
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "labelled":
                found |= {*_constants(node.args[0])}
        label = inspect.signature(method).parameters.get("label")
        found |= {label.default} if label and isinstance(label.default, str) else set()
    return frozenset(found)
